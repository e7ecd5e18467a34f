"""Entries of a kustomization's images: changed, added in the file's style, and refused where two things would decide."""

import pytest
from ruamel.yaml import YAML

from controller.adapters.manifests import ManifestText
from controller.core.promotion.updates import ImageEdit, ImageEntry, Update, values_in
from controller.ports.manifests import FieldMissing, FieldRefused

MANIFESTS = ManifestText()
DIGEST = "sha256:" + "ab" * 32
FILE = "envs/dev/kustomization.yaml"
TEXT = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../base   # all of it
images:
  - name: checkout
    newTag: v1.0.0 # moved
  - {name: cart, newName: registry.example.com/cart}
  # the end
"""


def write(text: str, image: str, file: str = FILE, **parts: str) -> str:
    return MANIFESTS.write(file, text.encode(), [ImageEdit(image, tuple(parts.items()))]).decode()


def read(text: str, image: str, *keys: str) -> str:
    return MANIFESTS.read(FILE, text.encode(), ImageEntry(image, keys)).text


def test_an_entry_gets_its_tag() -> None:
    """Only the value changes; twice is once; it is read back."""
    after = write(TEXT, "checkout", newTag="1.10")
    assert after == TEXT.replace("v1.0.0", '"1.10"')
    assert write(after, "checkout", newTag="1.10") == after
    assert read(after, "checkout", "newTag") == "1.10"


def test_a_key_is_added_to_an_entry() -> None:
    """Below the others in block style, behind them in flow style."""
    after = write(TEXT, "checkout", newName="mirror:5000/checkout", newTag="v2")
    assert after == TEXT.replace("v1.0.0 # moved\n", "v2 # moved\n    newName: mirror:5000/checkout\n")
    after = write(TEXT, "cart", newTag="v2", digest=DIGEST)
    assert after == TEXT.replace("com/cart}", f'com/cart, newTag: v2, digest: "{DIGEST}"}}')
    assert read(after, "cart", "newName", "newTag", "digest") == f"registry.example.com/cart:v2@{DIGEST}"


def test_an_entry_is_added_as_the_others_are() -> None:
    """At the list's end, indented as the others, with the comment behind it left alone."""
    text = TEXT.replace("  - {name: cart, newName: registry.example.com/cart}\n", "")
    after = write(text, "shop/new", newTag="v1")
    assert after == text.replace("# moved\n", "# moved\n  - name: shop/new\n    newTag: v1\n")
    assert read(after, "shop/new", "newTag") == "v1"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("images: []\n", "images: [{name: a, newTag: v1}]\n"),
        ("images: [{name: b}] # x\n", "images: [{name: b}, {name: a, newTag: v1}] # x\n"),
        ("images: [\n  {name: b}\n]\n", "images: [\n  {name: b},\n  {name: a, newTag: v1}\n]\n"),
        ("images:\n", "images:\n- name: a\n  newTag: v1\n"),
        ("images: # x\nz: 1\n", "images: # x\n- name: a\n  newTag: v1\nz: 1\n"),
        ("resources: [x]", "resources: [x]\nimages:\n- name: a\n  newTag: v1"),
        ("resources:\n-   x\n# end\n", "resources:\n-   x\nimages:\n- name: a\n  newTag: v1\n# end\n"),
        ("resources:\n  - x\n", "resources:\n  - x\nimages:\n  - name: a\n    newTag: v1\n"),
        ("images:\n-   name: b\n", "images:\n-   name: b\n-   name: a\n    newTag: v1\n"),
        ("images:\r\n- name: b\r\n", "images:\r\n- name: b\r\n- name: a\r\n  newTag: v1\r\n"),
        (
            "patches:\n- patch: |-\n    a: 1\n\n    b: 2\n",
            "patches:\n- patch: |-\n    a: 1\n\n    b: 2\nimages:\n- name: a\n  newTag: v1\n",
        ),
        ("patches:\n- patch: |-\n    a: 1", "patches:\n- patch: |-\n    a: 1\nimages:\n- name: a\n  newTag: v1"),
        (
            "images:\n- name: b\n  newTag: |-\n    v1\nz: 1\n",
            "images:\n- name: b\n  newTag: |-\n    v1\n- name: a\n  newTag: v1\nz: 1\n",
        ),
        ("---\nz: 1\n...\n", "---\nz: 1\nimages:\n- name: a\n  newTag: v1\n...\n"),
        ("\ufeffz: 1\n", "\ufeffz: 1\nimages:\n- name: a\n  newTag: v1\n"),
    ],
)
def test_the_first_entry(text: str, after: str) -> None:
    """Each style of file gets the entry in that style; what comes out means what it should."""
    assert write(text, "a", newTag="v1") == after
    images = YAML(typ="safe", pure=True).load(after.removeprefix("\ufeff"))["images"]
    assert images[-1] == {"name": "a", "newTag": "v1"}


