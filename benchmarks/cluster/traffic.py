"""How much the API server and Prometheus were asked, from their own counts.

Invariant: counted is what was answered, whoever asked; what others ask is taken off by the rate while nothing runs.
"""

import re
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass

from tests.cluster.stack.api import KubeApi

_REQUESTS = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_QUERIES = re.compile(
    r'^prometheus_http_requests_total\{code="200",handler="/api/v1/query(?:_range)?"\} (\S+)$', re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Traffic:
    """What had been asked at one moment, or between two."""

    seconds: float
    requests: Counter[tuple[str, str]]
    """Of the API server, by verb and resource."""
    queries: float
    """Of Prometheus, answered."""

    @classmethod
    def now(cls, api: KubeApi, prometheus: str) -> "Traffic":
        """How it is now."""
        requests: Counter[tuple[str, str]] = Counter()
        for found in _REQUESTS.finditer(api.request("GET", "/metrics")):
            labels = dict(_LABEL.findall(found["labels"]))
            requests[labels["verb"], labels["resource"]] += int(float(found["value"]))
        with urllib.request.urlopen(f"{prometheus}/metrics", timeout=60) as response:
            queries = sum(float(each) for each in _QUERIES.findall(response.read().decode()))
        return cls(time.monotonic(), requests, queries)

    def since(self, earlier: "Traffic") -> "Traffic":
        """What was asked between the two."""
        return Traffic(
            self.seconds - earlier.seconds, self.requests - earlier.requests, self.queries - earlier.queries
        )

    @property
    def rate(self) -> float:
        """Requests to the API server in a second."""
        return self.requests.total() / self.seconds
