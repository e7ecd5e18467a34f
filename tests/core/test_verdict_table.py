"""The table of the verdict: every reason has its three answers, and only yes to all of them rolls back."""

import pytest

from controller.core.verdict import Reason
from controller.core.verdict_table import QUESTIONS, answers


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_answers_three_questions(reason: Reason) -> None:
    """Yes to all three is said of Breached, and of a breach that is over, alone."""
    found = answers(reason)
    assert len(found) == len(QUESTIONS)
    yes = all(each.startswith("yes") for each in found)
    assert yes == (reason in (Reason.WORSE_THAN_SLO_AND_BASELINE, Reason.BREACH_OVER))


@pytest.mark.parametrize("reason", [Reason.SHARED_WITH_CONTROLS, Reason.CONTROLS_SILENT, Reason.SHORT_HISTORY])
def test_a_held_breach_says_why_the_deployment_is_not_accused(reason: Reason) -> None:
    """The last answer has its own words."""
    assert ":" in answers(reason)[2]
