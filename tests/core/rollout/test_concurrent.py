"""Two applications deployed at about the same time, and both breach: one is named, or both are held and people told."""

from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from controller.core.application import Application, GitSource
from controller.core.concurrent import Breach, Named, Neighbour, Onset, culprit, neighbours, rivals
from controller.core.events import RollbackRequested
from controller.core.rollback import Obstacle
from controller.core.state import Rollout
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import CART, KEY, SOURCE, Model, policy, revision

HELD = "RollguardHold"


class Pair:
    """Checkout and cart, in one world and by one clock."""

    def __init__(self, **more: object) -> None:
        source = GitSource(SOURCE.repository, SOURCE.branch, ("apps/cart",))
        self.checkout = Model(**more).guard()  # type: ignore[arg-type]
        self.cart = Model(rollout=Rollout(Application(CART, source)), **more).guard()  # type: ignore[arg-type]
        self.checkout.strangers, self.cart.strangers = [self.cart], [self.checkout]

    @property
    def both(self) -> tuple[Model, Model]:
        """Each of them."""
        return self.checkout, self.cart

    def deploy(self, model: Model) -> None:
        """Something new is deployed to one of them."""
        model.commit("two")
        model.sync_head()

    def breaks(self, share: float = 0.2) -> None:
        """Both breach from now on, whoever is the cause."""
        for each in self.both:
            each.bad_share = share

    def pass_time(self, seconds: float) -> None:
        """Tick by tick, one after the other."""
        for _ in range(round(seconds / 15)):
            for each in self.both:
                each.pass_time(15)

    def breached(self) -> list[bool]:
        """Which of the two are found to breach, by everything that is known of each alone."""
        analyses = [each.rollout.analysis for each in self.both]
        return [each is not None and each.verdict is VerdictKind.BREACHED for each in analyses]


def obstacle(model: Model) -> Obstacle | None:
    """What a restore waits for."""
    return model.rollout.rollback.obstacle if model.rollout.rollback is not None else None


def test_the_one_with_whose_deployment_both_breaches_began_is_named() -> None:
    """Cart ran well for ten minutes before checkout was deployed: checkout is undone, cart is not."""
    pair = Pair()
    pair.deploy(pair.cart)
    pair.pass_time(600)
    pair.deploy(pair.checkout)
    pair.pass_time(30)
    pair.breaks()
    pair.pass_time(600)
    assert pair.breached() == [True, True]
    assert pair.checkout.restores()
    assert not pair.cart.restores()
    assert obstacle(pair.cart) is Obstacle.OTHER_DEPLOYMENT
    (alert,) = (each for each in pair.cart.rollout.alerts if each.name == HELD)
    assert "`rollguard rollback shop/checkout`" in alert.description
    assert "`rollguard rollback shop/cart`" in alert.description


def test_where_neither_can_be_told_both_are_held_and_told() -> None:
    """Deployed together, broken together: each alert names the other and what a person can do."""
    pair = Pair()
    pair.deploy(pair.cart)
    pair.deploy(pair.checkout)
    pair.breaks()
    pair.pass_time(1200)
    assert pair.breached() == [True, True]
    assert pair.checkout.restores() == pair.cart.restores() == []
    for model, other in ((pair.checkout, CART), (pair.cart, KEY)):
        (alert,) = (each for each in model.rollout.alerts if each.name == HELD)
        assert str(other) in alert.summary
        assert f"`rollguard rollback {other}`" in alert.description
        assert "cannot be told apart" in alert.description
        assert model.alerts().count(HELD) == 1


def test_new_pods_that_are_worse_than_old_ones_name_their_application() -> None:
    """Both versions of checkout serve, and only the new one fails; of cart nothing is told apart."""
    pair = Pair()
    pair.checkout.pods = (0.5, 0.3, 0.001)
    pair.deploy(pair.cart)
    pair.deploy(pair.checkout)
    pair.breaks()
    pair.pass_time(600)
    assert pair.checkout.restores()
    assert not pair.cart.restores()
    assert obstacle(pair.cart) is Obstacle.OTHER_DEPLOYMENT
    assert "new pods" in pair.cart.rollout.alerts[0].description


def held_pair() -> Pair:
    """Both are held."""
    pair = Pair()
    pair.deploy(pair.cart)
    pair.deploy(pair.checkout)
    pair.breaks()
    pair.pass_time(600)
    assert obstacle(pair.checkout) is obstacle(pair.cart) is Obstacle.OTHER_DEPLOYMENT
    return pair


def test_a_person_who_undoes_the_cause_mends_both() -> None:
    """Cart was it: once it is restored, checkout is well as well, and is not rolled back."""
    pair = held_pair()
    pair.cart.take(RollbackRequested(None, "ann", "it was cart"))
    assert pair.cart.restores()
    pair.pass_time(60)
    pair.cart.sync_head()
    pair.breaks(0.0)
    pair.pass_time(3600)
    assert not pair.checkout.restores()
    assert pair.checkout.open_alerts() == set()
    pair.pass_time(3600)
    assert pair.cart.open_alerts() == set()


def test_a_breach_that_outlasts_the_others_restore_is_restored_without_more_ado() -> None:
    """Cart was not it, or not alone: checkout's own breach goes on after cart has recovered."""
    pair = held_pair()
    pair.cart.take(RollbackRequested(None, "ann", "is it cart?"))
    pair.cart.sync_head()
    pair.cart.bad_share = 0.0
    pair.pass_time(45)
    assert not pair.checkout.restores()
    pair.pass_time(1800)
    assert pair.checkout.restores()
    assert HELD not in pair.checkout.open_alerts()


