"""Entries of a kustomization's ``images``: read, changed, and added in the style of the file.

Kustomize lets a digest win over a tag, so a part that the entry has and the declaration does not write would decide
what is deployed: it is refused, not left.

Invariant: what is added is exactly the entry or keys that were wanted; the text is read again and compared.
"""

import difflib
from collections.abc import Sequence

from controller.adapters.manifests.adding import add_item, add_key, add_list
from controller.adapters.manifests.changes import changed_fields
from controller.adapters.manifests.edit import (
    check_value,
    not_in_place,
    read_field,
    refuse_shared,
    reread,
    set_field,
)
from controller.adapters.manifests.locate import Found, locate, own
from controller.adapters.manifests.nodes import ListNode, MappingNode, ScalarNode, Text, behind, text_of
from controller.core.promotion.fields import FieldChange, FieldPath, Match, Scalar, ScalarKind
from controller.core.promotion.updates import ImageEdit, ImageEntry
from controller.ports.manifests import FieldMissing, FieldRefused

IMAGES = "images"
_KINDS = (None, "Kustomization", "Component")
_PINS = ("newTag", "digest")

Parts = Sequence[tuple[str, str]]


def read_image(text: Text, place: ImageEntry) -> Scalar:
    """The parts of an entry as ``name:tag@digest``. Raises FieldMissing where there is no such entry or part."""
    _root(text)
    entry = _entry(text, place.image)
    if entry is None:
        raise FieldMissing(
            f"{text.file}: no entry of images has the name {place.image}; {_nearest(text, place.image)}"
        )
    said = ""
    for key, mark in (("newName", ""), ("newTag", ":"), ("digest", "@")):
        if key in place.keys:
            said += (mark if said else "") + read_field(text, _path(place.image, key)).text
    return Scalar(said)


def set_image(text: Text, edit: ImageEdit) -> Text:
    """Write the parts into the entry, which is made where it is missing. Raises FieldRefused."""
    root = _root(text)
    for key, value in edit.parts:
        check_value(text, _path(edit.image, key), value)
    entry = _entry(text, edit.image)
    if entry is None:
        return _with_entry(text, root, edit)
    _refuse_other_pins(text, entry, edit)
    for key, value in edit.parts:
        text = _with_part(text, edit.image, key, value)
    return text


def _path(image: str, *keys: str) -> FieldPath:
    return FieldPath((IMAGES, Match("name", image), *keys))


def _root(text: Text) -> MappingNode:
    root = behind(text.documents[0]) if len(text.documents) == 1 else None
    if not isinstance(root, MappingNode) or text_of(own(root, "kind")) not in _KINDS:
        raise FieldRefused(f"{text.file}: is no kustomization of one document; name the field by path instead")
    return root


def _entry(text: Text, image: str) -> MappingNode | None:
    """The entry; raises FieldRefused where two have the name, or it is none."""
    try:
        found = locate(text, _path(image))
    except FieldMissing:
        return None
    entry = behind(found.node)
    return entry if isinstance(entry, MappingNode) else None


def _nearest(text: Text, image: str) -> str:
    root = behind(text.documents[0])
    images = own(root, IMAGES) if isinstance(root, MappingNode) else None
    items = images.items if isinstance(images, ListNode) else []
    mappings = [each for item in items if isinstance(each := behind(item), MappingNode)]
    names = [name for each in mappings if (name := text_of(own(each, "name"))) is not None]
    close = difflib.get_close_matches(image, names, n=1)
    return f"did you mean {close[0]}?" if close else f"there is {', '.join(names[:8]) or 'none'}"


def _refuse_other_pins(text: Text, entry: MappingNode, edit: ImageEdit) -> None:
    written = [key for key, _ in edit.parts]
    other = next((key for key in _PINS if key in entry.pairs and key not in written), None)
    if other is not None:
        line = entry.pairs[other][0].at.line
        raise FieldRefused(
            f"{text.file}:{line}: the image {edit.image} has a {other} too, and both decide what is deployed;"
            ' remove it, or set value: "{{tag}}@{{digest}}"'
        )


def _with_part(text: Text, image: str, key: str, value: str) -> Text:
    path = _path(image, key)
    found = locate(text, _path(image))
    entry = behind(found.node)
    if isinstance(entry, MappingNode) and key not in entry.pairs:
        refuse_shared(text, path, found)
        return _proven(text, path, add_key(text, entry, key, value), [value])
    return set_field(text, path, value)


def _with_entry(text: Text, root: MappingNode, edit: ImageEdit) -> Text:
    path = _path(edit.image)
    parts = [("name", edit.image), *edit.parts]
    images = own(root, IMAGES)
    values = [value for _, value in parts]
    if images is None or (isinstance(images, ScalarNode) and images.kind is ScalarKind.NOTHING):
        return _proven(text, path, add_list(text, root, IMAGES, parts), values)
    if not isinstance(images, ListNode):
        raise FieldRefused(f"{text.file}:{images.at.line}: images is no list of its own, so no entry can be added")
    refuse_shared(text, path, Found(images, [root]))
    return _proven(text, path, add_item(text, images, parts), values)


def _proven(before: Text, path: FieldPath, after: str | None, values: Sequence[str]) -> Text:
    """The new text, once it is shown that it has the new values and else nothing new."""
    if after is None:
        raise not_in_place(before, path)
    text = reread(before, path, after)
    changes = changed_fields(before, text)
    gone = [each for each in changes if each.old is not None]
    new = [each.new.text for each in changes if each.new is not None and each.new.kind is ScalarKind.TEXT]
    if sorted(new) != sorted(values) or len(new) + len(gone) != len(changes) or not all(map(_was_empty, gone)):
        raise not_in_place(before, path)
    return text


def _was_empty(change: FieldChange) -> bool:
    """A list that held nothing has got its first entry."""
    held_nothing = change.old is not None and change.old.kind in (ScalarKind.NOTHING, ScalarKind.EMPTY)
    return change.path == IMAGES and held_nothing and change.new is None
