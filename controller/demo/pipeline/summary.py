"""The closing summary of a pipeline's demo, and what to try when it stays.

Invariant: each figure is a difference of two times that were noted when it happened, or a count of what customers saw;
none is taken from what the demo meant to do.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.core.state import Record
from controller.demo.load import Served
from controller.demo.pipeline.gitea import Person
from controller.demo.pipeline.stages import NAME, PRODUCTION, STAGING
from controller.demo.summary import Figure, seconds, share_text


@dataclass(frozen=True, slots=True)
class Forward:
    """How the good version got to production; Unix seconds."""

    pushed: float
    in_dev: float | None
    proposed: float | None
    """When production's pull request was open."""
    approved: float | None
    in_production: float | None
    shown_good: float | None


def figures(way: Forward, bad: Record, served: Served, reached: Served, lasted: float) -> list[Figure]:
    """The figures.

    Args:
        way: how the good version got to production.
        bad: staging's analysis that breached.
        served: what the bad version answered in staging.
        reached: all that production answered, as ``all``, and what the bad version answered there, as ``bad``.
        lasted: seconds that the demo took.
    """
    analysis, rollback = bad.analysis, bad.rollback
    done = rollback.done_at if rollback is not None else None
    return [
        ("tag to dev", seconds(way.pushed, way.in_dev), "from the push of the good tag to Rollguard's commit"),
        (
            "tag to production",
            seconds(way.pushed, way.in_production),
            "through two stages, each judged before the next",
        ),
        ("waited for Lee", seconds(way.proposed, way.approved), "of that, for a person to approve"),
        (
            "shown to be good",
            seconds(way.pushed, way.shown_good),
            "until production was shown to keep its SLO with it",
        ),
        (
            "the bad one found",
            seconds(analysis.started_at, analysis.verdict_at),
            f"from the start of its deployment in {STAGING.name} to the verdict",
        ),
        ("verdict to push", seconds(analysis.verdict_at, done, 2), "until the restore was in Git"),
        ("badly served", f"{served.bad}", f"of {served.all} requests in {STAGING.name} ({share_text(served)})"),
        (
            f"in {PRODUCTION.name}",
            f"{reached.bad}",
            f"of {reached.all:,} requests met the bad version: it never got there",
        ),
        ("the whole demo", f"{lasted:.0f} s", "setting up included"),
    ]


def pull_request_lines(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each pull request in a line."""
    return [
        f"  #{each['number']} {each['title']} ({'merged' if each['merged'] else each['state']})  {each['html_url']}"
        for each in found
    ]


def what_to_try(
    folder: Path,
    command: Sequence[str],
    python: str,
    *,
    gitea: str,
    prometheus: str,
    controller: str,
    people: Iterable[Person],
) -> str:
    """What a person may do with a demo that stays. ``command`` starts Rollguard, ``python`` is the interpreter."""
    rollguard = shlex.join(command)
    ship = shlex.join([python, "-m", "controller.demo.pipeline.shipping", str(folder)])
    logins = "\n".join(f"  {each.login:<10} {each.password:<18} {each.name}" for each in people)
    return f"""\
Ship versions of your own, and watch here what becomes of them (the second is stopped in {STAGING.name}):
  {ship} 1.0.3
  {ship} 1.0.4 --prices-per-second 45

Look at the pull requests, and approve what waits for {PRODUCTION.name} (as lee: dana wrote it, and cannot):
  {gitea}/shop/manifests/pulls
{logins}

Look, and take the wheel, from another terminal:
  export ROLLGUARD_SETTINGS={shlex.quote(str(folder / "rollguard.yaml"))}
  {rollguard} pipelines
  {rollguard} history
  {rollguard} freeze {NAME} --reason lunch
  {rollguard} thaw {NAME}

In a browser:
  {prometheus}/graph?g0.expr=sum%20by%20(service)%20(rate(http_requests_total%7Bcode%3D%22500%22%7D%5B10s%5D))&g0.tab=0&g0.range_input=5m
  http://{controller}/api/v1/rollouts   and   http://{controller}/metrics"""
