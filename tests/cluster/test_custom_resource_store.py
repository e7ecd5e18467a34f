"""The store in custom resources against a real API server with the real definitions: the contract of all stores."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.crds import definitions
from controller.adapters.kubernetes.resources import GUARDED_APPLICATIONS, SYNC_ANALYSES
from controller.adapters.kubernetes.watch import ListWatch
from controller.adapters.store import retention
from controller.adapters.store.custom_resource import CustomResourceStore
from controller.adapters.store.stories import Stories
from controller.app.clocks import SystemClock
from controller.core.alerts import AlertName
from controller.core.events import PathProven
from controller.core.git import RollbackPath
from controller.core.state import dump_record
from controller.ports.store import AnalysisRecord, Change, PreconditionFailed, Store, StoreUnavailable
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.processes import until
from tests.contracts.test_store_contract import *  # noqa: F403  the whole suite
from tests.contracts.test_store_contract import CART, CHECKOUT, Open, alert, record
from tests.core.rollout.model import Model


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Api:
    """The administrator's connection, with our definitions in the cluster."""
    for each in definitions():
        control_plane.apply(each)
        control_plane.api.await_condition("CustomResourceDefinition", None, each["metadata"]["name"], "Established")
    return Api.connect(control_plane.kubeconfig)


@pytest.fixture
def own(control_plane: ControlPlane) -> Iterator[str]:
    """Rollguard's own namespace."""
    name = f"own-{uuid4().hex[:8]}"
    yield control_plane.namespace(name)
    control_plane.delete("Namespace", None, name, wait=False)


@pytest.fixture
def open_store(api: Api, own: str) -> Iterator[Open]:
    """Opens handles on one and the same objects."""
    opened: list[Store] = []

    def open_one() -> Store:
        store = CustomResourceStore(api, own, told_in=(own,))  # other tests' stories are not this one's
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def telling(api: Api, own: str, namespace: str) -> Iterator[Callable[[], CustomResourceStore]]:
    """Opens a controller's store, which tells its stories in ``namespace``."""
    writers: list[Stories] = []

    def open_one() -> CustomResourceStore:
        stories = Stories(api)
        writers.append(stories)
        store = CustomResourceStore(api, own, lambda told, _: stories.tell(told, namespace), told_in=(namespace,))
        stories.start(store.told)
        return store

    yield open_one
    for each in writers:
        each.stop(10.0)
    for story in stories_in(api, namespace):  # other tests' lists are of the whole cluster
        api.delete(SYNC_ANALYSES, namespace, story["metadata"]["name"])


def stories_in(api: Api, namespace: str) -> list[dict[str, Any]]:
    return sorted(api.list(SYNC_ANALYSES, namespace).items, key=lambda each: each["metadata"]["name"])