def test_json_too() -> None:
    """A kustomization that is written as JSON keeps its form."""
    text = '{\n  "images": [\n    {"name": "b",\n     "newName": "c"}\n  ]\n}\n'
    file = "kustomization.json"
    assert write(text, "b", file, newTag="v1") == text.replace('"c"}', '"c",\n     "newTag": "v1"}')
    assert write(text, "a", file, newTag="v1") == text.replace('"c"}', '"c"},\n    {"name": "a", "newTag": "v1"}')


@pytest.mark.parametrize(
    ("text", "parts", "said"),
    [
        ("images:\n- name: a\n- name: a\n", {"newTag": "v1"}, "lines 2 and 3 both have name: a"),
        ("images:\n- name: a\n  digest: x\n", {"newTag": "v1"}, "has a digest too, and both decide"),
        ("images:\n- name: a\n  newTag: x\n", {"digest": DIGEST}, "has a newTag too, and both decide"),
        ("kind: Deployment\nimages: []\n", {"newTag": "v1"}, "is no kustomization"),
        ("- a\n", {"newTag": "v1"}, "is no kustomization"),
        ("a: 1\n---\nb: 1\n", {"newTag": "v1"}, "is no kustomization"),
        ("", {"newTag": "v1"}, "is no kustomization"),
        ("images: x\n", {"newTag": "v1"}, "images is no list of its own"),
        ("x: &x [{name: b}]\nimages: *x\n", {"newTag": "v1"}, "images is no list of its own"),
        ("images: &x [{name: b}]\nz: *x\n", {"newTag": "v1"}, "used again"),
        ("images:\n- &x {name: a}\n- *x\n", {"newTag": "v1"}, "both have name: a"),
        ("images:\n- &x {name: a}\nz: *x\n", {"newTag": "v1"}, "used again"),
        ("images: ~\n", {"newTag": "v1"}, "once by hand"),
        ("patches:\n- patch: |\n    a: 1", {"newTag": "v1"}, "once by hand"),
        ("{}\n", {"newTag": "v1"}, "once by hand"),
        ("images:\n-\n  name: b\n", {"newTag": "v1"}, "once by hand"),
        ("images: []\n", {"newTag": "a\nb"}, "the new value"),
        ("images: []\n", {"newTag": "{{x}}"}, "the new value"),
    ],
)
def test_what_is_refused(text: str, parts: dict[str, str], said: str) -> None:
    """Two that decide, things that are shared, and files whose style does not show how."""
    with pytest.raises(FieldRefused) as error:
        write(text, "a", **parts)
    assert said in str(error.value)


def test_a_missing_entry_names_the_nearest() -> None:
    """Reading what is not there says what is."""
    with pytest.raises(FieldMissing, match=r"no entry of images has the name chekout; did you mean checkout\?"):
        read(TEXT, "chekout", "newTag")
    with pytest.raises(FieldMissing, match="there is none"):
        read("images: []\n", "a", "newTag")
    with pytest.raises(FieldMissing, match=r"there is no images\[name=cart\].newTag"):
        read(TEXT, "cart", "newTag")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"path": "image.tag"}, "image: {tag: v0}\n"),
        ({"path": "c[name=a].image", "value": "{{image}}:{{tag}}@{{digest}}"}, "c: [{name: a, image: x:1}]\n"),
        ({"kustomizeImage": "app"}, "images: []\n"),
        ({"kustomizeImage": "app", "value": "{{image}}:{{tag}}@{{digest}}"}, "images:\n- name: app\n"),
        ({"kustomizeImage": "app", "value": "{{digest}}"}, "resources: []\n"),
    ],
)
def test_the_version_is_read_back_from_git(fields: dict[str, str], text: str) -> None:
    """What an update wrote tells, read by the same update, which version is there."""
    update = Update.model_validate({"file": FILE} | fields)
    version = {"tag": "1.10", "image": "localhost:5000/shop/app", "digest": DIGEST}
    after = MANIFESTS.write(FILE, text.encode(), [update.edit(version)])
    found = values_in(update.value, MANIFESTS.read(FILE, after, update.place).text)
    assert found is not None
    assert found.items() <= version.items()
    assert MANIFESTS.write(FILE, after, [update.edit(version)]) == after
