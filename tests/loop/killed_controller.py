"""A real controller that kills itself with SIGKILL at one boundary: after it began to restore, at the named step."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from controller.adapters.repository import GitRepository
from controller.adapters.store import SqliteStore
from controller.cli.main import main
from controller.runtime.deployers import Deployers


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        _die()
        return original(*arguments, **named)

    setattr(owner, name, dying)


def _after(owner: Any, name: str, when: Callable[[Any], bool] = lambda _: True) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        if when(arguments):
            _die()
        return result

    setattr(owner, name, dying)


def arm(boundary: str) -> None:
    """Make the process die at a boundary."""
    match boundary:
        case "commit":  # the decision is persisted, nothing has been asked of Git
            _after(SqliteStore, "commit", lambda arguments: '"rollback":{' in arguments[1].body)
        case "inspect":
            _after(GitRepository, "inspect")
        case "build":
            _after(GitRepository, "build")
        case "push-before":
            _before(GitRepository, "push")
        case "push-after":  # the server has taken it, nobody has heard the answer
            _after(GitRepository, "push")
        case "refresh":
            _before(Deployers, "_refresh")
        case _:
            raise ValueError(boundary)


if __name__ == "__main__":
    arm(os.environ["ROLLGUARD_KILL_AT"])
    sys.argv[0:1] = ["rollguard", "run"]
    main()
