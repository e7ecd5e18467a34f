"""Past deployments, and which of them the controller would have judged together.

Invariant: a chain is what the controller would have made of it: a later deployment joins while the window is open, none
joins once four windows are over, and a chain that is too long leaves its young ones to the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller.core.analysis import CHAIN_WINDOWS
from controller.core.policy import PolicySpec
from controller.core.traces.header import Header
from controller.core.traces.replay import Schedule


@dataclass(frozen=True, slots=True)
class Deployment:
    """A revision that went live; times are Unix seconds."""

    revision: str
    at: float
    """When its sync began."""
    healthy_at: float | None
    """When it became healthy; None: never."""
    until: float | None = None
    """When it was taken back; None: it was not, or nobody has said so."""
    subject: str = ""
    """What its commit says."""


def in_order(deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
    """Oldest first; of several that began at one moment only the last went live."""
    latest = {each.at: each for each in deployments}
    return tuple(latest[at] for at in sorted(latest))


@dataclass(frozen=True, slots=True)
class PastChain:
    """Deployments that are judged together; times are Unix seconds."""

    policy: PolicySpec
    deployments: tuple[Deployment, ...]
    deadline: float
    """When the newest one's window ends, or the chain is cut."""
    next_at: float | None
    """When the next deployment begins that is not one of them."""

    @property
    def start(self) -> float:
        """The start of the first sync: what was before counts as before."""
        return self.deployments[0].at

    @property
    def newest(self) -> Deployment:
        """The newest of them."""
        return self.deployments[-1]

    def recorded_until(self, now: float) -> float:
        """The end of what belongs to the chain: its deadline, when it was taken back, or now."""
        taken_back = self.deadline if self.newest.until is None else self.newest.until
        return max(self.start, min(self.deadline, taken_back, now))

    def header(self, interval: float, until: float) -> Header:
        """The chain as the header of a trace: its times count from its start."""
        return _header(self.policy, self.deployments, interval, until - self.start)


def first_chain(policy: PolicySpec, waiting: Sequence[Deployment]) -> PastChain:
    """The chain that the first of these deployments begins.

    Args:
        policy: the policy that judges.
        waiting: deployments in order, at least one.
    """
    joined = [waiting[0]]
    for each in waiting[1:]:
        if each.at >= _open_until(policy, joined):
            break
        joined.append(each)
    schedule = Schedule.of(_header(policy, joined, 0.0, None))
    judged = tuple(joined[: len(schedule.starts)])
    left = waiting[len(judged) :]
    return PastChain(policy, judged, judged[0].at + schedule.deadline, left[0].at if left else None)


def _open_until(policy: PolicySpec, joined: Sequence[Deployment]) -> float:
    """Until when a later deployment joins these."""
    newest, window = joined[-1], policy.analysis.window
    began = newest.at + policy.on_unhealthy.deadline if newest.healthy_at is None else newest.healthy_at
    ends = [began + window, joined[0].at + CHAIN_WINDOWS * window]
    return min(ends if newest.until is None else [*ends, newest.until])


def _header(policy: PolicySpec, chain: Sequence[Deployment], interval: float, until: float | None) -> Header:
    start, newest = chain[0].at, chain[-1]
    return Header(
        line=0,
        name=newest.revision,
        policy=policy,
        interval=interval,
        syncs=tuple(each.at - start for each in chain),
        healthy_at=None if newest.healthy_at is None else newest.healthy_at - start,
        until=until,
    )
