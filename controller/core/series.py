"""The names of what is counted: an objective as a whole, its new pods alone, and the controls.

Invariant: a name says what it is of, and cannot be mistaken for another's: names of objectives and controls have no
colon.
"""

_CONTROL, _NEW = "control:", ":new"


def control_series(control: str) -> str:
    """The series of a declared control."""
    return _CONTROL + control


def new_series(objective: str) -> str:
    """The series of an objective as the new pods alone count it: those without a series before the chain's first sync."""
    return objective + _NEW


def control_of(series: str) -> str | None:
    """The control whose series it is; None: it is not of a control."""
    return series.removeprefix(_CONTROL) if series.startswith(_CONTROL) else None


def objective_of(series: str) -> str | None:
    """The objective whose series it is, of the whole service or of its new pods; None: it is a control's."""
    return None if series.startswith(_CONTROL) else series.removesuffix(_NEW)


def is_new(series: str) -> bool:
    """Whether only the new pods are counted."""
    return series.endswith(_NEW)