def test_a_restore_that_did_not_mend_the_other_clears_nobody() -> None:
    """Cart is restored and breaches as before: what breaks both is neither shown to be checkout nor cart."""
    pair = held_pair()
    pair.cart.take(RollbackRequested(None, "ann", "is it cart?"))
    pair.cart.sync_head()
    pair.pass_time(3600)
    assert "RollguardRollbackIneffective" in pair.cart.open_alerts()
    assert not pair.checkout.restores()


def test_a_persons_rollback_is_never_held() -> None:
    """Whoever asks for it gets it at once."""
    pair = held_pair()
    pair.checkout.take(RollbackRequested(None, "ann", "enough"))
    assert pair.checkout.restores()
    assert HELD not in pair.checkout.open_alerts()


def test_silence_of_the_metrics_source_does_not_end_the_hold() -> None:
    """That nothing is measured of the other does not say that its breach is over."""
    pair = held_pair()
    for each in pair.both:
        each.metrics = "down"
    pair.pass_time(1200)
    for each in pair.both:
        each.metrics = "up"
    pair.pass_time(600)
    assert pair.checkout.restores() == pair.cart.restores() == []


def test_a_restart_forgets_nothing_of_a_hold() -> None:
    """Whom it waits for is in the state."""
    pair = held_pair()
    pair.cart.take(RollbackRequested(None, "ann", "is it cart?"))
    pair.cart.sync_head()
    pair.cart.bad_share = 0.0
    pair.checkout.restart()
    rollback = pair.checkout.rollout.rollback
    assert rollback is not None
    assert rollback.rivals == (CART,)
    pair.pass_time(1800)
    assert pair.checkout.restores()


def test_a_deployment_that_is_well_holds_nobody() -> None:
    """Deployed at the same time, and fine."""
    pair = Pair()
    pair.deploy(pair.cart)
    pair.deploy(pair.checkout)
    pair.checkout.bad_share = 0.2
    pair.pass_time(600)
    assert pair.checkout.restores()
    assert HELD not in pair.checkout.alerts()


def test_a_deployment_that_is_never_looked_at_is_waited_for_only_shortly() -> None:
    """Cart was deployed at the same time, and its metrics do not answer: checkout is restored a minute later."""
    pair = Pair()
    pair.deploy(pair.cart)
    pair.deploy(pair.checkout)
    pair.cart.metrics = "down"
    pair.checkout.bad_share = 0.2
    pair.pass_time(90)
    assert obstacle(pair.checkout) is Obstacle.OTHER_DEPLOYMENT
    pair.pass_time(90)
    assert pair.checkout.restores()
    assert HELD not in pair.checkout.alerts()


def test_what_was_deployed_after_the_breach_began_is_not_its_cause() -> None:
    """Checkout breaks, and while Git is away cart is deployed and breaks as well: checkout's restore is not held."""
    pair = Pair()
    pair.checkout.git = "down"
    pair.deploy(pair.checkout)
    pair.checkout.bad_share = 0.2
    pair.pass_time(300)
    pair.deploy(pair.cart)
    pair.cart.bad_share = 0.2
    pair.pass_time(300)
    pair.checkout.git = "up"
    pair.pass_time(120)
    assert pair.checkout.restores()


def test_only_applications_of_the_same_metrics_source_are_compared() -> None:
    """What another Prometheus says is of another place."""
    pair = held_pair()
    analysis = pair.cart.rollout.analysis
    assert analysis is not None
    assert neighbours(pair.checkout.rollout, [pair.cart.rollout])
    elsewhere = replace(analysis, policy=policy(metrics="elsewhere"))
    assert neighbours(pair.checkout.rollout, [replace(pair.cart.rollout, analysis=elsewhere)]) == ()


TIMES = st.integers(0, 100).map(lambda each: 15.0 * each)


@st.composite
def breaches(draw: st.DrawFn) -> Breach:
    """Any breach that was found after a deployment."""
    began, waited, doubt = draw(TIMES), draw(TIMES), draw(TIMES)
    onset = None if draw(st.booleans()) else Onset(began + waited, began + waited + doubt)
    return Breach(revision("two"), began, draw(st.sampled_from([0.0, 60.0])), 15.0, onset, draw(st.booleans()))


@given(breaches(), breaches())
def test_two_never_wait_for_each_others_sake_alone(one: Breach, other: Breach) -> None:
    """If one is held since the other is named, the other goes on; if it is not known, it is known to neither."""
    mirrored = {Named.OTHER: Named.THIS, Named.UNKNOWN: Named.UNKNOWN}
    for this, that in ((one, other), (other, one)):
        found = culprit(this, that)
        assert culprit(that, this) is mirrored.get(found, culprit(that, this))
        if found is Named.OTHER:
            assert rivals(that, 1800.0, [Neighbour(KEY, this)]) == ()


@given(breaches(), breaches())
def test_new_pods_seen_worse_are_never_held(one: Breach, other: Breach) -> None:
    """Evidence of the version itself outweighs any coincidence in time."""
    for this, that in product((one, other), repeat=2):
        assert rivals(replace(this, by_pods=True), 1800.0, [Neighbour(CART, that)]) == ()
