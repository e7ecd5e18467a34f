"""Structured logs on standard error: JSON lines, or coloured text on a terminal.

Invariant: no line holds a secret that was told to the ``Redactor``, credentials in a URL, or a bearer token; whoever logged
it, ours or a library; a line is at most 16 KiB and is one line.
"""

import logging
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO
from urllib.parse import quote

import structlog
from structlog.typing import EventDict, Processor

MASK = "***"
LONGEST_VALUE = 2000
LONGEST_LINE = 16 * 1024
MOST_FIELDS = 64
SHORTEST_SECRET = 6
MOST_SECRETS = 500

_USERINFO = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^/\s@'\"<>]{1,1000}@")
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic|token)(\s+)(?=[A-Za-z._~+/=-]*\d)[A-Za-z0-9._~+/=-]{16,}")
_SHAPED = re.compile(
    r"\b(?:gh[opsur]_[A-Za-z0-9_]{16,}|github_pat_[A-Za-z0-9_]{16,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})"
)
"""GitHub's tokens and JSON Web Tokens: minted often, so they are known by their shape and not one by one."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SECRET_KEYS = frozenset(
    {"password", "passwd", "token", "secret", "authorization", "cookie", "private_key", "api_key", "signature"}
)


class Redactor:
    """Knows the secrets that were read, and masks them in whatever is written."""

    def __init__(self) -> None:
        self._secrets: dict[str, None] = {}
        self._lock = threading.Lock()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Mask this from now on, each of its lines and its URL-quoted form; below six characters it is left alone."""
        forms = {form for line in (secret, *secret.splitlines()) for form in (line, quote(line, safe=""))}
        forms = {form for form in forms if len(form.strip()) >= SHORTEST_SECRET}
        with self._lock:
            if forms <= self._secrets.keys():
                return
            self._secrets.update(dict.fromkeys(forms))
            while len(self._secrets) > MOST_SECRETS:
                del self._secrets[next(iter(self._secrets))]
            self._pattern = None

    def mask(self, text: str) -> str:
        """The text without what must not be read."""
        masked = self._known().sub(MASK, text) if self._secrets else text
        masked = _SHAPED.sub(MASK, masked)
        return _CREDENTIALS.sub(rf"\1\2{MASK}", _USERINFO.sub(rf"\1{MASK}@", masked))

    def _known(self) -> re.Pattern[str]:
        """Matches every known secret, the longest first; made anew when one was added."""
        with self._lock:
            if self._pattern is None:
                longest_first = sorted(self._secrets, key=len, reverse=True)
                self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))
            return self._pattern

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """As a structlog processor: every key and value of the line."""
        fields = list(event.items())[:MOST_FIELDS]
        return {self.mask(str(key))[:100]: self._value(str(key), value, 0) for key, value in fields}

    def _value(self, key: str, value: object, depth: int) -> object:
        if key.lower() in _SECRET_KEYS:
            return MASK
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping) and depth < 3:  # noqa: PLR2004
            return {
                self.mask(str(k)): self._value(str(k), v, depth + 1) for k, v in list(value.items())[:MOST_FIELDS]
            }
        if isinstance(value, list | tuple | set | frozenset) and depth < 3:  # noqa: PLR2004
            return [self._value("", item, depth + 1) for item in list(value)[:MOST_FIELDS]]
        return self._text(value if isinstance(value, str) else repr(value))

    def _text(self, text: str) -> str:
        masked = _CONTROL.sub(" ", self.mask(text[: LONGEST_VALUE * 4]))
        return masked if len(masked) <= LONGEST_VALUE else masked[: LONGEST_VALUE - 1] + "…"


def configure_logging(
    level: str, redactor: Redactor, *, stream: TextIO | None = None, console: bool | None = None
) -> None:
    """Send all logs of the process, of libraries too, through one formatter.

    Args:
        level: For example ``INFO``; libraries are logged from WARNING on.
        redactor: Masks secrets.
        stream: Where lines go; standard error by default.
        console: Text instead of JSON; by default where the stream is a terminal.
    """
    out = stream if stream is not None else sys.stderr
    as_text = out.isatty() if console is None else console
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    render: Processor = structlog.dev.ConsoleRenderer(colors=out.isatty()) if as_text else _json_line
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redactor, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("controller").setLevel(level.upper())
    logging.raiseExceptions = False


def log_decision(application: str, decision: str, reason: str, sentence: str, **fields: Any) -> None:
    """The one line that says what was decided about an application, and why."""
    structlog.get_logger("controller.decision").info(
        "decision", application=application, decision=decision, reason=reason, sentence=sentence, **fields
    )


_to_json = structlog.processors.JSONRenderer(sort_keys=False)


def _json_line(logger: Any, method: str, event: EventDict) -> str:
    line = _to_json(logger, method, event)
    if len(line) > LONGEST_LINE:
        kept = {key: event[key] for key in ("event", "level", "logger", "timestamp", "application") if key in event}
        line = _to_json(logger, method, {**kept, "shortened": True})
    return str(line)
