"""Puts a new value where an old one stands, and leaves every other character as it is.

Invariant: the text is exchanged between the first and the last character of the one scalar, and read again: unless
exactly this value has changed and every reader gets the wanted one, the edit is refused.
"""

import json

from controller.adapters.manifests.json_read import parse_json
from controller.adapters.manifests.locate import Found, locate
from controller.adapters.manifests.nodes import AliasNode, ListNode, MappingNode, Node, ScalarNode, Text
from controller.adapters.manifests.scalars import kind_of, spelled
from controller.adapters.manifests.yaml_read import parse_yaml
from controller.core.promotion.fields import FieldPath, Scalar, ScalarKind
from controller.core.promotion.updates import LONGEST_VALUE
from controller.ports.manifests import FieldRefused, ManifestUnreadable

_BLOCK = ("|", ">")


def read_field(text: Text, path: FieldPath) -> Scalar:
    """What stands at a path; what is merged in or behind an alias counts. Raises FieldMissing or FieldRefused."""
    node = locate(text, path).node
    target = node.target if isinstance(node, AliasNode) else node
    if not isinstance(target, ScalarNode):
        raise FieldRefused(f"{text.file}:{node.at.line}: {path} is {_called(target)}, no single value")
    return Scalar(target.value, target.kind)


def set_field(text: Text, path: FieldPath, value: str | int) -> Text:
    """Write a value; the same text where it is there already. Raises FieldMissing or FieldRefused."""
    check_value(text, path, value)
    found = locate(text, path)
    node = _writable(text, path, found)
    new = _spelled(text, path, node, value, flow=any(_is_flow(each) for each in found.trail))
    if new is None:
        return text
    start, end = node.at.start, node.at.end
    if start == end and not text.text[start - 1 : start].isspace():
        new = f" {new}"
    after = reread(text, path, text.text[:start] + new + text.text[end:])
    _prove(text, path, node, after, value)
    return after


def check_value(text: Text, path: object, value: str | int) -> None:
    """Raises FieldRefused for a value that no field should have."""
    if isinstance(value, str) and (
        not value or len(value) > LONGEST_VALUE or not value.isprintable() or "{{" in value
    ):
        raise FieldRefused(f"{text.file}: {path}: the new value is empty, too long, a template or has odd characters")


def refuse_shared(text: Text, path: FieldPath, found: Found) -> None:
    """Raises FieldRefused where writing there would change another place too."""
    if found.merged is not None:
        key = path.steps[-1]
        raise FieldRefused(
            f"{text.file}:{found.node.at.line}: {path} comes from the merge (<<) in line {found.merged.at.line};"
            f" write {key}: … itself below line {found.merged.at.line}, then it can be changed there"
        )
    aliases = text.aliases
    for node in (*found.trail, found.node):
        if isinstance(node, AliasNode):
            raise FieldRefused(
                f"{text.file}:{node.at.line}: {path} is behind the alias *{node.name} of line {node.target.at.line}:"
                f" both would change; write the value out in line {node.at.line}"
            )
        again = next((alias for alias in aliases if alias.target is node), None)
        if again is not None:
            raise FieldRefused(
                f"{text.file}:{node.at.line}: {path} is anchored (&{again.name}) in line {node.at.line} and used again"
                f" in line {again.at.line}: both would change; write the value out in line {again.at.line}"
            )


def _writable(text: Text, path: FieldPath, found: Found) -> ScalarNode:
    refuse_shared(text, path, found)
    node = found.node
    where = f"{text.file}:{node.at.line}: {path}"
    if not isinstance(node, ScalarNode):
        raise FieldRefused(f"{where} is {_called(node)}, no single value")
    if node.tag is not None:
        raise FieldRefused(f"{where} has the tag {node.tag[:40]}; write the value without a tag")
    if node.style in _BLOCK:
        raise FieldRefused(f"{where} is a block ({node.style}); write the value on the line of its key")
    if "{{" in node.value:
        raise FieldRefused(f"{where} is a template ({{{{ … }}}}); write into what fills it in")
    return node


def _called(node: Node) -> str:
    return "a mapping" if isinstance(node, MappingNode) else "a list" if isinstance(node, ListNode) else "an alias"


def _is_flow(node: Node) -> bool:
    return isinstance(node, MappingNode | ListNode) and node.flow


def _spelled(text: Text, path: FieldPath, node: ScalarNode, value: str | int, *, flow: bool) -> str | None:
    """The characters to write; None where the value is there already."""
    where = f"{text.file}:{node.at.line}: {path}"
    if node.kind is ScalarKind.BOOLEAN:
        raise FieldRefused(f"{where} is {node.value}, and {value} is neither true nor false")
    wanted = str(value)
    if isinstance(value, int):
        if node.kind is ScalarKind.TEXT and (not node.style or kind_of(node.value) is not ScalarKind.NUMBER):
            raise FieldRefused(f"{where} is the text {node.value[:40]}, no number")
        if node.kind is not ScalarKind.TEXT:
            return None if node.value == wanted else wanted
    if node.value == wanted and node.kind is ScalarKind.TEXT:
        return None
    return json.dumps(wanted, ensure_ascii=False) if text.json else spelled(wanted, node.style, flow=flow)


def reread(text: Text, path: object, after: str) -> Text:
    """Read a text that was made from another. Raises FieldRefused where it is none any more."""
    try:
        return parse_json(text.file, after) if text.json else parse_yaml(text.file, after)
    except ManifestUnreadable:
        raise not_in_place(text, path) from None


def _prove(before: Text, path: FieldPath, node: ScalarNode, after: Text, value: str | int) -> None:
    """Raises FieldRefused unless the two texts say the same but for one value."""
    number = next(each for each, candidate in enumerate(before.nodes) if candidate is node)
    same = len(before.nodes) == len(after.nodes) and all(
        old.told() == new.told()
        for each, (old, new) in enumerate(zip(before.nodes, after.nodes, strict=True))
        if each != number
    )
    kind = ScalarKind.NUMBER if isinstance(value, int) and node.kind is not ScalarKind.TEXT else ScalarKind.TEXT
    if not same or after.nodes[number].told() != (str(value), kind, node.anchor, node.tag):
        raise not_in_place(before, path)


def not_in_place(text: Text, path: object) -> FieldRefused:
    """What is said where an edit would have changed more than it should."""
    remedy = "write it once by hand, as key: value on a line of its own"
    return FieldRefused(f"{text.file}: {path} cannot be changed in place without changing more; {remedy}")
