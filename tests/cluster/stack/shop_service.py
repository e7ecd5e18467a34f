"""Services that behave as what is deployed says: their counters follow from the ready pods of live Deployments.

    with ShopService(cluster, {"checkout": ("shop", "checkout")}) as shop:
        shop.await_serving("checkout", "registry.example.com/shop:one")
        prometheus.set_targets([shop.target])
        ...                                   # deploy an image whose tag holds "bad"
        shop.serving("checkout")              # the images that answer requests now

A watch of the API server tells which pods are ready and which images they run. Requests come at a steady rate, counted
by a clock, and are spread evenly over the ready pods; each fails the share that its image fails. So a rollout that is
half done serves half of the errors, one that never becomes ready serves none, and without ready pods nothing is served.

Invariant: the counters of a pod only grow, from 0 when it becomes ready until it is gone.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

import requests

from tests.cluster.stack.api import ApiError, KubeApi
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.objects import Object, condition_of
from tests.cluster.stack.processes import until
from tests.servers.prometheus import PrometheusServer
from tests.servers.scrape_target import ScrapeTarget

METRIC = "http_requests_total"
RATE = 200.0
"""Requests a second."""
HEALTHY_SHARE = 0.001
BAD_SHARE = 0.2
BAD = "bad"
_SCRAPED = {"job": "test"}
Shares: TypeAlias = Callable[[str], float]
_WATCH_SECONDS = 2
"""How long one watch lasts; an end of the service is seen between two."""
_RETRY_AFTER = 0.2
_SILENT = 3.0
"""Seconds: an API server that starts anew may take a request and never answer it."""


def share_of(image: str) -> float:
    """The share of requests that an image fails: many, if its tag says that it is bad."""
    return BAD_SHARE if BAD in image.rpartition(":")[2] else HEALTHY_SHARE


@dataclass
class _Pod:
    """The counters of one pod."""

    image: str
    ready: bool
    good: float = 0.0
    bad: float = 0.0

    def serve(self, count: float, share: float) -> None:
        """Count requests, of which a share fails."""
        self.bad += count * share
        self.good += count * (1 - share)


@dataclass
class _Service:
    """The pods of one service, and what those that are gone have counted."""

    namespace: str
    deployment: str
    pods: dict[str, _Pod] = field(default_factory=dict)
    gone: _Pod = field(default_factory=lambda: _Pod("", ready=False))

    def ready(self) -> list[_Pod]:
        """The pods that answer."""
        return [pod for pod in self.pods.values() if pod.ready]

    def serve(self, count: float, share: Shares) -> None:
        """Spread requests over the pods that answer."""
        ready = self.ready()
        for pod in ready:
            pod.serve(count / len(ready), share(pod.image))

    def seen(self, found: Mapping[str, _Pod]) -> None:
        """These are all pods there are; those that were known go on counting."""
        for name in self.pods.keys() - found.keys():
            lost = self.pods.pop(name)
            self.gone.good, self.gone.bad = self.gone.good + lost.good, self.gone.bad + lost.bad
        for name, pod in found.items():
            known = self.pods.setdefault(name, pod)
            known.ready = pod.ready

    def rows(self) -> Iterator[tuple[dict[str, str], int]]:
        """Labels and values of the counters, of all pods that have ever answered."""
        for name, pod in self.pods.items():
            if pod.ready or pod.good + pod.bad:
                yield {"pod": name, "code": "200"}, int(pod.good)
                yield {"pod": name, "code": "500"}, int(pod.bad)


class ShopService:
    """Serves ``http_requests_total{service, code, pod}`` of several Deployments; use it as a context manager.

    ``services`` maps a service's name to its Deployment (namespace and name); ``share`` says what an image fails.
    """

    def __init__(
        self,
        cluster: ControlPlane,
        services: Mapping[str, tuple[str, str]],
        *,
        rate: float = RATE,
        share: Shares = share_of,
    ) -> None:
        self._cluster = cluster
        self._rate = rate
        self._share = share
        self._lock = threading.Lock()
        self._at = time.monotonic()
        self._services = {name: _Service(*where) for name, where in services.items()}
        self._ending = threading.Event()
        self._apis: list[KubeApi] = []
        self._threads: list[threading.Thread] = []
        self.target = ScrapeTarget(self._body)

    def start(self) -> None:
        """Begin to watch, one thread for each namespace."""
        for namespace in {service.namespace for service in self._services.values()}:
            api = self._cluster.client(self._cluster.token)
            api.timeout = _SILENT
            thread = threading.Thread(target=self._follow, args=(api, namespace), daemon=True)
            self._apis.append(api)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self.target.close()
        for thread in self._threads:
            thread.join(timeout=30)
        for api in self._apis:
            api.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def serving(self, service: str) -> set[str]:
        """The images that answer a service's requests now."""
        with self._lock:
            return {pod.image for pod in self._services[service].ready()}

    def await_serving(self, service: str, image: str, deadline: float = 60.0) -> None:
        """Wait until an image, and no other, answers a service's requests."""
        until(lambda: self.serving(service) == {image}, f"{image} alone serving {service}", deadline)

    def totals(self, service: str) -> tuple[int, int]:
        """Bad and all requests of a service until now."""
        with self._lock:
            self._count()
            found = self._services[service]
            pods = [found.gone, *found.pods.values()]
            return int(sum(pod.bad for pod in pods)), int(sum(pod.good + pod.bad for pod in pods))

    def push_history(self, prometheus: PrometheusServer, seconds: int = 600) -> None:
        """Store the time before now, as if the pods that are ready had been scraped each second.

        To be called when all services serve, and before Prometheus scrapes the target.
        """
        with self._lock:
            self._count()
            for service in self._services.values():
                service.serve(seconds * self._rate, self._share)
            end = int(time.time())
            series = [
                (labels | _SCRAPED | {"instance": self.target.address}, _ramp(end, seconds, value))
                for labels, value in self._rows()
            ]
        prometheus.push(series)

    def _follow(self, api: KubeApi, namespace: str) -> None:
        while not self._ending.is_set():
            try:
                listed = api.request("GET", api.path("Pod", namespace))
                pods = {each["metadata"]["name"]: each for each in listed["items"]}
                self._seen(namespace, pods)
                version = listed["metadata"]["resourceVersion"]
                for event in api.watch("Pod", namespace, _WATCH_SECONDS, resourceVersion=version):
                    _take(pods, event)
                    self._seen(namespace, pods)
            except (ApiError, requests.RequestException):
                self._ending.wait(_RETRY_AFTER)  # the API server is away: the pods that are known go on

    def _seen(self, namespace: str, pods: Mapping[str, Object]) -> None:
        with self._lock:
            self._count()
            for service in self._services.values():
                if service.namespace == namespace:
                    own = {name: pod for name, pod in pods.items() if _deployment_of(pod) == service.deployment}
                    service.seen({name: _Pod(_image_of(pod), _is_ready(pod)) for name, pod in own.items()})

    def _count(self) -> None:
        now = time.monotonic()
        for service in self._services.values():
            service.serve((now - self._at) * self._rate, self._share)
        self._at = now

    def _rows(self) -> Iterator[tuple[dict[str, str], int]]:
        for name, service in self._services.items():
            for labels, value in service.rows():
                yield {"__name__": METRIC, "service": name} | labels, value

    def _body(self) -> str:
        lines = [f"# TYPE {METRIC} counter"]
        with self._lock:
            self._count()
            for labels, value in self._rows():
                shown = ",".join(f'{key}="{text}"' for key, text in labels.items() if key != "__name__")
                lines.append(f"{METRIC}{{{shown}}} {value}")
        return "\n".join(lines) + "\n"


def _ramp(end: int, seconds: int, value: int) -> list[tuple[float, float | None]]:
    return [(float(end - seconds + step), float(round(value * step / seconds))) for step in range(seconds)]


def _take(pods: dict[str, Object], event: Object) -> None:
    found = event["object"]
    if event["type"] in {"ADDED", "MODIFIED"}:
        pods[found["metadata"]["name"]] = found
    elif event["type"] == "DELETED":
        pods.pop(found["metadata"]["name"], None)


def _deployment_of(pod: Object) -> str:
    """The name of the Deployment whose ReplicaSet owns a pod; empty for other pods."""
    owners = [each["name"] for each in pod["metadata"].get("ownerReferences", []) if each["kind"] == "ReplicaSet"]
    return owners[0].rpartition("-")[0] if owners else ""


def _image_of(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _is_ready(pod: Object) -> bool:
    return condition_of(pod, "Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
