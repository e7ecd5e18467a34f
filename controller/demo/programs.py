"""Where the programs of real servers are: on PATH, else in the cache that the Makefile fills."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

CACHE = "ROLLGUARD_CACHE"


def cache_of(environment: Mapping[str, str]) -> Path:
    """The folder of the cache."""
    return Path(environment.get(CACHE) or os.path.expanduser("~/.cache/rollguard"))  # noqa: PTH111  "~" itself without home


def found(name: str, environment: Mapping[str, str]) -> str | None:
    """The program: from PATH, else from the cache; None: it is in neither."""
    path = environment.get("PATH", os.defpath)
    return shutil.which(name, path=os.pathsep.join((path, str(cache_of(environment) / "bin"))))
