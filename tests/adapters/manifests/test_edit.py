"""Single fields of YAML and JSON: what is written, what is refused, and in which words."""

import pytest

from controller.adapters.manifests import ManifestText, nodes
from controller.core.promotion.fields import Scalar, ScalarKind, parse_path
from controller.core.promotion.updates import FieldEdit
from controller.ports.manifests import FieldMissing, FieldRefused, ManifestError, ManifestUnreadable

MANIFESTS = ManifestText()
VALUES = """\
# Values of the development environment.
image:
  repository: registry.example.com/shop/checkout   # where it is
  tag: "v1.2.3"  # moved by Rollguard
  pullPolicy: 'Always'
replicas: 2
canary: {weight: 5, tag: v1 }   # in flow style
empty:
nothing: ~ # for now
ports: [80, 443]
"""
OBJECTS = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: checkout
  annotations:
    a.b/c: "1"
spec:
  replicas: 3
  template:
    spec:
      containers:
      - name: side
        image: side:v1
      - image: registry.example.com/checkout:v1
        name: app
---
apiVersion: v1
kind: Service
metadata: {name: checkout}
spec: {replicas: 1}
"""


def write(text: str, path: str, value: str | int, file: str = "values.yaml") -> str:
    edit = FieldEdit(parse_path(path), value)
    return MANIFESTS.write(file, text.encode(), [edit]).decode()


def read(text: str, path: str, file: str = "values.yaml") -> Scalar:
    return MANIFESTS.read(file, text.encode(), parse_path(path))


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("image.tag", "v1.2.4", 'tag: "v1.2.3"', 'tag: "v1.2.4"'),
        ("image.pullPolicy", "it's", "'Always'", "'it''s'"),
        ("image.repository", "localhost:5000/x", "registry.example.com/shop/checkout", "localhost:5000/x"),
        ("replicas", 5, "replicas: 2", "replicas: 5"),
        ("replicas", "1.10", "replicas: 2", 'replicas: "1.10"'),
        ("canary.weight", 25, "weight: 5", "weight: 25"),
        ("canary.tag", "a:b", "tag: v1 }", 'tag: "a:b" }'),
        ("empty", "v1", "empty:\n", "empty: v1\n"),
        ("nothing", "v1", "~ # for", "v1 # for"),
        ("ports[1]", 8443, "443", "8443"),
    ],
)
def test_the_value_alone_is_exchanged(path: str, value: str | int, old: str, new: str) -> None:
    """In block and flow style, quoted and plain, and where there was nothing: all else stays."""
    assert VALUES.count(old) == 1
    assert write(VALUES, path, value) == VALUES.replace(old, new)


@pytest.mark.parametrize(
    "value", ["1.10", "0x1", "on", "1e3", "12345e6", "null", "2026-12-20", "1:30", "0b1", ".5", "Y"]
)
def test_text_stays_text(value: str) -> None:
    """A tag that some reader would take for a number, a boolean or a date comes into quotes."""
    assert write("tag: v1\n", "tag", value) == f'tag: "{value}"\n'


def test_the_same_value_changes_nothing() -> None:
    """Written twice is written once: byte for byte, however it is quoted."""
    for path, value in (("image.tag", "v1.2.3"), ("replicas", 2), ("image.pullPolicy", "Always")):
        assert write(VALUES, path, value) == VALUES
    assert write("weight: '5'\n", "weight", 5) == "weight: '5'\n"


def test_a_number_in_quotes_stays_in_quotes() -> None:
    """Annotations are text: a weight in one is exchanged as text."""
    assert write('weight: "5"\n', "weight", 25) == 'weight: "25"\n'


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_and_a_mark_at_the_start_stay(ending: str) -> None:
    """CRLF, a byte order mark and a missing last line end are kept."""
    text = "\ufeff# é\na:\n  b: 'x' # c\n\n...\n---\nd: 1".replace("\n", ending)
    text = text.replace("...", "# end").replace("---", "# more")
    assert write(text, "a.b", "y") == text.replace("'x'", "'y'")
    assert write(text, "d", 2) == text[:-1] + "2"


def test_one_of_several_documents() -> None:
    """Kind and name tell which; without them it is refused, with an example of how to say it."""
    assert write(OBJECTS, "Deployment/checkout:spec.replicas", 4) == OBJECTS.replace("replicas: 3", "replicas: 4")
    assert write(OBJECTS, "Service/checkout:spec.replicas", 4) == OBJECTS.replace("replicas: 1", "replicas: 4")
    with pytest.raises(FieldRefused, match=r"has 2 documents: say .* as in Deployment/checkout:spec\.replicas"):
        write(OBJECTS, "spec.replicas", 4)
    with pytest.raises(FieldMissing, match=r"there is no Ingress/checkout; there is Deployment/checkout, Service"):
        write(OBJECTS, "Ingress/checkout:spec.replicas", 4)
    with pytest.raises(FieldRefused, match="lines 1 and 17: write Kind/namespace/name"):
        write(OBJECTS.replace("Service", "Deployment"), "Deployment/checkout:spec.replicas", 4)


def test_a_namespace_tells_two_objects_apart() -> None:
    """Two of one kind and name are told apart by their namespaces."""
    text = "".join(f"---\nkind: A\nmetadata: {{name: x, namespace: {each}}}\nv: 1\n" for each in ("n", "m"))
    assert write(text, "A/m/x:v", 2) == text[:-2] + "2\n"


def test_an_item_by_its_name() -> None:
    """``[name=app]`` finds the item wherever it stands; two with one name are refused."""
    path = "Deployment/checkout:spec.template.spec.containers[name=app].image"
    after = write(OBJECTS, path, "registry.example.com/checkout:v2")
    assert after == OBJECTS.replace("checkout:v1", "checkout:v2")
    with pytest.raises(FieldRefused, match=r"lines 12 and 14 both have name: app"):
        write(OBJECTS.replace("name: side", "name: app"), path, "x")
    with pytest.raises(FieldMissing, match=r"has items with name side, app"):
        write(OBJECTS, path.replace("=app", "=ap"), "x")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("image.tga", "values.yaml:3: there is no image.tga; did you mean image.tag?"),
        ("images.tag", "values.yaml:2: there is no images.tag; did you mean image.tag?"),
        ("app.spec.pullPolicy", "there is no app.spec.pullPolicy; there is image.pullPolicy"),
        ("image.zzz", "image has repository, tag, pullPolicy"),
        ("image.tag.x", "image.tag is a single value"),
        ("image[0]", "image is a mapping"),
        ("ports.http", "ports is a list of 2: write [0] or [name=…]"),
        ("ports[2]", "ports is a list of 2"),
    ],
)
def test_a_missing_path_names_the_nearest(path: str, said: str) -> None:
    """What there is instead is said, with the line."""
    for act in (lambda: write(VALUES, path, "x"), lambda: read(VALUES, path)):
        with pytest.raises(FieldMissing) as error:
            act()
        assert said in str(error.value)


SHARED = """\
base: &base
  tag: v1
  deep: {x: 1}
