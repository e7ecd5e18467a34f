"""Locked configuration on a branch that takes no push: it is put back by a pull request, on Git and a forge in memory."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from controller.core.application import Revision
from controller.core.git import PushResult
from controller.core.promotion.asking import approve
from controller.core.promotion.facts import Facts
from controller.core.promotion.move import Move
from controller.core.promotion.progress import PutBackProposal
from controller.ports.forge import ForgeDenied, ForgeUnavailable
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import ForgeState, StoredCommit, StoredPull
from tests.fakes.repository import InMemoryRemote, InMemoryRepository
from tests.runtime.test_protecting import FILE, World, values

BRANCH = "rollguard/put-back-shop-checkout-production"


class SeeingForge(InMemoryForge):
    """A forge around the very repository that Git sees."""

    def __init__(self, state: ForgeState, remote: InMemoryRemote) -> None:
        super().__init__(state)
        self.remote = remote

    def _reached(self) -> None:
        super()._reached()
        for name, each in self.remote.commits.items():
            files = tuple((path, body.decode()) for path, body in self.remote.tree(name).items())
            revision, parents = Revision(name), tuple(map(Revision, each.parents))
            self.state.commits[revision] = StoredCommit(
                revision, parents, files, each.message, each.author, each.author, each.at
            )
        self.state.branches |= {name: Revision(head) for name, head in self.remote.branches.items()}
        for pull in self.state.pulls.values():
            if pull.state == "open":
                pull.head = self.state.branches[pull.head_branch]


@dataclass
class Protected(World):
    """A world whose branch takes no push."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.forge = SeeingForge(self.state, self.remote)
        self.remote.refuses = PushResult.PROTECTED

    @property
    def pulls(self) -> list[StoredPull]:
        """All of them."""
        return list(self.state.pulls.values())

    @property
    def proposal(self) -> PutBackProposal | None:
        """What is remembered."""
        return self.progress.guarded[0].proposal

    def offered(self) -> str:
        """What the branch of the pull request holds."""
        return self.remote.files(self.remote.head(BRANCH))[FILE].decode()

    def land(self, *, squash: bool) -> None:
        """A person merges it."""
        (pull,) = (each for each in self.pulls if each.state == "open")
        files = {FILE: self.offered()}
        made = self.remote.commit(files, "Put back (#1)") if squash else self.remote.merge(pull.head, files)
        pull.state, pull.merged_as = "merged", Revision(made)


@pytest.fixture
def world() -> Protected:
    return Protected()


def test_it_is_offered_once_and_told(world: Protected) -> None:
    """From Rollguard's own branch, with what changes; the alert says where, and looking again does nothing."""
    offence = world.commit(values(replicas=9, more="new"))
    world.look(4)
    (pull,) = world.pulls
    assert (pull.head_branch, pull.base, pull.labels) == (BRANCH, "main", {"rollguard"})
    assert pull.title == "Put back what is locked in production of checkout"
    assert f"| `{FILE}` | `replicas` |" in pull.body
    assert "-replicas: 9" in pull.body
    assert world.offered() == values(more="new")
    assert world.text() == values(replicas=9, more="new")
    assert world.told() == [(offence[:12], False), (offence[:12], False)]
    assert f"so pull request {pull.number} puts it back: https://" in world.alerts[-1].description
    assert world.pushes == 1
    assert world.proposal is not None
    assert world.proposal.number == pull.number


@pytest.mark.parametrize("squash", [False, True])
def test_merged_it_is_over(world: Protected, squash: bool) -> None:
    """By a merge or a squash: the alert ends, nothing is put back again, and nobody comments on it."""
    offence = world.commit(values(replicas=9))
    world.look(2)
    world.land(squash=squash)
    world.look(3)
    assert world.told()[-1] == (offence[:12], True)
    assert (world.proposal, world.text()) == (None, values())
    (pull,) = world.pulls
    assert (pull.state, pull.comments) == ("merged", [])


def approved(world: Protected, offence: Revision) -> None:
    """Somebody approves the commit by name."""
    world.keep(approve(Move(world.pipeline, world.progress, Facts(), 1.0), "production", offence, "ann"))


def taken_back(world: Protected, _offence: Revision) -> None:
    """Somebody puts it back by hand."""
    world.commit(values())


def unlocked(world: Protected, _offence: Revision) -> None:
    """The owner takes the lock away."""
    stage = world.pipeline.spec.stages[0].model_copy(update={"locked": ()})
    spec = world.pipeline.spec.model_copy(update={"stages": (stage,)})
    world.pipeline = world.pipeline.model_copy(update={"spec": spec})


