"""The table of the verdict in words: three questions, and what was shown of each.

Invariant: "no" means that it was not shown; only yes to all three rolls back.
"""

from typing import TypeAlias

from controller.core.verdict import Reason

QUESTIONS = ("Breaches its SLO?", "Worse than it was?", "Did this deployment do it?")
Answers: TypeAlias = tuple[str, str, str]

_YES, _NO, _UNKNOWN, _NOT_ASKED = "yes", "no", "not known", "–"
_SO_FAR: Answers = ("not shown so far", "not shown so far", _NOT_ASKED)
_ANSWERS: dict[Reason, Answers] = {
    Reason.WORSE_THAN_SLO_AND_BASELINE: (_YES, _YES, _YES),
    Reason.BREACH_OVER: ("yes, and that is over", _YES, _YES),
    Reason.SHARED_WITH_CONTROLS: (_YES, _YES, "no: its controls became worse as well"),
    Reason.CONTROLS_SILENT: (_YES, _YES, "not known: its controls counted nothing"),
    Reason.SHORT_HISTORY: (_YES, _YES, "not known: less than a week of history"),
    Reason.BREACHED_BEFORE: (_YES, _NO, _NOT_ASKED),
    Reason.WORSE_WITHIN_SLO: (_NO, _YES, _NOT_ASKED),
    Reason.WITHIN_SLO: (_NO, _NO, _NOT_ASKED),
    Reason.TRAFFIC_LOST: ("not known: its traffic has gone", _UNKNOWN, _UNKNOWN),
    Reason.GATHERING: _SO_FAR,
    Reason.WARMING_UP: _SO_FAR,
}


def answers(reason: Reason) -> Answers:
    """What is said to each of ``QUESTIONS``, by the reason of a judgement."""
    return _ANSWERS.get(reason, (_UNKNOWN, _UNKNOWN, _UNKNOWN))
