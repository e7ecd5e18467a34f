"""Policies as people write them: one that is poison stops only itself."""

from pathlib import Path

import pytest

from controller.app import load_policies
from controller.settings import Settings, load_settings
from tests.loop.site import policy, write_yaml

COUNT = 100
POISON = (
    "",
    "just text",
    "a: [",
    "%FOO\n---\nx",
    "[" * 100_000,
    "&a [*a, *a]",
    "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*{'a' if not n else f'b{n - 1}'}, *a]\n" for n in range(30)),
    "apiVersion: rollguard.dev/v1alpha1\nkind: SLOPolicy\n",
    "apiVersion: rollguard.dev/v1alpha1\nkind: SLOPolicy\nspec: !!python/object/apply:os.system ['true']\n",
    "apiVersion: rollguard.dev/v1alpha1\nkind: SLOPolicy\nmetadata: {name: [], namespace: {}}\nspec: {objectives: 7}\n",
    "\x00\xff",
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A hundred applications."""
    folder = tmp_path_factory.mktemp("settings")
    applications = [
        {
            "name": f"app-{number}",
            "namespace": "shop",
            "repository": "https://git.example.com/shop.git",
            "paths": [f"apps/{number}"],
            "reported": {},
        }
        for number in range(COUNT)
    ]
    document = {"applications": applications, "store": {"sqlite": str(folder / "state.db")}}
    return load_settings(write_yaml(folder / "rollguard.yaml", document), {})


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy for each of them, in a file of its own."""
    folder = tmp_path_factory.mktemp("policies")
    for number in range(COUNT):
        document = policy(f"app-{number}")
        document["metadata"]["name"] = document["spec"]["application"]["name"] = f"app-{number}"
        write_yaml(folder / f"app-{number}.yaml", document)
    return folder


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_one_poisonous_policy_of_a_hundred_stops_only_itself(settings: Settings, policies: Path, poison: str) -> None:
    """Whatever stands in one file: ninety-nine applications are guarded, and what is wrong is said, or nothing is there."""
    spoiled = policies / "app-50.yaml"
    good = spoiled.read_text()
    spoiled.write_text(poison, encoding="latin-1")
    try:
        found = load_policies(settings, policies, [each.application for each in settings.applications])
    finally:
        spoiled.write_text(good)
    guarded = [key.name for key, event in found.by_application.items() if event.policy is not None]
    assert sorted(guarded) == sorted(f"app-{number}" for number in range(COUNT) if number != 50)
    assert len(found.broken) == (1 if poison else 0)
    assert all(len(each.message) < 5000 for each in found.broken)


def test_two_policies_on_one_application_leave_only_that_one_unguarded(settings: Settings, policies: Path) -> None:
    """A second policy for one of them: nothing is judged there, both are named, ninety-nine go on."""
    second = policy("app-7")
    second["metadata"]["name"], second["spec"]["application"]["name"] = "twin", "app-7"
    file = write_yaml(policies / "twin.yaml", second)
    try:
        found = load_policies(settings, policies, [each.application for each in settings.applications])
    finally:
        file.unlink()
    errors = {key.name: event.error for key, event in found.by_application.items() if event.policy is None}
    assert list(errors) == ["app-7"]
    assert "shop/app-7" in errors["app-7"]
    assert "shop/twin" in errors["app-7"]
