"""What ``rollguard backtest`` writes: a table, JSON, and how the evidence rose.

Invariant: each number says what it counts; a deployment that is not decided, or of which there is no data, is told as
such and never as good.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from controller.cli.evidence_path import EvidencePath, path_against
from controller.cli.output import Format, cell, clean, console, is_wide, iso, lasted, moment, print_json, print_table
from controller.cli.plot import drawn
from controller.core.application import ApplicationKey
from controller.core.backtesting import Backtested
from controller.core.past_chains import Deployment
from controller.core.policy import SLOPolicy
from controller.core.policy_matching import policy_key
from controller.core.verdict import VerdictKind

SHORT = 7
"""Digits of a revision in a table."""
SAVED = (
    "saved: bad events of the objective that decided, from the decision until the next deployment or the end of the "
    "window, beyond those that there would have been as before; a restore at once would have spared them"
)
COLOURS = {"Healthy": "green", "Breached": "red", "Hold": "yellow"}
UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Found:
    """All that a backtest has found; times are Unix seconds."""

    policy: SLOPolicy
    application: ApplicationKey
    since: float
    until: float
    looked: str
    """Where it was looked for deployments."""
    chains: tuple[Backtested, ...]

    @property
    def deployments(self) -> int:
        """How many deployments were judged."""
        return sum(len(each.deployments) for each in self.chains)

    @property
    def rolled_back(self) -> tuple[Backtested, ...]:
        """Those that the policy would have restored by itself."""
        return tuple(each for each in self.chains if each.verdict.rollback)

    @property
    def saved(self) -> float:
        """Bad events that these restores would have saved."""
        return sum(each.bad_saved or 0.0 for each in self.rolled_back)


def write_backtest(found: Found, output: Format, *, plots: bool) -> None:
    """Write all of it to standard output."""
    if output is Format.JSON:
        print_json(_data(found, plots=plots))
        return
    screen = console()
    span = f"{moment(found.since, seconds=False)} – {moment(found.until, seconds=False)}"
    screen.print(clean(f"{found.application} by the policy {policy_key(found.policy)}, {span}"), style="bold")
    if not found.chains:
        screen.print(f"no deployment began in this time; looked in {clean(found.looked)}", soft_wrap=True)
        return
    _print_chains(screen, found.chains)
    screen.print(_totals(found), soft_wrap=True)
    if plots:
        _print_plots(screen, found.chains)


def counted(number: int, what: str) -> str:
    """``1 deployment``, ``2 deployments``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def deployments_text(deployments: int, chains: int) -> str:
    """How many there were, and in how many chains they were judged, where that is not the same."""
    return counted(deployments, "deployment") + ("" if chains == deployments else f" in {counted(chains, 'chain')}")


def _totals(found: Found) -> str:
    verdicts = Counter(_verdict(each) for each in found.chains)
    listed = ", ".join(f"{verdicts[name]} {name}" for name in (*VerdictKind, UNDECIDED) if verdicts[name])
    lines = [f"{deployments_text(found.deployments, len(found.chains))}: {listed}"]
    restores = found.rolled_back
    breached = [each for each in found.chains if each.breached]
    if restores:
        lines.append(f"{len(restores)} would have been rolled back, {found.saved:,.0f} bad events saved")
    elif breached:
        lines.append("none would have been rolled back: the policy only tells (its mode or onBreach.action)")
    return "\n".join([*lines, *([SAVED] if breached else [])])


def _print_chains(screen: Console, chains: Sequence[Backtested]) -> None:
    if is_wide(screen):
        columns = ["deployed", "revision", "verdict", "after", "saved", "why"]
        print_table(screen, columns, [_wide(each) for each in chains], ["why"])
    else:
        columns = ["deployed", "revision", "after", "saved", "verdict"]
        print_table(screen, columns, [_narrow(each) for each in chains], ["verdict"])


def _wide(found: Backtested) -> list[object]:
    deployed, revision, after, saved = _facts(found)
    verdict = _verdict(found)
    return [deployed, revision, cell(verdict, COLOURS.get(verdict, "")), after, saved, found.verdict.sentence]


def _narrow(found: Backtested) -> list[object]:
    """What 80 columns hold: the verdict's column has the reason as well."""
    verdict = _verdict(found)
    said = Text.assemble(cell(verdict, COLOURS.get(verdict, "")), cell(f": {found.verdict.sentence}"))
    return [*_facts(found), said]


def _facts(found: Backtested) -> tuple[str, str, str, str]:
    newest = found.deployments[-1]
    more = f" +{len(found.deployments) - 1}" if len(found.deployments) > 1 else ""
    after = "–" if found.decided_at is None else lasted(found.decided_at - found.chain.start)
    saved = "–" if found.bad_saved is None else f"{found.bad_saved:,.0f}"
    return moment(found.chain.start, seconds=False), clean(newest.revision)[:SHORT] + more, after, saved


def _verdict(found: Backtested) -> str:
    return UNDECIDED if found.decided_at is None else found.verdict.verdict.value


def _print_plots(screen: Console, chains: Sequence[Backtested]) -> None:
    for each in chains:
        names = ", ".join(clean(one.revision)[:SHORT] for one in each.deployments)
        screen.print()
        screen.print(f"{names}: {_verdict(each)}", style="bold")
        path = _path(each)
        if path is None:
            screen.print("  nothing was measured")
        else:
            screen.print(drawn(path, 0.0), soft_wrap=True)


def _path(found: Backtested) -> EvidencePath | None:
    return path_against(found.chain.policy, found.evidence)


def _data(found: Found, *, plots: bool) -> dict[str, object]:
    kinds = Counter(_verdict(each) for each in found.chains)
    return {
        "application": str(found.application),
        "policy": policy_key(found.policy),
        "since": iso(found.since),
        "until": iso(found.until),
        "looked_in": found.looked,
        "analyses": [_analysis(each, plots=plots) for each in found.chains],
        "totals": {
            "deployments": found.deployments,
            "analyses": len(found.chains),
            "verdicts": dict(kinds),
            "rolled_back": len(found.rolled_back),
            "bad_saved": _rounded(found.saved),
        },
    }


def _analysis(found: Backtested, *, plots: bool) -> dict[str, object]:
    verdict, start = found.verdict, found.chain.start
    path = _path(found) if plots else None
    data: dict[str, object] = {
        "deployments": [_deployment(each) for each in found.deployments],
        "started_at": iso(start),
        "verdict": _verdict(found),
        "decided_at": iso(found.decided_at),
        "decided_after": verdict.decided_at,
        "passed_after": verdict.passed_at,
        "rolled_back": verdict.rollback,
        "objective": verdict.objective,
        "reason": verdict.reason,
        "sentence": verdict.sentence,
        "looks": verdict.looks,
        "bad_served": _rounded(verdict.bad_served),
        "bad_saved": _rounded(found.bad_saved),
        "saved_until": iso(found.saved_until),
        "measured_until": iso(found.recorded_until),
        "evidence": {"slo": verdict.slo, "baseline": verdict.baseline, "controls": verdict.controls},
    }
    if path is not None:
        data["path"] = {"threshold": path.threshold, "after": path.at, "log_e": path.log_e}
    return data


def _rounded(count: float | None) -> float | None:
    """A count without the rounding errors of sums."""
    return None if count is None else round(count, 6)


def _deployment(each: Deployment) -> dict[str, object]:
    return {
        "revision": each.revision,
        "at": iso(each.at),
        "healthy_at": iso(each.healthy_at),
        "until": iso(each.until),
        "subject": each.subject or None,
    }
