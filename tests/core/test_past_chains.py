"""Past deployments in chains: what the controller would have judged together."""

import pytest

from controller.core.past_chains import Deployment, first_chain, in_order
from tests.core.deployments import START, policy

WINDOW = 1800.0
POLICY = policy()


def deployed(*ats: float, rollout: float = 0.0) -> tuple[Deployment, ...]:
    """Deployments that began so long after the start, each healthy after ``rollout`` seconds."""
    return in_order(Deployment(f"r{at:g}", START + at, START + at + rollout) for at in ats)


def names(chain: tuple[Deployment, ...]) -> list[str]:
    return [each.revision for each in chain]


def test_a_deployment_in_the_window_joins() -> None:
    """The window counts from the newest Healthy, so each that joins keeps it open for longer."""
    chain = first_chain(POLICY, deployed(0, 1700, 3400, 5300, rollout=60))
    assert names(chain.deployments) == ["r0", "r1700", "r3400"]
    assert chain.deadline == START + 3400 + 60 + WINDOW
    assert chain.next_at == START + 5300


def test_what_comes_after_the_window_is_another_chain() -> None:
    """At the window's end it is closed."""
    chain = first_chain(POLICY, deployed(0, WINDOW))
    assert names(chain.deployments) == ["r0"]
    assert (chain.deadline, chain.next_at) == (START + WINDOW, START + WINDOW)


def test_a_chain_that_is_too_long_is_cut() -> None:
    """After four windows the newest that is a window old is judged, and the younger ones begin the next chain."""
    chain = first_chain(POLICY, deployed(*(1000.0 * number for number in range(10))))
    assert names(chain.deployments) == [f"r{1000 * number}" for number in range(6)]
    assert (chain.deadline, chain.next_at) == (START + 4 * WINDOW, START + 6000)


def test_what_was_taken_back_ends_its_chain() -> None:
    """What is deployed after the other was taken back is not joined to it."""
    first, second = deployed(0, 600)
    taken = Deployment(first.revision, first.at, first.at, until=START + 300)
    chain = first_chain(POLICY, (taken, second))
    assert names(chain.deployments) == ["r0"]
    assert chain.recorded_until(START + 86400) == START + 300


def test_what_never_became_healthy_is_watched_from_its_deadline() -> None:
    """Its window begins where ``onUnhealthy.deadline`` ends, and the header says that it never did."""
    never = Deployment("never", START, None)
    chain = first_chain(POLICY, (never,))
    assert chain.deadline == START + POLICY.on_unhealthy.deadline + WINDOW
    assert chain.header(15.0, START + 60).healthy_at is None


def test_of_several_at_one_moment_the_last_went_live() -> None:
    """Commits of one second are one deployment."""
    found = in_order([Deployment("b", 20, 20), Deployment("a1", 10, 10), Deployment("a2", 10, 10)])
    assert names(found) == ["a2", "b"]


@pytest.mark.parametrize(("now", "until"), [(60.0, 60.0), (1e6, WINDOW), (-60.0, 0.0)])
def test_it_is_measured_until_now_or_its_deadline(now: float, until: float) -> None:
    """Nothing beyond what there is, and nothing beyond what decides."""
    assert first_chain(POLICY, deployed(0)).recorded_until(START + now) == START + until
