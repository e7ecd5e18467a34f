"""Whether a sync window lets a sync through, as Argo CD answers it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.gitops.argocd.cron import parse_schedule
from controller.adapters.gitops.argocd.globs import matches
from controller.adapters.gitops.argocd.reading import seen_application
from controller.adapters.gitops.argocd.sync_windows import Project, parse_go_duration, project_of
from tests.adapters.gitops.argocd.objects import application

SEEN = seen_application(application())


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def project(*windows: dict[str, Any]) -> Project:
    made = project_of({"metadata": {"name": "shop"}, "spec": {"syncWindows": list(windows)}})
    assert made is not None
    return made


def window(kind: str = "deny", schedule: str = "0 22 * * *", duration: str = "8h", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "schedule": schedule, "duration": duration, "applications": ["*"]} | more


def forbids(*windows: dict[str, Any], when: str = "2026-11-27T23:00:00", by_hand: bool = False) -> str:
    return project(*windows).forbids(SEEN, moment(when), by_hand=by_hand)


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-27T21:59:59", False),
        ("2026-11-27T22:00:00", False),
        ("2026-11-27T22:00:01", True),
        ("2026-11-28T05:59:59", True),
        ("2026-11-28T06:00:00", False),
    ],
)
def test_a_window_is_open_for_its_duration(when: str, is_open: bool) -> None:
    """From just after its schedule until its duration is over, across midnight."""
    assert bool(forbids(window(), when=when)) is is_open


def test_a_window_counts_in_its_time_zone() -> None:
    """22:00 in Tokyo is 13:00 UTC; a zone that nobody knows is UTC."""
    tokyo = window(timeZone="Asia/Tokyo", duration="1h")
    assert forbids(tokyo, when="2026-11-27T13:30:00")
    assert not forbids(tokyo, when="2026-11-27T22:30:00")
    assert forbids(window(timeZone="Nowhere/Land", duration="1h"), when="2026-11-27T22:30:00")


@pytest.mark.parametrize(
    ("schedule", "when"),
    [
        ("*/15 * * * *", "2026-11-27T10:15:30"),
        ("30-40/5 9-17 * * *", "2026-11-27T17:35:30"),
        ("5/20 * * * *", "2026-11-27T10:45:30"),
        ("0 12 27 11 *", "2026-11-27T12:00:30"),
        ("0 12 * nov fri", "2026-11-27T12:00:30"),
        ("0 12 1 * FRI", "2026-11-27T12:00:30"),
        ("0 12 1 * FRI", "2026-12-01T12:00:30"),
        ("0 12 ? * 5", "2026-11-27T12:00:30"),
        ("0 12 29 2 *", "2028-02-29T12:00:30"),
    ],
)
def test_schedules_are_cron(schedule: str, when: str) -> None:
    """Steps, ranges, lists, names; of two day fields one is enough."""
    assert forbids(window(schedule=schedule, duration="1m"), when=when)


@pytest.mark.parametrize(
    ("schedule", "when"),
    [
        ("0 12 * * FRI", "2026-11-26T12:00:30"),
        ("0 12 1 * *", "2026-11-27T12:00:30"),
        ("0 12 31 6 *", "2026-06-30T12:00:30"),
    ],
)
def test_schedules_pass_other_days_over(schedule: str, when: str) -> None:
    """Where one of the two day fields is a star the other decides."""
    assert not forbids(window(schedule=schedule, duration="1m"), when=when)


@pytest.mark.parametrize(
    "schedule", ["", "* * * *", "@daily", "60 * * * *", "* * 0 * *", "* * * * 7", "*/0 * * * *", "a * * * *"]
)
def test_what_argo_cd_cannot_read_blocks(schedule: str) -> None:
    """Argo CD syncs nothing then: neither by itself nor by hand."""
    assert "cannot be read" in forbids(window(schedule=schedule))
    assert "cannot be read" in forbids(window(schedule=schedule, manualSync=True), by_hand=True)


@given(st.text(alphabet="0123456789*/-, adefjnrstu?", max_size=20))
def test_whatever_a_schedule_is_it_is_read_or_refused(text: str) -> None:
    """No schedule hangs or breaks the reader."""
    try:
        schedule = parse_schedule(text)
    except ValueError:
        return
    last = schedule.last_before(datetime(2026, 11, 27, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC))
    assert last is None or last.minute in schedule.minutes


def test_durations_are_gos() -> None:
    """Hours and minutes, fractions, no days."""
    assert parse_go_duration("1h30m") == 5400.0
    assert parse_go_duration("1.5h") == 5400.0
    for wrong in ("1d", "", "h", "1h 30m", "90"):
        with pytest.raises(ValueError, match="no duration"):
            parse_go_duration(wrong)


# --- whom and what -----------------------------------------------------------------------------------------------


def test_a_person_may_sync_where_all_open_denies_let_them() -> None:
    """``manualSync`` of every one that is open."""
    assert not forbids(window(manualSync=True), by_hand=True)
    assert forbids(window(manualSync=True))
    assert forbids(window(manualSync=True), window(), by_hand=True)


def test_outside_every_allow_window_nothing_is_synced() -> None:
    """Where allow windows exist, one must be open; a person may where all of them let people."""
    day = window("allow", "0 8 * * *", "8h")
    assert forbids(day) == "no allow window of the project shop is open"
    assert not forbids(day, when="2026-11-27T09:00:00")
    assert not forbids(day, window("allow", "0 22 * * *"))
    assert not forbids(day | {"manualSync": True}, by_hand=True)
    assert forbids(day | {"manualSync": True}, day, by_hand=True)


def test_a_deny_wins_over_an_allow() -> None:
    """Both open: nothing is synced; its description says why."""
    said = forbids(window("allow", "0 22 * * *"), window(description="release freeze"))
    assert said == "a deny window of the project shop is open (release freeze)"


@pytest.mark.parametrize(
    ("where", "covered"),
    [
        ({"applications": ["check*"]}, True),
        ({"applications": ["cart"]}, False),
        ({"namespaces": ["sh?p"]}, True),
        ({"clusters": ["https://kubernetes.default.svc"]}, True),
        ({"clusters": ["*.svc"]}, True),
        ({"clusters": ["production"]}, False),
        ({"applications": ["cart"], "namespaces": ["shop"]}, True),
        ({"applications": ["cart"], "namespaces": ["shop"], "andOperator": True}, False),
        ({"applications": ["checkout"], "namespaces": ["shop"], "andOperator": True}, True),
        ({}, False),
    ],
)
def test_a_window_covers_whom_it_names(where: dict[str, Any], covered: bool) -> None:
    """By name, namespace or cluster: one of them, or all with ``andOperator``."""
    assert bool(forbids(window(applications=[]) | where)) is covered


@pytest.mark.parametrize(
    ("pattern", "name", "matched"),
    [
        ("*", "", True),
        ("a*c", "abbbc", True),
        ("a*c", "abbb", False),
        ("a*b*c", "a/b/c", True),
        ("{checkout,cart}-*", "cart-1", True),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("a.c", "abc", False),
        ("[+--]", ",", True),
        ("[a^]", "^", True),
        ("[z-a]", "b", False),
        ("[", "[", False),
        ("a" * 400, "a" * 400, False),
    ],
)
def test_patterns(pattern: str, name: str, matched: bool) -> None:
    """Stars, classes, alternatives; nothing else is special."""
    assert matches(pattern, name) is matched


@given(st.text(alphabet="ab*?[]{},!-\\", max_size=30), st.text(alphabet="ab", max_size=200))
def test_no_pattern_breaks_or_hangs(pattern: str, name: str) -> None:
    """Whatever a pattern is, the answer comes."""
    assert matches(pattern, name) in {True, False}


def test_many_stars_do_not_take_long() -> None:
    """A pattern of stars against a long name that it does not match is answered at once."""
    assert not matches("a*" * 100 + "c", "a" * 250 + "b")
