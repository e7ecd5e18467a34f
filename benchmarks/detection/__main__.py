"""Makes the scoreboard: ``python -m benchmarks.detection [--runs N] [--families NAME …] [--jobs 1] [--reduced]``.

All families are drawn, judged and scored, and docs/scoreboard.md is written with its plots. ``--reduced`` and
``--families`` print the goals instead, and write nothing.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.detection.coverage import PATHS, coverage
from benchmarks.detection.families import FAMILIES
from benchmarks.detection.goals import goals
from benchmarks.detection.outcomes import simulate_all
from benchmarks.detection.report import delays, page, served
from benchmarks.detection.runs import Family, Kind
from benchmarks.detection.score import Figures, summary
from benchmarks.detection.words import DIRECTORY

DOCS = Path(__file__).parents[2] / "docs"
RUNS, SEED = 20_000, 1
REDUCED = 1_000
PARTS = {kind: 1 if kind in (Kind.FINE, Kind.UNSTABLE) else 4 for kind in Kind}
"""A family of this kind is run one time in so many."""
ALONE_PART = 5
"""One that is judged one by one, once in so many of these."""
SAID = {True: "met   ", False: "MISSED", None: "open  "}


def wanted(families: tuple[Family, ...], runs: int) -> dict[str, int]:
    """How many deployments of each family."""
    parts = {family.name: PARTS[family.kind] * (ALONE_PART if family.alone else 1) for family in families}
    return {name: max(runs // part, 1) for name, part in parts.items()}


def scoreboard(families: tuple[Family, ...], runs: int, seed: int = SEED, jobs: int = 1, paths: int = 0) -> Figures:
    """All figures; ``paths``: of each leg at its null hypothesis."""
    found = []
    for outcome in simulate_all(wanted(families, runs), seed, jobs):
        print(f"{outcome.family}: {outcome.runs}", file=sys.stderr, flush=True)
        found.append(outcome)
    return summary(found, seed, coverage(paths, seed, jobs) if paths else ())


def write(figures: Figures) -> None:
    """The page, its plots and its figures."""
    beside = DOCS / DIRECTORY
    beside.mkdir(exist_ok=True)
    (beside / "figures.json").write_text(json.dumps(_rounded(figures), separators=(",", ":")) + "\n")
    (beside / "delay.svg").write_text(delays(figures))
    (beside / "served.svg").write_text(served(figures))
    (DOCS / "scoreboard.md").write_text(page(figures))


def _rounded(value: object) -> object:
    """Six digits are enough."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main() -> None:
    names = {family.name: family for family in FAMILIES}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description="Makes the scoreboard.")
    parser.add_argument("--runs", type=int, default=None, help=f"deployments of each fine family, {RUNS} by default")
    parser.add_argument("--families", nargs="+", choices=names, metavar="NAME", help="only these")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--reduced", action="store_true", help=f"{REDUCED} runs, and print the goals only")
    parser.add_argument("--again", action="store_true", help="write the page from figures.json, without a run")
    given = parser.parse_args()
    if given.again:
        write(json.loads((DOCS / DIRECTORY / "figures.json").read_text()))
        return
    begun = time.monotonic()
    families = tuple(names[each] for each in given.families) if given.families else FAMILIES
    runs = given.runs or (REDUCED if given.reduced else RUNS)
    paths = 0 if given.families else PATHS * runs // RUNS
    figures = scoreboard(families, runs, jobs=given.jobs, paths=paths)
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    if given.families or given.reduced:
        for line in goals(figures):
            print(f"{SAID[line.met]} {line.family.name}: {line.what}: {line.measured} ({line.goal})")
    else:
        write(figures)


if __name__ == "__main__":
    main()
