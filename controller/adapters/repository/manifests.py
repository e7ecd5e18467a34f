"""Kubernetes objects in manifest files, as far as they can be told without rendering.

Files are hostile: they are read as a stream of YAML events into plain text, lists and mappings, with bounds on size,
depth, nodes and aliases; no tag is honoured and nothing is constructed.

Invariant: what cannot be read is said (``None``), never taken for "no objects". For such files ``guessed`` still names
the kinds that the text mentions, so that a Secret in a Helm template is seen to be touched.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml  # type: ignore[import-untyped, unused-ignore]

from controller.core.git import ManifestObject

LARGEST_FILE = 1 << 20
OWN_GROUP = "rollguard.dev/"

_READABLE = (".yaml", ".yml", ".json")
_RENDERED = (".tpl", ".gotmpl", ".jsonnet", ".libsonnet", ".cue", ".ytt", ".star")
_DEEPEST = 60
_MOST_NODES = 200_000
_MOST_OBJECTS = 5_000
_TEXT = 253
_HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KUSTOMIZE = "kustomize.config.k8s.io/"
_KIND_LINE = re.compile(r"^[ \t-]*[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?([A-Za-z][A-Za-z0-9]{0,100})", re.MULTILINE)
_NAME_LINE = re.compile(r"^(?: {2}|\t)name[ \t]*:[ \t]*[\"']?([a-z0-9][a-z0-9.-]{0,252})[\"']?[ \t]*$", re.MULTILINE)
_HOOK_TEXT = re.compile("|".join(re.escape(hook) + r"[\"']?\s*:" for hook in _HOOKS))
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Node: TypeAlias = "str | list[Node] | dict[str, Node]"


class Unreadable(Exception):  # noqa: N818  an outcome
    """A file that is no YAML, or more than may be read."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one file declares."""

    objects: tuple[ManifestObject, ...]
    own: bool = False
    """Every document in it is of ``rollguard.dev``: policies, which a restore leaves alone."""
    generated: tuple[tuple[ManifestObject, str], ...] = ()
    """Secrets and ConfigMaps that a kustomization generates, each with what it is made from (empty: cannot be told)."""
    resources: tuple[str, ...] = ()
    """What a kustomization lists: paths relative to it, or URLs."""


def is_manifest(path: str) -> bool:
    """Whether a file's name says that it declares objects or is rendered into some."""
    return path.endswith((*_READABLE, *_RENDERED)) or _is_kustomization(path)


def read_manifest(path: str, body: bytes) -> Manifest | None:
    """The objects of a file; None where they cannot be enumerated."""
    if len(body) > LARGEST_FILE or path.endswith(_RENDERED):
        return None
    try:
        composer = _Composer()
        documents = [document for document in composer.documents(body) if document != ""]
        objects = tuple(found for document in documents for found in _objects(document, path))
    except Unreadable:
        return None
    if len(objects) > _MOST_OBJECTS:
        return None
    own = bool(documents) and all(map(_is_own, documents))
    generated = tuple(_generated(path, documents, aliased=composer.aliased))
    return Manifest(objects, own, generated, _resources(path, documents))


def read_documents(body: bytes) -> "list[Node] | None":
    """The documents of a YAML file as text, lists and mappings; None where it cannot be read."""
    try:
        return _Composer().documents(body)
    except Unreadable:
        return None


def guessed(path: str, body: bytes) -> tuple[ManifestObject, ...]:
    """The kinds that a file's text mentions, where it cannot be read as YAML (a template)."""
    text = body[:LARGEST_FILE].decode(errors="replace")
    hook = bool(_HOOK_TEXT.search(text))
    parts = re.split(r"^---.*$", text, flags=re.MULTILINE)
    found: list[ManifestObject] = []
    for part in parts[:_MOST_OBJECTS]:
        name = _NAME_LINE.search(part)
        found += [
            ManifestObject(kind, "", name[1] if name else "", path, hook=hook)
            for kind in dict.fromkeys(_KIND_LINE.findall(part))
        ]
    return tuple(dict.fromkeys(found))


def _objects(document: Node, path: str) -> Iterator[ManifestObject]:
    if not isinstance(document, dict):
        return
    items = document.get("items")
    if _text(document.get("kind")).endswith("List") and isinstance(items, list):
        for item in items:
            if isinstance(item, dict):
                yield from _single(item, path)
    else:
        yield from _single(document, path)


