"""Rollguard's way into a large repository against what a script would do (a clone each time), in one run.

Who uses it brings the two ways; here are the rounds, the medians and the table.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.repository import GitRepository
from tests.servers.git import GitRemote, run_git

Steps = dict[str, float]
"""Seconds of each step; ``all`` is their sum."""
WHO = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")


@dataclass(frozen=True)
class Comparison:
    """Two ways of doing the same, and what is wanted of the first."""

    ours: Callable[[GitRemote, GitRepository, int], Steps]
    """Does it in a round; whatever else happens in the repository before is its business too."""
    script: Callable[[GitRemote, Path, int], float]
    """Does it from a clone into the folder; returns seconds."""
    called: str
    """What the first way is called in the table."""
    script_called: str
    seconds: float
    """At most."""
    ratio: float
    """At least, times faster."""


def by_clone(remote: GitRemote, folder: Path, change: Callable[[Path], None]) -> float:
    """Clone, change, push; seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.perf_counter()
    run_git("clone", "-q", remote.url, str(folder))
    change(folder)
    run_git("push", "-q", "origin", "HEAD:main", cwd=folder)
    return time.perf_counter() - begin


def run(description: str | None, make_remote: Callable[[Path, int, int], GitRemote], comparison: Comparison) -> int:
    """Read the arguments, do the rounds and print the figures; 1 where a goal is missed."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--commits", type=int, default=20_000)
    arguments.add_argument("--files", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        remote = make_remote(root / "remote.git", options.commits, options.files)
        repository = GitRepository(remote.url, mirror_root=root / "mirrors")
        begin = time.perf_counter()
        repository.fetch("main")
        first = time.perf_counter() - begin
        ours, theirs = [], []
        for number in range(options.rounds):
            ours.append(comparison.ours(remote, repository, 2 * number))
            theirs.append(comparison.script(remote, root / "clone", 2 * number + 1))
    print(f"{options.commits} commits, {options.files} files, median of {options.rounds} rounds")
    print(f"  {'first fetch into the mirror':28} {first:7.3f} s (once)")
    return report(comparison, ours, theirs)


def report(comparison: Comparison, ours: Sequence[Steps], theirs: Sequence[float]) -> int:
    """Medians, and whether the goals are met."""
    median = {step: statistics.median(each[step] for each in ours) for step in ours[0]}
    script, slowest = statistics.median(theirs), max(each["all"] for each in ours)
    ratio = script / median["all"]
    steps = ", ".join(f"{step} {seconds:.3f}" for step, seconds in median.items() if step != "all")
    print(f"  {comparison.called:28} {median['all']:7.3f} s ({steps}); slowest {slowest:.3f} s")
    print(f"  {comparison.script_called:28} {script:7.3f} s")
    print(f"  {'ratio':28} {ratio:7.1f}")
    met = median["all"] <= comparison.seconds and ratio >= comparison.ratio
    print(f"  goals: ≤ {comparison.seconds} s and ≥ {comparison.ratio:.0f}×: {'met' if met else 'MISSED'}")
    return 0 if met else 1
