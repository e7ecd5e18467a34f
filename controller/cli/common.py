"""What most commands share: the settings, the store, the application that is meant, and who asks.

Invariant: an application is only acted on when it is known by exactly one key: a typing error must not pause or report
something that does not exist.
"""

import getpass
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from controller.adapters.store import SqliteStore
from controller.cli.failures import CommandError
from controller.cli.output import Format
from controller.core.application import ApplicationKey
from controller.core.durations import parse_duration
from controller.ports.store import Store
from controller.settings import Settings, load_settings

SettingsFile = Annotated[
    Path, typer.Option("--settings", envvar="ROLLGUARD_SETTINGS", help="The administrator's settings file.")
]
DEFAULT_SETTINGS = Path("rollguard.yaml")
Output = Annotated[Format, typer.Option("--output", "-o", help="Text for people, or JSON for programs.")]
AnApplication = Annotated[str, typer.Argument(metavar="APP", help="The application: NAME, or NAMESPACE/NAME.")]

_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_NUMBER = re.compile(r"\d{1,11}(\.\d{1,9})?", re.ASCII)
_FUTURE = 300.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The settings and the store that they name."""

    settings: Settings
    store: Store

    def applications(self) -> set[ApplicationKey]:
        """Every application that is declared, or that the store knows."""
        return {each.key for each in self.settings.applications} | {
            each.application for each in self.store.rollouts()
        }

    def application(self, text: str) -> ApplicationKey:
        """The application that is meant by NAME or NAMESPACE/NAME.

        Raises:
            CommandError: none is, or several are.
        """
        return chosen(text, self.applications())


@contextmanager
def opened(settings_file: Path) -> Iterator[Opened]:
    """Load the settings and open their store, which the controller has made."""
    settings = load_settings(settings_file, os.environ)
    store = _store(settings)
    try:
        yield Opened(settings, store)
    finally:
        store.close()


def _store(settings: Settings) -> Store:
    path = settings.store.sqlite
    if path is not None:
        refuse_strangers(path)
        return SqliteStore(path, create=False)
    from controller.adapters.store.custom_resource import CustomResourceStore  # noqa: PLC0415  slow to load
    from controller.app.connection import connect  # noqa: PLC0415

    api, namespace = connect(settings)
    return CustomResourceStore(api, namespace, told_in=settings.cluster.watch_namespaces)


def refuse_strangers(path: Path) -> None:
    """Tell who runs the controller to somebody who may not open its store.

    Raises:
        CommandError: the file is there, or may be, and this user may not read and write it.
    """
    try:
        path.stat()
    except PermissionError:
        pass
    except OSError:
        return
    else:
        if _may_open(path):
            return
    owner = next((name for each in (path, *path.parents) if (name := _owner(each))), "the controller's user")
    raise CommandError(
        f"{path} may not be opened by {person()}: run this as the controller's user, with sudo -u {owner}"
    )


def _may_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _owner(path: Path) -> str:
    """The name of a file's owner; empty where it cannot be told."""
    try:
        return path.owner()
    except (KeyError, OSError):
        return ""


def chosen(text: str, known: Iterable[ApplicationKey], what: str = "application") -> ApplicationKey:
    """The one known application (or pipeline, as ``what`` says) that is called so."""
    keys = sorted(known)
    found = [key for key in keys if text in (str(key), key.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"{text} is the name of several {what}s: say {' or '.join(map(str, found))}")
    names = {name: str(key) for key in keys for name in (key.name, str(key))}
    close = get_close_matches(text, names, n=1)
    if close:
        raise CommandError(f"there is no {what} {text!r}: did you mean {names[close[0]]}?")
    there = ", ".join(str(key) for key in keys[:10]) or "none yet"
    raise CommandError(f"there is no {what} {text!r}; there are: {there}")


def person() -> str:
    """Who runs the command, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
    asked_by = os.environ.get("SUDO_USER", "")
    return f"{asked_by} (as {name})" if asked_by and asked_by != name else name


def full_revision(text: str) -> str:
    """A full commit id, in lower case.

    Raises:
        CommandError: it is none; an abbreviation would be a guess.
    """
    revision = text.strip().lower()
    if not _REVISION.fullmatch(revision):
        raise CommandError(
            f"{text!r} is no full commit id: give all 40 (or 64) hex digits, as `git rev-parse HEAD` does"
        )
    return revision


def length_of_time(text: str) -> float:
    """A duration such as 2h, in seconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(str(error)) from None


def point_in_time(text: str, now: float) -> float:
    """RFC 3339 text with a time zone, or Unix seconds; returns Unix seconds.

    Raises:
        CommandError: it is neither, or more than five minutes in the future.
    """
    try:
        at = float(text) if _NUMBER.fullmatch(text) else _from_rfc3339(text)
    except ValueError:
        raise CommandError(
            f"{text!r} is no time: write 2026-01-31T12:00:00Z (with a time zone), or Unix seconds as `date +%s` does"
        ) from None
    if at > now + _FUTURE:
        raise CommandError(f"{text!r} lies in the future: check the clocks of both machines")
    return at


def _from_rfc3339(text: str) -> float:
    if not _RFC3339.fullmatch(text):
        raise ValueError("not RFC 3339")
    return datetime.fromisoformat(text.upper()).timestamp()
