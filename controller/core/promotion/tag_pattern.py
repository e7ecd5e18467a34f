"""``tagPattern``: which tags are versions, and which part of a tag is the version.

Invariant: no pattern and no tag makes matching take long. All matching is left to an engine of RE2's kind (linear; no
backreferences, no look-around), which tells whether a text matches, and not where. Where the group ``version`` lies is
found with it: the pattern is cut at the group, and the parts are asked at each place. Of several readings the version that
begins first counts, then the longest.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import SchemaError, SchemaValidator, core_schema

from controller.core.declared import DeclarationError, shown
from controller.core.promotion.image import is_tag

LONGEST_PATTERN = 256
_GROUP = re.compile(r"\(\?P?<version>")
_FLAGS = re.compile(r"\(\?[a-zA-Z-]*\)")
_LEADING_FLAGS = re.compile(r"\(\?[is]{1,2}\)")
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_LITERAL = re.compile(r"(?:[A-Za-z0-9_-]|\\[.-])*", re.ASCII)
_EXAMPLE = r"write for example '^v(?P<version>\d+\.\d+\.\d+)$'"


@dataclass(frozen=True, slots=True)
class TagPattern:
    """A checked pattern."""

    text: str
    fixed: str = field(compare=False)
    """The one tag that it can match; empty where it can match several."""
    _whole: SchemaValidator = field(repr=False, compare=False)
    _before: SchemaValidator = field(repr=False, compare=False)
    """Whether a beginning of the tag can stand before the version."""
    _rest: SchemaValidator = field(repr=False, compare=False)
    """Whether the version and all that follows it can begin here."""
    _version: SchemaValidator = field(repr=False, compare=False)
    _after: SchemaValidator = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> "TagPattern":
        """Check a pattern.

        Raises:
            DeclarationError: it is too long, is no pattern of this kind, or has no group ``version`` of its own.
        """
        if len(text) > LONGEST_PATTERN:
            raise DeclarationError(f"the pattern is longer than {LONGEST_PATTERN} characters", "write a shorter one")
        whole = _compiled(text)
        flags, before, version, after = _cut(text)
        try:
            begins, whole_version, goes_on = (rf"(?:{before})\z", rf"\A(?:{version})\z", rf"\A(?:{after})")
            rest = rf"\A(?:{version})(?:{after})"
            parts = [_engine(flags + part) for part in (begins, rest, whole_version, goes_on)]
        except SchemaError:
            raise DeclarationError(f"{shown(text)} cannot be cut at its group version", _EXAMPLE) from None
        fixed = _fixed(before, version, after) if not flags else ""
        return cls(text, fixed, whole, *parts)

    def version_of(self, tag: str) -> str:
        """The version in a tag; empty where the tag does not match, is none, or leaves the group empty."""
        if not is_tag(tag) or not self._whole.isinstance_python(tag):
            return ""
        for begin in range(len(tag)):
            rest = tag[begin:]
            if self._before.isinstance_python(tag[:begin]) and self._rest.isinstance_python(rest):
                ends = range(len(rest), 0, -1)
                return next((rest[:end] for end in ends if self._parted(rest[:end], rest[end:])), "")
        return ""

    def _parted(self, version: str, after: str) -> bool:
        return self._after.isinstance_python(after) and self._version.isinstance_python(version)


@lru_cache(maxsize=1024)
def tag_pattern(text: str) -> TagPattern:
    """As ``TagPattern.parse``, once for each text."""
    return TagPattern.parse(text)


def _checked(text: str) -> str:
    tag_pattern(text)
    return text


TagPatternText = Annotated[str, AfterValidator(_checked)]
"""A declared pattern that was checked."""


def _engine(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _compiled(text: str) -> SchemaValidator:
    try:
        return _engine(text)
    except SchemaError as error:
        said = str(error)
        if "not supported" in said:
            problem = "uses look-around or a backreference"
        elif "size limit" in said:
            problem = "repeats too much"
        else:
            problem = "is no regular expression"
    raise DeclarationError(f"{shown(text)} {problem}", f"it is read as RE2 reads it; {_EXAMPLE}")


def _cut(text: str) -> tuple[str, str, str, str]:
    """Flags that stand first, and what is before, in and after the group ``version``."""
    found = _LEADING_FLAGS.match(text)
    flags = found[0] if found else ""
    body = text[len(flags) :]
    starts = list(_GROUP.finditer(body))
    if len(starts) != 1:
        raise DeclarationError(f"{shown(text)} has no group named version", _EXAMPLE)
    depths = _depths(body)
    begin = starts[0].start()
    if depths.get(begin) != 0 or any(body[at] == "|" and depth == 0 for at, depth in depths.items()):
        raise DeclarationError(
            f"{shown(text)} has its group version inside another group or in an alternative",
            "let it stand by itself, with alternatives in groups before or after it: ^(?:v|release-)(?P<version>.+)$",
        )
    end = next((at for at, depth in depths.items() if at > begin and depth == 0 and body[at] == ")"), -1)
    after = body[end + 1 :]
    if end < 0 or after[:1] in ("*", "+", "?", "{"):
        raise DeclarationError(f"{shown(text)} repeats its group version", _EXAMPLE)
    return flags, body[:begin], body[starts[0].end() : end], after


def _depths(body: str) -> dict[int, int]:
    """How many groups each piece of a pattern lies in, by its place; brackets of a group lie outside of it."""
    depths: dict[int, int] = {}
    depth = 0
    for piece in _PIECE.finditer(body):
        text = piece[0]
        if text in (r"\b", r"\B") or (text == "(" and _FLAGS.match(body, piece.start())):
            raise DeclarationError(
                rf"{shown(body)} has \b, or flags other than (?i) at its beginning", "leave them out"
            )
        if text == ")":
            depth -= 1
        if len(text) == 1:
            depths[piece.start()] = depth
        if text == "(":
            depth += 1
    return depths


def _fixed(before: str, version: str, after: str) -> str:
    """The one tag that the parts can match, or nothing."""
    if not before.startswith("^") or not after.endswith("$"):
        return ""
    text = before[1:] + version + after[:-1]
    tag = text.replace("\\", "")
    return tag if _LITERAL.fullmatch(text) and is_tag(tag) else ""
