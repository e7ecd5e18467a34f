"""The inbox's JSON: what was written is read back, and nothing else is let in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.application import ApplicationKey, Content, Revision
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.inbox import (
    LARGEST_BODY,
    LONGEST_MESSAGE,
    InboxBodyError,
    ReleaseCommand,
    RollbackCommand,
    dump_command,
    dump_report,
    load_command,
    load_report,
)

SHA = "a1" * 20
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
revisions = st.from_regex(r"[0-9a-f]{40}|[0-9a-f]{64}", fullmatch=True)
contents = st.lists(st.tuples(text, revisions | st.just("")), max_size=3).map(lambda each: Content(tuple(each)))
reports = st.builds(
    SyncReport,
    st.builds(ApplicationKey, names, names),
    revisions,
    st.sampled_from(SyncPhase),
    st.floats(0, 4e9),
    st.none() | contents,
    text,
    st.booleans(),
)
commands = st.builds(RollbackCommand, st.none() | revisions, text, text) | st.builds(
    ReleaseCommand, st.from_regex(r"[0-9a-f]{7,64}", fullmatch=True) | st.sampled_from(["all", "empty"]), text
)
REPORT: dict[str, Any] = {
    "application": {"namespace": "shop", "name": "checkout"},
    "revision": SHA,
    "phase": "Started",
    "at": 5.0,
}


@given(reports)
def test_a_report_is_read_as_it_was_written(report: SyncReport) -> None:
    """Every field of every report survives."""
    assert load_report(dump_report(report)) == report


@given(commands)
def test_a_command_is_read_as_it_was_written(command: RollbackCommand | ReleaseCommand) -> None:
    """Every field of every command survives."""
    assert load_command(dump_command(command)) == command


def test_the_commands_are_written_as_documented() -> None:
    """The bodies' fields are the contract between the command line and the runtime."""
    assert json.loads(dump_command(RollbackCommand(Revision(SHA), "ada", "slow"))) == {
        "command": "rollback",
        "to": SHA,
        "by": "ada",
        "reason": "slow",
    }
    assert json.loads(dump_command(ReleaseCommand("all", "ada"))) == {
        "command": "release",
        "fingerprint": "all",
        "by": "ada",
    }


def test_a_report_needs_no_more_than_its_facts() -> None:
    """Content, message and only have defaults."""
    assert load_report(json.dumps(REPORT)) == SyncReport(
        ApplicationKey("shop", "checkout"), Revision(SHA), SyncPhase.STARTED, 5.0
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"revision": ""}, "revision"),
        ({"revision": "a1b2c3d"}, "revision"),
        ({"revision": SHA.upper()}, "revision"),
        ({"revision": SHA + "\n"}, "revision"),
        ({"revision": "-x"}, "revision"),
        ({"revision": "main:evil"}, "revision"),
        ({"phase": "Done"}, "phase"),
        ({"at": -1.0}, "at"),
        ({"at": 1e300}, "at"),
        ({"at": "5"}, "at"),
        ({"at": None}, "at"),
        ({"only": 1}, "only"),
        ({"message": "x" * (LONGEST_MESSAGE + 1)}, "message"),
        ({"application": {"namespace": "shop", "name": "a/b"}}, "application.name"),
        ({"application": {"namespace": "../..", "name": "a"}}, "application.namespace"),
        ({"application": "shop/checkout"}, "application"),
        ({"content": [["apps", "xyz"]]}, "content.0.1"),
        ({"added": 1}, "added"),
    ],
)
def test_a_report_that_is_none_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    """One field that is wrong is named, and what was written is not repeated."""
    with pytest.raises(InboxBodyError, match=f"^{field}: "):
        load_report(json.dumps({**REPORT, **change}))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{",
        "\ud800",
        "NaN",
        '{"command": "rollback"}',
        '{"command": "delete", "by": "x"}',
        '{"command": "rollback", "by": "x", "to": "HEAD"}',
        '{"command": "release", "fingerprint": "*", "by": "x"}',
        "[" * 100_000,
        '{"a":' * 10_000,
        " " * (LARGEST_BODY + 1),
    ],
)
def test_what_is_no_command_is_an_error_of_ours(body: str) -> None:
    """Broken, deep, huge and unknown bodies are all the same kind of error."""
    with pytest.raises(InboxBodyError):
        load_command(body)
    with pytest.raises(InboxBodyError):
        load_report(body)


def test_a_report_that_nobody_could_read_is_not_written() -> None:
    """The writer is told at once, not the reader later."""
    key = ApplicationKey("shop", "checkout")
    with pytest.raises(InboxBodyError, match="revision"):
        dump_report(SyncReport(key, Revision("HEAD"), SyncPhase.STARTED, 1.0))
    with pytest.raises(InboxBodyError, match="at"):
        dump_report(SyncReport(key, Revision(SHA), SyncPhase.STARTED, float("nan")))


def test_a_broken_message_does_not_keep_a_report_out() -> None:
    """A deploy command may print bytes that are no text."""
    report = SyncReport(ApplicationKey("shop", "checkout"), Revision(SHA), SyncPhase.FAILED, 1.0, None, "caf\udce9")
    assert load_report(dump_report(report)).message == "caf?"


def test_a_long_message_is_cut() -> None:
    """A deploy command's output does not keep its report from being stored."""
    report = SyncReport(ApplicationKey("shop", "checkout"), Revision(SHA), SyncPhase.FAILED, 1.0, None, "x" * 5000)
    assert load_report(dump_report(report)).message == "x" * LONGEST_MESSAGE


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda each: each.decode("latin-1")))
def test_no_text_makes_the_readers_fail_otherwise(body: str) -> None:
    """Any text at all is read or refused."""
    for load in (load_report, load_command):
        try:
            load(body)
        except InboxBodyError:
            continue