def test_old_analyses_are_dropped_and_open_ones_never(  # the contract's, told by other objects here
    api: Api, telling: Callable[[], CustomResourceStore], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the newest so many and beyond 90 days closed stories go; open ones stay."""
    monkeypatch.setattr(retention, "KEEP_STORIES", 3)
    store = telling()
    opened = record(0)
    closed = [record(number, ended_at=float(number)) for number in range(2, 8)]
    for version, each in enumerate([opened, *closed]):
        store.commit(Change(CHECKOUT, version, "", (each,)))
        until(lambda: not store.untold(), "the story")
    ids = [each["status"]["id"] for each in stories_in(api, namespace)]
    assert sorted(ids) == [opened.id, *(each.id for each in closed[-3:])]
    late = replace(record(5000), ended_at=5000.0 + 91 * 86400)
    store.commit(Change(CHECKOUT, 7, "", (late,)))
    until(lambda: not store.untold(), "the story")
    assert sorted(each["status"]["id"] for each in stories_in(api, namespace)) == [opened.id, late.id]


def judged() -> tuple[Model, AnalysisRecord]:
    """A deployment that was rolled back, and its record."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.landing)
    found = model.records[-1]
    verdict = found.analysis.verdict.value if found.analysis.verdict else ""
    stored = AnalysisRecord(
        found.analysis.id,
        found.application.key,
        found.analysis.started_at,
        found.analysis.ended_at,
        found.analysis.newest.revision,
        verdict,
        dump_record(found),
    )
    return model, stored


def test_kubectl_tells_the_story(
    control_plane: ControlPlane, telling: Callable[[], CustomResourceStore], own: str, namespace: str
) -> None:
    """``kubectl get`` and ``describe`` say what was deployed, what was measured, what was decided and what became of it."""
    model, stored = judged()
    store = telling()
    change = Change(model.rollout.application.key, 0, model.stored, (stored,), rollout=model.rollout)
    store.commit(change)
    until(lambda: not store.untold(), "the story")
    guarded = control_plane.kubectl("get", "guardedapplications", "-n", own)
    assert "Restored" in guarded
    assert "availability 70 %" in guarded
    listed = control_plane.kubectl("get", "syncanalyses", "-n", namespace)
    assert "checkout" in listed
    assert "Breached" in listed
    described = control_plane.kubectl("describe", "syncanalysis", "-n", namespace)
    for said in ("99 %", "70 %", "WorseThanSLOAndBaseline", "Done", str(model.branch[-1].revision)):
        assert said in described, said
    again = store.analysis(stored.id)
    assert again == stored


def test_kubectl_waits_for_conditions(
    control_plane: ControlPlane, api: Api, telling: Callable[[], CustomResourceStore], own: str, namespace: str
) -> None:
    """``kubectl wait`` knows how an application and an analysis stand."""
    model, stored = judged()
    key, store = model.rollout.application.key, telling()
    store.commit(Change(key, 0, model.stored, (stored,), rollout=model.rollout, at=model.now))
    until(lambda: not store.untold(), "the story")
    name = stories_in(api, namespace)[0]["metadata"]["name"]
    for condition in ("Breached", "Restored", "Complete=False", "Healthy=False"):
        control_plane.kubectl("wait", f"syncanalysis/{name}", f"--for=condition={condition}", "-n", namespace)
    object_name = f"guardedapplication/{key.namespace}.{key.name}"
    for condition in ("Ready", "Analysing=True", "Conflict=False", "RollbackPath=Unknown"):
        control_plane.kubectl("wait", object_name, f"--for=condition={condition}", "-n", own)


def test_conditions_move_with_their_status_alone(
    api: Api, telling: Callable[[], CustomResourceStore], own: str, namespace: str
) -> None:
    """The API server takes them as they are; another process goes on from those that stand in the object."""
    model, stored = judged()
    key, store = model.rollout.application.key, telling()
    store.commit(Change(key, 0, model.stored, (stored,), rollout=model.rollout, at=model.now))
    until(lambda: not store.untold(), "the story")
    (story,) = stories_in(api, namespace)
    told = {each["type"]: (each["status"], each["reason"]) for each in story["status"]["conditions"]}
    assert told == {
        "Complete": ("False", "Restored"),
        "Healthy": ("False", "Breached"),
        "Breached": ("True", "Breached"),
        "Restored": ("True", "Done"),
    }
    first = conditions_of(api, own)
    assert {each: found["status"] for each, found in first.items()} == {
        "Ready": "True",
        "RollbackPath": "Unknown",
        "Conflict": "False",
        "Analysing": "True",
    }
    model.take(PathProven(RollbackPath.PULL_REQUEST))
    model.now += 60
    later = CustomResourceStore(api, own)  # another process reads what stands there
    assert later.rollout(key) is not None
    later.commit(Change(key, 1, model.stored, rollout=model.rollout, at=model.now))
    second = conditions_of(api, own)
    assert second["RollbackPath"]["reason"] == "PullRequest"
    moved = {each for each in first if first[each]["lastTransitionTime"] != second[each]["lastTransitionTime"]}
    assert moved == {"RollbackPath"}


def conditions_of(api: Api, own: str) -> dict[str, dict[str, Any]]:
    (found,) = api.list(GUARDED_APPLICATIONS, own).items
    return {each["type"]: each for each in found["status"]["conditions"]}


def test_a_story_that_a_crash_left_untold_is_told(
    api: Api, telling: Callable[[], CustomResourceStore], own: str, namespace: str
) -> None:
    """The record stands in the application's object, is read there by the next process, and goes once it is told."""
    crashed = CustomResourceStore(api, own)
    crashed.commit(Change(CHECKOUT, 0, "", (record(1),)))
    assert list(CustomResourceStore(api, own, told_in=(namespace,)).analyses()) == [record(1)]
    stories = Stories(api)
    store = CustomResourceStore(api, own, lambda told, _: stories.tell(told, namespace), told_in=(namespace,))
    assert [told for told, _ in store.untold()] == [record(1)]
    stories.start(store.told)
    for told, _ in store.untold():
        stories.tell(told, namespace)
    until(lambda: not store.untold(), "the story")
    stories.stop(10.0)
    store.commit(Change(CHECKOUT, 1, ""))
    document = api.get(GUARDED_APPLICATIONS, own, "shop.checkout")
    assert document["status"]["pendingRecords"] == []
    assert [each["status"]["id"] for each in stories_in(api, namespace)] == [record(1).id]


def test_what_people_ask_is_heard_by_the_watch(api: Api, own: str) -> None:
    """Another process writes a request and a pause: the controller's store has both without asking."""
    store, person = CustomResourceStore(api, own), CustomResourceStore(api, own)
    store.commit(Change(CHECKOUT, 0, "state"))
    heard = threading.Event()
    before = store.changed()
    store.watched = True

    def changed(key: tuple[str, str], document: Any) -> None:
        store.heard(key[1], document)
        heard.set()

    watch = ListWatch(
        api, GUARDED_APPLICATIONS, namespaces=(own,), keep=lambda each: each, changed=changed, clock=SystemClock()
    )
    watch.start()
    assert watch.wait_listed(10.0)
    person.receive("command", CHECKOUT, "{}", 1.0)
    person.receive("command", CART, "{}", 2.0)
    until(lambda: [each.application for each in store.inbox()] == [CHECKOUT, CART], "the requests")
    assert store.changed() != before
    entries = [each.id for each in store.inbox()]
    store.commit(Change(CHECKOUT, 1, "taken in", consumed=(entries[0],)))
    until(lambda: not api.get(GUARDED_APPLICATIONS, own, "shop.checkout")["spec"].get("requests"), "the clearing")
    assert [each.application for each in store.inbox()] == [CART]
    watch.stop()


def test_a_request_that_comes_between_is_no_lost_step(api: Api, own: str) -> None:
    """A person writes between our read and our write: the step is written on top, and the request stays."""
    store, person = CustomResourceStore(api, own), CustomResourceStore(api, own)
    store.commit(Change(CHECKOUT, 0, "one"))
    person.receive("command", CHECKOUT, "{}", 1.0)
    assert store.commit(Change(CHECKOUT, 1, "two")) == 2
    assert [each.body for each in store.inbox()] == ["{}"]
    with pytest.raises(PreconditionFailed):
        person.commit(Change(CHECKOUT, 1, "stale"))


def test_a_spoilt_object_hides_no_other(api: Api, own: str) -> None:
    """State that cannot be read, and an object under a name that is not its own: the others are there."""
    store = CustomResourceStore(api, own)
    store.commit(Change(CHECKOUT, 0, "fine"))
    store.commit(Change(CART, 0, "to be spoilt"))
    api.patch(GUARDED_APPLICATIONS, own, "shop.cart", {"status": {"state": f"%%%{own}"}}, subresource="status")
    stranger = {"apiVersion": GUARDED_APPLICATIONS.api_version, "kind": "GuardedApplication", "spec": {}}
    api.create(GUARDED_APPLICATIONS, own, {**stranger, "metadata": {"name": "stranger"}})
    with capture_logs() as logs:
        for _ in range(3):
            assert [each.body for each in CustomResourceStore(api, own).rollouts()] == ["fine"]
            assert CustomResourceStore(api, own).rollout(CART) is None
    assert [line["object"] for line in logs if "put back what it was" in line["event"]] == ["shop.cart"]


def test_an_alert_that_was_not_delivered_outlives_the_process(api: Api, own: str) -> None:
    """What waits for a sink stands in the object; delivered, it is gone there too."""
    CustomResourceStore(api, own).commit(Change(CHECKOUT, 0, "", alerts=(("on-call", alert()),)))
    later = CustomResourceStore(api, own)
    (entry,) = later.outbox("on-call", 0.0)
    assert entry.alert.name is AlertName.ROLLED_BACK
    later.delivered(entry.id, 1.0)
    assert not CustomResourceStore(api, own).outbox("on-call", 0.0)


def test_an_object_is_not_deleted_while_a_restore_is_on_its_way(api: Api, own: str) -> None:
    """A finalizer keeps it until the restore is in Git; deleted afterwards it is gone, and written anew by the next step."""
    store, model = CustomResourceStore(api, own), Model(faulty={"two": 0.3}, git="down").guard()
    model.commit("two")
    model.runs = model.branch[-1].revision
    model.git = "up"
    model.sync_head()
    model.git = "read only"
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.in_flight)
    key = model.rollout.application.key
    assert store.commit(Change(key, 0, model.stored, rollout=model.rollout)) == 1
    api.delete(GUARDED_APPLICATIONS, own, "shop.checkout")
    kept = api.get(GUARDED_APPLICATIONS, own, "shop.checkout")
    assert kept["metadata"]["deletionTimestamp"]
    assert kept["metadata"]["finalizers"] == ["rollguard.dev/open-restore"]
    assert store.commit(Change(key, 1, model.stored, rollout=model.rollout)) == 2
    model.git = "up"
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.landing)
    assert store.commit(Change(key, 2, model.stored, rollout=model.rollout)) == 3
    until(lambda: store.rollout(key) is None, "the deletion")
    with pytest.raises(PreconditionFailed):
        store.commit(Change(key, 3, model.stored, rollout=model.rollout))
    assert store.commit(Change(key, 0, model.stored, rollout=model.rollout)) == 1


