"""The verdicts on one deployment: each row of the verdict table, and the conditions beside it."""

import numpy as np
import pytest

from controller.core.evidence import Evidence, ObjectiveReference
from controller.core.judging import errors_expected, judge
from controller.core.observation import MissingReason
from controller.core.policy import PolicySpec
from controller.core.verdict import Judgement, ObjectiveJudgement, Reason, VerdictKind
from tests.core.deployments import (
    INTERVAL,
    START,
    Traffic,
    after,
    before,
    column,
    evidence,
    gauge,
    policy,
    ratio,
    restarts,
)

WHOLE = 122
"""Ticks until the deadline: the window from Healthy 30 s after the start."""
END = after(1830.0)


def at_end(facts: Evidence, rules: PolicySpec | None = None) -> Judgement:
    """The judgement at the deadline."""
    return judge(rules or policy(), facts, END)


def first(found: Judgement) -> ObjectiveJudgement:
    """What it says about the first objective."""
    return found.objectives[0]


def test_healthy() -> None:
    """A deployment as good as before is Healthy at the deadline, and passed early long before it."""
    facts = evidence(Traffic().ticks((WHOLE, 0.001)))
    found = at_end(facts)
    assert (found.verdict, found.reason) == (VerdictKind.HEALTHY, Reason.WITHIN_SLO)
    assert found.kept
    assert not found.blind
    assert found.decided_at == facts.last_tick
    early = judge(policy(), evidence(Traffic().ticks((20, 0.001))), after(300))
    assert early.verdict is None
    assert early.passed_early


@pytest.mark.parametrize(("share", "seconds"), [(0.05, 105.0), (0.2, 75.0), (1.0, 75.0)])
def test_breached_soon(share: float, seconds: float) -> None:
    """At ten requests a second and a 99 % target, 5 % bad is found within 105 s of the start, 20 % at the first look."""
    decided = []
    for seed in range(20):
        found = judge(policy(), evidence(Traffic(seed).ticks((12, share))), after(181))
        assert found.verdict is VerdictKind.BREACHED
        assert found.decided_at is not None
        decided.append(found.decided_at - START)
    assert sorted(decided)[10] <= seconds


def test_total_failure_at_one_request_a_second() -> None:
    """Everything fails at 1 rps: Breached at the first look after the warm-up."""
    found = judge(policy(), evidence(column("availability", [15] * 5, [15] * 5)), after(75))
    assert (found.verdict, found.decided_at) == (VerdictKind.BREACHED, after(75))
    assert found.breaching_now
    assert found.evidence >= found.threshold


def test_breach_reports_the_look_that_reached_it() -> None:
    """Numbers and sentence of Breached are those of the deciding look, however long one goes on looking."""
    short = judge(policy(), evidence(Traffic().ticks((8, 0.05))), after(121))
    long = judge(policy(), evidence(Traffic().ticks((8, 0.05), (60, 0.0))), after(1021))
    assert short.verdict is long.verdict is VerdictKind.BREACHED
    assert short.sentence == long.sentence
    assert (short.decided_at, first(short).bad) == (long.decided_at, first(long).bad)
    assert (short.at, long.at) == (after(120), after(1020))
    assert short.breaching_now
    assert not long.breaching_now


def test_sentence_of_a_breach() -> None:
    """The sentence names objective, measured, target, how long, the counts, and what was before."""
    found = judge(policy(), evidence(column("availability", [15] * 5, [150] * 5)), after(75))
    assert found.sentence == "availability 90 % against 99 % for 1m15s (15 of 150 bad; before 99.9 %)"
    assert found.objective == "availability"


def test_breached_before_is_held() -> None:
    """A service that was as bad before breaches its SLO, and the deployment is not to blame: Hold."""
    facts = evidence(Traffic().ticks((WHOLE, 0.05)), references=[before(0.05)])
    found = at_end(facts)
    assert (found.verdict, found.reason) == (VerdictKind.HOLD, Reason.BREACHED_BEFORE)
    assert found.slo_rejected
    assert "not shown to be 1.5 times worse than before" in found.sentence
    open_ = judge(policy(), evidence(Traffic().ticks((40, 0.05)), references=[before(0.05)]), after(600))
    assert open_.verdict is None
    assert open_.slo_rejected
    assert open_.reason is Reason.BREACHED_BEFORE


