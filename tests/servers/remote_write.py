"""Samples in Prometheus' remote write format 1.0, written by hand: protobuf inside a snappy block of literals.

Invariant: what is encoded is stored by Prometheus with exactly these timestamps and values; a value of None is a
staleness marker, as Prometheus itself writes after a failed scrape.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class NativeHistogram:
    """Observations as a native histogram of schema 0: bucket i counts those in (2^(i-1), 2^i]."""

    buckets: Mapping[int, int]

    @classmethod
    def of(cls, observations: Iterable[float]) -> "NativeHistogram":
        """The histogram of some positive observations."""
        return cls(Counter(math.ceil(math.log2(each)) for each in observations))


Samples: TypeAlias = Sequence[tuple[float, float | NativeHistogram | None]]
"""Pairs of Unix seconds and value, times rising."""

_STALE = 0x7FF0000000000002


def _varint(number: int) -> bytes:
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _zigzag(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _sample(at: float, value: float | NativeHistogram | None, *, native: bool) -> bytes:
    if native:
        return _field(4, _histogram(at, value if isinstance(value, NativeHistogram) else None))
    raw = struct.pack("<d", value) if isinstance(value, float | int) else struct.pack("<Q", _STALE)
    return _field(2, b"\x09" + raw + b"\x10" + _varint(round(at * 1000)))


def _histogram(at: float, value: NativeHistogram | None) -> bytes:
    """A histogram, whose sum is left out; a staleness marker is one whose sum is the marker."""
    if value is None:
        value, total = NativeHistogram({}), struct.pack("<Q", _STALE)
    else:
        total = struct.pack("<d", 0.0)
    present = [index for index, count in value.buckets.items() if count]
    first, last = (min(present), max(present)) if present else (0, -1)
    counts = [value.buckets.get(index, 0) for index in range(first, last + 1)]
    deltas = b"".join(_zigzag(after - before) for before, after in pairwise([0, *counts]))
    out = b"\x08" + _varint(sum(counts)) + b"\x19" + total + b"\x20" + _zigzag(0)
    out += b"\x29" + struct.pack("<d", 2.0**-128) + b"\x30\x00"
    if counts:
        out += _field(11, b"\x08" + _zigzag(first) + b"\x10" + _varint(len(counts))) + _field(12, deltas)
    return out + b"\x78" + _varint(round(at * 1000))


def _series(labels: Labels, samples: Samples) -> bytes:
    named = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in sorted(labels.items()))
    native = any(isinstance(value, NativeHistogram) for _, value in samples)
    return named + b"".join(_sample(at, value, native=native) for at, value in samples)


def snappy(data: bytes) -> bytes:
    """One snappy block that holds the data as literals."""
    if not data:
        return b"\x00"
    return _varint(len(data)) + b"\xfc" + struct.pack("<I", len(data) - 1) + data


def write_request(series: Iterable[tuple[Labels, Samples]]) -> bytes:
    """The body of a remote write request."""
    return snappy(b"".join(_field(1, _series(labels, samples)) for labels, samples in series))
