"""Objects of Flux are read whatever they hold; where they live in Git follows from them, or why it does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.gitops.flux.delivery import SETTLES, delivery_of
from controller.adapters.gitops.flux.memory import Attempt, Memory
from controller.adapters.gitops.flux.places import application_of
from controller.adapters.gitops.flux.progress import progress
from controller.adapters.gitops.flux.seen import (
    UnreadableError,
    git_revision,
    seen_git,
    seen_kustomization,
    seen_release,
)
from controller.adapters.kubernetes.fields import duration, moment
from controller.core.application import ApplicationKey, Revision
from tests.adapters.gitops.flux.objects import (
    T0,
    A,
    B,
    Object,
    condition,
    entry,
    failing,
    git_repository,
    helm_release,
    kustomization,
    ready,
    trying,
)

KEY = ApplicationKey("flux-system", "checkout")
MAIN = git_repository(branch="main")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (f"main@sha1:{A}", A),
        (f"release/1.2@sha1:{A}", A),
        (f"refs/heads/main@sha1:{A}", A),
        (f"sha1:{A}", A),
        (f"main@sha256:{A}{'a' * 24}", A + "a" * 24),
        (f"main/{A}", A),
        ("main@sha1:abc", None),
        ("", None),
        ("latest@sha256:xyz", None),
    ],
)
def test_revisions_name_their_commit(written: str, found: str | None) -> None:
    """All spellings that Flux has had."""
    assert git_revision(written) == found


def test_the_digest_of_an_artifact_is_no_commit() -> None:
    """An OCI revision looks like one of Git's of SHA-256; its kind of source tells them apart."""
    document = ready(A, sourceRef={"kind": "OCIRepository", "name": "manifests"})
    document["status"]["lastAppliedRevision"] = f"latest@sha256:{'e' * 64}"
    assert seen_kustomization(document).applied is None


@pytest.mark.parametrize(
    ("written", "seconds"), [("1m30.5s", 90.5), ("812.5ms", 0.8125), ("1h0m0s", 3600), ("soon", 0), ("", 0), (7, 0)]
)
def test_durations_are_read_as_go_writes_them(written: Any, seconds: float) -> None:
    """What is none counts as nothing."""
    assert duration({"lasted": written}, "lasted") == pytest.approx(seconds)


def test_times_that_are_none_count_as_absent() -> None:
    """A text, a number, and a year that no computer counts to."""
    for written in ("yesterday", 7, None, "0000-01-01T00:00:00Z"):
        assert moment({"at": written}, "at") is None


# --- hostile input -----------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    ("metadata", "labels"),
    ("metadata", "generation"),
    ("spec",),
    ("spec", "sourceRef"),
    ("spec", "path"),
    ("spec", "components"),
    ("spec", "healthChecks"),
    ("status",),
    ("status", "conditions"),
    ("status", "history"),
    ("status", "lastAppliedRevision"),
    ("status", "observedGeneration"),
]


@given(place=st.sampled_from(PLACES), junk=JUNK)
def test_whatever_an_object_holds_it_can_be_looked_at(place: tuple[str, ...], junk: Any) -> None:
    """A part of another kind counts as absent; nothing raises."""
    document = failing(A, B, entry("2", B), entry("1", A), since=5)
    node: Any = document
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = junk
    seen = seen_kustomization(document)
    git = seen_git(MAIN)
    application_of(seen, git)
    made = progress(None, seen, git, (), T0)
    progress(made.memory, seen, git, (), T0 + 100)


@given(entries=st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(entry("1", A), JUNK)), max_size=4))
def test_a_history_of_anything_can_be_looked_at(entries: list[Object]) -> None:
    """So can each part of an entry."""
    seen = seen_kustomization(ready(A, *[entry("1", A) | each for each in entries]))
    assert progress(None, seen, None, (), T0).memory.told is not None


def test_what_has_no_name_is_unreadable() -> None:
    """It is passed over, and hides no other."""
    for read in (seen_kustomization, seen_git):
        with pytest.raises(UnreadableError):
            read({"metadata": {"name": 7}})


def test_a_release_that_no_kustomization_applies_is_not_kept() -> None:
    """It says nothing of any application; one with both labels does."""
    document = helm_release()
    owned = seen_release(document)
    assert owned is not None
    assert owned.owner == KEY
    document["metadata"]["labels"] = {"app": "checkout"}
    assert seen_release(document) is None


# --- places ------------------------------------------------------------------------------------------------------


def place(git: Object | None = None, **spec: Any) -> Any:
    """The application of a Kustomization that is declared so."""
    return application_of(seen_kustomization(kustomization(**spec)), seen_git(git) if git is not None else None)


def test_an_application_is_where_its_path_is() -> None:
    """Repository and branch of its source, path of its own, and where it deploys to."""
    found = place(MAIN, metadata={"labels": {"team": "pay"}})
    assert found.key == KEY
    assert found.source.repository == "https://git.example.com/shop/manifests.git"
    assert (found.source.branch, found.source.paths) == ("main", ("apps/checkout",))
    assert (found.destination, found.labels, found.not_revertible) == ("shop", (("team", "pay"),), "")


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        ({"path": ""}, ("",)),
        ({"path": "./"}, ("",)),
        ({"path": "/apps/x/"}, ("apps/x",)),
        ({"path": "apps//x/../y"}, ("apps/y",)),
        ({"components": ["../../shared/tls", "./local"]}, ("apps/checkout", "shared/tls")),
        ({"components": ["../../../out", "https://example.com/x"]}, ("apps/checkout",)),
    ],
)
def test_paths_begin_at_the_repositorys_root(spec: dict[str, Any], paths: tuple[str, ...]) -> None:
    """However they are written; components elsewhere are read too."""
    assert place(MAIN, **spec).source.paths == paths


