"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]

DOCS = ROOT / "docs"

PAGES = (ROOT / "README.md", *sorted(file for file in DOCS.rglob("*.md") if not file.is_symlink()))
"""All pages that are ours to write; what is linked from the top of the repository is read there."""

_MARK = re.compile(r"<!-- (?P<word>parsed|compiled|loaded): (?P<why>[^>]+) -->\s*")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: the first word after the fence.
        title: the file that it is, where it is one.
        text: what is in it.
        mark: `parsed`, `compiled` or `loaded` where a comment before it says so, and why; else empty.
        line: of its fence, counted from 1.
    """

    language: str
    title: str
    text: str
    mark: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    before = ""
    for token in tokens:
        if token.type == "fence":
            language, _, rest = token.info.partition(" ")
            title = re.search(r'title="([^"]+)"', rest)
            mark = _MARK.fullmatch(before)
            assert token.map is not None
            yield Block(
                language,
                title[1] if title else "",
                token.content,
                mark["word"] if mark else "",
                token.map[0] + 1,
            )
        before = token.content if token.type == "html_block" else ""


class Command(NamedTuple):
    """A command of a console block, and what the block shows that it prints."""

    line: str
    output: str


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block: what follows `$`."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"line {block.line}: output before any command"
    for part in parts[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def words_of(line: str) -> list[list[str]]:
    """Return the words of each command of Islands in a line of a shell, without `islands`."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    found: list[list[str]] = [[]]
    for word in lexer:
        if word in ("&&", "|", ";", "&", ">"):
            found.append([])
        else:
            found[-1].append(word)
    return [words[1:] for words in found if words[:1] == ["islands"]]


def is_like(shown: str, said: str) -> bool:
    """Tell whether what was printed is what a page shows, where `...` on a line of its own is any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line) + r" *\n" for line in shown.rstrip().splitlines()
    )
    return re.fullmatch(pattern, said.rstrip() + "\n") is not None


def overrides(words: Sequence[str]) -> list[str]:
    """Return the values of all `--set`."""
    return [value for option, value in pairwise(words) if option == "--set"]
