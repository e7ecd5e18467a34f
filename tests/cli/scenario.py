"""A store as a controller leaves it: one application healthy, one rolled back after a breach, one not yet seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from controller.adapters.store import SqliteStore
from controller.core.alerts import Alert, AlertName
from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.core.evidence import Evidence, ObjectiveReference, ObjectiveTicks, Reference
from controller.core.git import CommitFacts
from controller.core.judging import judge
from controller.core.observation import Measured
from controller.core.policy import PolicySpec, Scope
from controller.core.state import (
    Analysis,
    AnalysisKind,
    Deployed,
    Good,
    KnownBad,
    Origin,
    Record,
    Rollback,
    Rollout,
    Stage,
    Standing,
    Sync,
    Way,
    dump_record,
    dump_rollout,
)
from controller.core.verdict import VerdictKind
from controller.ports.store import AnalysisRecord, Change

START = 1_790_000_000.0
CHECKOUT = ApplicationKey("shop", "checkout")
CART = ApplicationKey("shop", "cart")
SEARCH = ApplicationKey("shop", "search")
GOOD, BAD, RESTORE = Revision("a1" * 20), Revision("b2" * 20), Revision("c3" * 20)
ANALYSIS = "b2b2b2b-00000001"
TICKS = 24
CONTENT = Content((("apps/checkout", "d4" * 20),))
BAD_CONTENT = Content((("apps/checkout", "e5" * 20),))

SETTINGS = """
repositories: []
applications:
  - {name: checkout, namespace: shop, repository: "file:///srv/git/shop", paths: [apps/checkout], reported: {}}
  - name: cart
    namespace: shop
    repository: "file:///srv/git/shop"
    paths: [apps/cart]
    reconcile: {command: [./deploy.sh]}
  - {name: search, namespace: shop, repository: "file:///srv/git/shop", paths: [apps/search], reported: {}}
store: {sqlite: state/state.db}
"""

POLICY = PolicySpec.model_validate(
    {
        "objectives": [
            {
                "name": "availability",
                "target": "99.5",
                "indicator": {"ratio": {"errors": {"metric": 'x{code="500"}'}, "total": {"metric": "x"}}},
            },
            {"name": "memory", "action": "Alert", "indicator": {"gauge": {"query": "max(memory)", "max": 0.9}}},
        ]
    }
)


def application(key: ApplicationKey) -> Application:
    return Application(key, GitSource("file:///srv/git/shop", "main", (f"apps/{key.name}",)))


def bad_analysis() -> Analysis:
    """A deployment that fails one request in ten from its start on, judged at its last tick."""
    reference = Reference(START, 15.0, (ObjectiveReference("availability", 36, 36_000, 3600.0),))
    column = ObjectiveTicks.empty("availability")
    for number in range(1, TICKS + 1):
        column = column.with_tick(START + 15 * number, Measured(15, 150))
    sync = Sync(BAD, BAD_CONTENT, START, healthy_at=START + 30)
    evidence = Evidence(reference, (START,), START + 30, START + 30 + 1800, (column,))
    now = START + 15 * TICKS + 15
    judgement = judge(POLICY, evidence, now)
    assert judgement.verdict is VerdictKind.BREACHED
    return Analysis(
        id=ANALYSIS,
        kind=AnalysisKind.DEPLOYMENT,
        policy_name="checkout",
        policy=POLICY,
        syncs=(sync,),
        before=Good(GOOD, CONTENT, Standing.VERIFIED, START - 7200),
        reference=reference,
        ticks=(column,),
        judgement=judgement,
        verdict=VerdictKind.BREACHED,
        verdict_at=now,
        breach_seen_at=judgement.at,
    )


def rolled_back() -> Rollout:
    """The whole state of the application that was rolled back."""
    analysis = bad_analysis()
    suspect = CommitFacts(BAD, (GOOD,), "Mallory <m@example.com>", "Mallory", START - 60, "Speed up \x1b[31mcheckout")
    rollback = Rollback(
        origin=Origin.VERDICT,
        target=GOOD,
        target_content=CONTENT,
        live=BAD,
        way=Way.PUSH,
        scope=Scope.APPLICATION_PATHS,
        decided_at=START + 400,
        stage=Stage.DONE,
        decision_id="f6" * 32,
        judgement=analysis.judgement,
        suspects=(suspect,),
        revision=RESTORE,
        branch="main",
        done_at=START + 402,
    )
    alert = Alert(AlertName.ROLLED_BACK, CHECKOUT, "shop/checkout was rolled back", "numbers", START + 402)
    return Rollout(
        application=application(CHECKOUT),
        policy_name="checkout",
        policy=POLICY,
        live=Deployed(BAD, BAD_CONTENT, START),
        good=Good(GOOD, CONTENT, Standing.VERIFIED, START - 7200),
        analysis=analysis,
        rollback=rollback,
        known_bad=(KnownBad(BAD_CONTENT, BAD, START + 402),),
        alerts=(alert,),
    )


def healthy() -> Rollout:
    """An application of which nothing is being judged."""
    return Rollout(
        application=application(CART),
        policy_name="cart",
        policy=POLICY,
        live=Deployed(GOOD, CONTENT, START - 3600),
        good=Good(GOOD, CONTENT, Standing.ADOPTED, START - 3600),
    )


def record_of(rollout: Rollout) -> AnalysisRecord:
    """The open analysis of a state as the history has it."""
    analysis = rollout.analysis
    assert analysis is not None
    return AnalysisRecord(
        analysis.id,
        rollout.application.key,
        analysis.started_at,
        analysis.ended_at,
        analysis.newest.revision,
        analysis.verdict.value if analysis.verdict else "",
        dump_record(Record(rollout.application, analysis, rollout.rollback)),
    )


@dataclass(frozen=True)
class Scenario:
    """The folder of an installation."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "rollguard.yaml"

    @property
    def database(self) -> Path:
        return self.folder / "state" / "state.db"

    @contextmanager
    def store(self) -> Iterator[SqliteStore]:
        """The store, as another process than the command sees it."""
        store = SqliteStore(self.database, create=False)
        try:
            yield store
        finally:
            store.close()

    @classmethod
    def make(cls, folder: Path) -> "Scenario":
        """Write settings and a store with all that was described."""
        made = cls(folder)
        made.settings.write_text(SETTINGS)
        store = SqliteStore(made.database)
        rollout, older = rolled_back(), replace(bad_analysis(), id="a0a0a0a-00000000", ended_at=START, outcome="kept")
        kept = record_of(replace(rollout, analysis=replace(older, verdict=VerdictKind.HEALTHY), rollback=None))
        kept = replace(kept, started_at=START - 9000, revision=GOOD)
        store.commit(Change(CHECKOUT, 0, dump_rollout(rollout), (kept, record_of(rollout))))
        store.commit(Change(CART, 0, dump_rollout(healthy())))
        store.close()
        return made
