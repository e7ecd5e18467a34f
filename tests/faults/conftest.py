"""The sites of the whole loop, for faults."""

from tests.loop.conftest import make_site, prometheus, site

__all__ = ["make_site", "prometheus", "site"]
