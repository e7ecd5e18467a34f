"""Words of a server's, made safe to show.

Invariant: what leaves here is one line, bounded, without control characters and without the secrets that are known.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

LONGEST = 200
_SHORTEST_SECRET = 4
_CONTROL = re.compile(r"[^\x20-\x7e\u00a0-\U0010ffff]+")


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """At most 200 characters of it, each secret masked as it is, percent-encoded and in JSON."""
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}:
            if len(form) >= _SHORTEST_SECRET:
                text = text.replace(form, "***")
    return _CONTROL.sub(" ", text).strip()[:LONGEST]
