"""What every source of syncs keeps to, whoever deploys."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.adapters.gitops.reported import ReportedDeployments
from controller.core.application import ApplicationKey
from controller.ports.gitops import SyncPhase, SyncReport, SyncSource
from tests.adapters.gitops.shop import DEPLOY, KEY, Shop


@dataclass
class Case:
    """A source, what it has reported, and how a new version is brought to where it looks."""

    source: SyncSource
    reports: Callable[[], list[SyncReport]]
    release: Callable[[str], str]
    """Commits a version; returns its revision."""
    settled: Callable[[], None]
    """Waits until the source has seen to what was released."""
    publish: Callable[[SyncReport], None]
    deploys: bool


@pytest.fixture(params=["plain git", "reported"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """Each source in turn, over a real repository."""
    shop = Shop(tmp_path)
    shop.commit("v0", DEPLOY)
    deploys = request.param == "plain git"
    source: SyncSource = shop.reconciler(interval=3600) if deploys else ReportedDeployments()

    def settled() -> None:
        if deploys:
            shop.reports.wait_for_end_of(shop.git("rev-parse", "HEAD"))

    yield Case(source, lambda: shop.reports.all, shop.commit, settled, shop.reports, deploys)
    source.stop()


def test_reports_are_complete_and_in_order(case: Case) -> None:
    """Each report names the application, a whole revision and its content; Started comes before the end."""
    case.source.start(case.publish)
    case.settled()
    revision = case.release("v1")
    case.source.refresh(KEY)
    case.settled()
    reports = case.reports()
    assert [report.phase for report in reports] == (
        [SyncPhase.STARTED, SyncPhase.HEALTHY] * 2 if case.deploys else []
    )
    assert {report.application for report in reports} <= {KEY}
    assert all(len(report.revision) == 40 and report.content is not None for report in reports)
    assert [report.at for report in reports] == sorted(report.at for report in reports)
    assert not case.deploys or reports[-1].revision == revision


def test_nothing_is_published_after_the_stop(case: Case) -> None:
    """Once ``stop`` has returned no report comes any more, whatever is committed or asked."""
    case.source.start(case.publish)
    case.settled()
    before = list(case.reports())
    case.source.stop()
    case.release("v1")
    case.source.refresh(KEY)
    assert case.reports() == before


def test_refresh_is_harmless_at_any_time(case: Case) -> None:
    """Before the start, after the stop, and for an application that is not known, a refresh changes nothing."""
    case.source.refresh(KEY)
    case.source.refresh(ApplicationKey("nowhere", "nothing"))
    case.source.start(case.publish)
    case.source.refresh(ApplicationKey("nowhere", "nothing"))
    case.settled()
    case.source.stop()
    case.source.refresh(KEY)
    assert len(case.reports()) == (2 if case.deploys else 0)


def test_stop_may_come_without_a_start_and_twice(case: Case) -> None:
    """Stopping what was never started, or is stopped already, is no error."""
    case.source.stop()
    case.source.stop()
    assert case.reports() == []
