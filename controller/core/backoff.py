"""How long to wait before a failed try is repeated.

Invariant: the same seed and number give the same wait, so that a state can be replayed.
"""

from hashlib import sha256

LONGEST_BACKOFF = 60.0


def backoff(seed: str, failures: int) -> float:
    """Seconds until the next try: doubling to a minute, spread by a hash so that tries do not fall together."""
    spread = int.from_bytes(sha256(f"{seed}\0{failures}".encode()).digest()[:4]) / 2**32
    return min(LONGEST_BACKOFF, 2.0 ** min(failures - 1, 10)) * (0.5 + spread)
