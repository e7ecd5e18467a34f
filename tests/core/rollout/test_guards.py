"""The rules before the branch, each on its own: what is done, waits, is offered, withdrawn or refused."""

from dataclasses import replace

import pytest

from controller.core.analysis import Analysis, AnalysisKind, Deployed, Good, Standing, Sync
from controller.core.application import Companion
from controller.core.events import CompanionFacts, Limits, PauseFacts, Reader, World
from controller.core.git import CommitFacts, ManifestObject, RestoreFacts, RestoreRequest
from controller.core.guards import rule
from controller.core.policy import Mode, PolicySpec
from controller.core.revert import commit_message, in_short
from controller.core.rollback import Obstacle, Origin, Rollback, Stage, Way
from controller.core.rulings import AlreadyDone, Proceed, Refuse, Retarget, Wait, Withdraw
from controller.core.state import KnownBad, Rollout
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import APPLICATION, CART, SOURCE, START, content, policy, revision

ONE, TWO, HEAD = revision("one"), revision("two"), revision("head")
SUSPECT = CommitFacts(
    TWO, (), "Ann <ann@example.com>", "Ann <ann@example.com>", START, "two", files=("apps/checkout/x",)
)
OTHER = replace(SUSPECT, revision=revision("other"), subject="maybe a fix")


def facts(**changes: object) -> RestoreFacts:
    """Two is live and the head; one is good; nothing stands in the way."""
    plain = RestoreFacts(
        request=RestoreRequest(SOURCE.branch, SOURCE.paths, ONE, TWO),
        head=HEAD,
        target_known=True,
        live_known=True,
        target_before_live=True,
        live_in_branch=True,
        went_back=False,
        suspects=(SUSPECT,),
        newer=(),
        head_content=content("two"),
        live_content=content("two"),
        target_content=content("one"),
        chain_contents=(),
        tree="tree one",
        restored_content=content("one"),
        changed_files=("apps/checkout/x",),
        plain_tree="tree one",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def rollback(**changes: object) -> Rollback:
    """A verdict's decision to restore one."""
    plain = Rollback(
        origin=Origin.VERDICT,
        target=ONE,
        target_content=content("one"),
        live=TWO,
        way=Way.PUSH,
        scope=policy().on_breach.scope,
        decided_at=START,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def rollout(spec: PolicySpec | None = None, **changes: object) -> Rollout:
    """Two breaches, as seen a moment ago."""
    analysis = Analysis(
        id="a",
        kind=AnalysisKind.DEPLOYMENT,
        policy_name="checkout",
        policy=spec or policy(),
        syncs=(Sync(TWO, content("two"), START - 300, START - 300),),
        before=Good(ONE, content("one"), Standing.VERIFIED, START - 900),
        verdict=VerdictKind.BREACHED,
        verdict_at=START,
        breach_seen_at=START,
    )
    plain = Rollout(APPLICATION, live=Deployed(TWO, content("two"), START - 300), analysis=analysis)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_what_nothing_speaks_against_is_pushed() -> None:
    """The plain case."""
    assert rule(rollout(), rollback(), facts(), World(), START) == Proceed(Way.PUSH)


BESIDE = Companion(CART, ("apps/cart",))
TOGETHER = ("apps/cart/values.yaml", "apps/checkout/x")


@pytest.mark.parametrize(
    ("companion", "why"),
    [
        (CompanionFacts(BESIDE, paused=True), "it changes shop/cart too, which is paused"),
        (CompanionFacts(BESIDE, policy(mode="Shadow")), "it changes shop/cart too, whose policy changes nothing"),
        (
            CompanionFacts(BESIDE, policy(protect={"paths": ["apps/cart/**"]})),
            "it changes apps/cart/values.yaml, which the policy of shop/cart protects",
        ),
        (
            CompanionFacts(BESIDE, policy(protect={"kinds": ["Ingress"]})),
            "it changes apps/cart/values.yaml, which the policy of shop/cart protects",
        ),
    ],
)
def test_what_would_be_restored_with_it_has_a_say(companion: CompanionFacts, why: str) -> None:
    """Its brake and its policy let nothing be pushed over them; where it is not touched they hold up nothing."""
    ingress = ManifestObject("Ingress", "shop", "cart", "apps/cart/values.yaml")
    world = World(companions=(companion,))
    found = rule(rollout(), rollback(), facts(changed_files=TOGETHER, touches=(ingress,)), world, START)
    assert found == Proceed(Way.PULL_REQUEST, why)
    assert rule(rollout(), rollback(), facts(), world, START) == Proceed(Way.PUSH)
    free = World(companions=(CompanionFacts(BESIDE, policy()),))
    assert rule(rollout(), rollback(), facts(changed_files=TOGETHER), free, START) == Proceed(Way.PUSH)


def test_people_are_told_of_what_is_undone_beside() -> None:
    """Its owners read of it in the alert and in the commit; of what stays as it is nobody does."""
    touched = rollback(undone_beside=(CART,))
    assert in_short(touched).endswith("Promoted together with it, and undone as well: shop/cart.")
    known = rollout(companions=(BESIDE,))
    assert "undone as well: shop/cart." in commit_message(known, touched)
    assert "undone as well" not in in_short(rollback()) + commit_message(known, rollback())


def test_the_brake_of_a_companion_does_not_hold_a_person() -> None:
    """Who asks for the rollback decides it."""
    world = World(companions=(CompanionFacts(BESIDE, policy(mode="Shadow"), paused=True),))
    asked = rollback(origin=Origin.PERSON, by="ann")
    assert rule(rollout(), asked, facts(changed_files=TOGETHER), world, START) == Proceed(Way.PUSH)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"target_known": False}, "not in the repository any more"),
        ({"suspects": ()}, "no commit between"),
        ({"suspects": (), "target_content": content("two")}, "no commit between"),
        ({"tree": None, "plain_tree": None}, "cannot be made"),
        (
            {"restored_content": content("two"), "changed_files": (), "tree": "tree two"},
            "would change nothing in Git",
        ),
    ],
)
def test_what_cannot_be_restored_is_refused_with_a_manual_step(changes: dict[str, object], part: str) -> None:
    """Each with a sentence, and the step that a person must take."""
    found = rule(rollout(), rollback(), facts(**changes), World(), START)
    assert isinstance(found, Refuse)
    assert part in found.sentence
    assert found.manual_step


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"target_before_live": False}, "force-pushed"),
        ({"live_in_branch": False}, "not in the branch"),
        ({"tree": None, "conflicts": ("apps/checkout/x",)}, "conflict"),
        ({"suspects": (replace(SUSPECT, trailers=(("rollguard-hold", "migrated"),)),)}, "migrated"),
        ({"protected_restores": (SUSPECT,)}, "itself a restore"),
        ({"restored_content": content("")}, "left empty"),
        ({"unreadable": ("apps/checkout/chart.tpl",)}, "cannot be read"),
        *(
            ({"removes": (ManifestObject(kind, "shop", "x", "f"),)}, f"remove {kind}")
            for kind in (
                "PersistentVolumeClaim",
                "Namespace",
                "CustomResourceDefinition",
                "StatefulSet",
                "Application",
                "ApplicationSet",
            )
        ),
        *(
            ({"touches": (ManifestObject(kind, "shop", "x", "f"),)}, f"changes {kind}")
            for kind in ("Secret", "SealedSecret", "CustomResourceDefinition")
        ),
        ({"touches": (ManifestObject("Job", "shop", "migrate", "f", hook=True),)}, "the hook Job"),
    ],
)
def test_what_is_never_pushed_is_offered(changes: dict[str, object], part: str) -> None:
    """The built-in list, whoever asks: a pull request with the reason."""
    for decision in (rollback(), rollback(origin=Origin.PERSON, by="ann")):
        found = rule(rollout(), decision, facts(**changes), World(), START)
        assert isinstance(found, Proceed)
        assert found.way is Way.PULL_REQUEST
        assert part in found.why_not_push


