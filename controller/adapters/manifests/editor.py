"""``ManifestText``: the port to the text of manifests, over YAML and JSON.

Invariant: bytes go in and bytes come out; nothing is kept, so it may be called from any thread.
"""

from collections.abc import Sequence

from controller.adapters.manifests.changes import changed_fields
from controller.adapters.manifests.edit import read_field, set_field
from controller.adapters.manifests.json_read import read_json
from controller.adapters.manifests.kustomization import read_image, set_image
from controller.adapters.manifests.nodes import Text
from controller.adapters.manifests.yaml_read import read_yaml
from controller.core.promotion.fields import FieldChange, FieldPath, Scalar
from controller.core.promotion.updates import Edit, FieldEdit, Place

_JSON = ".json"


class ManifestText:
    """Reads and writes single fields of YAML and JSON files."""

    def read(self, file: str, body: bytes, place: Place) -> Scalar:
        """What stands at a place; of an image's entry, its parts as ``name:tag@digest``."""
        text = _read(file, body)
        return read_field(text, place) if isinstance(place, FieldPath) else read_image(text, place)

    def write(self, file: str, body: bytes, edits: Sequence[Edit]) -> bytes:
        """The file with all edits in, in order; the same bytes where nothing had to change."""
        text = _read(file, body)
        for edit in edits:
            text = set_field(text, edit.path, edit.value) if isinstance(edit, FieldEdit) else set_image(text, edit)
        return text.text.encode()

    def changes(self, file: str, before: bytes, after: bytes) -> tuple[FieldChange, ...]:
        """The fields that differ, in the order of the file; an empty text has none."""
        return () if before == after else changed_fields(_read(file, before), _read(file, after))


def _read(file: str, body: bytes) -> Text:
    if not body.strip():
        return Text(file, "")
    return read_json(file, body) if file.lower().endswith(_JSON) else read_yaml(file, body)
