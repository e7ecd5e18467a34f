"""The narrator tells each thing once, in order, from the records, the live state, the customers and the phone."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.core.policy import PolicySpec, Scope
from controller.core.recovery import RecoveryKind
from controller.core.state import (
    Analysis,
    AnalysisKind,
    Good,
    Origin,
    Record,
    Rollback,
    Stage,
    Standing,
    Sync,
    Way,
)
from controller.core.verdict import Judgement, Reason, VerdictKind
from controller.demo.load import Answer, Served, Tally
from controller.demo.narrator import Line, Mark, Narrator
from controller.demo.phone import Told
from controller.demo.summary import figures
from controller.demo.watching import Live, live_of

BEGIN = 1_790_000_000.0
GOOD, BAD, RESTORE = Revision("a1" * 20), Revision("b2" * 20), Revision("c3" * 20)
VERSIONS = {GOOD: "1.1.0", BAD: "1.2.0", RESTORE: "1.1.0"}
CONTENT = Content((("apps/checkout", "d4" * 20),))
POLICY = PolicySpec.model_validate(
    {
        "objectives": [
            {
                "name": "availability",
                "target": "99",
                "indicator": {"ratio": {"errors": {"metric": "bad_total"}, "total": {"metric": "all_total"}}},
            }
        ],
        "analysis": {"window": "20s", "interval": "1s", "warmUp": "3s"},
    }
)
NOTHING = Live("Idle", None, None)


def record(**changes: Any) -> Record:
    """A deployment of the bad version that began 40 s after the demo."""
    analysis = Analysis(
        id="b2b2b2b-1",
        kind=AnalysisKind.DEPLOYMENT,
        policy_name="shop/checkout",
        policy=POLICY,
        syncs=(Sync(BAD, CONTENT, BEGIN + 40, BEGIN + 40.5),),
        before=Good(GOOD, CONTENT, Standing.VERIFIED, BEGIN + 38),
    )
    source = GitSource("file:///srv/shop", "main", ("apps/checkout",))
    return Record(Application(ApplicationKey("shop", "checkout"), source), replace(analysis, **changes))


def breached(**changes: Any) -> Record:
    """The same, once it is Breached and the restore is pushed."""
    judgement = Judgement(
        at=BEGIN + 49,
        verdict=VerdictKind.BREACHED,
        reason=Reason.WORSE_THAN_SLO_AND_BASELINE,
        sentence="availability 93 % against 99 %",
        objective="availability",
        objectives=(),
        evidence=8.24,
        threshold=6.96,
    )
    rollback = Rollback(
        origin=Origin.VERDICT,
        target=GOOD,
        target_content=CONTENT,
        live=BAD,
        way=Way.PUSH,
        scope=Scope.APPLICATION_PATHS,
        decided_at=BEGIN + 50,
        stage=Stage.DONE,
        revision=RESTORE,
        done_at=BEGIN + 50.25,
    )
    found = record(verdict=VerdictKind.BREACHED, verdict_at=BEGIN + 50, judgement=judgement)
    return replace(found, rollback=replace(rollback, **changes))


def recovery() -> Record:
    """The restore's own analysis, over; it carries the same rollback."""
    before = breached()
    analysis = replace(
        before.analysis,
        id="c3c3c3c-1",
        kind=AnalysisKind.RECOVERY,
        syncs=(Sync(RESTORE, CONTENT, BEGIN + 51, BEGIN + 51.5),),
        verdict=None,
        recovery=RecoveryKind.RECOVERED,
        verdict_at=BEGIN + 57,
    )
    return replace(before, analysis=analysis)


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def narrator(tally: Tally) -> Narrator:
    return Narrator(BEGIN, lambda revision: VERSIONS[Revision(revision)], tally)


def told(lines: list[Line]) -> list[tuple[float, Mark, str]]:
    return [(line.at, line.mark, line.text) for line in lines]


def test_a_rollback_is_told_once_and_in_order(narrator: Narrator, tally: Tally) -> None:
    """From the sync to the recovery; the second look has nothing to add, though both records name the rollback."""
    tally.count(Answer(BEGIN + 39, "1.1.0", 200, 0.01))
    tally.count(Answer(BEGIN + 50.75, "1.1.0", 200, 0.01))
    phone = [Told(BEGIN + 50.5, "RollguardRolledBack", "warning", over=False, summary="Roll back")]
    lines = narrator.notice([breached(), recovery()], NOTHING, phone)
    assert told(lines) == [
        (40.0, Mark.SYNC, "1.2.0 (b2b2b2b) is being deployed: watching"),
        (
            50.0,
            Mark.BAD,
            "ln E 8.2 of 7.0: worse than its SLO and than before, "  # noqa: ISC004  one text
            "10.0 s after the deployment began: availability 93 % against 99 %",
        ),
        (50.25, Mark.REVERT, "commit c3c3c3c restores 1.1.0 in Git, pushed 0.25 s after the verdict"),
        (50.5, Mark.ALERT, "on the phone: RollguardRolledBack (warning): Roll back"),
        (50.75, Mark.RESTORED, "1.1.0 answers customers again, 0.8 s after the verdict"),
        (51.0, Mark.SYNC, "1.1.0 (c3c3c3c) is deployed again: watching whether that helps"),
        (
            57.0,
            Mark.RECOVERED,
            "well again, as shown 6.0 s after the restore's deployment: availability 93 % against 99 %",
        ),
    ]
    assert narrator.notice([breached(), recovery()], NOTHING, []) == []