def test_the_destination_without_a_target_namespace_is_its_own() -> None:
    """The Kustomization's own namespace stands for what its manifests name themselves."""
    assert place(MAIN, targetNamespace=None).destination == "flux-system"


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ({"tag": "v1"}, "follows the tag v1"),
        ({"semver": ">=1", "tag": "v1"}, "follows the tags >=1"),
        ({"commit": A, "branch": "main"}, "follows the commit aaaaaaaaaaaa"),
        ({"name": "refs/tags/v1"}, "follows the reference refs/tags/v1"),
    ],
)
def test_what_follows_no_branch_is_not_revertible(ref: dict[str, str], says: str) -> None:
    """The sentence says what is followed, and what a person is to set."""
    sentence = place(git_repository(**ref)).not_revertible
    assert says in sentence
    assert "Set spec.ref" in sentence


@pytest.mark.parametrize(
    ("ref", "branch"), [({}, "master"), ({"branch": "x", "name": "refs/heads/release"}, "release")]
)
def test_the_branch_is_the_one_that_flux_follows(ref: dict[str, str], branch: str) -> None:
    """In Flux's order, and with its default."""
    assert place(git_repository(**ref)).source.branch == branch


@pytest.mark.parametrize("kind", ["OCIRepository", "Bucket", "ExternalArtifact"])
def test_what_is_no_git_is_not_revertible(kind: str) -> None:
    """No commit changes it."""
    found = place(sourceRef={"kind": kind, "name": "manifests"})
    assert f"deploys the {kind} flux-system/manifests" in found.not_revertible


def test_a_source_that_is_missing_is_said() -> None:
    """With the name that it should have, in its own namespace."""
    found = place(sourceRef={"kind": "GitRepository", "name": "x", "namespace": "other"})
    assert "GitRepository other/x is not there" in found.not_revertible


def test_a_path_out_of_the_repository_is_said() -> None:
    """Nothing can be restored there."""
    assert "leads out of the repository" in place(MAIN, path="../x").not_revertible


# --- delivery ----------------------------------------------------------------------------------------------------


def delivery(document: Object, git: Object | None = MAIN, attempt: Attempt | None = None, after: float = 0.0) -> Any:
    """How Flux stands with it."""
    seen = seen_kustomization(document)
    return delivery_of(seen, seen_git(git) if git is not None else None, Memory("u1", None, attempt), T0 + after)


@pytest.mark.parametrize(
    ("document", "git", "says"),
    [
        (ready(A, suspend=True), MAIN, "flux resume kustomization checkout -n flux-system"),
        (ready(A), git_repository(branch="main", suspend=True), "flux resume source git manifests -n flux-system"),
        (ready(A), None, "is not there"),
        (ready(A, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), MAIN, "is being deleted"),
        (failing(A, B, since=1, reason="DependencyNotReady", message="db"), MAIN, "is not ready: db"),
        (
            kustomization(applied=A, conditions=(condition("Stalled", "True", "InvalidCELExpression", "bad CEL"),)),
            MAIN,
            "Flux has stopped: bad CEL",
        ),
        (
            ready(A),
            git_repository(status={"conditions": [condition("Ready", "False", message="no rights")]}),
            "Flux cannot read the repository: no rights",
        ),
    ],
)
def test_what_blocks_is_said(document: Object, git: Object | None, says: str) -> None:
    """One sentence, with what a person can do where there is something."""
    assert says in delivery(document, git).blocked


def test_nothing_blocks_what_is_well() -> None:
    """And a commit is deployed without a person."""
    found = delivery(ready(A))
    assert (found.blocked, found.operation, found.automated, found.drift) == ("", None, True, ())


def test_flux_waiting_for_health_blocks_what_is_newer() -> None:
    """Git holds a newer revision, which Flux looks at only when it has given up; a failure keeps nothing waiting."""
    attempt = Attempt(Revision(B), T0, T0)
    newer = git_repository(branch="main", status={"artifact": {"revision": f"main@sha1:{A}"}})
    same = git_repository(branch="main", status={"artifact": {"revision": f"main@sha1:{B}"}})
    document = trying(A, B, since=1)
    assert "waits for the health of bbbbbbbbbbbb" in delivery(document, newer, attempt, SETTLES).blocked
    assert delivery(document, same, attempt, SETTLES).blocked == ""
    assert delivery(document, newer, attempt, SETTLES - 1).blocked == ""
    assert delivery(failing(A, B, since=1), newer, attempt, SETTLES).blocked == ""


def test_an_operation_counts_once_it_lasts() -> None:
    """Flux looks at every commit; what passes in seconds is not told. What fails is told at once."""
    attempt = Attempt(Revision(B), T0, T0)
    document = failing(A, B, since=1, message="not found")
    assert delivery(document, attempt=attempt, after=SETTLES - 1).operation is None
    found = delivery(document, attempt=attempt, after=SETTLES).operation
    assert (found.revision, found.started_at, found.retrying) == (B, T0, False)
    failed = Attempt(Revision(B), T0, T0, failing_since=T0 + 1)
    assert delivery(document, attempt=failed, after=1).operation.retrying
