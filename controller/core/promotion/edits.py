"""Which fields hold a version in a place, and with which values.

Invariant: pure and deterministic: the same version and step give the same edits in the same order.
"""

from dataclasses import dataclass

from controller.core.declared import DeclarationError
from controller.core.promotion.facts import Values
from controller.core.promotion.pipeline import Stage, StageTarget
from controller.core.promotion.updates import Edit, FieldEdit, ImageEdit
from controller.core.promotion.updates import Place as FieldPlace
from controller.core.promotion.version import Version


@dataclass(frozen=True, slots=True)
class FileField:
    """A field of a file."""

    file: str
    field: FieldPlace


@dataclass(frozen=True, slots=True)
class FileEdit:
    """A field of a file, and the value that it is to have."""

    file: str
    edit: Edit

    @property
    def text(self) -> str:
        """What is read once it is written."""
        if isinstance(self.edit, FieldEdit):
            return str(self.edit.value)
        parts = dict(self.edit.parts)
        tag, digest = parts.get("newTag", ""), parts.get("digest", "")
        name = parts.get("newName", "")
        return f"{name}{':' if name and tag else ''}{tag}{'@' if digest and (name or tag) else ''}{digest}"

    @property
    def name(self) -> str:
        """The field, as people call it."""
        return f"images: {self.edit.image}" if isinstance(self.edit, ImageEdit) else str(self.edit.path)


def edits_for(stage: Stage, target: StageTarget, version: Version, step: int) -> tuple[FileEdit, ...]:
    """The edits that bring a version's step in: the fields that name it, then the stage's steps.

    Raises:
        DeclarationError: a field asks for what this version has not.
    """
    values = version.values()
    named = tuple(FileEdit(update.file, update.edit(values)) for update in target.write.updates)
    raised = tuple(
        FileEdit(each.file, FieldEdit(each.path, each.values[min(step, len(each.values) - 1)]))
        for each in stage.steps
    )
    return named + raised


def fields_of(stage: Stage, target: StageTarget) -> tuple[FileField, ...]:
    """The same fields, in the same order, without values."""
    named = tuple(FileField(update.file, update.place) for update in target.write.updates)
    return named + tuple(FileField(each.file, each.path) for each in stage.steps)


def holds(edits: tuple[FileEdit, ...], values: Values | None) -> bool:
    """Whether fields hold what the edits would write."""
    if values is None or len(values) != len(edits):
        return False
    return all(value is not None and each.text == value for each, value in zip(edits, values, strict=True))


def names_version(stage: Stage, target: StageTarget, version: Version, values: Values | None) -> bool:
    """Whether the fields that name the version hold it, at whatever step; False where it cannot be written there."""
    if values is None:
        return False
    count = len(target.write.updates)
    try:
        return holds(edits_for(stage, target, version, 0)[:count], values[:count])
    except DeclarationError:
        return False
