"""A running Prometheus of each version that is there, one for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.servers.prometheus import PrometheusServer, prometheus_binaries


@pytest.fixture(scope="session", params=list(prometheus_binaries()))
def prometheus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    """It scrapes nothing: tests push samples under labels of their own."""
    binary = prometheus_binaries()[request.param]
    with PrometheusServer(tmp_path_factory.mktemp(request.param), binary=binary) as server:
        yield server
