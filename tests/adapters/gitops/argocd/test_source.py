"""The source on an API server in memory: what it tells, when, and what it sends."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from controller.adapters.gitops.argocd.source import ArgoCDSource
from controller.adapters.kubernetes.errors import ApiConflict, ApiDenied, ApiUnavailable
from controller.adapters.kubernetes.resources import APP_PROJECTS, APPLICATIONS
from controller.core.application import ApplicationKey, Revision
from controller.ports.gitops import ClusterSource, SyncSourceDenied, SyncSourceUnavailable
from tests.adapters.gitops.argocd.fake_api import FakeApi
from tests.adapters.gitops.argocd.objects import NOON, SOURCE, A, B, application, deployed, operation_state, running
from tests.fakes.heard import Heard
from tests.fakes.manual_clock import ManualClock

KEY = ApplicationKey("argocd", "checkout")
REVISION = Revision(B)
STUCK = {
    "operation": {"sync": {"revision": B, "source": SOURCE}},
    "operationState": operation_state("Running", B, 0.0),
}
FREEZE = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}


def project(*windows: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "default", "namespace": "argocd"}, "spec": {"syncWindows": list(windows)}}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON + 60.0)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def source(api: FakeApi, clock: ManualClock) -> Iterator[ArgoCDSource]:
    made = ArgoCDSource(api, namespaces=["argocd"], clock=clock)  # type: ignore[arg-type]
    yield made
    api.end()
    made.stop()


@pytest.fixture
def watching(source: ArgoCDSource, api: FakeApi, heard: Heard) -> ArgoCDSource:
    """Watches an Application that has been running for long."""
    api.put(running())
    source.discover()
    source.watch(heard)
    return source


def test_it_is_a_cluster_source(source: ArgoCDSource) -> None:
    """The port's Protocol."""
    assert isinstance(source, ClusterSource)


# --- telling -----------------------------------------------------------------------------------------------------


def test_what_is_discovered_is_told_again_with_its_reports(source: ArgoCDSource, api: FakeApi, heard: Heard) -> None:
    """Nothing is told before somebody listens; then all of it."""
    api.put(running())
    assert [each.key for each in source.discover()] == [KEY]
    source.watch(heard)
    assert heard.await_application(KEY).source.branch == "main"
    assert heard.story(KEY) == [("Healthy", A)]
    assert heard.await_delivery(KEY, lambda _: True).automated


def test_changes_are_told_as_they_come(watching: ArgoCDSource, api: FakeApi, heard: Heard) -> None:
    """A deployment, and the end of an Application."""
    api.put(deployed())
    heard.await_report(KEY, "Healthy", B)
    api.remove("argocd", "checkout")
    heard.await_gone(KEY)
    assert heard.story(KEY) == [("Healthy", A), ("Started", B), ("Healthy", B)]


def test_an_application_that_cannot_be_read_hides_no_other(
    watching: ArgoCDSource, api: FakeApi, heard: Heard
) -> None:
    """The next one is heard of."""
    api.put({"metadata": {"name": "broken", "namespace": "argocd"}, "spec": 3, "status": []})
    api.put(running(metadata={"name": "cart"}))
    heard.await_report(ApplicationKey("argocd", "cart"), "Healthy", A)


def test_another_source_is_found_and_told_anew(watching: ArgoCDSource, api: FakeApi, heard: Heard) -> None:
    """Who guards it begins anew with another path: what is live is told again."""
    api.put(running(spec={"source": SOURCE | {"path": "apps/other"}}))
    heard.await_application(KEY, lambda each: each.source.paths == ("apps/other",))
    api.put(deployed(spec={"source": SOURCE | {"path": "apps/other"}}))
    heard.await_report(KEY, "Healthy", B)
    assert heard.story(KEY)[:2] == [("Healthy", A), ("Healthy", A)]


def test_a_project_changes_what_blocks(watching: ArgoCDSource, api: FakeApi, heard: Heard) -> None:
    """A window that is opened or taken away counts at once for all Applications of the project."""
    api.put(project(FREEZE), APP_PROJECTS)
    heard.await_delivery(KEY, lambda each: each.blocked)
    api.put(project(), APP_PROJECTS)
    heard.await_delivery(KEY, lambda each: not each.blocked)


def test_time_alone_tells_of_drift(watching: ArgoCDSource, api: FakeApi, heard: Heard, clock: ManualClock) -> None:
    """Nothing changes but the clock."""
    resources = [{"kind": "Deployment", "namespace": "shop", "name": "checkout", "status": "OutOfSync"}]
    api.put(running(sync={"status": "OutOfSync", "revision": A}, resources=resources))
    api.put(running(metadata={"name": "cart"}))
    heard.await_report(ApplicationKey("argocd", "cart"), "Healthy", A)
    clock.advance(31.0)
    assert heard.await_delivery(KEY, lambda each: each.drift).drift == ("Deployment shop/checkout",)


