"""How an HTTP message is signed, the same on both ways: webhooks that leave and deployment reports that come in.

Invariant: what is signed is the timestamp, a dot and the exact bytes of the body, so neither can be changed or taken
into another message; signatures are compared in constant time.
"""

import hashlib
import hmac

TIMESTAMP_HEADER = "X-Rollguard-Timestamp"
"""Unix seconds, decimals allowed, as the sender's clock had it."""
SIGNATURE_HEADER = "X-Rollguard-Signature"
"""``sha256=`` and 64 hex digits."""


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature header's value: HMAC-SHA256 (RFC 2104) over ``timestamp.body``."""
    message = timestamp.encode("utf-8", "surrogateescape") + b"." + body
    return "sha256=" + hmac.new(secret, message, hashlib.sha256).hexdigest()


def matches(secret: bytes, timestamp: str, body: bytes, signature: str) -> bool:
    """Whether the signature is that of the message."""
    expected = sign(secret, timestamp, body).encode()
    return hmac.compare_digest(expected, signature.encode("utf-8", "surrogateescape"))
