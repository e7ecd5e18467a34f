"""The closing summary, and what to try when the demo stays.

Invariant: each figure is a difference of two times that were noted when it happened, or a count of what customers saw;
none is taken from what the demo meant to do.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from controller.core.state import Record
from controller.demo.load import Served
from controller.demo.manifest import APPLICATION, PATH

Figure = tuple[str, str, str]
"""Name, figure, meaning."""


def figures(bad: Record, recovery: Record, served: Served, back: float | None, lasted: float) -> list[Figure]:
    """The figures of one rollback.

    Args:
        bad: the analysis of the deployment that breached.
        recovery: the analysis of the restore.
        served: what the bad version has served.
        back: the first good answer of the restored version, Unix seconds.
        lasted: seconds that the demo took.
    """
    begun, verdict_at, rollback = bad.analysis.started_at, bad.analysis.verdict_at, bad.rollback
    pushed_at = rollback.done_at if rollback is not None else None
    recovered_at = recovery.analysis.verdict_at
    return [
        ("time to detect", seconds(begun, verdict_at), "from the start of the bad deployment to the verdict"),
        (
            "badly served",
            f"{served.bad}",
            f"of {served.all} requests that the bad version answered ({share_text(served)})",
        ),
        ("verdict to push", seconds(verdict_at, pushed_at, 2), "until the revert was in Git"),
        ("time to restore", seconds(begun, back), "until a customer was well served again"),
        ("time to recovery", seconds(begun, recovered_at), "until it was shown that the service is well again"),
        ("the whole demo", f"{lasted:.0f} s", "everything above is counted from the start of the bad deployment"),
    ]


def seconds(since: float | None, until: float | None, digits: int = 1) -> str:
    """The time between two moments; a dash where one is missing."""
    return "–" if since is None or until is None else f"{until - since:.{digits}f} s"


def share_text(served: Served) -> str:
    """The bad share, for people."""
    return f"{100 * served.share:.1f} %"


def what_to_try(folder: Path, command: Sequence[str], *, prometheus: str, controller: str, shop: str) -> str:
    """What a person may do with a demo that stays. ``command`` starts Rollguard."""
    rollguard = shlex.join(command)
    return f"""\
Break it yourself, and watch here what becomes of it:
  cd {shlex.quote(str(folder / "manifests"))} && git pull -q
  sed -i -e 's/shop:[0-9.]*/shop:1.3.0/' -e '/ERROR_SHARE/s/"[0-9.]*"/"0.2"/' {PATH}
  git commit -qam "Try something" && git push -q

Look, from another terminal:
  export ROLLGUARD_SETTINGS={shlex.quote(str(folder / "rollguard.yaml"))}
  {rollguard} status
  {rollguard} history
  {rollguard} explain {APPLICATION}

Take the wheel:
  {rollguard} pause {APPLICATION} --for 10m --reason lunch
  {rollguard} resume {APPLICATION}
  {rollguard} rollback {APPLICATION}

In a browser:
  {prometheus}/graph?g0.expr=sum%20by%20(code)%20(rate(http_requests_total%5B10s%5D))&g0.tab=0&g0.range_input=5m
  http://{controller}/api/v1/rollouts   and   http://{controller}/metrics
  http://{shop}/metrics"""
