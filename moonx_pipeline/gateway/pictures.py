"""What a picture's first bytes say, whatever its sender claims: its media type and its size.

A picture of a few kilobytes can have a thousand million pixels, which cost a browser gigabytes.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers of a frame, which tells the size; the three left out are tables and reserved (ITU T.81, B.1.1.3)."""


class Picture(NamedTuple):
    """A raster image; its size is in pixels."""

    media_type: str
    width: int
    height: int


def picture_of(content: bytes) -> Picture | None:
    """The picture that some bytes begin; ``None`` if they are none of PNG, JPEG, GIF or WebP."""
    try:
        if content.startswith(_PNG) and content[12:16] == b"IHDR":
            return Picture("image/png", *struct.unpack_from(">II", content, 16))
        if content[:6] in (b"GIF87a", b"GIF89a"):
            return Picture("image/gif", *struct.unpack_from("<HH", content, 6))
        if content.startswith(b"\xff\xd8\xff"):
            return _jpeg(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
    except (struct.error, IndexError):
        pass  # it ends before its size
    return None


def _jpeg(content: bytes) -> Picture | None:
    place = 2
    while content[place] == 0xFF:
        marker = content[place + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, place + 5)
            return Picture("image/jpeg", width, height)
        # 0xFF before a marker is filling.
        place += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", content, place + 2)[0]
    return None


def _webp(content: bytes) -> Picture | None:
    match content[12:16]:
        case b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
        case b"VP8L":
            (sides,) = struct.unpack_from("<I", content, 21)
            width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        case _:
            return None
    return Picture("image/webp", width, height)