def test_windows_of_the_day_before_are_a_measure_too() -> None:
    """What the worst windows of the day before reached is not worse than before."""
    facts = evidence(Traffic().ticks((WHOLE, 0.05)), references=[before(0.001, window_quantile=0.06)])
    assert at_end(facts).verdict is VerdictKind.HOLD


def test_without_history_nothing_is_rolled_back() -> None:
    """Nothing is known of the time before: the worst deployment ends in Hold, and the sentence says why."""
    for references in ([], [before(0.0, 0.0)]):
        found = at_end(evidence(Traffic().ticks((WHOLE, 1.0)), references=references))
        assert (found.verdict, found.reason) == (VerdictKind.HOLD, Reason.BREACHED_BEFORE)
        assert "what was before is not known" in found.sentence


def test_worse_within_the_slo() -> None:
    """Five times worse than before and within the SLO: Healthy, with a note."""
    found = at_end(evidence(Traffic().ticks((WHOLE, 0.005))))
    assert (found.verdict, found.reason) == (VerdictKind.HEALTHY, Reason.WORSE_WITHIN_SLO)
    assert found.sentence.endswith("worse than before, but within the SLO")


def test_low_traffic_is_inconclusive() -> None:
    """A request a minute shows nothing: Inconclusive, with the upper bound and what could have been seen."""
    total = np.where(np.arange(WHOLE) % 4 == 0, 1, 0)
    found = at_end(evidence(column("availability", np.zeros(WHOLE), total)))
    assert (found.verdict, found.reason) == (VerdictKind.INCONCLUSIVE, Reason.TOO_LITTLE_EVIDENCE)
    assert first(found).upper_bound == pytest.approx(0.12, abs=0.02)
    assert first(found).detectable == pytest.approx(5 / 30)
    assert not found.blind
    assert "may be bad, and only a bad share of" in found.sentence


def test_hardly_any_traffic_is_blind() -> None:
    """So few requests that not even a total failure could be seen: Inconclusive and blind."""
    total = np.where(np.arange(WHOLE) % 60 == 10, 1, 0)
    found = at_end(evidence(column("availability", np.zeros(WHOLE), total)))
    assert found.verdict is VerdictKind.INCONCLUSIVE
    assert found.blind
    assert first(found).detectable is None
    assert "not even a total failure could be seen" in found.sentence


@pytest.mark.parametrize("why", [MissingReason.UNREACHABLE, MissingReason.NO_SERIES, MissingReason.WARNINGS])
def test_no_data_is_inconclusive_and_blind(why: MissingReason) -> None:
    """Nothing could be measured: neither a pass nor a breach, and said so with the reason."""
    facts = evidence(column("availability", [0] * WHOLE, [0] * WHOLE, dict.fromkeys(range(WHOLE), why)))
    found = at_end(facts)
    assert (found.verdict, found.reason) == (VerdictKind.INCONCLUSIVE, Reason.NO_DATA)
    assert found.blind
    assert why.value in found.sentence
    assert (found.passed_early, found.kept, found.slo_rejected) == (False, False, False)
    assert not found.breaching_now


def test_no_ticks_at_all() -> None:
    """The metrics never came: Inconclusive and blind once the deadline and some patience are over."""
    assert judge(policy(), evidence(), END).verdict is None
    found = judge(policy(), evidence(), END + 60)
    assert (found.verdict, found.reason, found.blind) == (VerdictKind.INCONCLUSIVE, Reason.NO_DATA, True)


def test_half_of_the_window_unseen_is_no_pass() -> None:
    """A clean first part does not stand for a second that nobody saw."""
    unseen = dict.fromkeys(range(50, WHOLE), MissingReason.UNREACHABLE)
    found = at_end(evidence(column("availability", np.zeros(WHOLE), np.full(WHOLE, 150), unseen)))
    assert (found.verdict, found.reason) == (VerdictKind.INCONCLUSIVE, Reason.NO_DATA)


