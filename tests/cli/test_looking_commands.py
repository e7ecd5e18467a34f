"""Commands by which people look: the same facts for them and for programs."""

import json
from dataclasses import replace

import pytest

from controller.adapters.store import SqliteStore
from controller.cli.evidence_path import evidence_path
from controller.cli.plot import HIGHEST, drawn, in_one_line
from controller.core.observation import Measured
from controller.core.recovery import RecoveryKind
from controller.core.state import AnalysisKind, Obstacle, Rollout, Stage, Unidentified, dump_rollout
from controller.ports.store import Change
from tests.cli.conftest import Run
from tests.cli.scenario import (
    ANALYSIS,
    BAD,
    CART,
    CHECKOUT,
    GOOD,
    RESTORE,
    SEARCH,
    START,
    TICKS,
    Scenario,
    bad_analysis,
    healthy,
    rolled_back,
)


def put(scenario: Scenario, rollout: Rollout, version: int = 1) -> None:
    store = SqliteStore(scenario.database)
    store.commit(Change(rollout.application.key, version, dump_rollout(rollout)))
    store.close()


def test_status_shows_every_application(run: Run) -> None:
    """Declared ones without a state too; each in a line of its own."""
    done = run("status")
    lines = {line.split()[0]: line for line in reversed(done.stdout.splitlines()) if line.startswith("shop/")}
    assert set(lines) == {"shop/checkout", "shop/cart", "shop/search"}
    assert "Restored" in lines["shop/checkout"]
    assert "Idle" in lines["shop/cart"]
    assert "Adopted" in lines["shop/cart"]
    assert "nothing of it was deployed since it is declared" in done.stdout
    assert "RollguardRolledBack" in done.stdout


def test_status_of_one_application_is_whole(run: Run) -> None:
    """Phase, revisions, the verdict's sentence, the restore, open alerts."""
    text = run("status", "checkout").stdout
    for part in (BAD, GOOD, "Verified", ANALYSIS, "availability 90 %", "99.5 %", "restored in Git"):
        assert part in text
    assert "RollguardRolledBack (warning" in text


def test_status_says_what_no_commit_can_bring_back(run: Run, scenario: Scenario) -> None:
    """The manual step is known before it is needed."""
    rollout = healthy()
    fixed = replace(rollout.application, not_revertible="It is pinned: set targetRevision by hand.")
    put(scenario, replace(rollout, application=fixed))
    for shown in (run("status"), run("status", "cart"), run("status", "cart", "-o", "json")):
        assert "NotRevertible" in shown.stdout
        assert "It is pinned: set targetRevision by hand." in shown.stdout


def test_status_as_json_has_the_same(run: Run) -> None:
    """Programs get every field by name; times are RFC 3339."""
    shown = json.loads(run("status", "-o", "json").stdout)
    checkout = next(each for each in shown["applications"] if each["application"] == "shop/checkout")
    assert (checkout["phase"], checkout["mode"], checkout["policy"]) == ("Restored", "Enforce", "checkout")
    assert checkout["live"] == {"revision": BAD, "since": "2026-09-21T14:13:20.000Z"}
    assert (checkout["last_good"]["revision"], checkout["last_good"]["standing"]) == (GOOD, "Verified")
    assert checkout["analysis"]["verdict"] == "Breached"
    assert (checkout["rollback"]["commit"], checkout["rollback"]["stage"]) == (RESTORE, "Done")
    assert [each["name"] for each in checkout["alerts"]] == ["RollguardRolledBack"]
    search = next(each for each in shown["applications"] if each["application"] == "shop/search")
    assert (search["phase"], [each["name"] for each in search["conditions"]]) == (None, ["NotSeen"])


@pytest.mark.parametrize(
    ("change", "name", "sentence"),
    [
        ({"policy": None, "policy_name": ""}, "NotGuarded", "no policy matches it"),
        ({"policy_error": "two policies match it"}, "PolicyInvalid", "two policies match it"),
        ({"frozen": "3 rollbacks today"}, "Frozen", "nothing is restored until a person acts: 3 rollbacks today"),
        ({"unidentified": (Unidentified(BAD, "Started", START),)}, "WaitingForGit", "what b2b2b2b2b2b2 deploys"),
    ],
)
def test_conditions_are_named(
    run: Run, scenario: Scenario, change: dict[str, object], name: str, sentence: str
) -> None:
    """What stands in the way has a name and a sentence, for people and programs."""
    put(scenario, replace(healthy(), **change))  # type: ignore[arg-type]
    (shown,) = json.loads(run("status", "cart", "-o", "json").stdout)["applications"]
    assert name in [each["name"] for each in shown["conditions"]]
    text = run("status", "cart").stdout
    assert name in text
    assert sentence in text


