"""Times as the API server writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.kubernetes import times


@given(st.integers(0, 4_000_000_000_000_000).map(lambda micro: micro / 1e6))
def test_what_is_written_is_read(at: float) -> None:
    """Every time survives to the microsecond."""
    assert times.read(times.written(at)) == pytest.approx(at, abs=1e-6)


def test_a_time_without_a_zone_is_utc() -> None:
    """Whatever this machine's own zone is."""
    assert times.read("1970-01-01T01:00:00") == times.read("1970-01-01T01:00:00Z") == 3600.0


@pytest.mark.parametrize("odd", [None, 5, "", "soon", "2026-13-01T00:00:00Z", []])
def test_what_is_no_time_is_none(odd: object) -> None:
    """Whatever an object may hold."""
    assert times.read(odd) is None
