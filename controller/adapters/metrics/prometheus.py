"""A Prometheus as a source of metrics.

Invariant: ``observe`` and ``history`` count by the same expressions and the same rules, so a tick that is read from
history after a restart is the tick that would have been observed.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from controller.adapters.metrics.api import Grid, OnQuery, PrometheusApi
from controller.adapters.metrics.asked import Asked
from controller.adapters.metrics.counting import Counting
from controller.adapters.metrics.describing import describe, descriptions
from controller.adapters.metrics.histories import Histories
from controller.adapters.metrics.outcomes import failed
from controller.adapters.metrics.planning import Plan, plan
from controller.adapters.metrics.remembering import Answers
from controller.adapters.metrics.session import Access
from controller.core.evidence import History
from controller.core.observation import Failed, Observation
from controller.core.promql import PromQLError
from controller.ports.metrics import MetricsError, Question, SeriesDescription, answered

_ROUND_TIMEOUTS = 2.0
_HISTORIES_TIMEOUTS = 6.0


class PrometheusSource:
    """One Prometheus (or Thanos, Mimir, VictoriaMetrics: what answers as it does). Safe to use from several threads.

    Args:
        url: where it listens; credentials in it are used, and shown nowhere.
        bearer_token_file: read at each request, so that a rotated token counts at once.
        headers: sent with each request, for example a tenant's.
        ca_file: the CA that signed its certificate; the system's CAs without it.
        enforced_matchers: labels and values that every selector must have, also inside owners' queries.
        timeout: seconds for one query, from connecting to the last byte. One ``observe`` takes at most twice as long.
        max_bytes: the largest answer that is read.
        name: its name in the settings.
        on_query: told of each query how long it took and why it failed.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        bearer_token_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        enforced_matchers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        max_bytes: int = 64 * 1024 * 1024,
        name: str = "default",
        on_query: OnQuery | None = None,
    ) -> None:
        access = Access.to(
            url,
            bearer_token_file=bearer_token_file,
            headers=dict(headers or {}),
            ca_file=ca_file,
            max_bytes=max_bytes,
        )
        self.name = name
        self._api = PrometheusApi(access, timeout, on_query)
        self._enforced = tuple(sorted((enforced_matchers or {}).items()))
        self._timeout = timeout
        self._answers = Answers()
        self._histories = Histories(self._api, self._enforced)

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        """The observation of each question over (at − interval, at], by its key.

        Asked again about a tick, it answers ``Partial`` (LateSample) where the counts are not what they were.
        """
        until = time.monotonic() + _ROUND_TIMEOUTS * self._timeout
        asked = Asked(Counting(self._api, self._enforced, Grid(at, interval), interval, until))
        plans: dict[str, Plan | Failed] = {each.key: self._planned(each) for each in questions}
        asked.ask(each for each in plans.values() if isinstance(each, Plan))
        said: dict[str, Observation] = {}
        for question in questions:
            planned = plans[question.key]
            if isinstance(planned, Failed):
                said[question.key] = planned
            else:
                now = asked.observation(planned, question, 0)
                said[question.key] = self._answers.compared(question.key, planned, at, interval, now)
        return said

    def history(self, question: Question, start: float, end: float, step: float) -> History:
        """Counts over disjoint steps of (start, end]; a rest shorter than a step is left out. Of a gauge: its means.

        Raises:
            MetricsError: no answer, or none that can be read; the question cannot be asked.
        """
        return answered(self._histories.of([question], start, end, step, math.inf)[question.key])

    def histories(
        self, questions: Sequence[Question], start: float, end: float, step: float
    ) -> Mapping[str, History | MetricsError]:
        """The history of each question by its key, as ``history`` tells it, or why there is none.

        Questions of one shape share queries. What is not answered within six times the time of one query is not asked.
        """
        until = time.monotonic() + _HISTORIES_TIMEOUTS * self._timeout
        return self._histories.of(questions, start, end, step, until)

    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        """What the question's total selector finds around ``at``.

        Raises:
            MetricsError: no answer, or none that can be read; the question cannot be asked.
        """
        return describe(self._api, question, at, version_label, self._enforced)

    def descriptions(
        self, questions: Sequence[Question], at: float, version_label: str = "auto"
    ) -> Mapping[str, SeriesDescription | MetricsError]:
        """The same of each question by its key, but for ``duplicates`` and ``edges``, or why there is none.

        Questions of one shape share queries. What is not answered within twice the time of one query is not asked.
        """
        until = time.monotonic() + _ROUND_TIMEOUTS * self._timeout
        return descriptions(self._api, questions, at, version_label, self._enforced, until=until)

    def server_time(self) -> float:
        """The server's clock, Unix seconds.

        Raises:
            MetricsError: no answer, or none that can be read.
        """
        return self._api.time()

    def close(self) -> None:
        """Close all connections."""
        self._api.close()

    def __repr__(self) -> str:
        return f"PrometheusSource({self.name!r})"

    def _planned(self, question: Question) -> Plan | Failed:
        try:
            return plan(question, self._enforced)
        except PromQLError as error:
            return failed(error)