def test_a_statefulset_that_only_changes_is_pushed() -> None:
    """Its removal would take its pods with it; another image does not."""
    touched = facts(touches=(ManifestObject("StatefulSet", "shop", "db", "f"),))
    assert rule(rollout(), rollback(), touched, World(), START) == Proceed(Way.PUSH)


def test_a_path_that_is_empty_already_is_not_left_empty() -> None:
    """Only what the restore itself would empty counts."""
    both = replace(content("one"), objects=(*content("one").objects, ("apps/none", "")))
    head = replace(content("two"), objects=(*content("two").objects, ("apps/none", "")))
    found = facts(restored_content=both, head_content=head, live_content=head, target_content=both)
    assert rule(rollout(), rollback(), found, World(), START) == Proceed(Way.PUSH)


@pytest.mark.parametrize(
    ("paths", "files", "suspect", "protected"),
    [
        (["db/migrations/**"], (), ("apps/checkout/x", "db/migrations/7.sql"), True),
        (["db/migrations/**"], ("db/migrations/7.sql",), (), True),
        (["db"], ("db/x/y.sql",), (), True),
        (["**/*.sql"], ("a/b/c.sql",), (), True),
        (["db/migrations/**"], ("apps/checkout/x",), ("apps/checkout/x",), False),
        (["db/migrations/**"], (), tuple(f"f{number}" for number in range(5000)), True),
    ],
)
def test_protected_paths_are_those_of_the_restore_and_of_its_suspects(
    paths: list[str], files: tuple[str, ...], suspect: tuple[str, ...], protected: bool
) -> None:
    """A migration that a suspect brought with it may have run, though the restore itself leaves it alone."""
    spec = policy(protect={"paths": paths})
    found = facts(changed_files=files or ("apps/checkout/x",), suspects=(replace(SUSPECT, files=suspect),))
    ruling = rule(rollout(spec), rollback(), found, World(), START)
    assert isinstance(ruling, Proceed)
    assert (ruling.way is Way.PULL_REQUEST) is protected


