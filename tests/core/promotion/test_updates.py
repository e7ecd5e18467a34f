"""What a promotion writes, as it is declared: templates, and the parts of a kustomization's image."""

from typing import Any

import pytest
from pydantic import ValidationError

from controller.core.declared import DeclarationError
from controller.core.promotion.fields import parse_path
from controller.core.promotion.updates import (
    FieldEdit,
    ImageEdit,
    ImageEntry,
    Update,
    filled,
    image_parts,
    values_in,
)

DIGEST = "sha256:" + "ab" * 32
VALUES = {"tag": "v1.2.3", "version": "1.2.3", "digest": DIGEST, "image": "registry.example.com:5000/shop/checkout"}


def test_a_field_gets_the_tag() -> None:
    """The short form: file and path; the tag is written."""
    update = Update.model_validate({"file": "envs/dev/values.yaml", "path": "image.tag"})
    assert update.place == parse_path("image.tag")
    assert update.edit(VALUES) == FieldEdit(parse_path("image.tag"), "v1.2.3")
    assert update.model_dump(by_alias=True, mode="json", exclude_none=True) == {
        "file": "envs/dev/values.yaml",
        "path": "image.tag",
        "value": "{{tag}}",
    }


def test_an_image_of_a_kustomization() -> None:
    """The template's parts become keys; an image's name without a slash stays a name."""
    update = Update.model_validate(
        {"file": "kustomization.yaml", "kustomizeImage": "checkout", "value": "{{image}}@{{digest}}"}
    )
    assert update.place == ImageEntry("checkout", ("newName", "digest"))
    assert update.edit(VALUES | {"image": "checkout"}) == ImageEdit(
        "checkout", (("newName", "checkout"), ("digest", DIGEST))
    )


@pytest.mark.parametrize(
    ("template", "keys"),
    [
        ("{{tag}}", ["newTag"]),
        ("v{{version}}", ["newTag"]),
        ("{{digest}}", ["digest"]),
        ("{{tag}}@{{digest}}", ["newTag", "digest"]),
        ("{{image}}:{{tag}}", ["newName", "newTag"]),
        ("{{image}}:{{tag}}@{{digest}}", ["newName", "newTag", "digest"]),
        ("mirror:5000/{{image}}@{{digest}}", ["newName", "digest"]),
    ],
)
def test_parts_of_an_image(template: str, keys: list[str]) -> None:
    """Name, tag and digest are told apart; what was filled in is found again."""
    parts = image_parts(template)
    assert list(parts) == keys
    text = filled(template, VALUES)
    found = values_in(template, text)
    assert found is not None
    assert found == {name: VALUES[name] for name in found}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"file": "a.yaml"}, "name either path or kustomizeImage"),
        ({"file": "a.yaml", "path": "a", "kustomizeImage": "b"}, "name either path or kustomizeImage"),
        ({"file": "../a.yaml", "path": "a"}, "no file in the repository"),
        ({"file": "/a.yaml", "path": "a"}, "no file in the repository"),
        ({"file": "x/.GIT/a", "path": "a"}, "no file in the repository"),
        ({"file": "a.yaml", "path": "a..b"}, "goes wrong at"),
        ({"file": "a.yaml", "path": 3}, "is no path of a field"),
        ({"file": "a.yaml", "path": "a", "value": "fixed"}, "is the same for every version"),
        ({"file": "a.yaml", "path": "a", "value": "{{tga}}"}, "there is no {{tga}}"),
        ({"file": "a.yaml", "path": "a", "value": "{tag}}"}, "a brace"),
        ({"file": "a.yaml", "path": "spec.containers[0].image"}, 'set value: "{{image}}:{{tag}}"'),
        ({"file": "a.yaml", "kustomizeImage": "app", "value": "{{image}}"}, "pins no version"),
        ({"file": "a.yaml", "kustomizeImage": "app", "value": "{{tag}}@"}, "pins no version"),
        ({"file": "a.yaml", "kustomizeImage": "a b"}, "no image's name"),
        ({"file": "a.yaml", "path": "a", "vlaue": "{{tag}}"}, "vlaue"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], said: str) -> None:
    """Each mistake is named, with what to write instead."""
    with pytest.raises(ValidationError) as error:
        Update.model_validate(fields)
    assert said in str(error.value)


@pytest.mark.parametrize("value", ["", "a\nb", "{{ .Values.x }}", "x" * 1100])
def test_a_hostile_version_is_not_filled_in(value: str) -> None:
    """What a registry says is text of one short line, without templates, or it is not written."""
    with pytest.raises(DeclarationError):
        filled("{{tag}}", {"tag": value})


def test_another_text_holds_no_version() -> None:
    """A text that was not made from the template tells no version; a name that stands twice must be the same."""
    assert values_in("v{{version}}", "1.2.3") is None
    assert values_in("{{tag}}-{{tag}}", "a-a") == {"tag": "a"}
    assert values_in("{{tag}}-{{tag}}", "a-b") is None


def test_the_model_has_a_schema() -> None:
    """A CRD's schema can be made of it: a path is text."""
    properties = Update.model_json_schema(by_alias=True)["properties"]
    assert set(properties) == {"file", "path", "kustomizeImage", "value"}
    assert properties["path"]["anyOf"][0]["type"] == "string"
