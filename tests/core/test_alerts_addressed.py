"""Whom an alert goes to: alerts fail open."""

from dataclasses import replace

import pytest

from controller.core.alerts import Alert, AlertName, addressed
from controller.core.application import ApplicationKey

ALERT = Alert(AlertName.HOLD, ApplicationKey("shop", "checkout"), "held", "held", started_at=1.0)


@pytest.mark.parametrize(
    ("named", "goes_to"),
    [
        ((), ["chat", "pager"]),
        (("pager",), ["pager"]),
        (("pager", "gone"), ["pager"]),
        (("gone",), ["chat", "pager"]),
    ],
)
def test_an_alert_always_goes_to_somebody(named: tuple[str, ...], goes_to: list[str]) -> None:
    """One that names only sinks that are not there any more goes to all: better too many than nobody."""
    alert = replace(ALERT, sinks=named)
    assert addressed([alert], ("chat", "pager")) == tuple((sink, alert) for sink in goes_to)
