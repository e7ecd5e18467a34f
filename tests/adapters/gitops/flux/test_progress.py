"""How far a Kustomization's deployments are: each rule on objects as Flux writes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.adapters.gitops.flux.delivery import SETTLES
from controller.adapters.gitops.flux.memory import Memory
from controller.adapters.gitops.flux.progress import APPLIED_ONLY, HELM_SETTLES, RETRIES_SETTLE, Progress, progress
from controller.adapters.gitops.flux.seen import seen_git, seen_kustomization, seen_release
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
    git_repository,
    helm_release,
    kustomization,
    ready,
    trying,
)


@dataclass
class Watched:
    """A Kustomization that is looked at again and again."""

    memory: Memory | None = None
    told: list[tuple[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    last: Progress | None = None

    def look(self, document: Object, after: float, releases: Sequence[Object] = ()) -> list[tuple[str, str]]:
        """What a look so long after T0 tells."""
        found = [made for each in releases if (made := seen_release(each)) is not None]
        git = seen_git(git_repository(branch="main"))
        self.last = progress(self.memory, seen_kustomization(document), git, found, T0 + after)
        self.memory = self.last.memory
        told = [(each.phase.value, each.revision) for each in self.last.reports]
        self.told += told
        self.times += [each.at - T0 for each in self.last.reports]
        return told

    @property
    def delivery(self) -> Any:
        assert self.last is not None
        return self.last.delivery


LIVE = ready(A, entry("1", A, first=2), since=2)


@pytest.fixture
def watched() -> Watched:
    """One that has A live since a long time ago, and was told of."""
    made = Watched()
    made.look(LIVE, 9000)
    made.told.clear()
    made.times.clear()
    return made


# --- first sight -------------------------------------------------------------------------------------------------


def test_what_has_run_for_long_is_told_healthy_only() -> None:
    """One report says all, with the time at which its manifests were first applied."""
    seen = Watched()
    assert seen.look(ready(A, entry("1", A, first=2, last=8000, count=90), since=8000), 9000) == [("Healthy", A)]
    assert seen.last is not None
    assert seen.last.reports[0].only
    assert seen.times == [2]


def test_what_is_recent_is_told_from_its_start() -> None:
    """Started when it began to be applied, Healthy when that ended; not when it was last reconciled."""
    seen = Watched()
    entries = (entry("2", B, first=1000, last=1300, count=6, lasted="1s"), entry("1", A, first=2, last=900, count=9))
    assert seen.look(ready(B, *entries, since=1300), 1320) == [("Started", B), ("Healthy", B)]
    assert seen.times == [1000, 1000]


def test_a_digest_that_came_back_began_after_the_one_before_it() -> None:
    """Its entry has its old first time: when the other manifests were last applied says when it came back."""
    seen = Watched()
    entries = (entry("1", R, first=2, last=2060, count=9), entry("2", B, first=1000, last=2000, count=9))
    seen.look(ready(R, *entries, since=2060), 2070)
    assert seen.told == [("Started", R), ("Healthy", R)]
    assert seen.times == [2000, 2000]


def test_what_is_live_is_told_before_what_is_tried() -> None:
    """At a first sight in the middle of a deployment, both are told; the live one did run well."""
    seen = Watched()
    document = trying(A, B, entry("1", A, first=2), since=8990)
    assert seen.look(document, 9000) == [("Healthy", A)]
    assert seen.look(document, 9000 + SETTLES) == [("Started", B)]
    assert seen.times == [0, 8990]


def test_a_first_deployment_counts_at_once() -> None:
    """Where nothing was ever applied, there is nothing that the revision could leave unchanged."""
    seen = Watched()
    assert seen.look(trying("", A, since=1), 2) == [("Started", A)]
    assert seen.look(ready(A, entry("1", A, first=9, lasted="8s"), since=9), 10) == [("Healthy", A)]


def test_a_live_version_that_fails_now_is_not_told_healthy() -> None:
    """At a first sight, a version whose periodic health check fails is no good one."""
    seen = Watched()
    document = failing(A, A, entry("1", A, first=900, status="HealthCheckFailed"), entry("1", A, first=2), since=900)
    assert [phase for phase, _ in [*seen.look(document, 1000)]] == ["Started", "Failed"]


def test_nothing_is_told_of_what_has_no_status() -> None:
    """A Kustomization that Flux has not looked at yet deploys nothing."""
    assert Watched().look(kustomization(), 1) == []


# --- deployments -------------------------------------------------------------------------------------------------


def test_a_quick_deployment_is_told_when_it_has_ended(watched: Watched) -> None:
    """Only then is it known to be one; its start is that of the reconciliation."""
    document = ready(B, entry("2", B, first=9105, lasted="4.5s"), entry("1", A, first=2), since=9105)
    assert watched.look(document, 9106) == [("Started", B), ("Healthy", B)]
    assert watched.times == [9100.5, 9105]


def test_an_unrelated_commit_is_no_deployment(watched: Watched) -> None:
    """The field lastAppliedRevision moves, the digest does not."""
    assert watched.look(trying(A, U, entry("1", A, first=2), since=9100), 9100) == []
    assert watched.look(ready(U, entry("1", U, first=2, last=9101, count=2), since=9101), 9101) == []
    assert watched.look(trying(U, U, entry("1", U, first=2), since=9160), 9160 + 2 * SETTLES) == []


def test_a_long_deployment_is_told_started_before_it_ends(watched: Watched) -> None:
    """The watch opens while Flux waits for health, with the time at which it began; a look is asked for."""
    document = trying(A, B, entry("1", A, first=2), since=9100)
    assert watched.look(document, 9101) == []
    assert watched.last is not None
    assert watched.last.again_at == T0 + 9101 + SETTLES
    assert watched.look(document, 9101 + SETTLES) == [("Started", B)]
    assert watched.times == [9100]
    assert watched.look(ready(B, entry("2", B, first=9130), since=9130), 9131) == [("Healthy", B)]
    assert watched.times == [9100, 9130]


def test_a_rollback_brings_an_old_digest_back(watched: Watched) -> None:
    """It is a deployment, though Flux has seen the manifests before."""
    watched.look(ready(B, entry("2", B, first=9105), entry("1", A, first=2), since=9105), 9106)
    entries = (entry("1", R, first=2, last=9305, count=9, lasted="3s"), entry("2", B, first=9105, last=9290))
    assert watched.look(ready(R, *entries, since=9305), 9306) == [("Started", R), ("Healthy", R)]
    assert watched.times[-2:] == [9302, 9305]


def test_nothing_is_told_twice(watched: Watched) -> None:
    """Periodic reconciliations tell nothing."""
    document = ready(B, entry("2", B, first=9105), since=9105)
    watched.look(document, 9106)
    assert watched.look(document, 9107) == []
    assert watched.look(ready(B, entry("2", B, first=9105, last=9200, count=2), since=9200), 9201) == []


def test_a_failed_health_check_is_told_and_retried(watched: Watched) -> None:
    """Failed at once; the next try of the same revision is the same deployment, which may yet become Healthy."""
    head = entry("2", B, first=9220, status="HealthCheckFailed")
    document = failing(A, B, head, entry("1", A, first=2), since=9220)
    watched.look(trying(A, B, entry("1", A, first=2), since=9100), 9100)
    assert watched.look(document, 9221) == [("Started", B), ("Failed", B)]
    assert watched.times == [9100, 9220]
    assert watched.delivery.operation.retrying
    assert watched.look(trying(A, B, head, since=9280), 9281) == []
    assert watched.delivery.operation.retrying
    assert watched.look(ready(B, entry("2", B, first=9290), since=9290), 9291) == [("Healthy", B)]
    assert watched.delivery.operation is None


def test_a_restore_after_what_was_never_applied_is_told(watched: Watched) -> None:
    """What failed to build left the manifests as they were: the restore's digest is the old one."""
    watched.look(failing(A, B, entry("1", A, first=2), since=9100, reason="BuildFailed"), 9101)
    assert watched.told == [("Started", B), ("Failed", B)]
    document = ready(R, entry("1", R, first=2, last=9200, count=3), since=9200)
    assert watched.look(document, 9201) == [("Started", R), ("Healthy", R)]


