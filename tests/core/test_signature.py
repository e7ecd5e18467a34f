"""Signatures of HTTP messages."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from controller.core.signature import matches, sign


def test_it_is_the_documented_rule() -> None:
    """HMAC-SHA256 over timestamp, dot and body, in hex."""
    assert sign(b"k", "17", b"{}") == "sha256=" + hmac.new(b"k", b"17.{}", "sha256").hexdigest()


@given(st.binary(max_size=20), st.text(max_size=10), st.binary(max_size=30), st.text(max_size=80))
def test_only_the_right_signature_matches(secret: bytes, timestamp: str, body: bytes, other: str) -> None:
    """Whatever characters a header brings: no exception, and no match."""
    right = sign(secret, timestamp, body)
    assert matches(secret, timestamp, body, right)
    assert not matches(secret, timestamp, body, other)
    assert not matches(secret, timestamp, body + b"x", right)
    assert not matches(secret + b"x", timestamp, body, right)
    assert not matches(secret, timestamp + "0", body, right)
