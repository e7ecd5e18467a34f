"""Makes an alert's text safe to hand on: parts of it come from commits, servers and pipelines.

Invariant: what leaves has no control or invisible characters, cannot open a tag, a link or a mention in any place where
people read, and is no longer than its limit. The words stay readable.
"""

import re
import unicodedata
from datetime import UTC, datetime

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_OPENS_TAG = re.compile(r"<(?=[^\s\d=<])")
_MENTION = re.compile(r"@(?=\w)")
_JOINER = "\N{WORD JOINER}"

LATEST = 253402300799.0
"""The last second of the year 9999."""


def plain(text: str, limit: int) -> str:
    """Plain text of several lines: nothing invisible, and no ``<`` that opens a tag, a link or a mention.

    ``p < 0.01`` stays; ``<script>``, ``<!channel>`` and ``<http://…|…>`` become harmless.
    """
    unified = text[: limit * 2].replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    kept = "".join(c for c in unified if c == "\n" or unicodedata.category(c) not in _INVISIBLE)
    return _cut(_OPENS_TAG.sub("‹", kept).strip(), limit)


def one_line(text: str, limit: int) -> str:
    """As ``plain``, on one line."""
    return _cut(" ".join(plain(text.replace("\t", " "), limit * 2).split()), limit)


def chat(text: str) -> str:
    """Of plain text: no mention wakes people up, and no Markdown link hides where it goes."""
    return _MENTION.sub("@" + _JOINER, text).replace("](", "]" + _JOINER + "(")


def rfc3339(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(min(max(seconds, 0.0), LATEST), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