def test_an_unrelated_commit_while_the_live_version_fails_is_no_deployment(watched: Watched) -> None:
    """The digest that fails is the live one's."""
    head = entry("1", U, first=9220, status="HealthCheckFailed")
    assert watched.look(failing(A, U, head, entry("1", A, first=2), since=9220), 9221) == []


def test_a_failure_to_apply_counts_once_it_lasts(watched: Watched) -> None:
    """A definition or a webhook may be a moment late."""
    head = entry("2", B, first=9100, status="ReconciliationFailed")
    document = failing(A, B, head, entry("1", A, first=2), since=9100, reason="ReconciliationFailed", message="no")
    assert watched.look(document, 9101) == [("Started", B)]
    assert watched.last is not None
    assert watched.last.again_at == T0 + 9100 + RETRIES_SETTLE
    assert watched.look(document, 9100 + RETRIES_SETTLE) == [("Failed", B)]


def test_a_path_that_is_gone_fails_the_revision_that_is_fetched(watched: Watched) -> None:
    """The field lastAttemptedRevision is still the one before; the message of the stage names the other."""
    message = f"Fetching manifests for revision main@sha1:{B} with a timeout of 2m0s"
    conditions = (
        condition("Reconciling", "True", "ProgressingWithRetry", message, 9100),
        condition("Ready", "False", "ArtifactFailed", "kustomization path not found: stat /tmp/x", 9100),
    )
    document = kustomization(applied=A, attempted=A, conditions=conditions, history=(entry("1", A),))
    assert watched.look(document, 9101) == [("Started", B), ("Failed", B)]


