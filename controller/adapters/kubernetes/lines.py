"""Lines of JSON out of a stream of bytes.

Invariant: a line is an object, or the stream ends with an error; no line longer than its bound is held.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from controller.adapters.kubernetes.errors import ApiMalformed

LARGEST_LINE = 1 << 24


def lines_of(chunks: Iterable[bytes], largest: int = LARGEST_LINE) -> Iterator[dict[str, Any]]:
    """Each line as an object.

    Raises:
        ApiMalformed: a line is no JSON object, is longer than ``largest`` bytes, or is cut off by the stream's end.
    """
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while (end := waiting.find(b"\n")) >= 0:
            line = bytes(waiting[:end])
            del waiting[: end + 1]
            if line.strip():
                yield _object(line)
        if len(waiting) > largest:
            raise ApiMalformed(f"a line is longer than {largest} bytes")
    if waiting.strip():
        raise ApiMalformed("the stream ends in the middle of a line")


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        raise ApiMalformed("a line is no JSON") from None
    if not isinstance(found, dict):
        raise ApiMalformed("a line is no object")
    return found
