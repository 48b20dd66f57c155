"""Text files as people's programs write them."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(data: bytes) -> str:
    """Return a file's text: UTF-8, or what its byte-order mark says.

    Raises:
        UnicodeDecodeError: it is not text.
    """
    return data.decode(next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8"))
