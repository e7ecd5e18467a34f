"""The story of a pipeline: a good version goes through all stages, a bad one is stopped in the second."""

import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial

from controller.core.promotion.progress import Passage, Phase, Place, Progress
from controller.core.state import AnalysisKind, Record
from controller.core.verdict import VerdictKind
from controller.demo.load import Served
from controller.demo.narrator import Line, Mark, Narrator
from controller.demo.pipeline.board import Row, board
from controller.demo.pipeline.moves import PEOPLES, Moves
from controller.demo.pipeline.people import CHECK
from controller.demo.pipeline.shipping import Shipped
from controller.demo.pipeline.site import Environment, PipelineSite
from controller.demo.pipeline.stages import DEV, IMAGE, NAME, PIPELINE, PRODUCTION, STAGES, STAGING, Stage
from controller.demo.pipeline.summary import Forward, figures, pull_request_lines
from controller.demo.processes import DemoError, clean_environment
from controller.demo.repository import show
from controller.demo.screen import Screen
from controller.demo.telling import Telling
from controller.demo.watching import Live

FIRST, GOOD, BAD = "1.0.0", "1.0.1", "1.0.2"
PRICES_PER_SECOND = 45.0
"""What the bad version can answer: more than dev asks, less than staging does."""
BEFORE_SECONDS = 10.0
"""Ordinary traffic before the first version moves."""
READING_SECONDS = 2.0
"""As long as Lee reads a pull request."""
_NOTHING = Live("", None, None)


@dataclass(slots=True)
class _Seen:
    """What was seen at the newest look."""

    lives: dict[str, Live]
    records: list[Record]
    progress: Progress


