"""What a command says when it cannot be done, and how it exits.

Invariant: whoever calls a command gets one clear message on standard error and an exit code that tells what to do: 0
done, 1 found something, 2 wrong use, 3 an outside system failed. A traceback is shown only where ROLLGUARD_DEBUG asks
for it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer

DEBUG = "ROLLGUARD_DEBUG"
INTERRUPTED = 130
BROKEN_PIPE = 141


class ExitCode(IntEnum):
    """How a command ends."""

    DONE = 0
    FOUND = 1
    """It found something: lint errors, a breach."""
    WRONG_USE = 2
    OUTSIDE_FAILED = 3
    """The store, Git, Prometheus or another system failed."""


class CommandError(Exception):
    """A command cannot be done; the text is the whole message."""

    def __init__(self, message: str, code: ExitCode = ExitCode.WRONG_USE) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def explained() -> Iterator[None]:
    """Turn every failure inside into a message and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _stop_writing()
        raise typer.Exit(BROKEN_PIPE) from None
    except Exception as error:
        if hasattr(error, "format_message"):  # the parser's own errors show the usage
            _plain(error)
            raise
        if os.environ.get(DEBUG):
            raise
        typer.echo(f"rollguard: {message_of(error)}", err=True)
        raise typer.Exit(code_of(error)) from None


def _plain(error: Any) -> None:
    """The parser's own message, without the words of the library below it."""
    if isinstance(getattr(error, "message", None), str):
        error.message = error.message.replace("Value error, ", "")


def message_of(error: Exception) -> str:
    """What people read."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or type(error).__name__}"
    if isinstance(error, CommandError) or _exit_code_of_known(error) is not None:
        return str(error)
    return f"this is a defect of Rollguard ({type(error).__name__}); run it again with {DEBUG}=1 and report what it prints"


def code_of(error: Exception) -> ExitCode:
    """The exit code for an error."""
    if isinstance(error, CommandError):
        return error.code
    return _exit_code_of_known(error) or ExitCode.OUTSIDE_FAILED


_KNOWN = (
    ("controller.settings.root", "SettingsError", ExitCode.WRONG_USE),
    ("controller.ports.inbox", "InboxBodyError", ExitCode.WRONG_USE),
    ("controller.ports.store", "StoreError", ExitCode.OUTSIDE_FAILED),
    ("controller.ports.metrics", "MetricsError", ExitCode.OUTSIDE_FAILED),
    ("controller.ports.repository", "RepositoryError", ExitCode.OUTSIDE_FAILED),
    ("controller.ports.gitops", "SyncSourceError", ExitCode.OUTSIDE_FAILED),
    ("controller.ports.notify", "SinkError", ExitCode.OUTSIDE_FAILED),
    ("controller.web.hook_client", "ReportError", ExitCode.OUTSIDE_FAILED),
    ("controller.web.server", "CannotListen", ExitCode.OUTSIDE_FAILED),
)
"""Errors whose text is written for people. A module that was not imported has raised nothing; importing it here would
make ``--help`` slow."""


def _exit_code_of_known(error: Exception) -> ExitCode | None:
    for module, name, code in _KNOWN:
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name)):
            return code
    return None


def _stop_writing() -> None:
    """Nobody reads standard output any more: what is left in its buffer must not raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
