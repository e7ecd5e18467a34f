"""The narrator: tells what happened, once, in the order in which it happened.

Invariant: pure of the terminal and of the processes; the same facts give the same lines. What is told comes from the
controller's own records, from what customers saw and from what arrived on the phone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from controller.core.recovery import RecoveryKind
from controller.core.state import AnalysisKind, Record, Rollback, Stage, Way
from controller.core.verdict import Judgement, VerdictKind
from controller.demo.load import Tally
from controller.demo.phone import Told
from controller.demo.watching import Live, LiveAnalysis


class Mark(StrEnum):
    """What a line is about; its first word."""

    SETUP = "set up"
    COMMIT = "commit"
    PUSHED = "pushed"
    PULL = "proposed"
    CHECKS = "checks"
    APPROVED = "approved"
    MERGED = "merged"
    STOPPED = "stopped"
    SYNC = "sync"
    DEPLOYED = "deployed"
    EVIDENCE = "evidence"
    PASSED = "passed"
    GOOD = "verdict"
    BAD = "breached"
    REVERT = "revert"
    RESTORED = "restored"
    RECOVERED = "recovered"
    ALERT = "alert"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story."""

    at: float
    """Seconds since the demo began."""
    mark: Mark
    text: str


@dataclass(slots=True)
class Narrator:
    """Remembers what it has told."""

    begin: float
    """When the demo began, Unix seconds."""
    version: Callable[[str], str]
    """The version that a revision deploys."""
    tally: Tally
    _told: set[tuple[str, str]] = field(default_factory=set)

    def line(self, at: float, mark: Mark, text: str) -> Line:
        """A line about a moment in Unix seconds."""
        return Line(max(0.0, at - self.begin), mark, text)

    def notice(self, records: Iterable[Record], live: Live, told: Iterable[Told]) -> list[Line]:
        """What is new, in order of time."""
        found: list[Line] = []
        for record in records:
            found += self._of_record(record)
        if live.analysis is not None:
            found += self._of_live(live.analysis)
        found += [self._of_alert(each) for each in told]
        return sorted(found, key=lambda line: line.at)

    def _once(self, analysis: str, what: str) -> bool:
        """Whether this was not told yet; from now on it was."""
        fresh = (analysis, what) not in self._told
        self._told.add((analysis, what))
        return fresh

    def _of_record(self, record: Record) -> list[Line]:
        analysis, found = record.analysis, []
        name = self._name(analysis.newest.revision)
        recovery = analysis.kind is AnalysisKind.RECOVERY
        if self._once(analysis.id, f"began {analysis.newest.revision}"):
            what = "is deployed again: watching whether that helps" if recovery else "is being deployed: watching"
            found.append(self.line(analysis.newest.started_at, Mark.SYNC, f"{name} {what}"))
        if analysis.verdict_at is not None and analysis.judgement is not None and self._once(analysis.id, "verdict"):
            since = analysis.verdict_at - analysis.started_at
            if analysis.recovery is not None:
                found.append(self._recovery(analysis.verdict_at, analysis.recovery, analysis.judgement, since))
            elif analysis.verdict is not None:
                found.append(self._verdict(analysis.verdict_at, analysis.verdict, analysis.judgement, name, since))
        if record.rollback is not None:
            found += self._of_rollback(record.rollback)
        return found

    def _verdict(self, at: float, kind: VerdictKind, judgement: Judgement, name: str, since: float) -> Line:
        if kind is VerdictKind.BREACHED:
            how = f"ln E {judgement.evidence:.1f} of {judgement.threshold:.1f}: worse than its SLO and than before"
            text = f"{how}, {since:.1f} s after the deployment began: {judgement.sentence}"
            return self.line(at, Mark.BAD, text)
        after = f". {name} is the last good version now" if kind is VerdictKind.HEALTHY else ""
        mark = Mark.GOOD if kind is VerdictKind.HEALTHY else Mark.NOTE
        return self.line(at, mark, f"{kind.value}: {judgement.sentence}{after}")

    def _recovery(self, at: float, kind: RecoveryKind, judgement: Judgement, since: float) -> Line:
        if kind is RecoveryKind.RECOVERED:
            return self.line(
                at,
                Mark.RECOVERED,
                f"well again, as shown {since:.1f} s after the restore's deployment: {judgement.sentence}",
            )
        return self.line(at, Mark.NOTE, f"{kind.value}: {judgement.sentence}")

    def _of_rollback(self, rollback: Rollback) -> list[Line]:
        found = []
        decision = f"decided {rollback.decided_at}"  # the recovery's record has it as well
        back_to = self.version(rollback.target)
        if rollback.stage is Stage.DONE and rollback.done_at is not None and self._once(decision, "revert"):
            found.append(self._done(rollback, rollback.done_at, back_to))
        if rollback.stage is Stage.REFUSED and self._once(decision, "refused"):
            found.append(self.line(rollback.decided_at, Mark.NOTE, f"not restored: {rollback.obstacle_sentence}"))
        first = self.tally.good_since(back_to)
        served_again = first is not None and first > rollback.decided_at
        if served_again and first is not None and self._once(decision, "restored"):
            after = first - rollback.decided_at
            text = f"{back_to} answers customers again, {after:.1f} s after the verdict"
            found.append(self.line(first, Mark.RESTORED, text))
        return found

    def _done(self, rollback: Rollback, at: float, back_to: str) -> Line:
        after = f"{at - rollback.decided_at:.2f} s after the verdict"
        if rollback.revision is None:
            return self.line(at, Mark.REVERT, f"Git holds {back_to} again, by somebody else's commit")
        if rollback.way is Way.PULL_REQUEST:
            return self.line(at, Mark.REVERT, f"offered on branch {rollback.branch}: {rollback.why_not_push}")
        return self.line(at, Mark.REVERT, f"commit {rollback.revision[:7]} restores {back_to} in Git, pushed {after}")

    def _of_live(self, analysis: LiveAnalysis) -> list[Line]:
        found = []
        name = self._name(analysis.revision)
        healthy, deadline = analysis.healthy_at, analysis.deadline
        if healthy is not None and deadline is not None and self._once(analysis.id, f"live {analysis.revision}"):
            watched = "" if analysis.recovery else f"; watched for {deadline - healthy:.0f} s from now on"
            found.append(self.line(healthy, Mark.DEPLOYED, f"{name} is live{watched}"))
        early = analysis.passed_early_at
        if early is not None and not analysis.recovery and self._once(analysis.id, "early"):
            text = f"{name} passed early, {early - analysis.started_at:.1f} s after its deployment began: a promotion that"
            found.append(self.line(early, Mark.PASSED, f"{text} waits for it could go on; the watch goes on as well"))
        return found

    def _of_alert(self, told: Told) -> Line:
        what = "is over" if told.over else f"({told.severity})"
        return self.line(told.at, Mark.ALERT, f"on the phone: {told.name} {what}: {told.summary}")

    def _name(self, revision: str) -> str:
        return f"{self.version(revision)} ({revision[:7]})"