def test_a_waiting_restore_says_what_for(run: Run, scenario: Scenario) -> None:
    """The obstacle is a condition and part of the restore's line."""
    rollout = rolled_back()
    assert rollout.rollback is not None
    waiting = replace(
        rollout.rollback,
        stage=Stage.INSPECT,
        obstacle=Obstacle.BREAKER,
        obstacle_sentence="3 unrelated deployments broke",
        done_at=None,
    )
    put(scenario, replace(rollout, rollback=waiting))
    text = run("status", "checkout").stdout
    assert "RollingBack" in text
    assert "WaitingBreaker" in text
    assert "waits (Breaker): 3 unrelated deployments broke" in text


def test_the_settings_shadow_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the policy says: the administrator's limit shows."""
    monkeypatch.setenv("ROLLGUARD_LIMITS__MAXIMUM_MODE", "Shadow")
    assert "judged and reported; nothing is changed" in run("status", "cart").stdout


def test_a_state_that_cannot_be_read_hides_no_other(run: Run, scenario: Scenario) -> None:
    """A newer version's state is said to be one; the other applications are shown."""
    store = SqliteStore(scenario.database)
    store.commit(Change(CART, 1, '{"version": 99, "rollout": {}}'))
    store.close()
    done = run("status")
    assert done.exit_code == 0
    assert "its state cannot be read" in done.stdout
    assert "Restored" in done.stdout
    assert run("quarantine", "list").exit_code == 0
    assert run("explain", "checkout").exit_code == 0


def test_history_is_newest_first(run: Run) -> None:
    """Id, revision, verdict and the sentence; the limit holds; programs get the same."""
    text = run("history", "checkout").stdout
    assert text.index(ANALYSIS) < text.index("a0a0a0a-00000000")
    assert "Breached" in text
    assert "availability 90 % against 99.5 %" in text.replace("\n", "")
    found = json.loads(run("history", "-o", "json", "--limit", "1").stdout)["analyses"]
    assert [(each["id"], each["verdict"], each["revision"], each["restored_by"]) for each in found] == [
        (ANALYSIS, "Breached", BAD, RESTORE)
    ]
    assert run("history", "cart").stdout == "nothing was judged yet\n"


@pytest.mark.parametrize("wanted", [ANALYSIS, ANALYSIS[:8], "checkout", "shop/checkout"])
def test_explain_tells_the_whole_story(run: Run, wanted: str) -> None:
    """By id, by its beginning or by the application: timeline, numbers, evidence, suspects, commit."""
    text = run("explain", wanted).stdout
    for part in (
        "b2b2b2b2b2b2 is being deployed",
        "verdict: Breached",
        "restored in Git by c3c3c3c3c3c3",
        "15 of 150",
        "99.9 %",
        "against 6.96: reached",
        "threshold 6.96",
        "Did this deployment do it?  yes",
        "Mallory <m@example.com>",
        f"commit {RESTORE} on main",
    ):
        assert part in text


def test_nothing_from_a_commit_controls_the_terminal(run: Run) -> None:
    """An escape sequence in a subject arrives as a replacement character."""
    text = run("explain", "checkout").stdout
    assert "\x1b" not in text
    assert "Speed up �[31mcheckout" in text


def test_explain_as_json_has_the_numbers(run: Run) -> None:
    """Each objective's legs, the evidence after each look and where it reached the threshold."""
    story = json.loads(run("explain", "checkout", "-o", "json").stdout)
    availability, memory = story["judgement"]["objectives"]
    assert (availability["bad"], availability["total"], availability["target"]) == (15, 150, "99.5 %")
    assert availability["evidence"]["slo"] > story["judgement"]["threshold"]
    assert (memory["target"], memory["gauge"]) == ("at most 0.9", {"measured": None, "before": None})
    assert availability["gauge"] is None
    assert story["judgement"]["answers"]["Breaches its SLO?"] == "yes"
    path = story["evidence_path"]
    assert len(path["at"]) == len(path["ln_e"]) > 10
    assert path["reached_at"] == "2026-09-21T14:14:35.000Z"
    assert story["rollback"]["suspects"][0]["revision"] == BAD


