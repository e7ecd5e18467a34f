"""How far versions are, as fields of a status.

Invariant: what is not known is left out, so that the same standing is the same status.
"""

from collections.abc import Iterable
from typing import Any

from controller.adapters.kubernetes import times
from controller.core.promotion.summary import PlaceSummary


def place_fields(found: Iterable[PlaceSummary]) -> list[dict[str, Any]]:
    """Each place as it stands in a status."""
    return [_field(each) for each in found]


def _field(found: PlaceSummary) -> dict[str, Any]:
    named = {
        "stage": found.place.stage,
        "target": found.place.target,
        "version": found.version,
        "identity": found.identity,
        "phase": found.phase,
        "sentence": found.sentence,
        "since": times.written_to_the_second(found.since) if found.since is not None else "",
    }
    return {key: value for key, value in named.items() if value}
