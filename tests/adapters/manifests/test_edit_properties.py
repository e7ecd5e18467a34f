"""What holds of an edit whatever the file looks like: every other byte stays, and only the one field is another."""

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from controller.adapters.manifests import ManifestText
from controller.core.promotion.fields import FieldPath, ScalarKind
from controller.core.promotion.updates import FieldEdit, ImageEdit
from controller.ports.manifests import FieldRefused, ManifestError
from tests.adapters.manifests.documents import Leaf, with_value, yaml_documents

MANIFESTS = ManifestText()
SOME = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VERSIONS = st.one_of(
    st.sampled_from(["v2.0.0", "1.10", "0x1", "on", "1e3", "12345e6", "null", "2026-12-20", "1:30", "01", "=", "~"]),
    st.sampled_from(
        ["sha256:" + "ab" * 32, "registry:5000/shop/app:v2@sha256:ab", "it's", '"', "a # b", "a: b", "y"]
    ),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,30}", fullmatch=True),
    st.text(min_size=1, max_size=20).filter(str.isprintable),
)


class Resolving(yaml.SafeLoader):
    """YAML 1.1, with dates as they are written."""


Resolving.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: ("date", node.value))


def by_1_1(text: str) -> Any:
    return yaml.load(text.removeprefix("\ufeff"), Loader=Resolving)


def by_1_2(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text.removeprefix("\ufeff"))


def edited(text: str, leaf: Leaf, value: str | int) -> str:
    edit = FieldEdit(FieldPath(leaf.steps), value)
    return MANIFESTS.write("f.yaml", text.encode(), [edit]).decode()


def outside(text: str, after: str, leaf: Leaf) -> bool:
    """Whether the two texts are the same before and behind one run of characters, which is on one line."""
    start = next((n for n, (a, b) in enumerate(zip(text, after, strict=False)) if a != b), min(len(text), len(after)))
    back = 0
    while back < min(len(text), len(after)) - start and text[-1 - back] == after[-1 - back]:
        back += 1
    return "\n" not in text[start : len(text) - back] and "\n" not in after[start : len(after) - back]


@SOME
@given(yaml_documents(), st.data(), VERSIONS)
def test_only_the_field_changes(document: tuple[str, list[Leaf]], data: st.DataObject, value: str) -> None:
    """Read by YAML 1.1 and by 1.2, the new text has the value as text and everything else as it was; lines too."""
    text, leaves = document
    leaf = data.draw(st.sampled_from(leaves))
    assume("{{" not in value + leaf.value)
    before_1_1, before_1_2 = by_1_1(text), by_1_2(text)
    try:
        after = edited(text, leaf, value)
    except FieldRefused as error:
        if leaf.style or leaf.value != "true":
            raise AssertionError from error
        return
    assert outside(text, after, leaf)
    assert by_1_1(after) == with_value(before_1_1, leaf.steps, value)
    assert by_1_2(after) == with_value(before_1_2, leaf.steps, value)
    assert edited(after, leaf, value) == after
    read = MANIFESTS.read("f.yaml", after.encode(), FieldPath(leaf.steps))
    assert (read.text, read.kind) == (value, ScalarKind.TEXT)


@SOME
@given(yaml_documents(), st.data(), st.integers(0, 1000))
def test_numbers_stay_numbers(document: tuple[str, list[Leaf]], data: st.DataObject, value: int) -> None:
    """A number is exchanged for a number, or for text in quotes where the old one was; other text is refused."""
    text, leaves = document
    leaf = data.draw(st.sampled_from(leaves))
    try:
        after = edited(text, leaf, value)
    except FieldRefused:
        assert leaf.value not in ("5", "1.10", "~") or (leaf.style and leaf.value == "~")
        return
    assert by_1_2(after) == with_value(by_1_2(text), leaf.steps, str(value) if leaf.style else value)
    assert outside(text, after, leaf)


