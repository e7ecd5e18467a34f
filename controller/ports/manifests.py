"""The port to the text of manifests: reads and writes single fields of YAML and JSON files, given as bytes.

Invariant: what is written differs from what was given in the named fields alone, every other byte is as it was; where
that cannot be done, or would change another place too, it is refused and nothing comes out.

    ManifestError
    ├── ManifestUnreadable   no YAML or JSON that can be read, or larger or deeper than may be
    ├── FieldMissing         there is nothing at the path; the text names the nearest that there is
    └── FieldRefused         it is there, and cannot be written safely; the text says what to do
"""

from collections.abc import Sequence
from typing import Protocol

from controller.core.promotion.fields import FieldChange, Scalar
from controller.core.promotion.updates import Edit, Place


class ManifestError(ValueError):
    """What is wrong with a file or field; its text begins with the file's name and is at most 500 characters."""

    def __init__(self, message: str) -> None:
        super().__init__("".join(each if each.isprintable() else "�" for each in message)[:500])


class ManifestUnreadable(ManifestError):  # noqa: N818  names of the port's tree
    """The file cannot be read."""


class FieldMissing(ManifestError):  # noqa: N818
    """There is nothing at the path."""


class FieldRefused(ManifestError):  # noqa: N818
    """The field cannot be written safely."""


class Manifests(Protocol):
    """Reads and writes the text of files; ``file`` is a name for messages, and ``.json`` in it tells JSON from YAML."""

    def read(self, file: str, body: bytes, place: Place) -> Scalar:
        """What stands at a place; of an image's entry, its parts as ``name:tag@digest``."""
        ...

    def write(self, file: str, body: bytes, edits: Sequence[Edit]) -> bytes:
        """The file with all edits in, in order; the same bytes where nothing had to change."""
        ...

    def changes(self, file: str, before: bytes, after: bytes) -> tuple[FieldChange, ...]:
        """The fields that differ, in the order of the file; an empty text has none."""
        ...
