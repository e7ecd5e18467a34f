"""Policies from files and directories."""

import os
from pathlib import Path

import pytest

from controller.adapters.policies.files import InvalidPolicy, LoadedPolicy, load_directory, load_file, load_text

POLICY = """\
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {name: NAME, namespace: shop}
spec:
  application: {name: NAME}
  objectives:
    - name: availability
      target: "99.5"
      indicator:
        ratio:
          errors: {metric: 'http_requests_total{service="NAME",code=~"5.."}'}
          total: {metric: 'http_requests_total{service="NAME"}'}
"""


def _policy(name: str = "checkout") -> str:
    return POLICY.replace("NAME", name)


def test_one_poisonous_policy_of_a_hundred_stops_only_itself(tmp_path: Path) -> None:
    """One duration that is none makes one policy invalid; the other ninety-nine are loaded."""
    for number in range(100):
        text = _policy(f"app-{number}")
        broken = text + "  analysis: {window: 10 m}\n"
        (tmp_path / f"{number:03}.yaml").write_text(broken if number == 37 else text)
    found = load_directory(tmp_path)
    invalid = [each for each in found if isinstance(each, InvalidPolicy)]
    assert len(found) == 100
    assert [each.name for each in invalid] == ["shop/app-37"]
    assert str(invalid[0]) == (
        f"{tmp_path / '037.yaml'}:13: spec.analysis.window: '10 m' is not a duration: write for example 90s, 30m, 2h or 7d"
    )


def test_several_documents_in_one_file(tmp_path: Path) -> None:
    """Good, broken YAML, invalid, and good again: each by itself, each with its own line."""
    file = tmp_path / "policies.yaml"
    invalid = _policy("invalid").replace('"99.5"', "0.995")
    file.write_text("---\n".join([_policy("one"), "a: [1,\n", invalid, _policy("two")]))
    one, broken, wrong, two = load_file(file)
    assert isinstance(one, LoadedPolicy)
    assert isinstance(two, LoadedPolicy)
    assert isinstance(broken, InvalidPolicy)
    assert isinstance(wrong, InvalidPolicy)
    assert (one.name, two.name, broken.name, wrong.name) == ("shop/one", "shop/two", "", "shop/invalid")
    assert "not valid YAML" in str(broken)
    assert wrong.messages[0].mark.line == wrong.line + 7
    assert two.mark(("spec", "objectives", 0, "target")).line == two.line + 7


def test_objects_of_other_kinds_are_left_alone() -> None:
    """Policies may lie beside a Deployment or a kustomization."""
    other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
    (only,) = load_text(f"{other}---\n{_policy()}", "f")
    assert isinstance(only, LoadedPolicy)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("just text", "no SLOPolicy; begin with apiVersion: rollguard.dev/v1alpha1 and kind: SLOPolicy"),
        ("- a\n- b\n", "no SLOPolicy"),
        ("spec: {}\n", "apiVersion: missing"),
        (
            POLICY.replace("v1alpha1", "v1"),
            "apiVersion: \"rollguard.dev/v1\" is not allowed; write 'rollguard.dev/v1alpha1'",
        ),
        (POLICY.replace("SLOPolicy", "SloPolicy"), "kind: \"SloPolicy\" is not allowed; write 'SLOPolicy'"),
    ],
)
def test_what_was_meant_as_a_policy_is_not_left_out(text: str, said: str) -> None:
    """A misspelt kind or version is an error: a policy that is silently not read guards nothing."""
    (invalid,) = load_text(text, "f")
    assert isinstance(invalid, InvalidPolicy)
    assert said in str(invalid)


def test_two_policies_of_one_name_are_both_invalid(tmp_path: Path) -> None:
    """Which of them counts must not depend on the order of files; each names the other's place."""
    (tmp_path / "a.yaml").write_text(_policy())
    (tmp_path / "b.yml").write_text(_policy())
    (tmp_path / "c.yaml").write_text(_policy("cart"))
    first, second, third = load_directory(tmp_path)
    assert isinstance(first, InvalidPolicy)
    assert isinstance(second, InvalidPolicy)
    assert isinstance(third, LoadedPolicy)
    assert f"declared again at {tmp_path / 'b.yml'}:1" in str(first)
    assert f"declared again at {tmp_path / 'a.yaml'}:1" in str(second)


def test_directory_as_kubernetes_mounts_it(tmp_path: Path) -> None:
    """A ConfigMap is mounted as links into a hidden directory: each policy is read once. Subdirectories are read too."""
    hidden = tmp_path / "..2026_01_01"
    hidden.mkdir()
    (hidden / "checkout.yaml").write_text(_policy())
    (tmp_path / "..data").symlink_to(hidden)
    (tmp_path / "checkout.yaml").symlink_to(Path("..data") / "checkout.yaml")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "cart.yaml").write_text(_policy("cart"))
    found = load_directory(tmp_path)
    assert [each.name for each in found] == ["shop/checkout", "shop/cart"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, too large, binary, a device: one message each, and nothing is waited for or filled up."""
    large, binary = tmp_path / "large.yaml", tmp_path / "binary.yaml"
    large.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    binary.write_bytes(b"\xff\xfe\x00")
    said = {path: str(load_file(path)[0]) for path in (tmp_path / "none.yaml", large, binary, tmp_path)}
    assert "cannot be read: No such file" in said[tmp_path / "none.yaml"]
    assert "larger than 4 MB" in said[large]
    assert "no text in UTF-8" in said[binary]
    assert "cannot be read" in said[tmp_path]
    (missing,) = load_directory(tmp_path / "nowhere")
    assert isinstance(missing, InvalidPolicy)
    os.mkfifo(tmp_path / "pipe.yaml")
    assert all(each.file != str(tmp_path / "pipe.yaml") for each in load_directory(tmp_path))


def test_byte_order_mark_and_windows_line_ends_are_read() -> None:
    """What an editor on another system writes is a policy too."""
    (found,) = load_text(_policy().replace("\n", "\r\n"), "f")
    assert isinstance(found, LoadedPolicy)
