"""Pictures as people have them: of all kinds, deep, turned, transparent, hidden, damaged."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from islands.classifiers.imagenet import imagenet_classes
from islands.datasets.assets import PHOTOGRAPH_LABELS
from islands.datasets.image_folder import ImageFolder
from islands.datasets.pictures import find_pictures, read_picture
from islands.datasets.real import photograph_labels
from islands.errors import DataError

GREY = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
DEEP = GREY.astype(np.uint16) * 257


def save_png_of_16_bits(pixels: npt.NDArray[np.uint16], path: Path) -> None:
    """Write (H, W, 1 to 4) by hand: Pillow writes grey alone."""
    height, width, samples = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", [1, 3])
class TestKinds:
    def check(self, path: Path, channels: int, atol: int = 0) -> None:
        found = read_picture(path, channels)
        assert found.shape == (8, 8, channels)
        assert found.dtype == np.uint8
        np.testing.assert_allclose(found.astype(int), np.repeat(GREY[:, :, None], channels, 2), atol=atol)

    @pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "PA"])
    def test_eight_bits(self, tmp_path: Path, channels: int, mode: str) -> None:
        grey = Image.fromarray(GREY)
        picture = grey.convert("P").convert("PA") if mode == "PA" else grey.convert("RGB").convert(mode)
        picture.save(tmp_path / "a.tif")
        self.check(tmp_path / "a.tif", channels, atol=1)

    @pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".pgm", ".webp"])
    def test_formats(self, tmp_path: Path, channels: int, suffix: str) -> None:
        # Only WebP asks whether it may lose something.
        Image.fromarray(GREY).save(tmp_path / f"a{suffix}", lossless=True)
        self.check(tmp_path / f"a{suffix}", channels)

    @pytest.mark.parametrize("samples", [1, 2, 3, 4])
    def test_sixteen_bits_of_png(self, tmp_path: Path, channels: int, samples: int) -> None:
        pixels = np.repeat(DEEP[:, :, None], samples, 2)
        if samples in (2, 4):
            pixels[:, :, -1] = 65535
        save_png_of_16_bits(pixels, tmp_path / "a.png")
        self.check(tmp_path / "a.png", channels)

    def test_sixteen_bits_of_tiff(self, tmp_path: Path, channels: int) -> None:
        Image.fromarray(DEEP).save(tmp_path / "a.tif")
        self.check(tmp_path / "a.tif", channels)
        Image.fromarray(65535 - DEEP).save(tmp_path / "b.tif", tiffinfo={262: 0})  # white is zero
        self.check(tmp_path / "b.tif", channels)

    def test_sixteen_bits_of_pgm(self, tmp_path: Path, channels: int) -> None:
        (tmp_path / "a.pgm").write_bytes(b"P5 8 8 65535\n" + DEEP.astype(">u2").tobytes())
        self.check(tmp_path / "a.pgm", channels)


def test_two_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY > 100)
    assert picture.mode == "1"
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 1)[:, :, 0], 255 * (GREY > 100))


def test_a_camera_that_was_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise
    Image.fromarray(GREY[:, :4]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "a.png", 1)[:, :, 0], np.rot90(GREY[:, :4], axes=(1, 0))
    )


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = (0, 51, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", 1).ravel().tolist() == [255, 204, 0]
    palette = Image.fromarray(GREY).convert("P")
    palette.save(tmp_path / "a.gif", transparency=palette.getpixel((0, 0)))
    assert read_picture(tmp_path / "a.gif", 3)[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_numbers_without_a_known_range_are_refused(tmp_path: Path, kind: npt.DTypeLike) -> None:
    Image.fromarray(GREY.astype(kind)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: got .*; save it with 8 or 16 bits"):
        read_picture(tmp_path / "a.tif", 1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".tif", ".webp", ".bmp"])
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.effect_noise((64, 64), 50).save(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"a{suffix}: cannot be read as a picture: ") as refusal:
            read_picture(path, 3)
        assert "\n" not in str(refusal.value)


def test_folders_are_walked_without_what_is_hidden(tmp_path: Path) -> None:
    names = ("b/x.JPG", "b/a/y.jpeg", "a.png", ".b/x.png", "b/._x.png", "__MACOSX/x.png", "b/x.txt", "b/.png")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "c.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)]
    assert found == ["a.png", "b/x.JPG", "b/a/y.jpeg"]
    (tmp_path / "d").symlink_to(tmp_path / "b" / "a")
    assert (tmp_path / "d" / "y.jpeg") in find_pictures(tmp_path)
    with pytest.raises(DataError, match=r"has no pictures .* \.png"):
        find_pictures(tmp_path / "c.png")


def test_known_photographs_are_found_by_name_in_whatever_order() -> None:
    names = imagenet_classes()
    assert photograph_labels(names) == PHOTOGRAPH_LABELS
    assert photograph_labels(names[::-1]) == tuple(999 - label for label in PHOTOGRAPH_LABELS)
    assert photograph_labels(tuple(map(str, range(1000)))) == PHOTOGRAPH_LABELS
    renamed = names[PHOTOGRAPH_LABELS[0]]
    assert photograph_labels(tuple("?" if name == renamed else name for name in names[::-1])) is None
    assert photograph_labels(names[:10]) is None


def test_training_reads_the_same_pictures(tmp_path: Path) -> None:
    for class_ in ("10", "9"):
        (tmp_path / class_).mkdir()
        Image.fromarray(DEEP).save(tmp_path / class_ / "a.PNG", "PNG")
        (tmp_path / class_ / "._a.PNG").write_bytes(b"resource fork")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    found = ImageFolder(tmp_path, 8)
    assert (found.classes, len(found)) == (("10", "9"), 2)
    images = found.take(torch.tensor([1])).images
    np.testing.assert_array_equal(images[0], np.broadcast_to(GREY, (3, 8, 8)))