def test_protected_kinds_are_declared_by_the_owner() -> None:
    """Beside the built-in list."""
    spec = policy(protect={"kinds": ["Ingress"]})
    ruling = rule(
        rollout(spec), rollback(), facts(touches=(ManifestObject("Ingress", "", "x", "f"),)), World(), START
    )
    assert isinstance(ruling, Proceed)
    assert ruling.way is Way.PULL_REQUEST


def test_a_target_that_was_rolled_back_itself_is_offered() -> None:
    """What is known as bad is not pushed again by a program; a person may want it."""
    known = rollout(known_bad=(KnownBad(content("one"), ONE, START),))
    ruling = rule(known, rollback(), facts(), World(), START)
    assert isinstance(ruling, Proceed)
    assert ruling.way is Way.PULL_REQUEST
    assert rule(known, rollback(origin=Origin.PERSON), facts(), World(), START) == Proceed(Way.PUSH)


def test_our_own_restore_is_not_undone_by_ourselves() -> None:
    """No cascade: a recorded restore of ours among the suspects ends in RollbackIneffective; a person gets an offer."""
    own = facts(protected_restores=(SUSPECT,))
    recorded = rollout(own_restores=(TWO,))
    found = rule(recorded, rollback(), own, World(), START)
    assert isinstance(found, Refuse)
    assert found.cascade
    asked = rule(recorded, rollback(origin=Origin.PERSON), own, World(), START)
    assert isinstance(asked, Proceed)
    assert asked.way is Way.PULL_REQUEST


def test_a_forged_trailer_gets_an_offer() -> None:
    """A commit that only says it is a restore is not one of ours: no push, and no silence."""
    found = rule(rollout(), rollback(), facts(protected_restores=(SUSPECT,)), World(), START)
    assert isinstance(found, Proceed)
    assert found.way is Way.PULL_REQUEST


@pytest.mark.parametrize("by_content", [True, False])
def test_what_the_branch_holds_is_done_whoever_made_it(by_content: bool) -> None:
    """By the commit's id, or by the content at the head."""
    done = facts(head_content=content("one")) if by_content else facts(ours_in_branch=(HEAD,))
    assert isinstance(rule(rollout(), rollback(), done, World(), START), AlreadyDone)


def test_a_suspect_that_was_forced_away_is_withdrawn_by_what_the_paths_hold() -> None:
    """Gone from the branch: withdrawn where its content is gone too, also where the repository has forgotten it."""
    gone = facts(live_in_branch=False, head_content=content("else"), tree=None, restored_content=None)
    assert isinstance(rule(rollout(), rollback(), gone, World(), START), Withdraw)
    forgotten = replace(
        gone, live_known=False, live_content=content(""), head_content=content("two"), plain_tree=None
    )
    assert isinstance(rule(rollout(), rollback(), forgotten, World(), START), Refuse)


def test_a_restore_that_was_taken_out_is_not_repeated() -> None:
    """One rollback per chain."""
    pushed = rollback(stage=Stage.INSPECT, revision=HEAD, done_at=START - 60)
    found = rule(rollout(), pushed, facts(), World(), START)
    assert isinstance(found, Refuse)
    assert "took the restore" in found.sentence


def test_a_decision_that_is_being_withdrawn_is_only_looked_for() -> None:
    """Whatever the facts allow."""
    leaving = rollback(withdrawing="the service recovered")
    assert rule(rollout(), leaving, facts(), World(), START) == Withdraw("the service recovered")
    assert isinstance(rule(rollout(), leaving, facts(ours_in_branch=(HEAD,)), World(), START), AlreadyDone)


HOLDS = [
    (World(pause=PauseFacts(None, "drill", "ann")), {}, {}, Obstacle.PAUSED),
    (World(pause=PauseFacts(START + 60, "drill", "ann")), {}, {}, Obstacle.PAUSED),
    (World(limits=Limits(maximum_mode=Mode.SHADOW)), {}, {}, Obstacle.PAUSED),
    (World(), {"frozen": "a bot"}, {}, Obstacle.BUDGET),
    (World(), {"restores": (START - 60,) * 3}, {}, Obstacle.BUDGET),
    (World(limits=Limits(rollbacks_per_hour=0)), {}, {}, Obstacle.BUDGET),
    (World(), {}, {"breaker": "three at once"}, Obstacle.BREAKER),
    (World(), {}, {"confirm_after": START}, Obstacle.STALE_VERDICT),
]


