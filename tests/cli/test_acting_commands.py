"""Commands by which people act: what they leave in the store for the controller, and what they say."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.store import SqliteStore
from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, matches
from controller.core.state import dump_rollout
from controller.ports.gitops import SyncPhase
from controller.ports.inbox import ReleaseCommand, RollbackCommand, load_command, load_report
from controller.ports.store import Change
from tests.cli.conftest import Run
from tests.cli.scenario import BAD, CART, CHECKOUT, GOOD, SEARCH, Scenario, healthy
from tests.servers.receiver import Receiver, answer


def test_pause_is_written_down_and_told(run: Run, scenario: Scenario) -> None:
    """The store holds who paused what, why and until when; status says so."""
    before = time.time()
    done = run("pause", "checkout", "--for", "2h", "--reason", "database migration")
    assert (done.exit_code, done.stderr) == (0, "")
    with scenario.store() as store:
        (pause,) = store.pauses()
    assert (pause.application, pause.reason) == (CHECKOUT, "database migration")
    assert pause.until is not None
    assert 7200 <= pause.until - before < 7260
    assert pause.by
    assert "Paused" in run("status", "checkout").stdout


def test_a_pause_on_all_is_told_where_no_application_is_known(run: Run, tmp_path: Path) -> None:
    """A brake that was pulled before the first deployment is seen: the first one would not be restored."""
    settings = tmp_path / "empty.yaml"
    settings.write_text("applications: []\nstore: {sqlite: empty/state.db}\n")
    SqliteStore(tmp_path / "empty" / "state.db").close()
    at = ("--settings", str(settings))
    assert run("status", *at).stdout == "no application is declared or known yet\n"
    assert run("pause", "--all", "--until-resumed", "--reason", "incident 4711", *at).exit_code == 0
    told = run("status", *at)
    assert told.exit_code == 0
    assert "no application is declared or known yet" in told.stdout
    assert "every application  Paused  every application is paused until it is resumed by" in told.stdout
    assert "incident 4711" in told.stdout


def test_a_pause_on_all_is_told_with_each_application(run: Run) -> None:
    """Where applications are known it stands with each, and not once more below them."""
    run("pause", "--all", "--until-resumed", "--reason", "incident 4711")
    shown = run("status").stdout
    assert shown.count("incident 4711") == 3
    assert "\nevery application " not in shown


def test_pause_of_everything_and_its_end(run: Run, scenario: Scenario) -> None:
    """--all is a pause of its own: taking back another leaves it, and that is said."""
    assert run("pause", "--all", "--until-resumed", "--reason", "incident").exit_code == 0
    assert run("pause", "cart", "--for", "1h", "--reason", "x", "-o", "json").exit_code == 0
    resumed = run("resume", "cart")
    assert resumed.stdout == "the pause of shop/cart is taken back\n"
    assert resumed.stderr == "still paused by the pause of every application: incident\n"
    assert json.loads(run("resume", "--all", "-o", "json").stdout) == {
        "application": None,
        "was_paused": True,
        "still_paused_by": [],
    }
    with scenario.store() as store:
        assert store.pauses() == []
    assert run("resume", "--all").stdout == "there was no pause of every application\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause", "checkout", "--for", "2h"], 'say why: --reason "…"'),
        (["pause", "checkout", "--for", "2h", "--reason", "  "], 'say why: --reason "…"'),
        (["pause", "checkout", "--reason", "x"], "say how long: --for 2h, or --until-resumed"),
        (["pause", "checkout", "--for", "2h", "--until-resumed", "--reason", "x"], "say how long"),
        (["pause", "checkout", "--for", "soon", "--reason", "x"], "'soon' is not a duration"),
        (["pause", "--for", "2h", "--reason", "x"], "name one application, or --all"),
        (["pause", "checkout", "--all", "--for", "2h", "--reason", "x"], "name one application, or --all"),
        (["pause", "chekout", "--for", "2h", "--reason", "x"], "did you mean shop/checkout?"),
        (["pause", "bank/checkout", "--for", "2h", "--reason", "x"], "did you mean shop/checkout?"),
        (["pause", "zzz", "--for", "2h", "--reason", "x"], "there are: shop/cart, shop/checkout, shop/search"),
        (["resume"], "name one application, or --all"),
        (["rollback", "checkout", "--to", "HEAD"], "'HEAD' begins no revision"),
        (["rollback", "search"], "nothing of shop/search was deployed since it is declared"),
        (["rollback", "checkout", "--to", "a1a1a1"], "begins no revision"),
        (["rollback", "checkout", "--to", "0000000"], "give the full commit id"),
        (["quarantine", "release", "checkout"], "name one version, or --all"),
        (
            ["quarantine", "release", "checkout", "ffff"],
            "no known-bad version of shop/checkout; there are: e5e5e5e5e5e5",
        ),
        (["quarantine", "release", "cart", "ffff"], "there are: none"),
        (["report-deployed", "search", "--revision", "HEAD"], "'HEAD' is no full commit id"),
        (["report-deployed", "search", "--revision", ""], "'' is no full commit id"),
        (["report-deployed", "search", "--revision", "a1a1a1a"], "all 40 (or 64) hex digits"),
        (["report-deployed", "cart", "--revision", GOOD], "shop/cart is not deployed by a pipeline"),
        (["report-deployed", "nothing", "--revision", GOOD], "there is no application 'nothing'"),
        (["report-deployed", "search", "--revision", GOOD, "--at", "noon"], "'noon' is no time"),
        (["report-deployed", "search", "--revision", GOOD, "--at", "2026-01-01T00:00:00"], "with a time zone"),
        (["report-deployed", "search", "--revision", GOOD, "--at", "9999999999"], "lies in the future"),
        (["report-deployed", "search", "--revision", GOOD, "--secret-file", "x"], "--secret-file goes with --server"),
        (["report-deployed", "shop/x", "--revision", GOOD, "--server", "http://x"], "--server needs --secret-file"),
    ],
)
def test_wrong_use_changes_nothing(run: Run, scenario: Scenario, arguments: list[str], said: str) -> None:
    """One sentence on standard error, exit code 2, and the store is as it was."""
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("rollguard: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    with scenario.store() as store:
        assert not store.inbox()
        assert not store.pauses()


@pytest.mark.parametrize(
    ("options", "phase", "only"),
    [
        ([], SyncPhase.HEALTHY, True),
        (["--phase", "Started"], SyncPhase.STARTED, False),
        (["--phase", "Healthy"], SyncPhase.HEALTHY, False),
        (["--phase", "Failed"], SyncPhase.FAILED, False),
    ],
)
def test_a_report_waits_in_the_inbox(
    run: Run, scenario: Scenario, options: list[str], phase: SyncPhase, *, only: bool
) -> None:
    """Without a phase it is the only report; the revision may be in upper case."""
    before = time.time()
    done = run("report-deployed", "search", "--revision", GOOD.upper(), *options)
    assert done.exit_code == 0, done.stderr
    with scenario.store() as store:
        (entry,) = store.inbox()
    report = load_report(entry.body)
    assert (entry.kind, entry.application, report.application) == ("sync", SEARCH, SEARCH)
    assert (report.revision, report.phase, report.only) == (GOOD, phase, only)
    assert before <= report.at <= time.time()


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00.0+01:00", "1769860800", "1769860800.0"]
)
def test_a_report_may_name_its_time(run: Run, scenario: Scenario, text: str) -> None:
    """RFC 3339 with a zone and Unix seconds mean the same."""
    done = run("report-deployed", "shop/search", "--revision", GOOD, "--at", text, "--output", "json")
    assert json.loads(done.stdout) == {"application": "shop/search", "revision": GOOD, "phase": None, "receipt": 1}
    with scenario.store() as store:
        assert load_report(store.inbox()[0].body).at == 1769860800.0


def test_a_report_goes_to_another_machine(run: Run, tmp_path: Path) -> None:
    """With --server it is posted, signed with the file's key, and needs no settings."""
    (tmp_path / "key").write_text("s3cret\n")
    with Receiver(answer(202, b'{"receipt": 7}')) as receiver:
        where = ["--server", receiver.url, "--secret-file", str(tmp_path / "key"), "--settings", "/nowhere"]
        done = run("report-deployed", "shop/search", "--revision", GOOD, *where, "-o", "json")
        (request,) = receiver.requests
    assert (done.exit_code, json.loads(done.stdout)["receipt"]) == (0, 7)
    assert json.loads(request.body) == {"application": "shop/search", "revision": GOOD}
    stamp, signature = (request.headers[name.lower()] for name in (TIMESTAMP_HEADER, SIGNATURE_HEADER))
    assert matches(b"s3cret", stamp, request.body, signature)