def test_pauses_without_traffic_are_no_gaps() -> None:
    """Ticks without traffic were answered: what was seen beside them is enough to be Healthy."""
    quiet = {index: MissingReason.NO_TRAFFIC for index in range(WHOLE) if index % 3}
    found = at_end(evidence(column("availability", np.zeros(WHOLE), np.full(WHOLE, 150), quiet)))
    assert found.verdict is VerdictKind.HEALTHY


def test_selector_lost() -> None:
    """The errors' series vanish under traffic: Inconclusive, whatever the good ticks before said."""
    lost = dict.fromkeys(range(100, WHOLE), MissingReason.SELECTOR_LOST)
    found = at_end(evidence(column("availability", np.zeros(WHOLE), np.full(WHOLE, 150), lost)))
    assert (found.verdict, found.reason) == (VerdictKind.INCONCLUSIVE, Reason.SELECTOR_LOST)
    assert found.blind
    assert not found.passed_early


def test_start_up_spike_in_the_warm_up_is_harmless() -> None:
    """Everything fails in the first minute, nothing after: Healthy; the spike is counted, and no evidence."""
    found = at_end(evidence(Traffic().ticks((4, 1.0), (WHOLE - 4, 0.001))))
    assert found.verdict is VerdictKind.HEALTHY
    assert first(found).bad_since_start - first(found).bad == 600


def test_spike_after_the_warm_up_counts() -> None:
    """The same minute after the warm-up is a breach."""
    found = at_end(evidence(Traffic().ticks((4, 0.001), (4, 1.0), (WHOLE - 8, 0.001))))
    assert found.verdict is VerdictKind.BREACHED


def test_warming_up_is_said() -> None:
    """Before the first look there is no evidence, and the sentence says when it comes."""
    found = judge(policy(), evidence(Traffic().ticks((3, 1.0))), after(46))
    assert (found.verdict, found.reason, found.evidence) == (None, Reason.WARMING_UP, 0.0)
    assert found.sentence == "availability: warming up, the first look is due in 29s"


def test_few_bad_events_are_no_breach() -> None:
    """Four bad events are fewer than minimumBadEvents, however large their share; the fifth breaches."""
    facts = [evidence(column("availability", [0] * 4 + [count], [0] * 4 + [count])) for count in (4, 5)]
    four, five = (judge(policy(), each, after(75)) for each in facts)
    assert (four.verdict, four.slo_rejected) == (None, False)
    assert five.verdict is VerdictKind.BREACHED
    assert judge(policy(minimumBadEvents=20), facts[1], after(75)).verdict is None