@pytest.mark.parametrize(("world", "state", "decision", "obstacle"), HOLDS)
def test_what_holds_a_decision_up_does_not_hold_a_person_up(
    world: World, state: dict[str, object], decision: dict[str, object], obstacle: Obstacle
) -> None:
    """Brakes, budgets and stale evidence are for decisions that no person made."""
    found = rule(rollout(**state), rollback(**decision), facts(), world, START)  # type: ignore[arg-type]
    assert isinstance(found, Wait)
    assert found.obstacle is obstacle
    assert found.retry_in >= 5
    asked = rule(rollout(**state), rollback(origin=Origin.PERSON, **decision), facts(), world, START)  # type: ignore[arg-type]
    assert asked == Proceed(Way.PUSH)


def test_a_pause_that_is_over_holds_nothing_up() -> None:
    """Its time has passed."""
    assert isinstance(rule(rollout(), rollback(), facts(), World(pause=PauseFacts(START, "", "")), START), Proceed)


def test_a_possible_fix_is_waited_for_from_when_it_is_seen() -> None:
    """Not from the decision: that may have waited for long already. Without supersedeWait it is not waited for."""
    late = facts(newer=(OTHER,))
    state = rollout(analysis=replace(rollout().analysis, breach_seen_at=START + 900))  # type: ignore[type-var]
    first = rule(state, rollback(decided_at=START - 900), late, World(), START + 900)
    assert isinstance(first, Wait)
    assert first.obstacle is Obstacle.SUPERSEDED
    over = rule(state, rollback(superseded_until=START + 900), late, World(), START + 900)
    assert isinstance(over, Proceed)
    hasty = rollout(policy(onBreach={"supersedeWait": "0s"}))
    assert isinstance(rule(hasty, rollback(), late, World(), START), Proceed)


@pytest.mark.parametrize(("tick", "age", "fresh"), [(15.0, 130.0, True), (15.0, 140.0, False), (600.0, 700.0, True)])
def test_a_breach_is_fresh_by_the_length_of_its_ticks(tick: float, age: float, fresh: bool) -> None:
    """A tick is looked at when its successor has ended: with ticks of ten minutes a breach is seen that late."""
    from controller.core.evidence import ObjectiveReference, Reference

    reference = Reference(START - 300, 15.0, (ObjectiveReference("availability", 0, 0, 0, tick=tick),))
    state = rollout(analysis=replace(rollout().analysis, reference=reference))  # type: ignore[type-var]
    found = rule(state, rollback(), facts(), World(), START + age)
    assert isinstance(found, Proceed) is fresh


@pytest.mark.parametrize(
    ("readers", "shared", "pushed"),
    [
        ((False,), None, False),
        ((False,), "50%", True),
        ((False, False), "50%", False),
        ((True, False), "50%", True),
        ((True,), "100%", True),
        ((False,), "100%", False),
    ],
)
def test_shared_paths_need_a_quorum(readers: tuple[bool, ...], shared: str | None, pushed: bool) -> None:
    """This application counts as one that breaches."""
    changes = {"sharedPaths": {"action": "Rollback", "quorum": shared}} if shared else {}
    world = World(readers=tuple(Reader(CART, each) for each in readers))
    found = rule(rollout(policy(**changes)), rollback(), facts(), world, START)
    assert isinstance(found, Proceed)
    assert (found.way is Way.PUSH) is pushed


def test_an_unhealthy_deployment_must_be_unhealthy_when_it_is_undone() -> None:
    """Not because it was so when it was decided."""
    assert isinstance(rule(rollout(), rollback(origin=Origin.UNHEALTHY), facts(), World(), START), Withdraw)


def test_known_bad_content_must_be_known_bad_when_it_is_undone() -> None:
    """A person may have released it."""
    quarantined = rollback(origin=Origin.QUARANTINE)
    assert isinstance(rule(rollout(), quarantined, facts(), World(), START), Withdraw)
    known = rollout(known_bad=(KnownBad(content("two"), TWO, START),))
    assert rule(known, quarantined, facts(), World(), START) == Proceed(Way.PUSH)


def test_a_person_only_goes_back() -> None:
    """To newer content: refused. To what runs: done, or what the branch holds otherwise is undone."""
    asked = rollback(origin=Origin.PERSON)
    forward = facts(went_back=True, suspects=(), target_before_live=False)
    assert isinstance(rule(rollout(), asked, forward, World(), START), Refuse)
    same = facts(live_content=content("one"), suspects=())
    assert rule(rollout(), asked, replace(same, head_content=content("one")), World(), START) == Withdraw(
        f"{ONE[:12]} is what is deployed, and what main holds"
    )
    found = rule(rollout(), asked, same, World(), START)
    assert isinstance(found, Retarget)
    assert found.live == HEAD
