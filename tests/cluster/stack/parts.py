"""Where build_cluster.sh has put the programs of the cluster, and what to say where it was not run."""

import functools
import subprocess
from pathlib import Path

_BUILD = Path(__file__).parents[2] / "servers" / "build_cluster.sh"
_PEERS = {"rollouts", "flagger"}
"""What only a benchmark runs, and make cluster-stack does not build."""


class NotBuiltError(RuntimeError):
    """A part of the cluster is not in the cache."""


@functools.cache
def _folders() -> dict[str, Path]:
    said = subprocess.run([str(_BUILD), "--path"], check=True, capture_output=True, text=True).stdout
    return {part: Path(folder) for part, folder in (line.split(" ", 1) for line in said.splitlines())}


def part(name: str) -> Path:
    """The folder of a part, with ``bin`` and ``share`` in it.

    Raises:
        NotBuiltError: it was not built on this machine.
    """
    folder = _folders()[name]
    if not folder.is_dir():
        command = "tests/servers/build_cluster.sh peers" if name in _PEERS else "make cluster-stack"
        raise NotBuiltError(f"The cluster's part {name} is not built here: run {command}.")
    return folder


def missing(*names: str) -> str | None:
    """What to say where one of these parts is not built; None: all are."""
    try:
        for name in names:
            part(name)
    except NotBuiltError as error:
        return str(error)
    return None


def program(name: str, executable: str | None = None) -> str:
    """The path of a part's program, which is called as the part unless ``executable`` says otherwise."""
    return str(part(name) / "bin" / (executable or name))


def shared(name: str, folder: str) -> Path:
    """A folder of files that came out of a part's module."""
    return part(name) / "share" / folder
