"""Reads a secret from its file, each time that it is used, so that a rotated one counts at once.

Invariant: the secret itself is in no error; what was read is told to ``seen``, so that logs can mask it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

LARGEST = 64 * 1024

Seen: TypeAlias = Callable[[str], None]
"""Called with each secret that was read."""


class SecretUnreadable(Exception):  # noqa: N818  named as the ports name their errors
    """A secret file is missing, empty, too large or not readable; the text names the file."""


def unseen(_secret: str) -> None:
    """Tell nobody which secret was read."""


def read_secret(path: Path, seen: Seen = unseen) -> bytes:
    """The file's content without the line ends at its end.

    Raises:
        SecretUnreadable: it cannot be read, is empty, or is larger than 64 KiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise SecretUnreadable(
            f"secret file {path} cannot be read: {error.strerror or type(error).__name__}"
        ) from None
    secret = content.rstrip(b"\r\n")
    if not secret or len(content) > LARGEST:
        raise SecretUnreadable(f"secret file {path} must have between 1 and {LARGEST} bytes")
    seen(secret.decode("utf-8", "replace"))
    return secret
