"""The facts beside Git: the brake, who reads the same paths, what was decided elsewhere."""

from dataclasses import replace

import pytest

from controller.core.application import Application, ApplicationKey, Companion, GitSource, Revision
from controller.core.events import Limits
from controller.core.git import RestoreRequest
from controller.core.rollback import Rollback, Stage
from controller.ports.repository import Repository
from controller.ports.store import Pause, StoreUnavailable
from controller.runtime.readers import read_same_paths
from controller.runtime.surroundings import Surroundings, pause_of
from tests.fakes.repository import InMemoryRepository
from tests.runtime.parts import CART, CHECKOUT, URL, Bench, application

NOW = 1000.0


def source(*paths: str, url: str = URL, branch: str = "main") -> GitSource:
    return GitSource(url, branch, paths)


def test_a_pause_holds_until_its_end_for_its_own_or_for_all() -> None:
    """One's own pause or that of all counts; another's and one that is over do not."""
    mine, other = Pause(CHECKOUT, NOW + 1, "mine", "ann", 0.0), Pause(CART, None, "other", "bob", 0.0)
    everybody, over = Pause(None, None, "freeze", "eve", 0.0), Pause(None, NOW, "over", "eve", 0.0)
    assert pause_of([other, over], CHECKOUT, NOW) is None
    assert pause_of([other, mine], CHECKOUT, NOW).reason == "mine"  # type: ignore[union-attr]
    assert pause_of([everybody], CHECKOUT, NOW).by == "eve"  # type: ignore[union-attr]
    assert pause_of([mine], CHECKOUT, NOW + 1) is None


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (source("apps/checkout"), True),
        (source("apps"), True),
        (source("apps/checkout/overlays/prod"), True),
        (source(""), True),
        (source("base", "apps/checkout"), True),
        (source("apps/checkout-old"), False),
        (source("apps/check"), False),
        (source("apps/cart"), False),
        (source("apps/checkout", branch="next"), False),
        (source("apps/checkout", url="https://git.example.com/shop/other.git"), False),
        (source("apps/checkout", url="https://bot@GIT.example.com/shop/manifests"), True),
    ],
)
def test_paths_are_shared_where_one_lies_in_the_other(other: GitSource, same: bool) -> None:
    """Whole folders only, in the same branch of the same repository however its URL is spelled; either way round."""
    assert read_same_paths(source("apps/checkout"), other) is same
    assert read_same_paths(other, source("apps/checkout")) is same


def test_readers_and_decisions_are_those_of_all_applications() -> None:
    """An application that reads the same folder is a reader, and told to breach once it does; one's own state is not."""
    twin = application(ApplicationKey("shop", "twin"))
    shared = type(twin)(twin.key, source("apps/checkout"))
    bench = Bench([application(CHECKOUT), shared]).guard()
    bench.deploy("two", CHECKOUT)
    bench.report(bench.remote.head(), key=shared.key)
    assert [(each.application, each.breached) for each in readers(bench)] == [(shared.key, False)]
    bench.metrics.share = 0.3
    bench.pass_until(lambda: readers(bench)[0].breached)
    world = bench.surroundings.world(bench.rollout())
    assert {each.application for each in world.decisions} == {CHECKOUT, shared.key}
    bench.clock.advance(4 * 3600)
    assert bench.surroundings.world(bench.rollout()).decisions == ()


def test_neighbours_are_others_of_their_own_paths() -> None:
    """While a restore is to be decided, what breaches at the same time counts, unless it reads the same paths."""
    twin = application(ApplicationKey("shop", "twin"))
    shared = type(twin)(twin.key, source("apps/checkout"))
    bench = Bench([application(CHECKOUT), application(CART), shared]).guard()
    assert bench.surroundings.world(bench.rollout()).neighbours == ()
    bench.deploy("two", CART)
    bench.deploy("two", CHECKOUT)
    bench.report(bench.remote.head(), key=shared.key)
    bench.metrics.share = 0.3
    bench.pass_until(lambda: bench.rollout().rollback is not None)
    waiting = replace(bench.rollout(), rollback=in_flight(bench))
    assert [each.application for each in bench.surroundings.world(waiting).neighbours] == [CART]
    together = replace(waiting, companions=(Companion(CART, ("apps/cart",)),))
    assert bench.surroundings.world(together).neighbours == (), "both are restored by one commit"