dev:
  <<: *base
  own: 1
prod: *base
tag: &t v1
again: *t
alone: &a v1
"""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("base.tag", "anchored (&base) in line 1 and used again in line 5"),
        ("prod.tag", "behind the alias *base of line 1: both would change; write the value out in line 7"),
        ("prod.deep.x", "behind the alias *base"),
        ("dev.tag", "comes from the merge (<<) in line 5; write tag: … itself below line 5"),
        ("again", "behind the alias *t of line 8"),
        ("tag", "anchored (&t) in line 8 and used again in line 9"),
    ],
)
def test_what_is_shared_is_refused(path: str, said: str) -> None:
    """Where another place would change too, both lines and the way out are named; reading is allowed."""
    with pytest.raises(FieldRefused) as error:
        write(SHARED, path, "v2")
    assert said in str(error.value)
    assert read(SHARED, path).text == ("1" if path.endswith("x") else "v1")


def test_an_anchor_that_nobody_uses_stays() -> None:
    """It shares nothing, so the value behind it is exchanged."""
    assert write(SHARED, "alone", "v2") == SHARED.replace("&a v1", "&a v2")
    for text in ("a: &x # said\n  v1 # more\n", "a: &x\n", "a: &x # said\n"):
        after = write(text, "a", "v2")
        assert after == text.replace("v1", "v2") if "v1" in text else after.replace(" v2", "") == text
        assert read(after, "a").text == "v2"
    assert write(SHARED, "dev.own", 2) == SHARED.replace("own: 1", "own: 2")


def test_merges_are_read_by_precedence() -> None:
    """Own keys win, then the first of the merged; an alias of what lies around it ends."""
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*b, *a], y: 3}\nd: &d {<<: *d, q: 1}\n"
    assert [read(text, f"c.{key}").text for key in "xyz"] == ["2", "3", "2"]
    with pytest.raises(FieldMissing):
        read(text, "d.nothing")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: |\n  v1\n", "is a block (|)"),
        ("a: >-\n  v1\n", "is a block (>)"),
        ("a: !!str 5\n", "has the tag tag:yaml.org,2002:str"),
        ("a: ! v1\n", "has the tag !"),
        ("a: {b: 1}\n", "is a mapping, no single value"),
        ("a: [1]\n", "is a list, no single value"),
        ("a: true\n", "neither true nor false"),
        ("a: '{{ .Values.tag }}'\n", "is a template"),
        ("{a}\n", "cannot be changed in place"),
    ],
)
def test_what_cannot_be_exchanged_is_refused(text: str, said: str) -> None:
    """A clear sentence for each, and nothing is written."""
    with pytest.raises(FieldRefused) as error:
        write(text, "a", "v2")
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["a: low\n", "a: 'low'\n", "a: yes-no\n", "a: true\n"])
def test_a_number_for_what_is_none_is_refused(text: str) -> None:
    """A weight is not written over a word."""
    with pytest.raises(FieldRefused):
        write(text, "a", 5)


@pytest.mark.parametrize("value", ["", "a\nb", "a\x00", "{{ x }}", "x" * 2000, "\u2028"])
def test_a_hostile_value_is_refused(value: str) -> None:
    """What no version is called does not come into a file."""
    for file, text in (("values.yaml", "a: v1\n"), ("values.json", '{"a": "v1"}')):
        with pytest.raises(FieldRefused, match="the new value"):
            write(text, "a", value, file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "values.yaml:2: the key a stands twice, first in line 1; remove one"),
        (
            "a:\n\tb: 1\n",
            "values.yaml:2: is no YAML: found character that cannot start any token; YAML is indented",
        ),
        ("a: [1\n", "is no YAML"),
        ("a: *x\n", "values.yaml:1: the alias *x names nothing before it"),
        ("a: \x00\n", "a character that YAML does not allow"),
        ("? [a]\n: 1\n", "a key must be plain text"),
        ("a: {{ .Values.tag }}\n", "looks like a template"),
        ("{{- if .x }}\na: 1\n{{- end }}\n", "looks like a template"),
        ("a: 1\n{{- if .x }}\nb: 1\n{{- end }}\n", "looks like a template"),
        ("[" * 5000, "is nested deeper than 60"),
        ("{a: " * 80 + "1" + "}" * 80, "is nested deeper than 60"),
        ("---\na\n" * 1200, "more than 1000 documents"),
        ("", "is empty"),
        ("# nothing\n---\n", "is empty"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    """Each broken or hostile file ends in a sentence that names the line."""
    with pytest.raises(ManifestError) as error:
        write(text, "a", "v2")
    assert said in str(error.value)


def test_templates_in_quotes_are_text() -> None:
    """A value that a chart renders later, and a rule's annotation, do not stop another field's edit."""
    text = "host: '{{ .Release.Name }}.example.com'\n# {{ said }}\nmessage: |\n  {{ $value }}\ntag: v1\n"
    assert write(text, "tag", "v2") == text.replace("v1", "v2")


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many bytes and too many values are refused; no text in UTF-8 too."""
    with pytest.raises(ManifestUnreadable, match="larger than"):
        write("#" * (nodes.LARGEST + 1), "a", "v")
    with pytest.raises(ManifestUnreadable, match="UTF-8"):
        MANIFESTS.write("f.yaml", b"a: \xff\n", [])
    monkeypatch.setattr(nodes, "MOST_NODES", 10)
    with pytest.raises(ManifestUnreadable, match="more than 10 values"):
        write("a: [" + "1, " * 20 + "1]\n", "a", "v")


