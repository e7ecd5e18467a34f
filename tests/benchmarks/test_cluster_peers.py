"""The comparison with other tools in a cluster: how their looks are counted, and what a run without them says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cluster.looks import Look, kept

ROOT = Path(__file__).parents[2]


def looks(*begun: float) -> list[Look]:
    return [(at, at + 1.0) for at in begun]


def test_looks_that_keep_their_schedule_are_all_in_time() -> None:
    """Each begins 15 s after the one before it has ended, which slips a second each time."""
    found = kept([looks(0, 16, 32, 48, 64)], 10, 70, 15)
    assert (found.due, found.begun, found.in_time) == (4, 4, 4)


def test_a_look_more_than_one_interval_late_is_not_in_time() -> None:
    """A look is due 15 s after the end of the one before, and may be late by 15 s; one that never came is missing."""
    found = kept([looks(0, 31), looks(0, 32), looks(0)], 10, 40, 15)
    assert (found.due, found.begun, found.in_time) == (6, 2, 1)


def test_looks_beyond_those_that_are_due_count_for_no_other() -> None:
    """A series that looks too often does not make up for one that does not look."""
    found = kept([looks(0, 5, 10, 15, 20, 25), looks()], 0, 30, 15)
    assert (found.due, found.begun, found.in_time) == (4, 2, 2)


@pytest.mark.parametrize("benchmark", ["cluster_peers", "cluster_scale"])
def test_a_run_without_the_programs_says_what_to_run(benchmark: str, tmp_path: Path) -> None:
    """One sentence, and no trace, where the programs are not built."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark}"],
        cwd=ROOT,
        env=os.environ | {"ROLLGUARD_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "The cluster's part control is not built here: run make cluster-stack.\n"
