"""Services that behave as what is deployed says: their counters follow from the images of live Deployments.

    with ShopService(cluster, {"checkout": ("shop", "checkout")}) as shop:
        prometheus.set_targets([shop.target])
        ...                                   # deploy an image whose tag holds "bad"
        shop.serving("checkout")              # the image that answers requests now

A watch of the API server tells which image each Deployment runs; requests come at a steady rate, counted by a clock,
and those that fail are the share that the live version fails. A rollout changes the service when the first pod of the
new template is available, as a rolling update would; a Deployment whose new pods never are goes on with the old image.

Invariant: counters only grow, and what is counted until a change is counted by the version before it.
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
from tests.cluster.stack.objects import Object
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


def share_of(image: str) -> float:
    """The share of requests that an image fails: many, if its tag says that it is bad."""
    return BAD_SHARE if BAD in image.rpartition(":")[2] else HEALTHY_SHARE


@dataclass
class _Service:
    """The counters of one service: one pair for each rollout, by the name of its pod."""

    namespace: str
    deployment: str
    image: str = ""
    at: float = 0.0
    pods: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Bad and all requests of each pod there was; the last one answers."""

    def roll_out(self, image: str) -> None:
        """A new pod answers from now on."""
        self.image = image
        self.pods[f"{self.deployment}-{len(self.pods)}"] = (0.0, 0.0)

    def add(self, seconds: float, rate: float, share: Shares) -> None:
        """Count what the pod that answers has served in some seconds."""
        if self.pods:
            pod, (bad, total) = next(reversed(self.pods.items()))
            served = max(0.0, seconds) * rate
            self.pods[pod] = bad + served * share(self.image), total + served

    def rows(self) -> Iterator[tuple[dict[str, str], int]]:
        """Labels and values of its counters."""
        for pod, (bad, total) in self.pods.items():
            yield {"pod": pod, "code": "200"}, round(total) - round(bad)
            yield {"pod": pod, "code": "500"}, round(bad)


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
        self._services = {name: _Service(*where) for name, where in services.items()}
        self._ending = threading.Event()
        self._apis: list[KubeApi] = []
        self._threads: list[threading.Thread] = []
        self.target = ScrapeTarget(self._body)

    def start(self) -> None:
        """Begin to watch, one thread for each namespace."""
        for namespace in {service.namespace for service in self._services.values()}:
            api = self._cluster.client(self._cluster.token)
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

    def serving(self, service: str) -> str:
        """The image that answers a service's requests now; empty before the first."""
        with self._lock:
            return self._services[service].image

    def await_serving(self, service: str, image: str, deadline: float = 60.0) -> None:
        """Wait until an image answers a service's requests."""
        until(lambda: self.serving(service) == image, f"{image} serving {service}", deadline)

    def totals(self, service: str) -> tuple[int, int]:
        """Bad and all requests of a service until now."""
        with self._lock:
            self._count()
            pods = self._services[service].pods.values()
            return round(sum(bad for bad, _ in pods)), round(sum(total for _, total in pods))

    def push_history(self, prometheus: PrometheusServer, seconds: int = 600) -> None:
        """Store the time before now, as if the live versions had been scraped each second.

        To be called when all services serve, and before Prometheus scrapes the target.
        """
        with self._lock:
            self._count()
            for service in self._services.values():
                service.add(seconds, self._rate, self._share)
            end = int(time.time())
            series = [
                (labels | _SCRAPED | {"instance": self.target.address}, _ramp(end, seconds, value))
                for labels, value in self._rows()
            ]
        prometheus.push(series)

    def _follow(self, api: KubeApi, namespace: str) -> None:
        while not self._ending.is_set():
            try:
                for event in api.watch("Deployment", namespace, _WATCH_SECONDS):
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        self._seen(event["object"])
            except (ApiError, requests.RequestException):
                self._ending.wait(_RETRY_AFTER)  # the API server is away: the version that runs goes on

    def _seen(self, deployment: Object) -> None:
        metadata = deployment["metadata"]
        image = _live_image(deployment)
        with self._lock:
            for service in self._services.values():
                same = (service.namespace, service.deployment) == (metadata["namespace"], metadata["name"])
                if same and image and image != service.image:
                    self._count()
                    service.roll_out(image)

    def _count(self) -> None:
        now = time.monotonic()
        for service in self._services.values():
            service.add(now - service.at, self._rate, self._share)
            service.at = now

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


def _live_image(deployment: Object) -> str:
    """The image of the Deployment's template, once a pod of it is available; empty before."""
    status = deployment.get("status", {})
    if status.get("observedGeneration") != deployment["metadata"].get("generation"):
        return ""
    unavailable = status.get("replicas", 0) - status.get("availableReplicas", 0)
    if status.get("updatedReplicas", 0) - unavailable < 1:
        return ""
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
