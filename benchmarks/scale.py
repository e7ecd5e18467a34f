"""Five hundred applications analysed at once, every 15 seconds, by one controller process.

One real Git repository with a directory for each application, one real Prometheus that scrapes each service by itself,
the real controller in a process of its own with its SQLite file. All applications are deployed at once; it is watched
from outside until every reference is measured, and then for some minutes. Goals: no look is later than one interval,
less than 0.3 of a core while all are watched, less than 250 MB of memory at any time.

Run: ``python -m benchmarks.scale`` (``--minutes 5``, ``--applications 500``, ``--policies each|selector``).
"""

import argparse
import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.fleet import INTERVAL, Fleet
from benchmarks.installation import Installation, Sample
from tests.servers.prometheus import PrometheusServer

GOAL_LATE = float(INTERVAL)
GOAL_CORES = 0.3
GOAL_MEMORY = 250.0
SCRAPED_FIRST = 20.0
"""Seconds after which every service has been scraped once."""


def until(happened: Callable[[], object], what: str, seconds: float, pause: float) -> float:
    """Wait for something outside; returns the seconds that it took."""
    begun = time.monotonic()
    while not happened():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return time.monotonic() - begun


def lateness(before: Sample, after: Sample, share: float) -> float:
    """The bound below which this share of the looks in between was late; infinite beyond the largest."""
    looks = after.looks - before.looks
    return min(
        (bound for bound in after.late if after.late[bound] - before.late[bound] >= share * looks), default=math.inf
    )


def watched(guarded: Installation, minutes: float) -> tuple[Sample, Sample, Sample, float]:
    """Deploy to all at once; samples before, when all are watched, and after; and how long the references took."""
    guarded.deploy("one")
    adoption = until(guarded.adopted, "adoption", 600, 2.0)
    print(f"  a first version of every application adopted after {adoption:.0f} s", flush=True)
    begun = guarded.sample()
    guarded.deploy("two")
    references = until(lambda: guarded.measured() == len(guarded.names), "references", 1800, 2.0)
    print(f"  every reference measured after {references:.0f} s", flush=True)
    time.sleep(2 * INTERVAL)
    steady = guarded.sample()
    rounds = round(minutes * 60 / INTERVAL)
    time.sleep(max(0.0, steady.at + rounds * INTERVAL - time.monotonic()))
    return begun, steady, guarded.sample(), references


def report(guarded: Installation, begun: Sample, steady: Sample, ended: Sample, references: float) -> int:
    """Print the table; 1 where a goal is missed."""
    applications = len(guarded.names)
    rounds = round((ended.at - steady.at) / INTERVAL)
    cores = (ended.cpu - steady.cpu) / (ended.at - steady.at)
    looks = ended.looks - steady.looks
    late, late_first = lateness(steady, ended, 1.0), lateness(begun, steady, 1.0)
    memory = guarded.memory()
    goals = {
        "latest look, all watched [s]": (f"≤ {GOAL_LATE:g}", f"≤ {late:g}", late <= GOAL_LATE),
        "latest look, while references are measured [s]": (
            f"≤ {GOAL_LATE:g}",
            f"≤ {late_first:g}",
            late_first <= GOAL_LATE,
        ),
        "looks": (f"≥ {applications * (rounds - 1)}", f"{looks:.0f}", looks >= applications * (rounds - 1)),
        "queries without an answer": ("0", f"{ended.failures:.0f}", ended.failures == 0),
        "cores": (f"< {GOAL_CORES}", f"{cores:.3f}", cores < GOAL_CORES),
        "memory at its most [MB]": (f"< {GOAL_MEMORY:g}", f"{memory:.0f}", memory < GOAL_MEMORY),
    }
    print(f"{applications} applications, two objectives each, {rounds} rounds of {INTERVAL} s")
    print(f"  {'':48} {'goal':>10} {'measured':>10}")
    for what, (goal, found, met) in goals.items():
        print(f"  {what:48} {goal:>10} {found:>10} {'' if met else 'MISSED'}")
    others = {
        "99 % of the looks, all watched [s]": f"≤ {lateness(steady, ended, 0.99):g}",
        "CPU of one look [ms]": f"{1000 * (ended.cpu - steady.cpu) / looks:.2f}",
        "queries of one round": f"{(ended.queries - steady.queries) / rounds:.1f}",
        "until every reference is measured [s]": f"{references:.0f}",
        "CPU of one reference, looks beside included [ms]": f"{1000 * (steady.cpu - begun.cpu) / applications:.0f}",
        "queries of one reference, looks beside included": f"{(steady.queries - begun.queries) / applications:.1f}",
        "memory at the end [MB]": f"{guarded.resident():.0f}",
    }
    for what, found in others.items():
        print(f"  {what:48} {'':>10} {found:>10}")
    missed = [what for what, (_, _, met) in goals.items() if not met]
    print(f"  goals: {'missed: ' + ', '.join(missed) if missed else 'met'}")
    return 1 if missed else 0


def main() -> int:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--applications", type=int, default=500)
    arguments.add_argument("--minutes", type=float, default=5.0)
    arguments.add_argument("--hours", type=float, default=7.0, help="of history before the deployment")
    arguments.add_argument("--policies", choices=("each", "selector"), default="each")
    arguments.add_argument("--keep", type=Path, help="a folder for all files, which are left there")
    options = arguments.parse_args()
    names = [f"app-{number:03}" for number in range(options.applications)]
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        prometheus = stack.enter_context(PrometheusServer(folder, scrape_interval=f"{INTERVAL}s"))
        fleet = Fleet(names)
        stack.callback(fleet.close)
        begun = time.monotonic()
        fleet.push_history(prometheus, options.hours)
        prometheus.set_targets(fleet.targets())
        print(f"  {options.hours:g} h of history stored in {time.monotonic() - begun:.0f} s", flush=True)
        time.sleep(SCRAPED_FIRST)
        guarded = Installation(folder, prometheus, names, by_selector=options.policies == "selector")
        with guarded.controller():
            started = until(guarded.ready, "start", 120, 0.2)
            print(f"  ready after {started:.1f} s, with {guarded.resident():.0f} MB", flush=True)
            return report(guarded, *watched(guarded, options.minutes))


if __name__ == "__main__":
    sys.exit(main())
