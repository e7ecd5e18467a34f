"""Adds keys and items to a mapping or list, laid out as what stands beside them.

Each function gives the new text, or None where the file's style does not show how. Invariant: only new characters come
in, in one place; whether they mean what they should is for the caller to check.
"""

import json
import re
from collections.abc import Sequence

from controller.adapters.manifests.nodes import ListNode, MappingNode, Node, Text
from controller.adapters.manifests.scalars import spelled

_DASH = re.compile(r"(?P<indent> *)-(?P<gap> +)")


def add_key(text: Text, mapping: MappingNode, key: str, value: str) -> str | None:
    """A key after the last one of a mapping that has some."""
    if not mapping.pairs:
        return None
    last_key, last = list(mapping.pairs.values())[-1]
    if mapping.flow:
        return _put(text, last.at.end, "," + _lead(text, last_key.at.start) + _pair(text, key, value, flow=True))
    column = _column(text, last_key.at.start)
    return _lines(text, last, [" " * column + _pair(text, key, value, flow=False)])


def add_item(text: Text, items: ListNode, parts: Sequence[tuple[str, str]]) -> str | None:
    """A mapping after the last item of a list."""
    if items.flow:
        new = "{" + ", ".join(_pair(text, key, value, flow=True) for key, value in parts) + "}"
        if not items.items:
            return _put(text, items.at.end - 1, new)
        last = items.items[-1]
        return _put(text, last.at.end, "," + _lead(text, last.at.start) + new)
    last = items.items[-1]
    dash = _DASH.fullmatch(text.text[_line_start(text, last.at.start) : last.at.start])
    return _lines(text, last, _item(text, dash["indent"], dash["gap"], parts)) if dash else None


def add_list(text: Text, root: MappingNode, key: str, parts: Sequence[tuple[str, str]]) -> str | None:
    """A list with one mapping, under a key of a document's root: a new one at its end, or one that holds nothing."""
    if root.flow or not root.pairs:
        return None
    first = next(iter(root.pairs.values()))[0]
    indent = " " * _column(text, first.at.start)
    item = _item(text, _dash_indent(text, root, indent), " ", parts)
    if key not in root.pairs:
        return _lines(text, list(root.pairs.values())[-1][1], [f"{indent}{key}:", *item])
    node = root.pairs[key][1]
    return _lines(text, node, item) if node.at.start == node.at.end else None


def _item(text: Text, indent: str, gap: str, parts: Sequence[tuple[str, str]]) -> list[str]:
    inner = indent + " " * (1 + len(gap))
    return [
        (inner if number else f"{indent}-{gap}") + _pair(text, key, value, flow=False)
        for number, (key, value) in enumerate(parts)
    ]


def _dash_indent(text: Text, root: MappingNode, otherwise: str) -> str:
    """How far the root's lists are indented."""
    for _, node in root.pairs.values():
        if isinstance(node, ListNode) and not node.flow and node.items:
            start = node.items[0].at.start
            dash = _DASH.fullmatch(text.text[_line_start(text, start) : start])
            if dash:
                return dash["indent"]
    return otherwise


def _pair(text: Text, key: str, value: str, *, flow: bool) -> str:
    if text.json:
        return f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
    return f"{spelled(key, '', flow=flow)}: {spelled(value, '', flow=flow)}"


def _put(text: Text, at: int, new: str) -> str:
    return text.text[:at] + new + text.text[at:]


def _lead(text: Text, start: int) -> str:
    """The blanks before what stands beside, so that lists over several lines stay so."""
    before = text.text[:start]
    blanks = before[len(before.rstrip()) :]
    return blanks if "\n" in blanks else " "


def _line_start(text: Text, at: int) -> int:
    return text.text.rfind("\n", 0, at) + 1


def _column(text: Text, at: int) -> int:
    return at - max(_line_start(text, at), 1 if text.text.startswith("\ufeff") else 0)


def _lines(text: Text, after: Node, lines: Sequence[str]) -> str | None:
    """New lines below the last line of a node."""
    end = _last(after)
    ending = "\r\n" if "\r\n" in text.text else "\n"
    at = end if text.text[end - 1] == "\n" else text.text.find("\n", end) + 1  # a block ends after its last line
    new = ending.join(lines)
    if not at:
        return text.text + ending + new
    return _put(text, at, new + ending)


def _last(node: Node) -> int:
    """Where the last value in a node ends."""
    target = node
    while isinstance(target, MappingNode | ListNode) and not target.flow:
        target = list(target.pairs.values())[-1][1] if isinstance(target, MappingNode) else target.items[-1]
    return target.at.end