def test_what_cannot_be_listed_is_an_error(
    source: ArgoCDSource, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what the API server said."""
    monkeypatch.setattr("controller.adapters.gitops.argocd.source.LISTED_WITHIN", 0.3)
    api.refuse["list"] = [ApiDenied("403: no rights")] * 50
    with pytest.raises(SyncSourceUnavailable, match="no rights"):
        source.discover()


# --- asking ------------------------------------------------------------------------------------------------------


def test_a_refresh_is_an_annotation(watching: ArgoCDSource, api: FakeApi) -> None:
    """Normal, never hard; tried again where the API server does not answer."""
    api.refuse["patch"] = [ApiUnavailable("no answer")]
    watching.refresh(KEY)
    assert api.patched.get(timeout=10) == "checkout"
    annotation = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
    assert api.patches == [("checkout", annotation)]


def test_a_health_that_cannot_be_trusted_asks_for_a_comparison(watching: ArgoCDSource, api: FakeApi) -> None:
    """The one that came in the same second as the end says nothing."""
    early = {"reconciledAt": "2027-01-15T08:00:01Z", "sync": {"status": "OutOfSync", "revision": B}}
    api.put(deployed(**early))
    assert api.patched.get(timeout=10) == "checkout"


def test_an_operation_is_ended_as_it_was_looked_at(watching: ArgoCDSource, api: FakeApi) -> None:
    """The patch tests the version and the phase, and changes nothing else."""
    api.put(running(**STUCK))
    version = api.get(APPLICATIONS, "argocd", "checkout")["metadata"]["resourceVersion"]
    assert watching.terminate(KEY, REVISION)
    assert api.patches == [
        (
            "checkout",
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "test", "path": "/status/operationState/phase", "value": "Running"},
                {"op": "replace", "path": "/status/operationState/phase", "value": "Terminating"},
            ],
        )
    ]


@pytest.mark.parametrize(
    "status",
    [
        {},
        STUCK | {"operation": None},
        STUCK | {"operationState": operation_state("Terminating", B, 0.0)},
        STUCK | {"operationState": operation_state("Running", A, 0.0)},
        STUCK
        | {"operationState": operation_state("Running", B, 0.0, message="waiting for pruning confirmation of x")},
    ],
    ids=["none", "over", "ending", "another revision", "a person's"],
)
def test_no_other_operation_is_ended(watching: ArgoCDSource, api: FakeApi, status: dict[str, Any]) -> None:
    """Only the one that is meant, while it runs."""
    api.put(running(**status))
    assert not watching.terminate(KEY, REVISION)
    assert api.patches == []


def test_an_operation_that_changes_meanwhile_is_looked_at_again(watching: ArgoCDSource, api: FakeApi) -> None:
    """Argo CD writes between the look and the patch: the patch fails, and the next one is of what is there then."""
    api.put(running(**STUCK))

    def write_once() -> None:
        api.before_patch = lambda: None
        api.put(running(**(STUCK | {"operationState": operation_state("Running", B, 0.0, message="on it")})))

    api.before_patch = write_once
    assert watching.terminate(KEY, REVISION)
    assert len(api.patches) == 1


def test_an_operation_that_changes_all_the_time_is_given_up(watching: ArgoCDSource, api: FakeApi) -> None:
    """For now: it is asked again later."""
    api.put(running(**STUCK))
    api.refuse["patch"] = [ApiConflict("409")] * 5
    with pytest.raises(SyncSourceUnavailable, match="changes all the time"):
        watching.terminate(KEY, REVISION)


def test_a_sync_follows_the_applications_own_policy(watching: ArgoCDSource, api: FakeApi) -> None:
    """Prune, options and retries as declared; no revision, so that the branch is resolved; who asked, and why."""
    policy = {"automated": {"enabled": False, "prune": True}, "syncOptions": ["A=b"], "retry": {"limit": 2}}
    api.put(running(spec={"syncPolicy": policy}))
    assert watching.sync(KEY, REVISION, "the restore is in Git")
    ((_, steps),) = api.patches
    assert steps[0]["path"] == "/metadata/resourceVersion"
    assert steps[1] == {
        "op": "add",
        "path": "/operation",
        "value": {
            "initiatedBy": {"username": "rollguard"},
            "info": [{"name": "Rollguard", "value": "the restore is in Git"}, {"name": "Revision", "value": B}],
            "sync": {"prune": True, "syncOptions": ["A=b"]},
            "retry": {"limit": 2},
        },
    }


def test_no_sync_is_asked_for_over_another(watching: ArgoCDSource, api: FakeApi) -> None:
    """Whether it runs already or was only asked for."""
    for status in (STUCK, {"operation": {"sync": {}}}):
        api.put(running(**status))
        assert not watching.sync(KEY, REVISION, "why")
    assert api.patches == []


def test_no_sync_is_asked_for_while_a_window_forbids_it(watching: ArgoCDSource, api: FakeApi, heard: Heard) -> None:
    """Argo CD would hold it up, and all others behind it."""
    api.put(project(FREEZE), APP_PROJECTS)
    heard.await_delivery(KEY, lambda each: each.blocked)
    with pytest.raises(SyncSourceUnavailable, match="a deny window of the project default is open"):
        watching.sync(KEY, REVISION, "why")
    api.put(project(FREEZE | {"manualSync": True, "description": "people may"}), APP_PROJECTS)
    heard.await_delivery(KEY, lambda each: "people may" in each.blocked)
    assert watching.sync(KEY, REVISION, "why")


def test_errors_are_the_ports(watching: ArgoCDSource, api: FakeApi) -> None:
    """Refused for good, or for now; an Application that is gone is not there now."""
    api.put(running(**STUCK))
    api.refuse["patch"] = [ApiDenied("403: no rights")]
    with pytest.raises(SyncSourceDenied, match="no rights"):
        watching.terminate(KEY, REVISION)
    api.refuse["get"] = [ApiUnavailable("no answer")]
    with pytest.raises(SyncSourceUnavailable, match="no answer"):
        watching.terminate(KEY, REVISION)
    with pytest.raises(SyncSourceUnavailable, match="404"):
        watching.sync(ApplicationKey("argocd", "nobody"), REVISION, "why")


def test_it_stops(source: ArgoCDSource, api: FakeApi, heard: Heard) -> None:
    """No thread of it is left, and a refresh after the end is nothing."""
    api.put(application())
    source.discover()
    source.watch(heard)
    api.end()
    source.stop()
    source.refresh(KEY)
    assert not [each for each in threading.enumerate() if each.name.startswith("argocd")]
