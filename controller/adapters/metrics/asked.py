"""What is asked of a Prometheus about the ticks of one grid, each thing once, and what the answers say of questions.

Invariant: a question's answer is made of its own counts alone; who else is asked about in the same call changes nothing.
"""

from collections.abc import Iterable

from controller.adapters.metrics.columns import Column, Told, told_once
from controller.adapters.metrics.counting import Counting
from controller.adapters.metrics.deltas import Count, duration
from controller.adapters.metrics.expressions import sendable
from controller.adapters.metrics.outcomes import counts, failed, observation
from controller.adapters.metrics.planning import Plan, Query, Wanted
from controller.core.evidence import Floats
from controller.core.observation import MissingReason, Observation
from controller.core.promql import PromQLError
from controller.ports.metrics import MetricsError, MetricsRefused, Question


class Asked:
    """The answers about the ticks of one grid."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._found: dict[Wanted, Told] = {}

    def ask(self, plans: Iterable[Plan]) -> None:
        """Ask all that these plans want."""
        wanted = dict.fromkeys(each for planned in plans for each in planned.wanted)
        self._found = {each: self._queried(each) for each in wanted if isinstance(each, Query)}
        for count, told in self._counting.count(each for each in wanted if isinstance(each, Count)).items():
            self._found[count] = told

    def observation(self, planned: Plan, question: Question, index: int) -> Observation:
        """One tick of one question; a failure is an observation too."""
        try:
            part, whole = self._columns(planned)
        except MetricsError as error:
            return failed(error)
        return observation(planned, question, None if part is None else part.tally(index), whole.tally(index))

    def counts(self, planned: Plan, question: Question) -> Floats:
        """Bad and all events of each tick, shape (ticks, 2).

        Raises:
            MetricsError: there was no answer about one of its parts.
        """
        return counts(planned, question, *self._columns(planned))

    def _columns(self, planned: Plan) -> tuple[Column | None, Column]:
        whole = self._column(planned.whole)
        return None if planned.part is None else self._column(planned.part), whole

    def _column(self, wanted: Wanted) -> Column:
        told = self._found[wanted]
        if isinstance(told, MetricsError):
            raise told
        return told

    def _queried(self, query: Query) -> Told:
        counting = self._counting
        window = duration(counting.interval if query.window is None else query.window)
        try:
            reply = counting.evaluate(sendable(query.text, window, counting.enforced), counting.grid)
        except PromQLError as error:
            return MetricsRefused(MissingReason.REFUSED_QUERY, str(error))
        except MetricsError as error:
            return error
        return told_once(reply.rows, counting.grid.points, reply.warnings)