@SOME
@given(yaml_documents(), st.data(), VERSIONS)
def test_the_change_is_told(document: tuple[str, list[Leaf]], data: st.DataObject, value: str) -> None:
    """Comparing the text before and after an edit tells that field alone; and nothing where nothing changed."""
    text, leaves = document
    leaf = data.draw(st.sampled_from(leaves))
    assume(leaf.value != value and "{{" not in value + leaf.value and (leaf.style or leaf.value != "true"))
    after = edited(text, leaf, value)
    (change,) = MANIFESTS.changes("f.yaml", text.encode(), after.encode())
    assert change.old is not None
    assert change.new is not None
    assert (change.old.text, change.new.text) == (leaf.value, value)
    assert MANIFESTS.changes("f.yaml", text.encode(), b"# x\n" + text.removeprefix("\ufeff").encode()) == ()


JSON = st.recursive(
    st.one_of(st.text(max_size=9), st.integers(-9, 999), st.booleans(), st.none(), st.floats(-9, 9)),
    lambda inner: st.one_of(st.dictionaries(st.text(max_size=6), inner, max_size=4), st.lists(inner, max_size=3)),
    max_leaves=12,
)


@SOME
@given(
    st.dictionaries(st.text(max_size=6), JSON, max_size=3), st.sampled_from([None, 2, "\t"]), VERSIONS, st.booleans()
)
def test_json_keeps_its_form(data: dict[str, Any], indent: Any, value: str, ascii_only: bool) -> None:
    """Any JSON, however it is indented: the field is another, and the text is what was written before with it in."""
    assume("{{" not in value)
    whole = data | {"im.age": {"list": [1, "old"]}}
    text = json.dumps(whole, indent=indent, ensure_ascii=ascii_only)
    edit = FieldEdit(FieldPath(("im.age", "list", 1)), value)
    after = MANIFESTS.write("f.json", text.encode(errors="replace"), [edit]).decode()
    wanted = json.loads(text) | {"im.age": {"list": [1, value]}}
    assert json.loads(after) == wanted
    assert after.replace(json.dumps(value, ensure_ascii=False), '"old"') == text.replace(
        json.dumps(value, ensure_ascii=False), '"old"'
    )


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), st.text(st.sampled_from("{}[]:,-&*!|>'\"#% \n\tab1<"), max_size=60)))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but the port's errors comes out of any text, as YAML and as JSON."""
    for file in ("f.yaml", "f.json"):
        try:
            MANIFESTS.write(file, text.encode(errors="replace"), [FieldEdit(FieldPath(("a",)), "v2")])
            MANIFESTS.changes(file, text.encode(errors="replace"), b"")
        except ManifestError as error:
            if not str(error).startswith(file):
                raise


@SOME
@given(yaml_documents(), st.sampled_from(["v2", "1.10", "on"]), st.booleans())
def test_an_image_is_added_and_nothing_else(document: tuple[str, list[Leaf]], tag: str, again: bool) -> None:
    """Whatever else the file holds: one run of new characters, which means the new entry; or a refusal."""
    text, _ = document
    try:
        after = MANIFESTS.write("k.yaml", text.encode(), [ImageEdit("shop/app", (("newTag", tag),))]).decode()
        if again:
            text = after
            after = MANIFESTS.write(
                "k.yaml", text.encode(), [ImageEdit("other", (("digest", "sha256:ab"),))]
            ).decode()
    except FieldRefused:
        return
    added = {"name": "other", "digest": "sha256:ab"} if again else {"name": "shop/app", "newTag": tag}
    data = by_1_2(text)
    assert by_1_2(after) == data | {"images": [*(data.get("images") or []), added]}
    assert by_1_1(after) == by_1_1(text) | {"images": [*(by_1_1(text).get("images") or []), added]}
    start = next((n for n, (a, b) in enumerate(zip(text, after, strict=False)) if a != b), len(text))
    assert after.endswith(text[start:])