def test_good_answers_from_before_are_no_restore(narrator: Narrator, tally: Tally) -> None:
    """What the good version answered before the verdict says nothing about the restore."""
    tally.count(Answer(BEGIN + 39, "1.1.0", 200, 0.01))
    assert Mark.RESTORED not in {line.mark for line in narrator.notice([breached()], NOTHING, [])}


def test_a_healthy_verdict_names_the_last_good_version(narrator: Narrator) -> None:
    """Healthy says what is the last good version now."""
    judgement = breached().analysis.judgement
    assert judgement is not None
    good = record(
        verdict=VerdictKind.HEALTHY, verdict_at=BEGIN + 60, judgement=replace(judgement, sentence="all is well")
    )
    assert told(narrator.notice([good], NOTHING, []))[-1] == (
        60.0,
        Mark.GOOD,
        "Healthy: all is well. 1.2.0 (b2b2b2b) is the last good version now",
    )


@pytest.mark.parametrize(
    ("changes", "mark", "text"),
    [
        ({"revision": None}, Mark.REVERT, "Git holds 1.1.0 again, by somebody else's commit"),
        (
            {"way": Way.PULL_REQUEST, "branch": "rollguard/restore-1", "why_not_push": "a claim would go"},
            Mark.REVERT,
            "offered on branch rollguard/restore-1: a claim would go",
        ),
        (
            {"stage": Stage.REFUSED, "obstacle_sentence": "the commit asks to be held"},
            Mark.NOTE,
            "not restored: the commit asks to be held",
        ),
    ],
)
def test_other_ways_of_a_rollback(narrator: Narrator, changes: dict[str, Any], mark: Mark, text: str) -> None:
    """Where it stays, people try more than the story: each way ends in a sentence."""
    assert (mark, text) in {(line.mark, line.text) for line in narrator.notice([breached(**changes)], NOTHING, [])}


def answer(**analysis: Any) -> dict[str, Any]:
    """What the controller answers while it judges."""
    found = {
        "id": "b2b2b2b-1",
        "kind": "Deployment",
        "revision": BAD,
        "started_at": "2026-09-21T13:33:20.000Z",
        "healthy_at": None,
        "deadline": None,
        "passed_early_at": None,
        "evidence": None,
        "threshold": None,
        "objectives": [{"name": "availability", "target": 99.0, "bad": 2.0, "total": 100.0}],
    }
    rollout = {"phase": "Analysing", "last_good": {"revision": GOOD}, "analysis": found | analysis}
    return {"rollouts": [rollout]}


def test_deployed_and_passed_early_are_told_from_the_live_state(narrator: Narrator) -> None:
    """Both are told once, with their times."""
    live = live_of(
        answer(
            healthy_at="2026-09-21T13:33:21.500Z",
            deadline="2026-09-21T13:33:41.500Z",
            passed_early_at="2026-09-21T13:33:30.000Z",
        )
    )
    assert live is not None
    assert live.analysis is not None
    assert live.analysis.objectives[0].good == pytest.approx(98.0)
    begun = narrator.begin
    narrator.begin = live.analysis.started_at
    assert [(line.at, line.mark) for line in narrator.notice([], live, [])] == [
        (1.5, Mark.DEPLOYED),
        (10.0, Mark.PASSED),
    ]
    assert narrator.notice([], live, []) == []
    narrator.begin = begun


def test_nothing_known_is_none() -> None:
    """A controller that does not know the application yet is no error."""
    assert live_of({"rollouts": []}) is None


def test_the_figures_are_differences_of_what_was_noted() -> None:
    """The summary's figures."""
    rows = figures(breached(), recovery(), Served(600, 60), BEGIN + 50.75, 57.2)
    assert [(name, figure) for name, figure, _ in rows] == [
        ("time to detect", "10.0 s"),
        ("badly served", "60"),
        ("verdict to push", "0.25 s"),
        ("time to restore", "10.8 s"),
        ("time to recovery", "17.0 s"),
        ("the whole demo", "57 s"),
    ]
    assert "of 600 requests that the bad version answered (10.0 %)" in rows[1][2]


def test_a_figure_that_was_not_noted_is_a_dash() -> None:
    """Nothing is invented."""
    rows = figures(record(), recovery(), Served(), None, 1.0)
    assert [figure for _, figure, _ in rows][:4] == ["–", "0", "–", "–"]
