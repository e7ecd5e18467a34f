"""One Prometheus for all tests of the loop; each test has its own site."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loop.site import Site
from tests.servers.prometheus import PrometheusServer


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A real Prometheus that scrapes every second."""
    with PrometheusServer(tmp_path_factory.mktemp("prometheus"), scrape_interval="1s") as server:
        yield server


@pytest.fixture
def make_site(tmp_path: Path, prometheus: PrometheusServer) -> Iterator[Callable[..., Site]]:
    """Makes sites, and closes them."""
    sites: list[Site] = []

    def make(*names: str, **more: Any) -> Site:
        folder = tmp_path / f"site{len(sites)}"
        folder.mkdir()
        site = Site(folder, prometheus, names or ("checkout",), **more)
        sites.append(site)
        for shop in site.shops.values():
            shop.push_history(prometheus)
        prometheus.set_targets([shop.target for each in sites for shop in each.shops.values()])
        return site

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with one application."""
    return make_site()
