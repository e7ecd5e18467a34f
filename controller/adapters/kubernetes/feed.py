"""How far one thread is in keeping up with one namespace's objects, and how long it waits after a failure."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from controller.adapters.kubernetes.errors import ApiUnavailable

SOONEST_RETRY = 0.2
LATEST_RETRY = 30.0
MOST_PATIENCE = 120.0
"""Seconds at most that a server may ask to be left alone."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Feed:
    """One namespace, or all of them."""

    namespace: str | None
    version: str = ""
    """From here the watch goes on; empty: list first."""
    problem: str = ""
    """Why what is known may not be up to date; empty: it is."""
    listed_at: float | None = None
    failures: int = 0
    """Since it last heard anything."""
    cut: Callable[[], None] | None = None
    """Ends the watch that is open."""

    def heard(self, version: str) -> None:
        """It is up to date as of ``version``."""
        self.version = version
        self.problem = ""
        self.failures = 0

    def failed(self, what: str, error: Exception) -> float:
        """Note a failure; seconds to wait: growing, and different for each of many watches that were cut at once."""
        self.failures += 1
        if not self.problem:
            _log.warning("a watch is interrupted", watch=what, namespace=self.namespace, why=str(error))
        self.problem = f"{what} cannot be watched: {error or type(error).__name__}"
        longest: float = min(LATEST_RETRY, SOONEST_RETRY * 2.0 ** min(self.failures, 10))
        asked = error.retry_after if isinstance(error, ApiUnavailable) else None
        return max(longest * random.uniform(0.5, 1.0), min(asked or 0.0, MOST_PATIENCE))  # noqa: S311  no secret