def _single(node: "dict[str, Node]", path: str) -> Iterator[ManifestObject]:
    kind, version = _text(node.get("kind")), _text(node.get("apiVersion"))
    if "<<" in node and not (kind and "metadata" in node):
        raise Unreadable("merged keys may hold the kind")
    if kind.endswith("List") and "items" in node:
        raise Unreadable("a list in a list")
    if version.startswith(_KUSTOMIZE) or (not kind and _is_kustomization(path)):
        yield _object("Kustomization", {}, path)
    elif kind and version:
        metadata = node.get("metadata")
        yield _object(kind, metadata if isinstance(metadata, dict) else {}, path)


def _object(kind: str, metadata: "dict[str, Node]", path: str) -> ManifestObject:
    annotations = metadata.get("annotations")
    hook = isinstance(annotations, dict) and any(name in annotations for name in _HOOKS)
    name = _text(metadata.get("name")) or _text(metadata.get("generateName"))
    return ManifestObject(kind[:_TEXT], _text(metadata.get("namespace"))[:_TEXT], name[:_TEXT], path, hook=hook)


def _generated(path: str, documents: "list[Node]", *, aliased: bool) -> Iterator[tuple[ManifestObject, str]]:
    if not _is_kustomization(path):
        return
    nodes = [node for node in documents if isinstance(node, dict)]
    for key, kind in (("secretGenerator", "Secret"), ("configMapGenerator", "ConfigMap")):
        for generators in (node.get(key) for node in nodes):
            for generator in generators if isinstance(generators, list) else ():
                if isinstance(generator, dict):  # with aliases, writing it out could take for ever
                    yield _object(kind, generator, path), "" if aliased else repr(generator)


def _is_kustomization(path: str) -> bool:
    return path.rpartition("/")[2] in _KUSTOMIZATIONS


def _resources(path: str, documents: "list[Node]") -> tuple[str, ...]:
    if not _is_kustomization(path):
        return ()
    lists = [
        node.get(key) for node in documents if isinstance(node, dict) for key in ("resources", "bases", "components")
    ]
    return tuple(_text(item) for entries in lists if isinstance(entries, list) for item in entries)


def _is_own(document: "Node") -> bool:
    return isinstance(document, dict) and _text(document.get("apiVersion")).startswith(OWN_GROUP)


def _text(node: "Node | None") -> str:
    return node if isinstance(node, str) else ""


@dataclass(slots=True)
class _Composer:
    """Builds nodes from events without recursion; an alias shares its node, so that a bomb stays small."""

    nodes: int = 0
    aliased: bool = False
    anchors: "dict[str, Node]" = field(default_factory=dict)

    def documents(self, body: bytes) -> "list[Node]":
        """All documents of a file. Raises Unreadable."""
        try:
            return self._compose(body.decode())
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
            raise Unreadable("no YAML") from None

    def _compose(self, text: str) -> "list[Node]":
        documents: list[Node] = []
        stack: list[_Open] = [_Open(documents)]
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
            elif isinstance(event, yaml.ScalarEvent):
                self._add(stack, event.value, event.anchor)
            elif isinstance(event, yaml.AliasEvent):
                self.aliased = True
                if event.anchor not in self.anchors:
                    raise Unreadable("an alias of nothing")
                self._add(stack, self.anchors[event.anchor], None)
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                node: Node = [] if isinstance(event, yaml.SequenceStartEvent) else {}
                self._add(stack, node, event.anchor)
                stack.append(_Open(node))
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                stack.pop()
        return documents

    def _add(self, stack: "list[_Open]", node: "Node", anchor: str | None) -> None:
        self.nodes += 1
        if self.nodes > _MOST_NODES or len(stack) > _DEEPEST:
            raise Unreadable("too large or too deep")
        if anchor:
            self.anchors[anchor] = node
        stack[-1].add(node)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being filled."""

    node: "Node"
    key: str | None = None

    def add(self, node: "Node") -> None:
        if isinstance(self.node, list):
            self.node.append(node)
        elif isinstance(self.node, dict):
            if self.key is None:
                self.key = node if isinstance(node, str) else ""
            else:
                self.node[self.key] = node
                self.key = None