def test_the_path_ends_where_the_judgement_does() -> None:
    """Computed again from the ticks, the evidence at the deciding look is the judgement's."""
    analysis = bad_analysis()
    path = evidence_path(analysis)
    assert path is not None
    assert analysis.judgement is not None
    decided_at = analysis.judgement.decided_at
    assert decided_at is not None
    decided = path.log_e[path.at.index(decided_at)]
    assert decided == pytest.approx(analysis.judgement.evidence)
    assert path.threshold == analysis.judgement.threshold
    assert path.reached_at is not None
    assert path.reached_at <= decided_at  # the side conditions may hold it up


def test_the_evidence_of_a_recovery_is_that_the_service_is_well() -> None:
    """For a restore the path is the mirror test's, and it rises on good ticks."""
    chain = bad_analysis()
    column = chain.ticks[0]
    for number in range(1, TICKS + 1):
        column = column.with_tick(START + 15 * number, Measured(0, 1500))
    recovery = replace(chain, kind=AnalysisKind.RECOVERY, ticks=(column,), recovery=RecoveryKind.RECOVERED)
    path = evidence_path(recovery)
    assert path is not None
    assert "well again" in path.title
    assert path.threshold == pytest.approx(2.9957, abs=1e-3)
    assert path.reached_at is not None
    assert path.log_e[-1] > path.log_e[0]


def test_without_looks_there_is_no_path() -> None:
    """Before the time before is measured, and before the first tick, nothing is drawn."""
    analysis = bad_analysis()
    assert evidence_path(replace(analysis, reference=None)) is None
    assert evidence_path(replace(analysis, ticks=())) is None


def test_the_plot_is_plain_text_within_bounds() -> None:
    """No colours, the threshold is in the title, and what is far above it does not flatten the picture."""
    path = evidence_path(bad_analysis())
    assert path is not None
    picture = drawn(path, START)
    assert "\x1b" not in picture
    assert "threshold 6.96" in picture
    assert "minutes since the start" in picture
    highest = max(
        float(line.split("┤")[0]) for line in picture.splitlines() if "┤" in line.split("┈")[0] and line[0] != " "
    )
    assert highest <= HIGHEST * path.threshold + 1
    assert drawn(path, START) == picture


def test_the_short_form_has_the_first_and_the_last_point() -> None:
    """One line for pipes and small terminals."""
    path = evidence_path(bad_analysis())
    assert path is not None
    points = in_one_line(path, START).split(" · ")
    assert points[0].startswith("1m15s ")
    assert points[-1].startswith("6m ")
    assert len(points) == 10


def test_a_running_analysis_is_explained_from_the_newest_state(run: Run, scenario: Scenario) -> None:
    """What was written into the history at its start is old: the application's state counts."""
    analysis = replace(bad_analysis(), id="fresh00-00000001", verdict=None, judgement=None)
    put(scenario, replace(healthy(), analysis=analysis))
    story = json.loads(run("explain", "fresh00-", "-o", "json").stdout)
    assert (story["application"], story["analysis"]["verdict"]) == ("shop/cart", None)
    assert "no look yet" in run("explain", "cart").stdout


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("nothing-like-it", "there is no analysis 'nothing-like-it'"),
        ("a0a0", "8 characters at least"),
        ("cart", "nothing of shop/cart was judged yet"),
        ("search", "nothing of shop/search was judged yet"),
    ],
)
def test_what_is_not_there_is_said(run: Run, wanted: str, said: str) -> None:
    """One sentence, exit code 2."""
    done = run("explain", wanted)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


WORDS = {
    "shop/checkout",
    "shop/cart",
    "Verified",
    "RollguardRolledBack",
    ANALYSIS,
    RESTORE,
    BAD,
    "numbers",
    "99.5",
    "150",
}


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")