def test_what_is_read() -> None:
    """The text as it stands, and what readers take it for."""
    assert read(VALUES, "image.tag") == Scalar("v1.2.3")
    assert read("a: 1.10\n", "a") == Scalar("1.10", ScalarKind.NUMBER)
    assert read("a: False\n", "a") == Scalar("False", ScalarKind.BOOLEAN)
    assert read("a:\n", "a") == Scalar("", ScalarKind.NOTHING)
    assert read("a: |\n  x\n", "a") == Scalar("x\n")
    with pytest.raises(FieldRefused, match="image is a mapping"):
        read(VALUES, "image")


JSON = '{\n\t"image": {"tag": "v1", "n": 1.0},\r\n  "list": [ 1,2 , {"name":"x", "on": true} ],\n "no": null}\n'


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("image.tag", "1.10", '"v1"', '"1.10"'),
        ("image.tag", 'é"', '"v1"', '"é\\""'),
        ("list[1]", 5, "2 ,", "5 ,"),
        ("image.n", "v2", "1.0", '"v2"'),
        ("no", "v2", "null", '"v2"'),
    ],
)
def test_json_keeps_its_form(path: str, value: str | int, old: str, new: str) -> None:
    """Tabs, spaces and line ends stay as they are."""
    assert write(JSON, path, value, "config.json") == JSON.replace(old, new)
    assert write(write(JSON, path, value, "a.json"), path, value, "a.json") == JSON.replace(old, new)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "stands twice, first in line 1"),
        ('{"a": 1,}', "a comma and a value, or }, is expected"),
        ('{"a" 1}', "a colon is expected"),
        ("{a: 1}", "a key in double quotes"),
        ('{"a": NaN}', "a value is expected"),
        ('{"a": 01}', "is no JSON"),
        ('{"a": 1} x', "something stands after"),
        ('{"a": "x\ny"}', "a value is expected"),
        ('\n{"a":\n// no\n1}', "f.json:3: is no JSON"),
        ("[" * 5000, "is nested deeper than 60"),
        ('{"a": {', "a key in double quotes"),
        ('{"a": tru', "a value is expected"),
    ],
)
def test_what_is_no_json_is_said(text: str, said: str) -> None:
    """Each ends in a sentence with the line."""
    with pytest.raises(ManifestUnreadable) as error:
        write(text, "a", "v", "f.json")
    assert said in str(error.value)


def test_several_edits_in_one_file() -> None:
    """They go in one after the other; one that is refused leaves nothing written."""
    edits = [FieldEdit(parse_path("image.tag"), "v2"), FieldEdit(parse_path("replicas"), 7)]
    after = MANIFESTS.write("v.yaml", VALUES.encode(), edits).decode()
    assert after == VALUES.replace("v1.2.3", "v2").replace("replicas: 2", "replicas: 7")
    with pytest.raises(FieldMissing):
        MANIFESTS.write("v.yaml", VALUES.encode(), [*edits, FieldEdit(parse_path("x"), 7)])