class PipelineStory(Telling):
    """Tells it on a screen, at a site."""

    def __init__(self, site: PipelineSite, screen: Screen) -> None:
        super().__init__(site, screen)
        self._site = site
        self._seen = _Seen({}, [], Progress(PIPELINE))
        self._narrators: dict[Stage, Narrator] = {}
        self._pushed: dict[str, float] = {}
        self._moves = Moves(self._begin, self._pushed)
        self._checked: set[str] = set()
        self._approved_at: float | None = None

    def tell(self) -> None:
        """All of it, up to the summary."""
        self._set_up()
        self._before()
        self._good()
        self._bad()
        self._sum_up()

    def _set_up(self) -> None:
        site = self._site
        self._screen.heading("Setting up")
        site.start_registry()
        self._line(Mark.SETUP, f"registry: http://{site.registry.address}/v2/; it tells Rollguard what is pushed")
        site.start_gitea()
        self._line(Mark.SETUP, f"Gitea: {site.gitea.url}; dana, lee, ci and rollguard have accounts there")
        site.make_repositories(FIRST)
        said = f"shop/manifests says what each stage runs ({FIRST}), images are built from shop/checkout"
        self._line(Mark.SETUP, f"Git, in Gitea: {said}")
        site.start_shops()
        shops = ", ".join(f"{each.stage.name} http://{each.address}/checkout" for each in site.environments)
        self._line(Mark.SETUP, f"shops: {shops}; each does what the image does that its values name")
        site.start_prometheus()
        self._line(Mark.SETUP, f"Prometheus: {site.prometheus.url}, scraping every second")
        site.write_files()
        for name in ("pipeline.yaml", "slo.yaml"):
            self._screen.file(f"policies/{name}", (site.policies / name).read_text(), "yaml")
        self._screen.file("rollguard.yaml", site.settings_file.read_text(), "yaml")
        site.start_controller()
        run = f"rollguard run --settings {site.settings_file.name} --policies {site.policies.name}"
        self._line(Mark.SETUP, f"controller: {run}; http://{site.controller_address}, log in controller.log")
        self._narrators = {
            each.stage: Narrator(self._begin, partial(site.version, each.stage), each.tally)
            for each in site.environments
        }

    def _before(self) -> None:
        self._screen.heading(f"Before: {BEFORE_SECONDS:.0f} s of ordinary days, to know what is usual here")
        self._watch("for the first version to be deployed everywhere", self._adopted)
        self._line(
            Mark.DEPLOYED, f"{FIRST} is live in every stage: the first that Rollguard sees, so it counts as good"
        )
        self._site.start_load()
        rates = ", ".join(f"{each.rate:.0f} a second in {each.name}" for each in STAGES)
        self._line(Mark.SETUP, f"requests come: {rates}")
        waiting = f"for {BEFORE_SECONDS:.0f} s to pass, so that there is a before to compare with"
        self._pass_time(waiting, BEFORE_SECONDS)
        for each in self._site.environments:
            if each.tally.served(FIRST).all == 0:
                raise DemoError(f"the shop of {each.stage.name} answers nobody: see {each.stage.application}.log")

    def _good(self) -> None:
        self._screen.heading("A good version goes all the way")
        self._ship(GOOD, "Gift cards")
        self._watch("for dev to show that it keeps its SLO with it", self._is(DEV, GOOD, Phase.PASSED))
        self._watch("for staging to show the same", self._is(STAGING, GOOD, Phase.PASSED))
        self._watch("for a pull request that Lee has to approve", lambda: self._waits_for_people(PRODUCTION))
        self._approve(PRODUCTION)
        self._watch("for production to show that it keeps its SLO", self._is(PRODUCTION, GOOD, Phase.PASSED))
        self._watch("for the end of production's watch", lambda: self._verdict(PRODUCTION, GOOD))
        if (verdict := self._verdict(PRODUCTION, GOOD)) is not VerdictKind.HEALTHY:
            raise DemoError(f"the good version was judged {verdict} in production{_BUSY}")

    def _bad(self) -> None:
        self._screen.heading("A bad version, whose fault dev cannot show")
        self._ship(BAD, "Fresher prices", PRICES_PER_SECOND)
        asked = f"dev asks for {DEV.rate:.0f}, staging for {STAGING.rate:.0f}"
        known = f"it looks up each price anew, which it can do {PRICES_PER_SECOND:.0f} times a second; {asked}"
        self._line(Mark.NOTE, f"what nobody has noticed yet: {known}")
        self._watch("for dev to be judged", self._is(DEV, BAD, Phase.PASSED))
        self._watch("for staging to be judged", lambda: self._reached(STAGING, BAD, Phase.STOPPED))
        self._watch("for the restore of staging to be deployed, and to be seen to help", self._recovery)

    def _sum_up(self) -> None:
        bad = self._record(STAGING, BAD)
        if bad is None:
            raise DemoError("the history lacks what just happened")
        self._screen.still()
        self._screen.heading("What it came to")
        self._screen.figures(
            figures(self._forward(), bad, self._tally(STAGING, BAD), self._in_production(), time.time() - self._begin)
        )
        self._screen.heading("Where everything is: rollguard pipelines")
        self._screen.say(self._pipelines())
        runs = ", ".join(f"{stage.name} {self._runs(stage)}" for stage in STAGES)
        self._screen.say(f"  what runs now: {runs}")
        self._screen.heading("The pull requests in Gitea")
        self._screen.say("\n".join(pull_request_lines(self._site.people.pull_requests())))
        self._screen.heading("What happened, as Git has it (main of shop/manifests, newest first)")
        self._screen.say("\n".join(f"  {each}" for each in self._site.history()))
        if bad.rollback is not None and bad.rollback.revision is not None:
            revision = bad.rollback.revision
            self._screen.file(f"git show {revision[:7]}", show(revision, self._site.manifests.folder), "diff")

    def _forward(self) -> Forward:
        key = (PRODUCTION.name, GOOD)
        passage = self._passage_of(PRODUCTION, GOOD)
        return Forward(
            pushed=self._pushed[GOOD],
            in_dev=self._moves.landed.get((DEV.name, GOOD)),
            proposed=self._moves.proposed.get(key),
            approved=self._approved_at,
            in_production=self._moves.landed.get(key),
            shown_good=passage.passed_at if passage is not None else None,
        )

    def _in_production(self) -> Served:
        """All that production answered, and what the bad version answered there."""
        tally = self._environment(PRODUCTION).tally
        return Served(tally.served().all, tally.served(BAD).all)

    def _pipelines(self) -> str:
        argv = [sys.executable, "-m", "controller", "pipelines", NAME, "--settings", str(self._site.settings_file)]
        done = subprocess.run(argv, env=clean_environment(COLUMNS="118"), capture_output=True, text=True, check=False)
        return "\n".join(f"  {line}" for line in (done.stdout or done.stderr).rstrip().splitlines())

    def _ship(self, version: str, message: str, prices_per_second: float | None = None) -> Shipped:
        shipped = self._site.ship(version, f"{message}: ship {version}", prices_per_second)
        self._pushed[version] = shipped.at
        who, commit = self._site.people.dana.name, shipped.revision[:7]
        self._line(Mark.PUSHED, f"{who} commits {commit} “{message}”, and its image is pushed: {IMAGE}:v{version}")
        return shipped

    def _approve(self, stage: Stage) -> None:
        passage = self._passage(stage)
        number = passage.pull_number if passage is not None else None
        if number is None:
            raise DemoError("there is no pull request that could be approved")
        self._pass_time("for Lee, who reads the pull request", READING_SECONDS)
        words = "It did well in staging. Go on."
        self._site.people.approve(number, words)
        self._approved_at = time.time()
        self._line(Mark.APPROVED, f"{self._site.people.lee.name} approves pull request {number} in Gitea: “{words}”")

    def _look(self, waiting: str) -> None:
        site, seen = self._site, self._seen
        site.check()
        progress = site.watching.progress(PIPELINE)
        if not progress.places:
            progress = seen.progress  # the store was busy
        self._seen = seen = _Seen(
            site.watching.lives() or seen.lives, site.watching.records() or seen.records, progress
        )
        for line in sorted(self._news(), key=lambda each: each.at):
            self._screen.line(line)
        self._integrate()
        if self._screen.moves:
            self._screen.show(
                board([self._row(each) for each in site.environments], waiting, self._screen.block_width)
            )
        else:
            self._tell_rising_evidence()

    def _news(self) -> list[Line]:
        found = self._moves.notice(self._seen.progress, time.time())
        for stage, narrator in self._narrators.items():
            records = [each for each in self._seen.records if each.application.key.name == stage.application]
            lines = narrator.notice(records, self._seen.lives.get(stage.application, _NOTHING), ())
            found += self._merged(stage, lines)
            found += [replace(each, text=f"{stage.name}: {each.text}") for each in lines]
        return found + self._narrators[DEV].notice((), _NOTHING, self._site.phone.read())

    def _merged(self, stage: Stage, lines: list[Line]) -> list[Line]:
        """A deployment shows that a proposal was merged: Git may tell it sooner than the pipeline's progress does."""
        passage = self._passage(stage)
        if passage is None or passage.landed:
            return []
        name = passage.version.name
        begun = [each.at for each in lines if each.mark is Mark.SYNC and each.text.startswith(f"{name} ")]
        return self._moves.land(passage, self._begin + begun[0]) if begun else []

    def _integrate(self) -> None:
        """The continuous integration looks at each proposal once."""
        for stage in STAGES:
            passage = self._passage(stage)
            head = passage.pull_head if passage is not None and passage.phase is Phase.PROPOSED else None
            if passage is None or head is None or head in self._checked:
                continue
            self._checked.add(head)
            found = self._site.people.check(head, self._site.people.values(head, stage.values))
            said = "has passed" if found.passed else "has failed"
            self._line(Mark.CHECKS, f"{CHECK} {said} on pull request {passage.pull_number}: {found.sentence}")

    def _row(self, environment: Environment) -> Row:
        stage = environment.stage
        live = self._seen.lives.get(stage.application)
        return Row(stage.name, self._runs(stage), self._passage(stage), live, environment.tally)

    def _runs(self, stage: Stage) -> str:
        """The version that is live; empty while that is not known."""
        live = self._seen.lives.get(stage.application, _NOTHING)
        revision = live.analysis.revision if live.analysis is not None else live.good
        return self._site.version(stage, revision) if revision else ""

    def _tell_rising_evidence(self) -> None:
        for stage in STAGES:
            live = self._seen.lives.get(stage.application, _NOTHING)
            analysis = live.analysis
            evidence = analysis.evidence if analysis is not None else None
            if analysis is not None and evidence is not None and (analysis.recovery or evidence > 1.0):
                served = self._tally(stage, self._site.version(stage, analysis.revision))
                self._tell_evidence(analysis, served, f"{stage.name}: ")

    def _adopted(self) -> bool:
        lives = self._seen.lives
        return all(each.application in lives and lives[each.application].good is not None for each in STAGES)

    def _is(self, stage: Stage, version: str, phase: Phase) -> partial[bool]:
        return partial(self._reached, stage, version, phase)

    def _reached(self, stage: Stage, version: str, phase: Phase) -> bool:
        """Whether a version is so far in a stage; raises DemoError where it ended otherwise."""
        passage = self._passage_of(stage, version)
        if passage is None or passage.phase is phase:
            return passage is not None
        if passage.open:
            return False
        how = f"{passage.version.name} is {passage.phase.value} in {stage.name}: {passage.sentence}"
        raise DemoError(f"{how}; the demo expected it to be {phase.value}{_BUSY}")

    def _waits_for_people(self, stage: Stage) -> bool:
        passage = self._passage(stage)
        return passage is not None and passage.phase is Phase.PROPOSED and PEOPLES in passage.sentence

    def _passage(self, stage: Stage) -> Passage | None:
        return self._seen.progress.passage(Place(stage.name))

    def _passage_of(self, stage: Stage, version: str) -> Passage | None:
        found = self._passage(stage)
        return found if found is not None and found.version.name == version else None

    def _record(self, stage: Stage, version: str) -> Record | None:
        """The analysis of a version's deployment."""
        for each in self._seen.records:
            analysis = each.analysis
            ours = each.application.key.name == stage.application and analysis.kind is AnalysisKind.DEPLOYMENT
            if ours and self._site.version(stage, analysis.newest.revision) == version:
                return each
        return None

    def _verdict(self, stage: Stage, version: str) -> VerdictKind | None:
        found = self._record(stage, version)
        return found.analysis.verdict if found is not None else None

    def _recovery(self) -> bool:
        return any(
            each.analysis.kind is AnalysisKind.RECOVERY and each.analysis.recovery is not None
            for each in self._seen.records
            if each.application.key.name == STAGING.application
        )

    def _environment(self, stage: Stage) -> Environment:
        return next(each for each in self._site.environments if each.stage is stage)

    def _tally(self, stage: Stage, version: str) -> Served:
        return self._environment(stage).tally.served(version)


_BUSY = ": this machine is probably too busy just now to answer all requests in time; try again"