@pytest.mark.parametrize("settle", [approved, taken_back, unlocked])
def test_what_is_settled_otherwise_closes_it(world: Protected, settle: Callable[[Protected, Revision], None]) -> None:
    """Approved, put back by hand, or locked no more: closed with the reason, and forgotten; it is waited for the forge."""
    offence = world.commit(values(replicas=9))
    world.look(2)
    world.state.users["Ann Author <ann@example.com>"] = "cat"
    settle(world, offence)
    closes, world.forge.close = world.forge.close, lambda *_: (_ for _ in ()).throw(ForgeUnavailable("away"))  # type: ignore[method-assign, assignment, return-value]
    world.look()
    assert world.pulls[0].state == "open"
    world.forge.close = closes  # type: ignore[method-assign]
    world.look(2)
    (pull,) = world.pulls
    assert pull.state == "closed"
    assert "was approved: it is not needed any more" in pull.comments[0].body
    assert not any(each.proposal for each in world.progress.guarded)
    assert world.told()[-1] == (offence[:12], True)


def test_a_later_change_is_put_back_by_the_same_one(world: Protected) -> None:
    """It is brought up to date: both are put back by it, on the head as it is now."""
    world.commit(values(replicas=9))
    world.look(2)
    world.commit(values(replicas=9, cpu="4"))
    world.look(3)
    (pull,) = world.pulls
    assert pull.state == "open"
    assert world.offered() == values()
    assert {"`replicas`", "`resources.limits.cpu`"} <= {cell.strip() for cell in pull.body.split("|")}
    world.land(squash=True)
    world.look(2)
    assert sorted(over for _, over in world.told()[-2:]) == [True, True]
    assert world.proposal is None


def test_what_a_person_closed_is_not_offered_again(world: Protected) -> None:
    """That is an answer; what is changed later is offered by itself."""
    world.commit(values(replicas=9))
    world.look(2)
    world.pulls[0].state = "closed"
    world.look(3)
    assert len(world.pulls) == 1
    world.commit(values(replicas=9, cpu="4"))
    world.look(3)
    assert [each.state for each in world.pulls] == ["closed", "open"]
    assert world.offered() == values(replicas=9)


def test_a_forge_that_is_away_is_asked_again(world: Protected) -> None:
    """Nothing is said to be impossible meanwhile, and in the end there is one pull request."""
    world.commit(values(replicas=9))
    opens, world.forge.open = world.forge.open, lambda _: (_ for _ in ()).throw(ForgeUnavailable("away"))  # type: ignore[method-assign, assignment, return-value]
    world.look(3)
    assert "It is put back in Git" in world.alerts[-1].description
    world.forge.open = opens  # type: ignore[method-assign]
    world.forge.lost = 1
    world.look(3)
    assert len(world.pulls) == 1
    assert world.proposal is not None


def test_where_none_may_be_opened_people_do_it(world: Protected) -> None:
    """Refused by the forge, or with somebody else's commits in our branch: told with the reason, and not tried again."""
    world.commit(values(replicas=9))
    world.remote.commit({"x": "y"}, "Mine", branch=BRANCH, parents=[world.remote.head()])
    world.look(3)
    assert "holds commits that are not Rollguard's" in world.alerts[-1].description
    assert (world.pulls, world.pushes) == ([], 0)
    other = Protected()
    other.commit(values(replicas=9))
    other.forge.open = lambda _: (_ for _ in ()).throw(ForgeDenied("the token may not"))  # type: ignore[method-assign, assignment, return-value]
    other.look(3)
    assert "no pull request can be opened: the token may not" in other.alerts[-1].description
    assert other.pushes == 1


def test_who_does_not_lead_offers_nothing(world: Protected) -> None:
    """Nor does it close anything."""
    world.leads = False
    world.commit(values(replicas=9))
    world.look(2)
    assert world.pulls == []
    world.leads = True
    world.look(2)
    world.leads = False
    unlocked(world, Revision("0" * 40))
    world.look(2)
    assert world.pulls[0].state == "open"
    world.leads = True
    world.look()
    assert world.pulls[0].state == "closed"


def test_the_branch_is_used_again(world: Protected) -> None:
    """Forges keep the branch of what was merged: it is ours, and is replaced."""
    for replicas in (9, 8):
        world.commit(values(replicas=replicas))
        world.look(2)
        world.land(squash=True)
        world.look(2)
    assert [each.state for each in world.pulls] == ["merged", "merged"]
    assert InMemoryRepository(world.remote).fetch(BRANCH) == world.remote.pushes[-1]