def test_a_refused_report_is_told(run: Run, tmp_path: Path) -> None:
    """The other machine's answer is the message; the exit code says that something outside failed."""
    (tmp_path / "key").write_text("s3cret")
    with Receiver(answer(401, b'{"error": "bad signature"}')) as receiver:
        where = ["--server", receiver.url, "--secret-file", str(tmp_path / "key")]
        done = run("report-deployed", "shop/search", "--revision", GOOD, *where)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == "rollguard: the controller answered 401: bad signature\n"


def test_a_missing_key_is_told(run: Run) -> None:
    """The file is named; that is wrong use."""
    where = ["--server", "http://127.0.0.1:9", "--secret-file", "/nowhere/key"]
    done = run("report-deployed", "shop/search", "--revision", GOOD, *where)
    assert done.exit_code == 2
    assert "secret file /nowhere/key cannot be read" in done.stderr


def test_a_rollback_is_asked_for(run: Run, scenario: Scenario) -> None:
    """Default is the last good revision; an abbreviation is looked up among what the application had."""
    assert run("rollback", "checkout", "--reason", "payments\nfail").exit_code == 0
    assert run("rollback", "shop/checkout", "--to", BAD[:7].upper(), "-o", "json").exit_code == 0
    assert run("rollback", "checkout", "--to", "0" * 40).exit_code == 0
    with scenario.store() as store:
        first, second, third = store.inbox()
    command = load_command(first.body)
    assert isinstance(command, RollbackCommand)
    assert (first.kind, first.application, command.to, command.reason) == ("command", CHECKOUT, None, "payments fail")
    assert command.by
    assert [json.loads(each.body)["to"] for each in (second, third)] == [BAD, "0" * 40]


