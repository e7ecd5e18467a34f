"""State as short text."""

import base64
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.store import packing
from controller.adapters.store.packing import PackingError, pack, unpack


@given(st.text())
def test_what_is_unpacked_is_what_was_packed(text: str) -> None:
    """Every text survives, in plain letters."""
    packed = pack(text)
    assert packed.isascii()
    assert unpack(packed) == text


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_what_is_no_packed_text_is_refused(text: str) -> None:
    """Anything may stand in a field: an error, never a crash."""
    try:
        unpack(text)
    except PackingError:
        return
    assert pack(unpack(text))


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small text that becomes a large one is refused before it is one."""
    bomb = base64.b64encode(zlib.compress(b"x" * 100_000)).decode()
    monkeypatch.setattr(packing, "LARGEST_TEXT", 10_000)
    with pytest.raises(PackingError, match="too much"):
        unpack(bomb)


def test_what_no_object_can_hold_is_refused() -> None:
    """State that stays too large is said, and not half written."""
    with pytest.raises(PackingError, match="more than one object holds"):
        pack(os.urandom(600_000).hex())
