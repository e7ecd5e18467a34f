"""State as short text: compressed, in letters that every API takes.

Invariant: what is unpacked equals what was packed; a text that unpacks to more than the bound is refused before it is.
"""

import base64
import binascii
import zlib

LARGEST_TEXT = 1 << 25
"""Bytes that a packed text may hold."""
LARGEST_PACKED = 900_000
"""Characters of a packed text: an object of the API server holds about 1.5 MB in all."""


class PackingError(ValueError):
    """A text that cannot be packed, or that is no packed text."""


def pack(text: str) -> str:
    """Compress a text.

    Raises:
        PackingError: it stays larger than an object of the API server may be.
    """
    packed = base64.b64encode(zlib.compress(text.encode(), 6)).decode()
    if len(packed) > LARGEST_PACKED:
        raise PackingError(f"{len(packed)} characters, compressed, are more than one object holds")
    return packed


def unpack(packed: str) -> str:
    """The text that was packed.

    Raises:
        PackingError: it is none, or holds more than ``LARGEST_TEXT``.
    """
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(base64.b64decode(packed, validate=True), LARGEST_TEXT)
    except (binascii.Error, zlib.error, ValueError):
        raise PackingError("it is no packed text") from None
    if not reader.eof:
        raise PackingError("it is cut short, or holds too much")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise PackingError("it is no text") from None
