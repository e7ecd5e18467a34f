"""Reads JSON into nodes: of every value the exact characters are known that it takes.

Invariant: what is read is JSON as RFC 8259 has it; comments, ``NaN`` and a key that stands twice are refused.
"""

import json
import re
from bisect import bisect_right

from controller.adapters.manifests.nodes import ListNode, MappingNode, Node, ScalarNode, Spot, Text, decoded
from controller.core.promotion.fields import ScalarKind
from controller.ports.manifests import ManifestUnreadable

_BOM = "\ufeff"
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_BARE = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_KINDS = {"true": ScalarKind.BOOLEAN, "false": ScalarKind.BOOLEAN, "null": ScalarKind.NOTHING}


def read_json(file: str, body: bytes) -> Text:
    """Read a file. Raises ManifestUnreadable."""
    return parse_json(file, decoded(file, body))


def parse_json(file: str, text: str) -> Text:
    """Read a text. Raises ManifestUnreadable."""
    reader = _Reader(Text(file, text, json=True))
    begin = reader.space(len(_BOM) if text.startswith(_BOM) else 0)
    node, end = reader.value(begin, 0)
    end = reader.space(end)
    if end != len(text):
        raise reader.wrong(end, "something stands after the value")
    reader.out.documents.append(node)
    return reader.out


class _Reader:
    def __init__(self, out: Text) -> None:
        self.out, self._text = out, out.text
        self._lines = [found.end() for found in re.finditer("\n", out.text)]

    def wrong(self, at: int, problem: str) -> ManifestUnreadable:
        return ManifestUnreadable(f"{self.out.file}:{self._line(at)}: is no JSON: {problem}")

    def space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        """The value that begins at a place, and where it ends."""
        first = self._text[at : at + 1]
        if first == "{":
            return self._mapping(at, depth)
        if first == "[":
            return self._list(at, depth)
        node = self._scalar(at)
        self.out.add(node, depth)
        return node, node.at.end

    def _line(self, at: int) -> int:
        return bisect_right(self._lines, at) + 1

    def _spot(self, start: int, end: int) -> Spot:
        return Spot(start, end, self._line(start))

    def _scalar(self, at: int) -> ScalarNode:
        string = _STRING.match(self._text, at)
        if string is not None:
            whole = str(json.loads(string[0])).encode(errors="replace").decode()  # half a character, escaped, is none
            return ScalarNode(self._spot(at, string.end()), whole, "j", ScalarKind.TEXT)
        found = _BARE.match(self._text, at)
        if found is None:
            raise self.wrong(at, "a value is expected here")
        return ScalarNode(self._spot(at, found.end()), found[0], "", _KINDS.get(found[0], ScalarKind.NUMBER))

    def _list(self, at: int, depth: int) -> tuple[ListNode, int]:
        node = ListNode(self._spot(at, at), flow=True)
        self.out.add(node, depth)
        at = self.space(at + 1)
        while self._text[at : at + 1] != "]":
            item, at = self.value(at, depth + 1)
            node.items.append(item)
            at = self._between(at, "]")
        node.at.end = at + 1
        return node, at + 1

    def _mapping(self, at: int, depth: int) -> tuple[MappingNode, int]:
        node = MappingNode(self._spot(at, at), flow=True)
        self.out.add(node, depth)
        at = self.space(at + 1)
        while self._text[at : at + 1] != "}":
            key, at = self._key(node, at)
            self.out.add(key, depth + 1)
            value, at = self.value(at, depth + 1)
            node.pairs[key.value] = (key, value)
            at = self._between(at, "}")
        node.at.end = at + 1
        return node, at + 1

    def _key(self, mapping: MappingNode, at: int) -> tuple[ScalarNode, int]:
        if self._text[at : at + 1] != '"':
            raise self.wrong(at, "a key in double quotes is expected here")
        key = self._scalar(at)
        if key.value in mapping.pairs:
            first = mapping.pairs[key.value][0].at.line
            raise self.wrong(at, f"the key {key.value[:60]} stands twice, first in line {first}; remove one")
        colon = self.space(key.at.end)
        if self._text[colon : colon + 1] != ":":
            raise self.wrong(colon, "a colon is expected here")
        return key, self.space(colon + 1)

    def _between(self, at: int, end: str) -> int:
        """Past a comma to the next item, or to the end."""
        at = self.space(at)
        said = self._text[at : at + 1]
        if said == end:
            return at
        after = self.space(at + 1)
        if said != "," or self._text[after : after + 1] == end:
            raise self.wrong(at, f"a comma and a value, or {end}, is expected here")
        return after
