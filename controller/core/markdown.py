"""Markdown for forges out of text that others wrote: a commit's subject cannot ping people, link, style or give commands.

Invariant: what leaves ``plain``, ``prose``, ``code`` and ``block`` shows the same words to a reader, and a forge's
renderer finds in it no mention, reference, link, HTML, formatting, hidden direction mark or quick action.

Forges look for mentions and references in the *rendered* text, so a backslash or an entity before ``@`` is not enough:
a zero-width space breaks the word. Code spans and blocks they leave alone.
"""

import re
from collections.abc import Iterable, Sequence

_BREAK = "\u200b"
_LONGEST_LINE = 300
_LONGEST_BLOCK = 20_000
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACE = re.compile(r"\s+")
_REFERENCE = re.compile(r"([@#!&$%~^])(?=[\w\"'\[*-])")
_NUMBERED = re.compile(r"\b([Gg][Hh])-(?=\d)")
_ADDRESS = re.compile(r"(://|(?i:\bwww)(?=\.)|(?i:\bmailto)(?=:)|(?i:\bxmpp)(?=:))")
_SHA = re.compile(r"\b([0-9a-f]{4})(?=[0-9a-f]{3,60}\b)", re.IGNORECASE)
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:=^$&])")
_ENTITY = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKER = re.compile(r"[a-z0-9](?:[a-z0-9./:]|-(?!-)){0,118}[a-z0-9]")


def visible(text: str, most: int = _LONGEST_LINE) -> str:
    """One line of what can be seen: no control or direction characters, at most ``most`` characters."""
    line = _SPACE.sub(" ", _INVISIBLE.sub(" ", text)).strip()
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def plain(text: str, most: int = _LONGEST_LINE) -> str:
    """One line for places without markdown (titles, commit messages): pings nobody, closes no issue, gives no command."""
    return _apart(visible(text, most))


def prose(text: str, most: int = _LONGEST_LINE) -> str:
    """One line for markdown that is read as the plain words it was."""
    return _PUNCTUATION.sub(_escaped, _apart(visible(text, most)))


def code(text: str, most: int = _LONGEST_LINE) -> str:
    """An inline code span; fit for a table's cell too."""
    line = visible(text, most).replace("|", "\u2223") or " "
    fence = "`" * (_longest_run(line) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def block(text: str, language: str = "", most: int = _LONGEST_BLOCK) -> str:
    """A fenced block, cut at a line's end with a note when it is too long. ``language`` is a word such as ``diff``."""
    lines = [_INVISIBLE.sub("\ufffd", line.replace("\t", "    ")) for line in re.split(r"\r\n|\r|\n", text)]
    kept = _within(lines, most)
    if len(kept) < len(lines):
        kept.append(f"… {len(lines) - len(kept)} more lines")
    body = "\n".join(kept)
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}{language if language.isalnum() else ''}\n{body}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are escaped already (``prose`` or ``code``)."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def link(text: str, url: str) -> str:
    """A link whose words are escaped; a URL that is not plain http(s) is shown and not linked."""
    usable = re.fullmatch(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'*+,;=%-]+", url) is not None
    return f"[{prose(text)}](<{url}>)" if usable else f"{prose(text)} ({code(url)})"


def hidden_marker(marker: str) -> str:
    """A comment that readers do not see, by which Rollguard finds what it wrote.

    Raises:
        ValueError: the marker is not 2 to 120 of ``a-z 0-9 . / : -``, or has two dashes in a row.
    """
    if not _MARKER.fullmatch(marker):
        raise ValueError("a marker is 2 to 120 characters of a-z, 0-9, '.', '/', ':' and single dashes")
    return f"<!-- rollguard:{marker} -->"


def marked(marker: str, body: str) -> str:
    """A body that begins with its hidden marker."""
    return f"{hidden_marker(marker)}\n{body}"


def carries(text: str, marker: str) -> bool:
    """Whether a body begins with this marker; further down it may be a quotation."""
    return text.lstrip().startswith(hidden_marker(marker))


def _apart(line: str) -> str:
    line = _REFERENCE.sub(rf"\1{_BREAK}", line)
    line = _NUMBERED.sub(rf"\1{_BREAK}-", line)
    line = _ADDRESS.sub(lambda found: found[0][0] + _BREAK + found[0][1:], line)
    line = _SHA.sub(rf"\1{_BREAK}", line)
    return _BREAK + line if line.startswith("/") else line


def _escaped(found: re.Match[str]) -> str:
    return _ENTITY.get(found[0], "\\" + found[0])


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def _within(lines: Sequence[str], most: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        most -= len(line) + 1
        if most < 0:
            break
        kept.append(line)
    return kept
