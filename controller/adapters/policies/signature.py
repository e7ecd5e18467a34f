"""Whether anything in a directory of policies has changed, without reading it.

Invariant: two equal signatures mean that no file was added, removed or written between them.
"""

from pathlib import Path

from controller.adapters.policies.files import policy_files


def directory_signature(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and modification time (ns) of every policy file below a directory; empty where it cannot be read."""
    try:
        return tuple(_signed(file) for file in policy_files(path))
    except OSError:
        return ()


def _signed(file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return (str(file), status.st_size, status.st_mtime_ns)