def test_what_was_read_at_the_beginning_is_asked_for_once(api: Api, own: str) -> None:
    """Thousands are read with one list; of what is not there the server is not asked."""
    CustomResourceStore(api, own).commit(Change(CHECKOUT, 0, "one"))
    store = CustomResourceStore(api, own)
    api.list(GUARDED_APPLICATIONS, own, keep=store.learn)
    store.begin()
    CustomResourceStore(api, own).commit(Change(CART, 0, "later"))
    assert [each.body for each in store.rollouts()] == ["one"]
    assert store.rollout(CART) is None
    assert [each.body for each in store.rollouts()] == ["later", "one"]
    assert store.rollout(CART) is not None


def test_one_that_does_not_lead_writes_nothing_that_is_known(api: Api, own: str) -> None:
    """A frozen leader wakes up: its steps are refused; what people ask may be written by anybody."""
    leading = True
    store = CustomResourceStore(api, own, leads=lambda: leading)
    store.commit(Change(CHECKOUT, 0, "one", alerts=(("on-call", alert()),)))
    leading = False
    with pytest.raises(StoreUnavailable, match="another controller leads"):
        store.commit(Change(CHECKOUT, 1, "two"))
    with pytest.raises(StoreUnavailable, match="another controller leads"):
        store.delivered(store.outbox("on-call", 0.0)[0].id, 1.0)
    store.receive("command", CHECKOUT, "{}", 1.0)
    found = CustomResourceStore(api, own)
    assert [each.body for each in found.rollouts()] == ["one"]
    assert len(found.inbox()) == 1