def test_a_branch_that_is_set_back_is_a_deployment(watched: Watched) -> None:
    """Somebody pushes the branch back to the commit before."""
    watched.look(ready(B, entry("2", B, first=9105), entry("1", A, first=2), since=9105), 9106)
    entries = (entry("1", A, first=2, last=9205, count=9, lasted="3s"), entry("2", B, first=9105, last=9190))
    assert watched.look(ready(A, *entries, since=9205), 9206) == [("Started", A), ("Healthy", A)]


def test_without_a_history_each_revision_is_told() -> None:
    """Flux before 2.7 keeps none: whoever is told finds out what changed."""
    seen = Watched()
    seen.look(ready(A, since=0), 9000)
    assert seen.look(ready(B, since=9100), 9101) == [("Started", B), ("Healthy", B)]


def test_a_spec_that_was_not_taken_in_is_not_healthy(watched: Watched) -> None:
    """The observed generation must be current."""
    document = ready(B, entry("2", B, first=9105), since=9105, generation=2, observed=1)
    assert watched.look(document, 9106) == []


def test_another_kustomization_of_the_same_name_is_seen_for_the_first_time(watched: Watched) -> None:
    """What was remembered of the one that is gone says nothing of it."""
    document = ready(A, entry("1", A, first=9105), since=9105, uid="u2")
    assert watched.look(document, 9106) == [("Started", A), ("Healthy", A)]


def test_ready_without_health_checks_says_what_it_means() -> None:
    """Without wait and health checks, Healthy is told with the sentence that it only means applied."""
    seen = Watched()
    seen.look(ready(A, entry("1", A, first=2), since=2, wait=False), 9000)
    assert seen.last is not None
    assert seen.last.reports[0].message == APPLIED_ONLY


# --- Helm --------------------------------------------------------------------------------------------------------

APPLIED = ready(B, entry("2", B, first=9105, lasted="5s"), entry("1", A, first=2), since=9105)
WELL = helm_release(condition("Ready", "True", "UpgradeSucceeded", since=10))
ROLLED_BACK = helm_release(
    condition("Ready", "False", "RollbackSucceeded", "upgrade failed: timed out", 9200),
    condition("Remediated", "True", "RollbackSucceeded", since=9200),
    condition("Released", "False", "UpgradeFailed", since=9190),
)