@pytest.mark.parametrize("command", ["status", "status checkout", "history", "history checkout", "quarantine list"])
def test_tables_fit_into_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """No line is longer, and no name, id or sentence of a pipe's lines is cut or left out."""
    words = {word for word in run(*command.split()).stdout.split() if word in WORDS}
    assert words
    _on_a_terminal(monkeypatch, 80)
    text = run(*command.split()).stdout
    assert max(len(line) for line in text.splitlines()) <= 80
    asked_for = {"shop/checkout"} if command == "history checkout" else set()
    assert words - asked_for <= set(text.split())


def test_the_numbers_of_a_story_fit_into_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The objective's name and its figures stand in one line."""
    _on_a_terminal(monkeypatch, 80)
    lines = run("explain", "checkout", "--no-plot").stdout.splitlines()
    row = next(line for line in lines if line.startswith("availability ") and "of 150 " in line)
    assert len(row) <= 80
    assert "99.5 %" in row


def test_a_pipe_gets_a_line_for_each_row(run: Run) -> None:
    """However long the sentence is: no line breaks inside, no blanks behind."""
    for command in ("status", "history", "explain checkout", "quarantine list"):
        text = run(*command.split()).stdout
        assert [line for line in text.splitlines() if line != line.rstrip()] == []
    rows = [line for line in run("history").stdout.splitlines() if line.startswith(ANALYSIS)]
    assert len(rows) == 1
    assert "availability 90 % against 99.5 %" in rows[0]


def test_a_restore_in_git_that_is_not_deployed_is_said(run: Run) -> None:
    """Until then the bad version goes on serving: whoever deploys must know."""
    (shown,) = json.loads(run("status", "checkout", "-o", "json").stdout)["applications"]
    (said,) = (each["sentence"] for each in shown["conditions"] if each["name"] == "NotDeployed")
    assert RESTORE[:12] in said
    assert "waits to be deployed" in said
    assert "NotDeployed" in run("status").stdout


def test_alerts_that_were_told_are_not_called_undelivered(run: Run, scenario: Scenario) -> None:
    """An open alert stays in the outbox to be repeated; only what a sink was not told is counted."""
    assert "not delivered" not in run("status").stdout
    with scenario.store() as store:
        store.enqueue([("on-call", rolled_back().alerts[0])])
    assert "1 alert not delivered yet" in run("status").stdout
    with scenario.store() as store:
        (entry,) = store.outbox("on-call", now=0.0)
        store.postpone(entry.id, 60.0, "")
    assert "not delivered" not in run("status").stdout


def test_a_recovery_leads_to_what_it_recovers_from(run: Run, scenario: Scenario) -> None:
    """Explaining APP after a restore shows the restore's watch, its own evidence, and the way to the breach."""
    chain = bad_analysis()
    column = chain.ticks[0]
    for number in range(1, TICKS + 1):
        column = column.with_tick(START + 15 * number, Measured(0, 1500))
    recovery = replace(
        chain, id="c3c3c3c-00000001", kind=AnalysisKind.RECOVERY, ticks=(column,), recovery=RecoveryKind.RECOVERED
    )
    rollout = rolled_back()
    with scenario.store() as store:
        known = store.rollout(CHECKOUT)
        assert known is not None
        store.commit(Change(CHECKOUT, known.version, dump_rollout(replace(rollout, analysis=recovery))))
    text = run("explain", "checkout").stdout
    assert f"why it was restored: rollguard explain {ANALYSIS}" in text
    assert "against 3.00: reached" in text
    assert "SLO leg" not in text
    assert f"restores {GOOD[:12]}" in text


def test_a_stranger_is_told_whose_store_it_is(run: Run, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not open the controller's file learns as whom to run the command; nothing is made or changed."""
    monkeypatch.setattr("controller.cli.common._may_open", lambda _: False)
    done = run("status")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"run this as the controller's user, with sudo -u {scenario.database.owner()}" in done.stderr


def test_keys_of_the_scenario_are_the_declared_ones(run: Run) -> None:
    """The scenario's applications and its settings agree."""
    shown = json.loads(run("status", "-o", "json").stdout)["applications"]
    assert [each["application"] for each in shown] == sorted(map(str, (CHECKOUT, CART, SEARCH)))