def test_a_rollback_needs_something_to_go_back_to(run: Run, scenario: Scenario) -> None:
    """With no good revision but what is live one must be named; a state that cannot be read is an outside failure."""
    store = SqliteStore(scenario.database)
    store.commit(Change(CART, 1, dump_rollout(replace(healthy(), good=None))))
    done = run("rollback", "cart")
    assert (done.exit_code, done.stderr) == (
        2,
        "rollguard: shop/cart has no other good revision than what is live: say which one by --to\n",
    )
    assert run("rollback", "cart", "--to", GOOD).exit_code == 0
    store.commit(Change(CART, 2, '{"version": 99}'))
    store.close()
    done = run("rollback", "cart")
    assert done.exit_code == 3
    assert "the state of shop/cart cannot be read" in done.stderr


def test_quarantine_is_listed_and_released(run: Run, scenario: Scenario) -> None:
    """The list names what release takes; both it and --all reach the inbox."""
    assert "e5e5e5e5e5e5" in run("quarantine", "list").stdout
    (shown,) = json.loads(run("quarantine", "list", "-o", "json").stdout)["applications"]
    assert shown["application"] == "shop/checkout"
    assert [each["version"] for each in shown["known_bad"]] == ["e5e5e5e5e5e5"]
    assert run("quarantine", "list", "cart").stdout.strip() == "none"
    assert run("quarantine", "release", "checkout", "e5e5").exit_code == 0
    assert run("quarantine", "release", "cart", "--all").exit_code == 0
    with scenario.store() as store:
        first, second = store.inbox()
    commands = [load_command(each.body) for each in (first, second)]
    assert all(isinstance(each, ReleaseCommand) for each in commands)
    assert [(each.application, json.loads(each.body)["fingerprint"]) for each in (first, second)] == [
        (CHECKOUT, "e5e5e5e5e5e5"),
        (CART, "all"),
    ]
