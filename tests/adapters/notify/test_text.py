"""Untrusted text is made safe without losing its words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.notify.text import chat, one_line, plain, rfc3339


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(1, 100))
def test_plain_text_is_plain_and_bounded(text: str, limit: int) -> None:
    """Whatever comes in: nothing invisible but line ends goes out, it can be encoded, and it fits."""
    made = plain(text, limit)
    assert len(made) <= limit
    assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in made)
    assert made.encode().decode() == made
    assert "\n" not in one_line(text, limit)


@given(st.text(alphabet="<>!@#|[]()ab1 \n\u202e\u200b/=", max_size=60))
def test_no_tag_link_or_mention_opens(text: str) -> None:
    """Not even when invisible characters stood between the parts."""
    made = chat(plain(text, 200))
    assert not any(made[i] == "<" and made[i + 1].isalpha() for i in range(len(made) - 1))
    assert "<!" not in made
    assert "<@" not in made
    assert "](" not in made
    assert "@a" not in made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("p < 0.01, a <= b, 1<2", "p < 0.01, a <= b, 1<2"),
        ("<script>", "‹script>"),
        ("a\r\nb\u2028c", "a\nb\nc"),
        ("Grüße, 日本 – ✓", "Grüße, 日本 – ✓"),
        ("\x1b[31mred", "[31mred"),
    ],
)
def test_words_and_numbers_stay_readable(text: str, made: str) -> None:
    """Only what is dangerous is changed."""
    assert plain(text, 100) == made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "1970-01-01T00:00:00.000Z"), (1e300, "9999-12-31T23:59:59.000Z"), (-5.0, "1970-01-01T00:00:00.000Z")],
)
def test_times_are_rfc_3339(seconds: float, text: str) -> None:
    """Even a nonsensical time is a valid one."""
    assert rfc3339(seconds) == text