def test_evidence_needs_a_breach_that_goes_on() -> None:
    """The newest ticks must be above the limit: evidence that is reached by one quiet look later does not count."""
    bad = [0] * 4 + [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    total = [0] * 4 + [5] + [500] * 11
    found = judge(policy(), evidence(column("availability", bad, total)), after(240))
    assert found.decided_at == after(75)
    later = judge(policy(minimumBadEvents=6), evidence(column("availability", [*bad, 1], [*total, 500])), after(255))
    assert later.verdict is None


def test_dispersed_services_are_judged_by_ticks() -> None:
    """Where errors come in clusters one bad tick is no proof; several in a row are."""
    reference = [before(0.001, dispersion=20.0, dispersed=True)]
    bad = [0.0] * WHOLE
    bad[20] = 60
    one = at_end(evidence(column("availability", bad, [150] * WHOLE), references=reference))
    assert one.verdict is not VerdictKind.BREACHED
    assert at_end(evidence(column("availability", bad, [150] * WHOLE))).verdict is VerdictKind.BREACHED
    many = at_end(evidence(Traffic().ticks((WHOLE, 0.3)), references=reference))
    assert many.verdict is VerdictKind.BREACHED


def test_burn_rate_sets_the_limit() -> None:
    """At burn rate 10 the limit of a 99 % target is 10 % bad: 5 % bad is within it."""
    facts = evidence(Traffic().ticks((WHOLE, 0.05)))
    found = at_end(facts, policy(breachAtBurnRate=10))
    assert found.verdict is VerdictKind.HEALTHY
    assert first(found).limit == pytest.approx(0.1)
    assert "against 99 % at burn rate 10" in found.sentence


def test_controls_that_fail_alike_stop_a_rollback() -> None:
    """What the controls have too is Hold, whatever the baseline says; controls that are well hold nothing back."""
    rules = policy(controls=["rest"])
    known = [before(), before(name="control:rest")]
    service = Traffic(1).ticks((WHOLE, 0.2))
    shared = at_end(evidence(service, Traffic(2).ticks((WHOLE, 0.2), name="control:rest"), references=known), rules)
    assert (shared.verdict, shared.reason) == (VerdictKind.HOLD, Reason.SHARED_WITH_CONTROLS)
    assert "so are its controls" in shared.sentence
    alone = at_end(evidence(service, Traffic(2).ticks((WHOLE, 0.001), name="control:rest"), references=known), rules)
    assert alone.verdict is VerdictKind.BREACHED


def test_one_of_several_controls_is_enough_to_stop_it() -> None:
    """A control that fails with the service clears the deployment, though others that are well have more traffic."""
    rules = policy(controls=["payment", "rest"])
    known = [before(), before(name="control:payment"), before(name="control:rest")]
    service, small = (
        Traffic(1).ticks((WHOLE, 0.05)),
        Traffic(2, requests=100).ticks((WHOLE, 0.05), name="control:payment"),
    )
    large = Traffic(3, requests=2000).ticks((WHOLE, 0.001), name="control:rest")
    found = at_end(evidence(service, small, large, references=known), rules)
    assert (found.verdict, found.reason) == (VerdictKind.HOLD, Reason.SHARED_WITH_CONTROLS)


def test_a_gauge_beside_a_ratio() -> None:
    """A gauge is judged by its own rules in the same test; where nothing is known of it, it is Inconclusive."""
    rules = policy(ratio(), gauge())
    blocks = tuple(0.5 + 0.01 * (index % 5) for index in range(288))
    known = [before(), ObjectiveReference("memory", 0.0, 0.0, 86400.0, blocks=blocks)]
    service = Traffic().ticks((WHOLE, 0.001))
    jump = at_end(evidence(service, column("memory", [0.97] * WHOLE, [0.0] * WHOLE), references=known), rules)
    assert (jump.verdict, jump.objective) == (VerdictKind.BREACHED, "memory")
    fine = at_end(evidence(service, column("memory", [0.5] * WHOLE, [0.0] * WHOLE), references=known), rules)
    assert fine.verdict is VerdictKind.HEALTHY
    blind = at_end(evidence(service, references=known), rules)
    assert (blind.verdict, blind.objective) == (VerdictKind.INCONCLUSIVE, "memory")


def test_alerting_objectives_stand_alone() -> None:
    """An objective with action Alert breaches on its own, tells, and changes neither verdict nor evidence."""
    rules = policy(ratio(), ratio("latency", action="Alert"))
    references = [before(), before(name="latency")]
    good, bad = Traffic(1).ticks((WHOLE, 0.001)), Traffic(2).ticks((WHOLE, 0.2), name="latency")
    found = at_end(evidence(good, bad, references=references), rules)
    alone = at_end(evidence(good))
    assert found.verdict is VerdictKind.HEALTHY
    assert found.alerting == ("latency",)
    assert found.evidence == alone.evidence
    assert [each.verdict for each in found.objectives] == [VerdictKind.HEALTHY, VerdictKind.BREACHED]
    over = Traffic(2).ticks((4, 0.0), (4, 0.2), (WHOLE - 8, 0.0), name="latency")
    during = judge(
        rules, evidence(good, Traffic(2).ticks((4, 0.0), (4, 0.2), name="latency"), references=references), END
    )
    assert during.alerting == ("latency",)
    assert at_end(evidence(good, over, references=references), rules).alerting == ()


def test_a_policy_that_only_alerts_never_breaches() -> None:
    """Where no objective may roll back, the worst verdict is Hold."""
    rules = policy(ratio(action="Alert"))
    found = at_end(evidence(Traffic().ticks((WHOLE, 0.2))), rules)
    assert (found.verdict, found.alerting) == (VerdictKind.HOLD, ("availability",))
    assert at_end(evidence(Traffic().ticks((WHOLE, 0.001))), rules).verdict is VerdictKind.HEALTHY


def test_the_worst_objective_counts() -> None:
    """One breached among two: Breached, named by the larger; one without data: Inconclusive, and no early pass."""
    rules = policy(ratio(), ratio("latency"))
    references = [before(), before(name="latency")]
    good = Traffic(1).ticks((WHOLE, 0.001))
    bad = Traffic(2).ticks((WHOLE, 0.1), name="latency")
    found = at_end(evidence(good, bad, references=references), rules)
    assert (found.verdict, found.objective) == (VerdictKind.BREACHED, "latency")
    unseen = at_end(evidence(good, references=references), rules)
    assert (unseen.verdict, unseen.objective, unseen.blind) == (VerdictKind.INCONCLUSIVE, "latency", True)
    assert not unseen.passed_early


def test_two_objectives_share_one_rate() -> None:
    """Breached needs the mean of the terms to reach the threshold, so a second objective costs ln 2."""
    references = [before(), before(name="latency")]
    ticks = column("availability", [0] * 4 + [7, 6], [0] * 4 + [150, 150])
    one = judge(policy(), evidence(ticks, references=references), after(90))
    quiet = column("latency", [0] * 6, [0] * 6)
    two = judge(policy(ratio(), ratio("latency")), evidence(ticks, quiet, references=references), after(90))
    assert one.evidence - two.evidence == pytest.approx(np.log(2), abs=0.05)


def test_restarts() -> None:
    """A crash loop breaches from the sync on, without warm-up; no restart in half an hour is Healthy."""
    rules = policy(restarts())
    references = [ObjectiveReference("restarts", 1.0, 0.0, 86400.0)]
    count = np.zeros(WHOLE)
    assert (
        at_end(evidence(column("restarts", count, count), references=references), rules).verdict
        is VerdictKind.HEALTHY
    )
    count[1:8] = 1
    found = at_end(evidence(column("restarts", count, np.zeros(WHOLE)), references=references), rules)
    assert found.verdict is VerdictKind.BREACHED
    assert found.decided_at == after(6 * INTERVAL)
    assert found.sentence == "restarts 5 in 1m30s (200 an hour against 2; before 0.0417)"


def test_early_pass_waits_for_healthy() -> None:
    """While the rollout goes on, old pods answer: nothing passes before the new ones are trusted Healthy."""
    ticks = Traffic().ticks((40, 0.001))
    assert not judge(policy(), evidence(ticks, healthy=None), after(601)).passed_early
    assert judge(policy(), evidence(ticks, healthy=120.0), after(601)).passed_early
    assert not judge(policy(), evidence(ticks, healthy=570.0), after(601)).passed_early


def test_no_verdict_before_the_deadline() -> None:
    """Healthy, Hold and Inconclusive are given at the deadline only; without a deadline, never."""
    ticks = Traffic().ticks((WHOLE - 1, 0.001))
    assert judge(policy(), evidence(ticks), END - 1).verdict is None
    assert judge(policy(), evidence(ticks), END).verdict is VerdictKind.HEALTHY
    assert judge(policy(), evidence(ticks, healthy=None), END + 9999).verdict is None


def test_errors_expected() -> None:
    """Ten errors would be expected and none came: an empty selector is lost; before that, or after one, it is not."""
    rules = policy()
    quiet = lambda ticks: evidence(column("availability", [0] * ticks, [150] * ticks))  # noqa: E731
    assert not errors_expected(rules, quiet(60), "availability")
    assert errors_expected(rules, quiet(70), "availability")
    assert not errors_expected(rules, evidence(column("availability", [1] + [0] * 69, [150] * 70)), "availability")
    assert not errors_expected(
        rules, evidence(column("availability", [0] * 70, [150] * 70), references=[]), "availability"
    )
    assert not errors_expected(rules, quiet(70), "unknown")
