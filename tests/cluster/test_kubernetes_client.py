"""The client, the watch and the Events on a real API server."""

import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import Request, urlopen

import pytest

from controller.adapters.kubernetes import feed
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import (
    ApiConflict,
    ApiDenied,
    ApiGone,
    ApiInvalid,
    ApiNotFound,
    KubernetesError,
)
from controller.adapters.kubernetes.events import EventRecorder, Told
from controller.adapters.kubernetes.resources import (
    CONFIG_MAPS,
    EVENTS,
    GUARDED_APPLICATIONS,
    LEASES,
    SECRETS,
    Resource,
)
from controller.adapters.kubernetes.watch import Key, ListWatch
from controller.app import SystemClock
from tests.cluster.relay import Relay
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.processes import until

MANY = 2000


def config_map(name: str, value: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"kept": "yes"}},
        "data": {"value": value},
    }


def value_of(document: Mapping[str, Any]) -> str:
    return str(document["data"]["value"])


@pytest.fixture
def api(control_plane: ControlPlane) -> Api:
    return Api.connect(control_plane.kubeconfig)


def test_an_object_is_made_read_changed_and_deleted(api: Api, namespace: str) -> None:
    """Every verb, and under which precondition it is refused."""
    made = api.create(CONFIG_MAPS, namespace, config_map("one", "a"))
    assert api.get(CONFIG_MAPS, namespace, "one") == made
    with pytest.raises(ApiConflict):
        api.create(CONFIG_MAPS, namespace, config_map("one", "b"))
    changed = api.replace(CONFIG_MAPS, namespace, "one", {**made, "data": {"value": "b"}})
    with pytest.raises(ApiConflict):
        api.replace(CONFIG_MAPS, namespace, "one", {**made, "data": {"value": "c"}})
    stale, fresh = made["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]
    with pytest.raises(ApiConflict):
        api.delete(CONFIG_MAPS, namespace, "one", resource_version=stale)
    api.delete(CONFIG_MAPS, namespace, "one", resource_version=fresh)
    with pytest.raises(ApiNotFound):
        api.get(CONFIG_MAPS, namespace, "one")
    with pytest.raises(ApiInvalid, match="422"):
        api.create(CONFIG_MAPS, namespace, {**config_map("one", "a"), "data": {"not a key": "x"}})
    with pytest.raises(ApiNotFound):
        api.list(Resource("rollguard.dev", "v1alpha1", "nothings", "Nothing"), namespace)


def test_an_object_is_patched_in_three_ways(api: Api, namespace: str) -> None:
    """Merged, by steps of which one may be a test, and applied with what others own left alone."""
    api.create(CONFIG_MAPS, namespace, config_map("one", "a"))
    assert value_of(api.patch(CONFIG_MAPS, namespace, "one", {"data": {"value": "b"}})) == "b"
    steps = [
        {"op": "test", "path": "/data/value", "value": "b"},
        {"op": "replace", "path": "/data/value", "value": "c"},
    ]
    assert value_of(api.patch(CONFIG_MAPS, namespace, "one", steps, kind="json")) == "c"
    with pytest.raises(ApiInvalid):
        api.patch(CONFIG_MAPS, namespace, "one", steps, kind="json")
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": "d"}}
    with pytest.raises(ApiConflict):
        api.patch(CONFIG_MAPS, namespace, "one", applied, kind="apply", field_manager="other")
    forced = api.patch(CONFIG_MAPS, namespace, "one", applied, kind="apply", field_manager="other", force=True)
    assert value_of(forced) == "d"


def test_a_status_is_written_apart(definitions_applied: ControlPlane, api: Api, namespace: str) -> None:
    """What is written to the status changes no spec."""
    body = {
        "apiVersion": GUARDED_APPLICATIONS.api_version,
        "kind": GUARDED_APPLICATIONS.kind,
        "metadata": {"name": "shop.checkout"},
        "spec": {"application": {"namespace": "shop", "name": "checkout"}},
    }
    api.create(GUARDED_APPLICATIONS, namespace, body)
    change = {"spec": {"application": {"name": "other"}}, "status": {"phase": "Analysing"}}
    written = api.patch(GUARDED_APPLICATIONS, namespace, "shop.checkout", change, subresource="status")
    assert written["status"]["phase"] == "Analysing"
    assert written["spec"]["application"]["name"] == "checkout"


def test_rights_are_those_of_the_service_account(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    """What RBAC gives works, all else is denied, and it can be asked beforehand; the namespace is the account's."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    bound = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
    }
    kubeconfig = control_plane.kubeconfig_for(namespace, "reader")
    control_plane.apply([{**role, "metadata": {"name": "reader", "namespace": namespace}, "rules": rules}, bound])
    reader = Api.connect(kubeconfig)
    assert reader.namespace == namespace
    until(lambda: reader.allowed("list", CONFIG_MAPS, namespace), "the role's effect")
    api.create(CONFIG_MAPS, namespace, config_map("one", "a"))
    assert value_of(reader.get(CONFIG_MAPS, namespace, "one")) == "a"
    assert not reader.allowed("list", SECRETS, namespace)
    assert not reader.allowed("list", CONFIG_MAPS, None)
    with pytest.raises(ApiDenied, match="403"):
        reader.list(SECRETS, namespace)
    with pytest.raises(ApiDenied):
        reader.delete(CONFIG_MAPS, namespace, "one")


def test_a_token_that_is_not_known_is_denied(control_plane: ControlPlane) -> None:
    """401 is an error of its kind, without the token."""
    path = control_plane.folder / "stranger.kubeconfig"
    control_plane.write_kubeconfig(path, "stranger", "canary-token")
    with pytest.raises(ApiDenied, match="401") as caught:
        Api.connect(path).get(CONFIG_MAPS, "default", "x")
    assert "canary" not in str(caught.value)


def test_a_watch_has_bookmarks_and_large_objects(api: Api, namespace: str) -> None:
    """Nearly a megabyte in one line; a bookmark before the watch's time is over."""
    start = api.list(CONFIG_MAPS, namespace).resource_version
    api.create(CONFIG_MAPS, namespace, config_map("large", "ü" * 450_000))
    heard = list(api.stream(CONFIG_MAPS, namespace, start, seconds=12, label_selector="kept=yes"))
    assert [each["type"] for each in heard[:1]] == ["ADDED"]
    assert len(heard[0]["object"]["data"]["value"]) == 450_000
    assert heard[-1]["type"] == "BOOKMARK"
    assert heard[-1]["object"]["metadata"]["resourceVersion"]


def test_events_are_taken_and_counted(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    """``kubectl events`` shows one, counted; the longest texts are within what the server takes."""
    recorder = EventRecorder(api, SystemClock(), "pod-1")
    told = Told(CONFIG_MAPS, namespace, "checkout", "RolledBack", "ü" * 5000, "Warning")
    for _ in range(3):
        recorder.tell(told)
    recorder.tell(Told(CONFIG_MAPS, namespace, "checkout", "R" * 500, "", action="A" * 500))
    recorder.start()
    recorder.stop(60.0)
    found = {each["reason"]: each for each in api.list(EVENTS, namespace).items}
    assert found["RolledBack"]["series"]["count"] == 3
    assert found["R" * 128]["action"] == "A" * 128
    assert "RolledBack" in control_plane.kubectl("events", "-n", namespace, "--for", "configmap/checkout")


class Noting(Api):
    """Notes how often a whole list was read, and that a watch could not go on."""

    lists = 0
    gone = 0

    def list(self, *given: Any, **named: Any) -> Any:
        self.lists += 1
        return super().list(*given, **named)

    def stream(self, *given: Any, **named: Any) -> Iterator[dict[str, Any]]:
        try:
            for event in super().stream(*given, **named):
                self.gone += event["type"] == "ERROR" and event["object"].get("code") == 410
                yield event
        except ApiGone:
            self.gone += 1
            raise


class Heard:
    """Notes what a watch tells."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | None]] = []

    def __call__(self, key: Key, value: str | None) -> None:
        self.told.append((key[1], value))


def compact(cluster: ControlPlane, revision: str) -> None:
    """Let etcd forget what was before."""
    body = json.dumps({"revision": revision, "physical": True}).encode()
    with urlopen(Request(f"http://127.0.0.1:{cluster._etcd_port}/v3/kv/compaction", body), timeout=30):
        pass


def test_what_happened_while_nobody_watched_is_heard_after_a_compaction(
    lone_cluster: ControlPlane, lone_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 objects, the connection cut, changes, etcd compacted, the server restarted: 410, one list, the differences."""
    monkeypatch.setattr(feed, "LATEST_RETRY", 1.0)
    namespace = lone_namespace
    api = Api.connect(lone_cluster.kubeconfig)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: api.create(CONFIG_MAPS, namespace, config_map(f"m{n}", "first")), range(MANY)))
    heard = Heard()
    with Relay(lone_cluster.port) as relay:
        relayed = Noting.connect(relay.kubeconfig(lone_cluster.kubeconfig))
        assert isinstance(relayed, Noting)
        watch = ListWatch(
            relayed,
            CONFIG_MAPS,
            namespaces=(namespace,),
            keep=value_of,
            changed=heard,
            label_selector="kept=yes",
            clock=SystemClock(),
        )
        watch.start()
        assert watch.wait_listed(60)
        assert len(watch.items()) == MANY
        api.patch(CONFIG_MAPS, namespace, "m0", {"data": {"value": "watched"}})
        until(lambda: heard.told[-1] == ("m0", "watched"), "the change that is watched")

        relay.cut()
        until(lambda: watch.problem, "the interruption's being noticed")
        heard.told.clear()
        api.patch(CONFIG_MAPS, namespace, "m1", {"data": {"value": "unseen"}})
        api.delete(CONFIG_MAPS, namespace, "m2")
        api.create(CONFIG_MAPS, namespace, config_map("new", "unseen"))
        compact(lone_cluster, api.list(CONFIG_MAPS, namespace, page=1, keep=lambda _: None).resource_version)
        lone_cluster.restart_api_server()
        assert (relayed.lists, relayed.gone) == (1, 0)
        relay.mend()

        until(lambda: len(heard.told) >= 3, "the differences")
        assert sorted(heard.told, key=lambda each: each[0]) == [("m1", "unseen"), ("m2", None), ("new", "unseen")]
        assert (relayed.lists, relayed.gone) == (2, 1)
        until(lambda: not watch.problem, "the end of the problem")
        assert len(watch.items()) == MANY
        api.patch(CONFIG_MAPS, namespace, "m3", {"data": {"value": "watched"}})
        until(lambda: heard.told[-1] == ("m3", "watched"), "the change that is watched again")
        watch.stop()


def test_a_watch_goes_on_where_it_was_after_an_interruption(lone_cluster: ControlPlane, lone_namespace: str) -> None:
    """Cut off for a while, without compaction: what happened meanwhile is heard in its order, without another list."""
    namespace = lone_namespace
    api = Api.connect(lone_cluster.kubeconfig)
    heard = Heard()
    with Relay(lone_cluster.port) as relay:
        relayed = Noting.connect(relay.kubeconfig(lone_cluster.kubeconfig))
        assert isinstance(relayed, Noting)
        watch = ListWatch(
            relayed,
            CONFIG_MAPS,
            namespaces=(namespace,),
            keep=value_of,
            changed=heard,
            label_selector="kept=yes",
            clock=SystemClock(),
        )
        watch.start()
        assert watch.wait_listed(60)
        for number in range(5):
            relay.cut()
            api.create(CONFIG_MAPS, namespace, config_map(f"n{number}", "made"))
            api.patch(CONFIG_MAPS, namespace, f"n{number}", {"data": {"value": "changed"}})
            relay.mend()
            until(lambda: (f"n{number}", "changed") in heard.told, "the change")  # noqa: B023  it is awaited here
        assert heard.told == [(f"n{number}", value) for number in range(5) for value in ("made", "changed")]
        assert (relayed.lists, relayed.gone) == (1, 0)
        watch.stop()


def test_writers_at_once_lose_no_write(api: Api, namespace: str) -> None:
    """Many threads over one client, each writing under what it read: every success counts once."""
    api.create(LEASES, namespace, {"metadata": {"name": "counter"}, "spec": {"leaseTransitions": 0}})
    lost = threading.Barrier(8)

    def count_up(_: int) -> int:
        lost.wait()
        done = 0
        while done < 5:
            there = api.get(LEASES, namespace, "counter")
            there["spec"]["leaseTransitions"] = there["spec"].get("leaseTransitions", 0) + 1
            try:
                api.replace(LEASES, namespace, "counter", there)
            except ApiConflict:
                continue
            except KubernetesError as error:
                raise AssertionError(error) from None
            done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        written = sum(pool.map(count_up, range(8)))
    assert api.get(LEASES, namespace, "counter")["spec"]["leaseTransitions"] == written == 40
