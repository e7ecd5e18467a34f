"""Logs: one JSON line each, with no secret in it, whoever wrote it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.logs import LONGEST_LINE, Redactor, configure_logging, log_decision

CANARY = "c4nary/s3cret+value"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where lines go; afterwards logging is as pytest had it."""
    root, ours = logging.getLogger(), logging.getLogger("controller")
    before = (root.handlers[:], root.level, ours.level, logging.raiseExceptions)
    yield io.StringIO()
    root.handlers[:], root.level, ours.level, logging.raiseExceptions = before
    structlog.reset_defaults()


@pytest.fixture
def redactor(out: io.StringIO) -> Redactor:
    made = Redactor()
    made.add(CANARY)
    configure_logging("INFO", made, stream=out)
    return made


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    "token",
    [
        "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0123456789_abcdef",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NTYifQ.c2lnbmF0dXJl",
    ],
)
def test_tokens_that_are_minted_often_are_known_by_their_shape(
    redactor: Redactor, out: io.StringIO, token: str
) -> None:
    """Nobody told of them, and no number of them drives another secret out of the mask."""
    logging.getLogger("controller").warning("the server said: %s is not valid", token)
    assert token not in out.getvalue()
    assert "***" in out.getvalue()


def test_a_decision_is_one_line_that_says_why(out: io.StringIO, redactor: Redactor) -> None:
    """With its fields, a level and a time."""
    log_decision("shop/checkout", "Breached", "WorseThanSLOAndBaseline", "93.1 % good", objective="availability")
    (line,) = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "decision",
        "level": "info",
        "logger": "controller.decision",
        "application": "shop/checkout",
        "decision": "Breached",
        "reason": "WorseThanSLOAndBaseline",
        "sentence": "93.1 % good",
        "objective": "availability",
    }


def test_a_known_secret_is_nowhere_in_a_line(out: io.StringIO, redactor: Redactor) -> None:
    """Not in the event, a field, a key, something nested, an exception, or another library's line."""
    log = structlog.get_logger("controller.test")
    event = "token " + CANARY
    log.info(event, field=CANARY, nested={"a": [CANARY, {"b": (CANARY,)}], CANARY: 1}, thing=Exception(CANARY))
    log.info("quoted", url="https://h/?t=c4nary%2Fs3cret%2Bvalue")
    log.info("deep", deep={"a": {"b": {"c": {"d": CANARY}}}})
    try:
        int(CANARY)
    except ValueError:
        log.exception("failed")
        logging.getLogger("some.library").exception("failed with %s", CANARY)
    text = out.getvalue()
    assert len(lines(out)) == 5
    assert "c4nary" not in text
    assert text.count("ValueError") >= 2
    assert "***" in text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("clone https://bob:hunter2@git.example.com/r.git failed", "clone https://***@git.example.com/r.git failed"),
        ("ssh://git:pw@h/x and http://token@h2", "ssh://***@h/x and http://***@h2"),
        ("Authorization: Bearer abcdefgh.ijk1mnop", "Authorization: Bearer ***"),
        ("Fix token validation-of-everybody", "Fix token validation-of-everybody"),
        ("https://git.example.com/a@b", "https://git.example.com/a@b"),
        ("mail bob@example.com", "mail bob@example.com"),
        ("the token is missing", "the token is missing"),
    ],
)
def test_credentials_are_masked_by_their_form(text: str, masked: str) -> None:
    """Also where nobody told that they are secret; what is none stays readable."""
    assert Redactor().mask(text) == masked


@pytest.mark.parametrize("key", ["password", "Token", "AUTHORIZATION", "secret", "private_key"])
def test_fields_with_telling_names_are_masked(out: io.StringIO, redactor: Redactor, key: str) -> None:
    """By their name alone."""
    structlog.get_logger("controller").info("x", **{key: "short"})
    assert lines(out)[0][key] == "***"


def test_a_line_is_one_line(out: io.StringIO, redactor: Redactor) -> None:
    """A commit's subject cannot write a second one, nor colour a terminal."""
    structlog.get_logger("controller").info("a\nb\r\x1b[31m", subject='x"}\n{"event":"forged"}')
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b" not in out.getvalue()


def test_a_line_is_bounded(out: io.StringIO, redactor: Redactor) -> None:
    """Large values are cut; a line that is still too long keeps what it is about."""
    log = structlog.get_logger("controller")
    log.info("x", value="v" * 1_000_000)
    log.info("many", application="a/b", **{f"field{i}": "v" * 5000 for i in range(200)})
    first, second = lines(out)
    assert len(first["value"]) == 2000
    assert second["shortened"] is True
    assert second["application"] == "a/b"
    assert all(len(line) <= LONGEST_LINE for line in out.getvalue().splitlines())


def test_levels_are_as_asked(out: io.StringIO, redactor: Redactor) -> None:
    """Ours from INFO, libraries from WARNING."""
    structlog.get_logger("controller.x").debug("no")
    logging.getLogger("urllib3").info("no")
    structlog.get_logger("controller.x").info("yes")
    logging.getLogger("urllib3").warning("yes")
    assert [line["event"] for line in lines(out)] == ["yes", "yes"]


def test_on_a_terminal_it_is_text_with_the_same_masking(out: io.StringIO) -> None:
    """For people; secrets are masked there, too."""
    redactor = Redactor()
    redactor.add(CANARY)
    configure_logging("INFO", redactor, stream=out, console=True)
    structlog.get_logger("controller").info("hello", field=CANARY)
    assert "hello" in out.getvalue()
    assert not out.getvalue().startswith("{")
    assert "c4nary" not in out.getvalue()


@given(st.lists(st.text(alphabet="abcd/+\\[.*", min_size=6, max_size=30), max_size=5), st.text(max_size=50))
def test_every_secret_is_masked_whatever_it_is_made_of(secrets: list[str], around: str) -> None:
    """Pattern characters and overlaps included."""
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    for secret in secrets:
        assert secret not in redactor.mask(f"{around} {secret} {around}").replace(around, "")


def test_short_values_are_left_alone_and_many_are_bounded() -> None:
    """Masking every ``a`` would blind whoever reads; the oldest secrets are forgotten first."""
    redactor = Redactor()
    redactor.add("a")
    redactor.add("")
    assert redactor.mask("banana") == "banana"
    for number in range(600):
        redactor.add(f"secret-number-{number}")
    assert redactor.mask("secret-number-599 secret-number-0") == "*** secret-number-0"
