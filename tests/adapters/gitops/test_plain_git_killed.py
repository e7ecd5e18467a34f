"""Plain Git when the whole process is killed in the middle of a deployment."""

import json
import subprocess
import sys
from pathlib import Path

from tests.adapters.gitops.parts import alive, wait_until
from tests.adapters.gitops.shop import Shop

CONTROLLER = """
import json, pathlib, sys, threading
from tests.adapters.gitops.shop import Shop

def publish(report):
    with pathlib.Path(sys.argv[2]).open("a") as file:
        file.write(json.dumps([report.phase, report.revision, report.at]) + "\\n")

Shop(pathlib.Path(sys.argv[1])).start(publish)
threading.Event().wait()
"""

HANGING = """echo $$ >> "$TRACES/running"
if test ! -e "$TRACES/go"; then setsid sleep 600 & wait; fi
echo done >> "$TRACES/done\""""
"""Hangs, with a child that has left the process group, until it may go."""


def test_kill_in_the_middle_of_a_deployment(shop: Shop) -> None:
    """Nothing of the command outlives the restart; it runs again, in the same sync with the same start time."""
    revision = shop.commit("v1", HANGING)
    told = shop.root / "told"
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(shop.root), str(told)], cwd=Path(__file__).parents[3]
    ) as controller:
        first = int(shop.wait_for_trace("running"))
        wait_until(lambda: bool(_children(first)), "the command's child")
        orphans = [first, *_children(first)]
        controller.kill()
    assert controller.returncode == -9
    (before,) = (json.loads(line) for line in told.read_text().splitlines())
    (shop.traces / "go").touch()

    shop.start()
    healthy = shop.reports.wait_for("Healthy")[0]
    assert before[:2] == ["Started", revision]
    assert healthy.revision == revision
    wait_until(lambda: not any(alive(process) for process in orphans), "the end of what was left behind")
    assert shop.trace("done") == "done\n"


def _children(process: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found
