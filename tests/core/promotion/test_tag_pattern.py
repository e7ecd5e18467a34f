"""Which tags match, which part is the version, and which patterns are refused, with a reason."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from controller.core.declared import DeclarationError
from controller.core.promotion.tag_pattern import TagPattern, TagPatternText, tag_pattern

SEMVER = (
    r"^v?(?P<version>(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?)$"
)


@pytest.mark.parametrize(
    ("pattern", "tag", "version"),
    [
        (r"^v(?P<version>\d+\.\d+\.\d+)$", "v1.20.3", "1.20.3"),
        (r"^v(?P<version>\d+\.\d+\.\d+)$", "v1.20.3-rc1", ""),
        (r"^v(?P<version>\d+\.\d+\.\d+)$", "xv1.20.3", ""),
        (r"^(?:v|release-)(?P<version>\d+)(?:-alpine)?$", "release-12-alpine", "12"),
        (r"(?P<version>\d+)", "build-17-x3", "17"),
        (r"^(?<version>.+)-amd64$", "2027.01-amd64", "2027.01"),
        (r"(?i)^V(?P<version>[a-z]+)$", "vABC", "ABC"),
        (r"^[(|]?(?P<version>x)$", "x", "x"),
        (r"^[v(](?P<version>\d+)[)]?$", "v7", "7"),
        (r"^\(?(?P<version>\d+)$", "7", "7"),
        (r"^main-(?P<version>\d{10}-[0-9a-f]{7})$", "main-1700000000-abcdef0", "1700000000-abcdef0"),
        (r"^(?P<version>(a|b)+(-\d+){1,2})$", "ab-1-2", "ab-1-2"),
        (SEMVER, "v1.2.3-rc.1", "1.2.3-rc.1"),
        (SEMVER, "1.2.03", ""),
        (r"^(?P<version>x*)", "y", ""),
    ],
)
def test_the_version_is_what_the_group_holds(pattern: str, tag: str, version: str) -> None:
    """A tag that matches gives its version, one that does not gives nothing."""
    assert TagPattern.parse(pattern).version_of(tag) == version


@given(
    st.sampled_from(
        [r"^v(?P<version>\d+)$", r"^v(?P<version>\d+(?:\.\d+)*)(?:-rc\d)?$", r"^[a-z]*-(?P<version>\d+)", SEMVER]
    ),
    st.from_regex(r"v?[0-9a-z][0-9a-z.-]{0,20}|[a-z]{0,3}-[0-9]{1,3}", fullmatch=True),
)
def test_unambiguous_patterns_agree_with_pythons(pattern: str, tag: str) -> None:
    """Where there is one reading only, the group is the same as in Python's own engine."""
    found = re.search(pattern, tag, re.ASCII)
    expected = found["version"] if found and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", tag) else ""
    assert tag_pattern(pattern).version_of(tag) == expected


def test_of_several_readings_the_first_and_longest_counts() -> None:
    """What would depend on greediness is decided by place: the version begins as early as it can."""
    assert tag_pattern(r"^.*(?P<version>\d+)$").version_of("a123") == "123"
    assert tag_pattern(r"(?P<version>\d+?)").version_of("a123") == "123"


@pytest.mark.parametrize(
    "pattern", [r"^(?P<version>(a+)+)$", r"^(?P<version>(a|aa)*)b$", r"^(a*)*(?P<version>(a*)*)b$"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """Patterns that hang a backtracking engine end at once: each of 2,000 hostile tags is decided."""
    found = TagPattern.parse(pattern)
    assert [found.version_of("a" * 127 + end) for end in "_." * 1000] == [""] * 2000


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"^v(\d+)$", "has no group named version; write for example '^v(?P<version>"),
        (r"^(?P<Version>\d+)$", "has no group named version"),
        (r"", "has no group named version"),
        (r"(?P<version>a)(?P<version>b)", "is no regular expression"),
        (r"(?P<version>a", "is no regular expression; it is read as RE2 reads it"),
        (r"(?P<version>a)\1", "uses look-around or a backreference"),
        (r"^(?!x)(?P<version>a)$", "uses look-around or a backreference"),
        (r"(?P<version>(?:a{1000}){1000})", "repeats too much"),
        (r"^(?:v(?P<version>\d+))$", "inside another group or in an alternative"),
        (r"^latest|(?P<version>\d+)$", "inside another group or in an alternative"),
        (r"(?P<version>\d)+", "repeats its group version"),
        (r"(?P<version>\d){2}", "repeats its group version"),
        (r"\bv(?P<version>\d+)", r"has \b, or flags other than (?i)"),
        (r"v(?i)(?P<version>\d+)", r"has \b, or flags other than (?i)"),
        ("(?P<version>" + "a" * 300 + ")", "the pattern is longer than 256 characters"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_told(pattern: str, said: str) -> None:
    """The sentence says what is wrong and what to write."""
    with pytest.raises(DeclarationError) as caught:
        TagPattern.parse(pattern)
    assert said in str(caught.value)


@given(st.text(alphabet="(?P<version>)|[]{}*+^$\\dab1-.,:i!=", max_size=40), st.text(alphabet="ab1-.v", max_size=12))
def test_any_pattern_is_read_or_refused(pattern: str, tag: str) -> None:
    """Whatever is written ends in a version that lies in the tag, or in a DeclarationError."""
    for text in (pattern, f"{pattern}(?P<version>[a1]+){pattern}"):
        try:
            found = TagPattern.parse(text)
        except DeclarationError:
            continue
        assert found.version_of(tag) in tag


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [
        (r"^(?P<version>main)$", "main"),
        (r"^stable-(?P<version>1\.2)$", "stable-1.2"),
        (r"^(?P<version>main)", ""),
        (r"^(?P<version>1.2)$", ""),
        (r"(?i)^(?P<version>main)$", ""),
        (r"^(?P<version>main|dev)$", ""),
    ],
)
def test_a_pattern_of_one_tag_says_which(pattern: str, tag: str) -> None:
    """Then no list of tags is needed to follow it."""
    assert tag_pattern(pattern).fixed == tag


def test_a_declared_pattern_is_checked_where_it_is_declared() -> None:
    """As the field of a model, the mistake is the field's."""
    adapter = TypeAdapter(TagPatternText)
    assert adapter.validate_python(r"^v(?P<version>\d+)$") == r"^v(?P<version>\d+)$"
    with pytest.raises(ValidationError, match="has no group named version"):
        adapter.validate_python("^v$")
