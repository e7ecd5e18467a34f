"""Whatever Flux does, in whatever order it is seen: what is told makes sense to whoever is told."""

from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.gitops.flux.progress import progress
from controller.adapters.gitops.flux.seen import seen_kustomization, seen_release
from tests.adapters.gitops.flux.objects import (
    T0,
    A,
    B,
    Object,
    R,
    U,
    condition,
    entry,
    failing,
    helm_release,
    kustomization,
    ready,
    trying,
)

DIGESTS = {A: "1", B: "2", R: "1", U: "2"}
"""R restores A's manifests; U changes nothing of B's."""
commits = st.sampled_from([A, B, R, U])
reasons = st.sampled_from(["HealthCheckFailed", "BuildFailed", "ReconciliationFailed", "DependencyNotReady"])


@st.composite
def states(draw: st.DrawFn) -> tuple[float, Object, list[Object]]:
    """Seconds since the state before, a Kustomization, and its HelmReleases."""
    passed = draw(st.sampled_from([0.0, 1.0, 6.0, 70.0]))
    live, tried, since = draw(commits), draw(commits), draw(st.integers(0, 5000))
    own = entry(DIGESTS[live], live, first=draw(st.integers(0, since)), count=draw(st.integers(1, 3)))
    lost = entry(DIGESTS[tried], tried, first=since, status="HealthCheckFailed")
    kind = draw(st.sampled_from(["ready", "trying", "failing", "new"]))
    made = {
        "ready": lambda: ready(live, own, since=since, suspend=draw(st.booleans())),
        "trying": lambda: trying(live, tried, own, since=since),
        "failing": lambda: failing(live, tried, lost, own, since=since, reason=draw(reasons)),
        "new": lambda: kustomization(uid=draw(st.sampled_from(["u1", "u2"]))),
    }[kind]()
    helm = helm_release(
        condition("Ready", draw(st.sampled_from(["True", "False", "Unknown"])), since=draw(st.integers(0, 5000))),
        condition("Remediated", draw(st.sampled_from(["True", "False"]))),
        observed=draw(st.integers(0, 1)),
    )
    return passed, made, draw(st.sampled_from([[], [helm]]))


@given(st.lists(states(), max_size=12))
def test_an_end_follows_its_start_and_nothing_is_told_twice(seen: list[tuple[float, Object, list[Object]]]) -> None:
    """Healthy and Failed are of the revision that was told Started before (or are all that is told); Healthy is the last."""
    memory = None
    now = T0 + 5000.0
    told: list[tuple[str, str]] = []
    for passed, document, releases in seen:
        now += passed
        found = [made for each in releases if (made := seen_release(each)) is not None]
        kustomization_ = seen_kustomization(document)
        if memory is None or memory.uid != kustomization_.uid:
            told = []
        made = progress(memory, kustomization_, None, found, now)
        memory = made.memory
        for report in made.reports:
            assert report.at <= now
            phase = report.phase.value
            if phase != "Started" and not report.only:
                assert told, report
                assert told[-1][1] == report.revision
                assert told[-1][0] != phase
                assert told[-1][0] != "Healthy"
            told.append((phase, report.revision))
        again = progress(memory, kustomization_, None, found, now)
        assert again.reports == ()
        assert again.memory == memory
        assert made.again_at is None or made.again_at > now