def in_flight(bench: Bench) -> Rollback | None:
    rollback = bench.rollout().rollback
    return None if rollback is None else replace(rollback, stage=Stage.INSPECT)


def readers(bench: Bench) -> tuple[object, ...]:
    return bench.surroundings.world(bench.rollout()).readers


def test_the_commits_form_comes_from_the_settings() -> None:
    """Prefix and sign-off are handed to whoever writes the message."""
    bench = Bench().guard()
    made = Surroundings(
        bench.store,
        bench.clock,
        Limits(),
        bench.reconciler.rollouts,
        subject_prefix="[ops] ",
        signoff="Rollguard <r@example.com>",
    )
    world = made.world(bench.rollout())
    assert (world.subject_prefix, world.signoff) == ("[ops] ", "Rollguard <r@example.com>")


def test_without_the_store_there_are_no_facts() -> None:
    """Who is paused and what was decided is not guessed."""
    bench = Bench().guard()
    bench.store.fail_with = StoreUnavailable("locked")
    with pytest.raises(StoreUnavailable):
        bench.surroundings.world(bench.rollout())


class Grows(dict[str, Repository]):
    """A mapping that looks empty until it is asked, as the composition root's does."""

    def __init__(self, url: str, repository: Repository) -> None:
        super().__init__()
        self._made = {url: repository}

    def get(self, url: str, _default: object = None) -> Repository | None:  # type: ignore[override]
        return self._made.get(url)


def test_who_reads_what_a_restore_changes_is_asked_of_git() -> None:
    """An application that is not guarded reads a base that only its kustomization names: it is a reader of a change there.

    A change of one's own overlay has no readers, though both read the base.
    """
    mine = GitSource(URL, "main", ("base", "envs/a"), ("envs/a",))
    other = GitSource(URL, "main", ("envs/b",), ("envs/b",))
    bench = Bench([Application(CHECKOUT, mine), Application(CART, other)])
    overlay = "resources: [../../base]\n"
    head = bench.remote.commit(
        {"base/x": "1", "envs/a/kustomization.yaml": overlay, "envs/b/kustomization.yaml": overlay}
    )
    made = Surroundings(
        bench.store,
        bench.clock,
        Limits(),
        bench.reconciler.rollouts,
        repositories=Grows(URL, InMemoryRepository(bench.remote)),
    )
    rollout = bench.reconciler.rollout(CHECKOUT)

    def read_by(*files: str) -> list[ApplicationKey]:
        request = RestoreRequest("main", mine.paths, Revision(head), Revision(head))
        facts = replace(InMemoryRepository(bench.remote).inspect(request), changed_files=files, tree="a" * 40)
        return [each.application for each in made.world(rollout, facts).readers]

    assert read_by("base/x") == [CART]
    assert read_by("envs/a/kustomization.yaml") == []
    assert read_by("envs/a/kustomization.yaml", "base/x") == [CART]
    assert read_by() == [CART]


def test_what_is_promoted_together_is_no_other_reader() -> None:
    """It is restored by the same commit, so that what it reads holds up nothing."""
    twin = application(ApplicationKey("shop", "twin"))
    shared = type(twin)(twin.key, source("apps/checkout"))
    bench = Bench(applications=(application(), shared))
    rollout = replace(bench.rollout(), companions=(Companion(twin.key, ("apps/checkout",)),))
    surroundings = Surroundings(bench.store, bench.clock, Limits(), bench.reconciler.rollouts)
    assert [each.application for each in surroundings.world(bench.rollout()).readers] == [twin.key]
    assert surroundings.world(rollout).readers == ()
    (told,) = surroundings.world(rollout).companions
    assert (told.companion.application, told.paused) == (twin.key, False)
    bench.store.pause(Pause(twin.key, None, "its own", "ann", 0.0))
    assert surroundings.world(rollout).companions[0].paused
