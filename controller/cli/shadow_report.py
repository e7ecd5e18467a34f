"""``rollguard backtest --shadow-report``: what was decided in Shadow mode, from the controller's store.

Invariant: it tells what was decided then, by the policy that was in force then; nothing is judged again.
"""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from controller.cli.backtest_report import COLOURS, SAVED, SHORT, UNDECIDED, deployments_text
from controller.cli.common import Opened, opened
from controller.cli.failures import ExitCode
from controller.cli.output import Format, cell, clean, console, is_wide, iso, lasted, moment, print_json, print_table
from controller.cli.records import open_record, read_record
from controller.core.application import ApplicationKey
from controller.core.backtesting import bad_saved
from controller.core.policy import BreachAction, Mode
from controller.core.state import Analysis, AnalysisKind, Record
from controller.core.verdict import VerdictKind

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A deployment that was judged, and nothing was done about it."""

    application: ApplicationKey
    analysis: Analysis

    @property
    def verdict(self) -> str:
        """What was decided."""
        given = self.analysis.verdict
        return UNDECIDED if given is None else given.value

    @property
    def rolled_back(self) -> bool:
        """Whether it would have been rolled back in Enforce mode."""
        breached = self.analysis.verdict is VerdictKind.BREACHED
        return breached and self.analysis.policy.on_breach.action is BreachAction.ROLLBACK

    @property
    def sentence(self) -> str:
        """Why."""
        judgement = self.analysis.judgement
        return judgement.sentence if judgement is not None else "no look yet"

    @property
    def saved(self) -> float | None:
        """Bad events that a restore at once would have saved, by the ticks that are kept; None: it is not Breached."""
        analysis, judgement = self.analysis, self.analysis.judgement
        if analysis.verdict is not VerdictKind.BREACHED or judgement is None or analysis.reference is None:
            return None
        ticks = next((each for each in analysis.ticks if each.objective == judgement.objective), None)
        decided = judgement.decided_at or judgement.at
        if ticks is None:
            return None
        until = decided + analysis.policy.analysis.window if analysis.deadline is None else analysis.deadline
        later = (ticks.at > decided) & (ticks.at <= until) & ticks.measured
        bad, total = (np.where(later, each, np.nan) for each in (ticks.bad, ticks.total))
        return bad_saved(bad, total, analysis.policy, ticks.objective, analysis.reference)


def shadow_report(settings: Path, length: float, application: str | None, output: Format) -> ExitCode:
    """Write what was decided in Shadow mode in the last ``length`` seconds; says how the command ends."""
    now = time.time()
    with opened(settings) as place:
        key = None if application is None else place.application(application)
        found = _found(place, key, now - length)
    if output is Format.JSON:
        print_json(_data(found, now - length, now))
    else:
        _print(console(), found, length, named=application is None)
    breached = any(each.analysis.verdict is VerdictKind.BREACHED for each in found)
    return ExitCode.FOUND if breached else ExitCode.DONE


def _found(place: Opened, key: ApplicationKey | None, begin: float) -> list[Shadowed]:
    """The deployments that were judged in Shadow mode, oldest first; open ones by their newest state."""
    newest = {
        each.analysis.id: each for stored in place.store.rollouts() if (each := open_record(stored)) is not None
    }
    stored = [each for each in place.store.analyses(key, _MOST) if each.started_at >= begin]
    records = (newest.get(each.id) or read_record(each) for each in reversed(stored))
    everywhere = place.settings.limits.maximum_mode == Mode.SHADOW
    return [
        Shadowed(each.application.key, each.analysis)
        for each in records
        if each is not None and _is_shadowed(each, everywhere=everywhere)
    ]


def _is_shadowed(record: Record, *, everywhere: bool) -> bool:
    """Whether it was judged in Shadow mode: its policy's, or the settings' for all; nothing was done about it."""
    analysis = record.analysis
    shadow = analysis.policy.mode is Mode.SHADOW or (everywhere and record.rollback is None)
    return shadow and analysis.kind is AnalysisKind.DEPLOYMENT


def _print(screen: Console, found: list[Shadowed], length: float, *, named: bool) -> None:
    if not found:
        screen.print(f"no deployment was judged in Shadow mode in the last {lasted(length)}")
        return
    if is_wide(screen):
        columns = ["analysis", "application", "deployed", "revision", "verdict", "after", "saved", "why"]
        print_table(screen, columns, [_wide(each) for each in found], ["why"])
    else:
        columns = [*(["application"] if named else []), "deployed", "revision", "after", "saved", "verdict"]
        print_table(screen, columns, [_narrow(each, named=named) for each in found], ["application", "verdict"])
    verdicts = Counter(each.verdict for each in found)
    listed = ", ".join(f"{verdicts[name]} {name}" for name in (*VerdictKind, UNDECIDED) if verdicts[name])
    deployments = sum(len(each.analysis.syncs) for each in found)
    screen.print(f"{deployments_text(deployments, len(found))} in Shadow mode: {listed}")
    back = [each for each in found if each.rolled_back]
    saved = sum(each.saved or 0.0 for each in back)
    screen.print(f"{len(back)} would have been rolled back, {saved:,.0f} bad events saved")
    if back:
        screen.print(SAVED, soft_wrap=True)


def _facts(found: Shadowed) -> tuple[str, str, str, str]:
    """When it began, what it was, how long it took, and what would have been saved."""
    analysis, syncs = found.analysis, len(found.analysis.syncs)
    revision = clean(analysis.newest.revision)[:SHORT] + (f" +{syncs - 1}" if syncs > 1 else "")
    after = "–" if analysis.verdict_at is None else lasted(analysis.verdict_at - analysis.started_at)
    saved = "–" if found.saved is None else f"{found.saved:,.0f}"
    return moment(analysis.started_at, seconds=False), revision, after, saved


def _wide(found: Shadowed) -> list[object]:
    (deployed, revision, *rest), verdict = _facts(found), cell(found.verdict, COLOURS.get(found.verdict, ""))
    return [found.analysis.id, str(found.application), deployed, revision, verdict, *rest, found.sentence]


def _narrow(found: Shadowed, *, named: bool) -> list[object]:
    """What 80 columns hold: the verdict's column has the reason as well."""
    said = Text.assemble(cell(found.verdict, COLOURS.get(found.verdict, "")), cell(f": {found.sentence}"))
    return [*([str(found.application)] if named else []), *_facts(found), said]


def _data(found: list[Shadowed], begin: float, now: float) -> dict[str, object]:
    back = [each for each in found if each.rolled_back]
    return {
        "since": iso(begin),
        "until": iso(now),
        "analyses": [_analysis(each) for each in found],
        "totals": {
            "deployments": sum(len(each.analysis.syncs) for each in found),
            "analyses": len(found),
            "verdicts": dict(Counter(each.verdict for each in found)),
            "rolled_back": len(back),
            "bad_saved": sum(each.saved or 0.0 for each in back),
        },
    }


def _analysis(found: Shadowed) -> dict[str, object]:
    analysis, judgement = found.analysis, found.analysis.judgement
    return {
        "id": analysis.id,
        "application": str(found.application),
        "policy": analysis.policy_name,
        "revisions": [each.revision for each in analysis.syncs],
        "started_at": iso(analysis.started_at),
        "verdict": found.verdict,
        "decided_at": iso(analysis.verdict_at),
        "rolled_back": found.rolled_back,
        "objective": None if judgement is None else judgement.objective,
        "reason": None if judgement is None else judgement.reason,
        "sentence": found.sentence,
        "bad_saved": found.saved,
    }
