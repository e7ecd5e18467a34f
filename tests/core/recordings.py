"""Writes traces for tests, tick by tick, and judges one look by look as the controller does."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.core.evidence import Evidence, Reference
from controller.core.history import ROUNDING
from controller.core.judging import PATIENCE, judge
from controller.core.observation import Failed, Measured, MissingReason, NoData, Observation, Partial, Tick
from controller.core.past import is_judged
from controller.core.policy import PolicySpec
from controller.core.series import control_series, new_series
from controller.core.traces import Trace, TraceVerdict, judge_trace, read_traces
from controller.core.traces.before import reference_of
from controller.core.verdict import Judgement, VerdictKind

AVAILABILITY = {"name": "availability", "target": "99", "indicator": {"ratio": {}}}
INTERVAL = 15


@dataclass
class Written:
    """A trace that is being written; by default 10 requests a second, .1 % bad, an hour before and half an hour after."""

    policy: dict[str, Any] = field(default_factory=lambda: {"objectives": [AVAILABILITY]})
    name: str = "case"
    header: dict[str, Any] = field(default_factory=dict)
    ticks: list[dict[str, Any]] = field(default_factory=list)

    def add(self, share: float, start: float, end: float, total: float = 150, **more: Any) -> "Written":
        """Ticks in (start, end] with such a bad share, spread evenly."""
        interval = float(self.header.get("interval", INTERVAL))
        count = round((end - start) / interval)
        for index in range(count):
            bad = int((index + 1) * share * total + 1e-9) - int(index * share * total + 1e-9)
            at = start + (index + 1) * interval
            tick = {"t": at, "objective": "availability", "bad": bad, "total": total}
            self.ticks.append({**tick, **more})
        return self

    def before(self, share: float = 0.001, hours: float = 1.0, total: float = 150) -> "Written":
        """The time before the sync."""
        return self.add(share, -3600 * hours, 0, total)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """All lines, as objects."""
        return [{"trace": self.name, "policy": self.policy, "interval": INTERVAL, **self.header}, *self.ticks]

    @property
    def lines(self) -> list[bytes]:
        """All lines."""
        return [json.dumps(each).encode() + b"\n" for each in self.objects]

    @property
    def trace(self) -> Trace:
        """What the reader makes of it."""
        return only(read_traces(self.lines))

    @property
    def verdict(self) -> TraceVerdict:
        """The verdict on it."""
        return judge_trace(self.trace)


def only(found: Iterable[Trace]) -> Trace:
    """The one trace that there is."""
    (trace,) = found
    return trace


@dataclass(frozen=True)
class Looked:
    """What looking after every tick came to."""

    verdict: VerdictKind
    decided_at: float | None
    passed_at: float | None
    judgement: Judgement


@dataclass
class Controller:
    """Judges a written trace as the controller would: one tick after the other, one look after each."""

    written: Written
    policy: PolicySpec
    deadline: float
    starts: Sequence[float]

    def run(self) -> Looked:
        """Look until it is decided, or the recording ends."""
        trace = self.written.trace
        ends = sorted({each["t"] for each in self._ticks if 0 < each["t"] <= min(self.deadline, trace.until)})
        evidence = self._evidence(reference_of(trace), 0.0)
        passed, syncs = None, 1
        for at in ends:
            evidence = self._evidence(evidence.reference, at, evidence)
            syncs, passed = (syncs, passed) if len(evidence.starts) == syncs else (len(evidence.starts), None)
            judgement = judge(self.policy, evidence, at)
            if judgement.verdict is VerdictKind.BREACHED:
                return Looked(judgement.verdict, at, passed, judgement)
            passed = at if passed is None and judgement.passed_early else passed
        over = trace.until >= self.deadline
        evidence = self._evidence(evidence.reference, min(self.deadline, trace.until), evidence)
        if len(evidence.starts) != syncs:
            passed = None
        judgement = judge(self.policy, evidence, self.deadline + PATIENCE * INTERVAL if over else trace.until)
        assert (judgement.verdict is not None) == over
        verdict = judgement.verdict or VerdictKind.INCONCLUSIVE
        return Looked(verdict, self.deadline if over else None, passed, judgement)

    @property
    def _ticks(self) -> list[dict[str, Any]]:
        judged = {each.name for each in self.policy.objectives if is_judged(each)}
        return [each for each in self.written.ticks if "control" in each or each["objective"] in judged]

    def _evidence(self, reference: Reference, at: float, known: Evidence | None = None) -> Evidence:
        starts = tuple(each for each in self.starts if each <= at + ROUNDING)
        healthy = self.written.header.get("healthy_at", 0)
        healthy_at = None if healthy is None or healthy > at else max(healthy, starts[-1])
        new = [Tick(at, name, _observation(ticks)) for name, ticks in self._at(at).items()]
        new += [Tick(at, new_series(name), _new(ticks)) for name, ticks in self._at(at).items() if _told_apart(ticks)]
        new += [
            Tick(at, control_series(name), _observation(ticks)) for name, ticks in self._at(at, "control").items()
        ]
        ticks = known.ticks if known is not None else ()
        return Evidence(reference, starts, healthy_at, self.deadline, ticks).with_ticks(new)

    def _at(self, at: float, of: str = "objective") -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for each in self._ticks:
            if of in each and each["t"] == at and at > 0:
                found.setdefault(each[of], []).append(each)
        return found


def _told_apart(ticks: list[dict[str, Any]]) -> bool:
    return any("version" in each for each in ticks)


def _new(ticks: list[dict[str, Any]]) -> Observation:
    """What the ticks of one moment say of the new pods; where only old ones were counted, that there were none."""
    mine = [each for each in ticks if each["version"] == "new"]
    return _observation(mine) if mine else Measured(0.0, 0.0)


def _observation(ticks: list[dict[str, Any]]) -> Observation:
    """What the ticks of one moment say of one objective; those of old and new pods are one."""
    if any("failed" in each for each in ticks):
        return Failed(MissingReason.SERVER_ERROR)
    if "events" in ticks[0]:
        bad, total = float(sum(each["events"] for each in ticks)), 0.0
    else:
        bad, total = (float(sum(each[name] for each in ticks)) for name in ("bad", "total"))
    if any(each.get("partial") for each in ticks):
        return Partial(bad, total, MissingReason.WARNINGS)
    if total == 0 and "events" not in ticks[0]:
        return NoData(MissingReason.NO_TRAFFIC)
    return Measured(bad, total)