def test_a_release_that_helm_took_back_fails_the_deployment(watched: Watched) -> None:
    """The cluster runs the version before while Git has not moved: told Failed, so that Git is restored too."""
    under_way = helm_release(condition("Ready", "Unknown", "Progressing", since=9106), generation=2, observed=2)
    assert watched.look(APPLIED, 9106, [under_way]) == [("Started", B)]
    assert watched.look(APPLIED, 9106 + HELM_SETTLES, [under_way]) == []
    assert watched.look(APPLIED, 9201, [ROLLED_BACK]) == [("Failed", B)]
    assert watched.last is not None
    assert "took it back to the version before" in watched.last.reports[0].message
    assert watched.look(APPLIED, 9300, [ROLLED_BACK]) == []


def test_an_unrelated_commit_heals_no_release_that_helm_took_back(watched: Watched) -> None:
    """The manifests are those that failed, from another commit: nothing is told until they become Healthy themselves."""
    watched.look(APPLIED, 9106, [WELL])
    watched.look(APPLIED, 9201, [ROLLED_BACK])
    watched.told.clear()
    history = (entry("2", U, first=9105, last=9300, count=4), entry("1", A, first=2))
    assert watched.look(ready(U, *history, since=9300), 9310, [ROLLED_BACK]) == []
    assert watched.look(trying(U, U, *history, since=9400), 9400 + SETTLES, [ROLLED_BACK]) == []
    document = ready(R, entry("1", R, first=2, last=9500, count=9), *history[:1], since=9500)
    healed = helm_release(condition("Ready", "True", since=9510), generation=2, observed=2)
    assert watched.look(document, 9520, [healed]) == [("Started", R), ("Healthy", R)]


def test_healthy_waits_for_the_releases(watched: Watched) -> None:
    """A changed release is heard of a moment after the Kustomization is Ready, and takes its time."""
    assert watched.look(APPLIED, 9106, [WELL]) == [("Started", B)]
    pending = helm_release(condition("Ready", "True", since=10), generation=3, observed=2)
    assert watched.look(APPLIED, 9107 + HELM_SETTLES, [pending]) == []
    done = helm_release(condition("Ready", "True", since=9150), generation=3, observed=3)
    assert watched.look(APPLIED, 9151, [done]) == [("Healthy", B)]
    assert watched.times == [9100, 9150]


def test_a_release_that_is_unchanged_keeps_nothing_waiting(watched: Watched) -> None:
    """Healthy comes as soon as a change of it would have been heard of."""
    watched.look(APPLIED, 9106, [WELL])
    assert watched.last is not None
    assert watched.last.again_at == T0 + 9105 + HELM_SETTLES
    assert watched.look(APPLIED, 9105 + HELM_SETTLES, [WELL]) == [("Healthy", B)]


def test_a_release_that_was_lost_before_says_nothing_of_this_deployment(watched: Watched) -> None:
    """It has failed for long, and this commit did not change it."""
    lost = helm_release(
        condition("Ready", "False", "UpgradeFailed", since=100), condition("Stalled", "True", since=100)
    )
    watched.look(APPLIED, 9106, [lost])
    assert watched.look(APPLIED, 9105 + HELM_SETTLES, [lost]) == [("Healthy", B)]


def test_a_wait_for_health_can_only_be_ended_by_hand(watched: Watched) -> None:
    """Nobody need ask Flux to end it, and people are told how; a failure gives way by itself."""
    watched.look(trying(A, B, entry("1", A, first=2), since=9100), 9100)
    watched.look(trying(A, B, entry("1", A, first=2), since=9100), 9100 + SETTLES)
    operation = watched.delivery.operation
    assert not operation.endable
    assert "rollout restart deployment/kustomize-controller" in operation.by_hand
    head = entry("2", B, first=9220, status="HealthCheckFailed")
    watched.look(failing(A, B, head, entry("1", A, first=2), since=9220), 9221)
    assert (watched.delivery.operation.endable, watched.delivery.operation.by_hand) == (False, "")
