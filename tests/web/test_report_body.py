"""The parser of reports: a report or a clear refusal, whatever the bytes are."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.ports.gitops import SyncPhase, SyncReport
from controller.web.report_body import FUTURE, OLDEST, BadReport, read_report
from tests.web.conftest import REVISION, a_body

NOW = 1_800_000_000.0

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "application": _json | st.just("shop/checkout"),
        "revision": _json | st.just(REVISION),
        "phase": _json | st.sampled_from(list(SyncPhase)),
        "at": _json | st.floats(NOW - 2 * OLDEST, NOW + 2 * FUTURE),
        "more": _json,
    },
)


def _read(body: bytes) -> SyncReport | str:
    """The report, or the sentence that refuses it."""
    try:
        return read_report(body, NOW)
    except BadReport as error:
        return str(error)


def _check(body: bytes) -> None:
    read = _read(body)
    if isinstance(read, str):
        assert read.isprintable()
        assert len(read) < 2000
    else:
        assert NOW - OLDEST <= read.at <= NOW + FUTURE
        assert len(read.revision) in {40, 64}


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xef\xbb\xbf{}")
@example(b'"\\')
@example(b'{"a":"' + b"\\" * 65_000)
@example(b'"' * 65_000)
def test_no_bytes_break_it(body: bytes) -> None:
    """Arbitrary bytes."""
    _check(body)


@given(_fields)
def test_no_json_breaks_it(fields: dict[str, object]) -> None:
    """Right names with any values."""
    with suppress(UnicodeEncodeError):
        _check(json.dumps(fields).encode())
        _check(json.dumps(fields, ensure_ascii=False).encode())


@given(st.text(alphabet='{}[]":,\\ea1', max_size=60))
def test_nesting_is_counted_right(text: str) -> None:
    """What is called too deep is too deep, unless it is no JSON at all."""
    read = _read(text.encode())
    _check(text.encode())
    with suppress(ValueError):
        depth = _depth(json.loads(text))
        assert isinstance(read, str)
        assert ("nested" in read) == (depth > 4)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        (1_799_999_990, 1_799_999_990.0),
        (1_799_999_990.25, 1_799_999_990.25),
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15t09:00:00.5+01:00", NOW + 0.5),
        ("2027-01-15 07:59:00.123456789z", NOW - 59.876544),
    ],
)
def test_times_in_both_forms(at: object, seconds: float) -> None:
    """RFC 3339 with a zone, or Unix seconds."""
    assert read_report(a_body(at=at), NOW).at == pytest.approx(seconds, abs=1e-5)


@pytest.mark.parametrize(
    "at",
    [
        "2027-01-15",
        "2027-01-15T08:00:00",
        "20270115T080000Z",
        "2027-W02-5T08:00:00Z",
        "2027-13-15T08:00:00Z",
        "now",
        "",
        True,
        [],
        10**400,
        NOW + FUTURE + 1,
        NOW - OLDEST - 1,
        -1,
    ],
)
def test_other_times_are_refused(at: object) -> None:
    """Without a zone, from the future, from long ago, or no time at all."""
    with pytest.raises(BadReport, match=r"^at "):
        read_report(a_body(at=at), NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("application", "checkout"),
        ("application", "a/b/c"),
        ("application", "../etc"),
        ("application", "shop/-x"),
        ("application", "shop/che\nckout"),
        ("application", "s" * 600),
        ("application", None),
        ("application", 5),
        ("revision", "HEAD"),
        ("revision", "--upload-pack=x"),
        ("revision", REVISION[:-1]),
        ("revision", REVISION + "\n"),
        ("revision", None),
        ("revision", 10**39),
        ("phase", "healthy"),
        ("phase", 1),
        ("phase", ["Healthy"]),
        ("surprise", 1),
    ],
)
def test_wrong_fields_are_named(field: str, value: object) -> None:
    """The message begins with the field that is wrong."""
    with pytest.raises(BadReport, match=f"^{field} "):
        read_report(a_body(**{field: value}), NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"\xff",
        a_body()[:-1],
        b'{"revision":1,"revision":1}',
        b'{"at":NaN}',
        b'{"at":Infinity}',
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """Including what Python's parser would take: NaN, and names that come twice."""
    with pytest.raises(BadReport, match=r"^the body "):
        read_report(body, NOW)


def test_upper_case_hex_is_the_same_commit() -> None:
    """Git takes both; the contract is lower case."""
    assert read_report(a_body(revision=REVISION.upper()), NOW).revision == REVISION
