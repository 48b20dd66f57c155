"""Groups of ImageNet's classes."""

from __future__ import annotations

from islands.cards.class_groups import groups_of
from islands.classifiers.imagenet import imagenet_classes


def test_each_class_is_in_one_group() -> None:
    groups = groups_of(imagenet_classes())
    assert sorted(row for rows in groups.values() for row in rows) == list(range(1000))


def test_groups_are_found_by_name_in_any_order() -> None:
    names = imagenet_classes()
    turned = names[::-1]
    for group, members in {
        "dogs": ("beagle", "Chihuahua", "Mexican hairless"),
        "birds": ("cock", "great grey owl", "black swan", "albatross"),
        "other mammals": ("koala", "dugong", "zebra", "giant panda"),
        "other animals": ("tarantula", "jellyfish", "starfish"),
        "things": ("abacus", "web site", "toilet tissue"),
        "plants and fungi": ("daisy", "ear"),
        "food": ("guacamole", "eggnog"),
    }.items():
        for classes in (names, turned):
            assert {classes.index(each) for each in members} <= set(groups_of(classes)[group])


def test_other_names_have_none() -> None:
    assert groups_of(tuple("0123456789")) == {}
    assert groups_of((*imagenet_classes()[:-1], "something else")) == {}
