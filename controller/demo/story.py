"""The story: what is done in which order, and what is waited for."""

import time

from controller.core.state import AnalysisKind, Record
from controller.core.verdict import VerdictKind
from controller.demo.gauge import Gauges
from controller.demo.load import RATE
from controller.demo.manifest import PATH, Behaviour
from controller.demo.narrator import Mark, Narrator
from controller.demo.processes import DemoError, tail
from controller.demo.repository import DEVELOPER
from controller.demo.screen import Screen
from controller.demo.site import Site
from controller.demo.summary import figures
from controller.demo.telling import Telling
from controller.demo.watching import Live

FIRST = Behaviour("1.0.0", 0.001, 0.001)
HEALTHY = Behaviour("1.1.0", 0.001, 0.001)
BAD = Behaviour("1.2.0", 0.05, 0.06)

BEFORE_SECONDS = 15.0
"""Ordinary traffic before the first deployment that is judged."""
THRESHOLD = 6.96
"""ln of 1/(0.95 · falseRollbackRate), at the policy's default of 0.001."""


class Story(Telling):
    """Tells it on a screen, at a site."""

    def __init__(self, site: Site, screen: Screen, prometheus: str) -> None:
        """``prometheus`` is the program."""
        super().__init__(site, screen)
        self._site = site
        self._prometheus = prometheus
        self._narrator = Narrator(self._begin, self._version, site.tally)
        self._gauges = Gauges(site.tally)
        self._live = Live("", None, None)
        self._records: list[Record] = []

    def tell(self) -> None:
        """All of it, up to the summary."""
        self._set_up()
        self._before()
        self._healthy()
        self._bad()
        self._sum_up()

    def _set_up(self) -> None:
        site = self._site
        self._screen.heading("Setting up")
        site.make_repository(FIRST)
        self._line(
            Mark.SETUP,
            f"Git: a remote, {site.shared.remote}, and a developer's clone of it; shop {FIRST.version} is committed",
        )
        site.start_shop()
        self._line(Mark.SETUP, f"shop: http://{site.shop_address}/checkout; it behaves as its deployed manifest says")
        site.start_prometheus(self._prometheus)
        self._line(Mark.SETUP, f"Prometheus: {site.prometheus.url}, scraping every second ({self._prometheus})")
        site.write_files()
        self._screen.file("policies/checkout.yaml", (site.policies / "checkout.yaml").read_text(), "yaml")
        self._screen.file("rollguard.yaml", site.settings_file.read_text(), "yaml")
        site.start_controller()
        run = f"rollguard run --settings {site.settings_file.name} --policies {site.policies.name}"
        self._line(Mark.SETUP, f"controller: {run}; http://{site.controller_address}, log in controller.log")

    def _before(self) -> None:
        self._screen.heading(f"Before: {BEFORE_SECONDS:.0f} s of ordinary days, to know what is usual here")
        self._watch("for the first version to be deployed", self._adopted)
        self._line(Mark.DEPLOYED, f"{FIRST.version} is live: the first that Rollguard sees, so it counts as good")
        self._site.start_load()
        self._line(Mark.SETUP, f"customers come: {RATE:.0f} requests a second on average")
        self._pass_time(
            f"for {BEFORE_SECONDS:.0f} s to pass, so that there is a before to compare with", BEFORE_SECONDS
        )
        if self._site.tally.served(FIRST.version).all == 0:
            raise DemoError(f"the shop answers nobody. The end of its log:\n{tail(self._site.folder / 'shop.log')}")

    def _healthy(self) -> None:
        self._screen.heading("A healthy version")
        revision = self._commit(HEALTHY, "Ship 1.1.0: gift cards")
        self._watch(
            "for the window to end: nothing is called good before", lambda: self._verdict(revision) is not None
        )
        if (verdict := self._verdict(revision)) is not VerdictKind.HEALTHY:
            raise DemoError(
                f"the healthy version was judged {verdict}: this machine is probably too busy just now to answer "
                f"{RATE:.0f} requests a second in time; try again"
            )

    def _bad(self) -> None:
        self._screen.heading("A bad version")
        revision = self._commit(BAD, "Ship 1.2.0: faster prices")
        self._watch(
            f"for evidence: a rollback needs ln E {THRESHOLD:.1f}, one false in a thousand",
            lambda: self._verdict(revision) is not None,
        )
        if (verdict := self._verdict(revision)) is not VerdictKind.BREACHED:
            raise DemoError(f"the bad version was judged {verdict}, which the demo did not expect; try again")
        self._watch("for the restore to be deployed, and to be seen to help", lambda: self._recovery() is not None)

    def _sum_up(self) -> None:
        bad, recovery = self._broken(), self._recovery()
        if bad is None or recovery is None:
            raise DemoError("the history lacks what just happened")
        self._screen.still()
        self._screen.heading("What it came to")
        tally = self._site.tally
        back = tally.good_since(HEALTHY.version)
        rows = figures(bad, recovery, tally.served(BAD.version), back, time.time() - self._begin)
        self._screen.figures(rows)
        if bad.rollback is not None and bad.rollback.revision is not None:
            revision = bad.rollback.revision
            self._screen.heading("The revert, as it is in Git")
            self._screen.file(f"git show {revision[:7]}", self._site.shared.show(revision), "diff")

    def _commit(self, wanted: Behaviour, message: str) -> str:
        revision = self._site.shared.deploy(wanted, message)
        self._line(Mark.COMMIT, f"{DEVELOPER} pushes {revision[:7]} “{message}” ({PATH}):")
        self._screen.changes(self._site.shared.changes(revision))
        return revision

    def _look(self, waiting: str) -> None:
        site = self._site
        site.check()
        self._live, self._records = site.watching.live() or self._live, site.watching.records() or self._records
        for line in self._narrator.notice(self._records, self._live, site.phone.read()):
            self._screen.line(line)
        if self._screen.moves:
            self._screen.show(
                self._gauges.block(self._live, self._judged(), waiting, time.time(), self._screen.block_width)
            )
        else:
            self._tell_evidence(self._live.analysis, site.tally.served(self._judged()))

    def _judged(self) -> str:
        """The version that is judged, else the last good one."""
        live = self._live
        revision = live.analysis.revision if live.analysis is not None else live.good
        return self._version(revision) if revision else ""

    def _version(self, revision: str) -> str:
        return self._site.shared.version(revision)

    def _adopted(self) -> bool:
        return self._live.good is not None

    def _verdict(self, revision: str) -> VerdictKind | None:
        return next(
            (each.analysis.verdict for each in self._records if each.analysis.newest.revision == revision), None
        )

    def _broken(self) -> Record | None:
        return next((each for each in self._records if each.analysis.verdict is VerdictKind.BREACHED), None)

    def _recovery(self) -> Record | None:
        return next(
            (
                each
                for each in self._records
                if each.analysis.kind is AnalysisKind.RECOVERY and each.analysis.recovery is not None
            ),
            None,
        )
