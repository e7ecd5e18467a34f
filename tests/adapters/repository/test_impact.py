"""What a restore would remove and touch, through kustomizations and in large changes."""

import pytest

from controller.adapters.repository import GitRepository, impact
from controller.core.application import Revision
from controller.core.git import RestoreFacts, RestoreRequest
from tests.servers.git import GitRemote

APP = "apps/shop"
HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"


def claim(name: str, kind: str = "PersistentVolumeClaim", size: int = 1) -> str:
    return f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{size: {size}}}\n"


def facts(
    remote: GitRemote, repository: GitRepository, good: dict[str, str], bad: dict[str, str | None]
) -> RestoreFacts:
    before = Revision(remote.commit({f"{APP}/{path}": text for path, text in good.items()}))
    after = Revision(remote.commit({f"{APP}/{path}": text for path, text in bad.items()}))
    return repository.inspect(RestoreRequest("main", (APP,), before, after))


def removed(found: RestoreFacts) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in found.removes]


def touched(found: RestoreFacts) -> set[tuple[str, str]]:
    return {(each.kind, each.name) for each in found.touches}


def test_an_object_that_moves_between_files_is_not_removed(remote: GitRemote, repository: GitRepository) -> None:
    """It is touched, since its file differs."""
    found = facts(remote, repository, {"a.yaml": claim("c")}, {"a.yaml": None, "b.yaml": claim("c")})
    assert removed(found) == []
    assert touched(found) == {("PersistentVolumeClaim", "c")}


def test_a_file_that_is_no_longer_listed_is_pruned(remote: GitRemote, repository: GitRepository) -> None:
    """The suspect listed an existing claim; the restore would take it off the list, and pruning would delete it."""
    found = facts(
        remote, repository,
        {"kustomization.yaml": HEAD + "resources: [x.yaml]\n", "pvc.yaml": claim("data"), "x.yaml": claim("x", "Pod")},
        {"kustomization.yaml": HEAD + "resources: [x.yaml, pvc.yaml]\n"},
    )  # fmt: skip
    assert removed(found) == [("PersistentVolumeClaim", "data")]
    assert ("PersistentVolumeClaim", "data") in touched(found)
    assert found.unreadable == ()


def test_a_listed_file_that_changes_and_is_unlisted_is_pruned_too(
    remote: GitRemote, repository: GitRepository
) -> None:
    """Even where the file stays, with other content."""
    found = facts(
        remote, repository,
        {"kustomization.yaml": HEAD, "pvc.yaml": claim("data")},
        {"kustomization.yaml": HEAD + "resources: [pvc.yaml]\n", "pvc.yaml": claim("data", size=2)},
    )  # fmt: skip
    assert removed(found) == [("PersistentVolumeClaim", "data")]


@pytest.mark.parametrize("listed", ["../base", "https://example.com/x.yaml", "../../../out.yaml", "missing.yaml"])
def test_what_cannot_be_enumerated_is_unreadable(remote: GitRemote, repository: GitRepository, listed: str) -> None:
    """A folder, a remote base, a way out, a file that is not there: the kustomization is named."""
    found = facts(
        remote, repository,
        {"kustomization.yaml": HEAD, "../base/a.yaml".replace("../", "sub/"): claim("x")},
        {"kustomization.yaml": HEAD + f"resources: ['{listed}']\n"},
    )  # fmt: skip
    assert found.unreadable == (f"{APP}/kustomization.yaml",)


def test_a_generated_secret_counts_where_it_changes(remote: GitRemote, repository: GitRepository) -> None:
    """A new image tag beside a generator touches no Secret; another input does."""
    generator = "secretGenerator: [{{name: s, literals: [a={}]}}]\n"
    image = "images: [{{name: shop, newTag: v{}}}]\n"
    text = HEAD + generator + image
    calm = facts(
        remote, repository, {"kustomization.yaml": text.format(1, 1)}, {"kustomization.yaml": text.format(1, 2)}
    )
    assert touched(calm) == {("Kustomization", "")}
    changed = facts(
        remote, repository, {"kustomization.yaml": text.format(1, 3)}, {"kustomization.yaml": text.format(2, 3)}
    )
    assert ("Secret", "s") in touched(changed)
    assert removed(changed) == []
    gone = facts(remote, repository, {"kustomization.yaml": HEAD}, {"kustomization.yaml": text.format(1, 1)})
    assert ("Secret", "s") in removed(gone)


def test_a_template_that_goes_counts_as_removed(remote: GitRemote, repository: GitRepository) -> None:
    """The suspect added a templated claim: its kind is in what is removed, though its name is not known."""
    template = "kind: PersistentVolumeClaim\nmetadata:\n  name: {{ .x }}\n{{ if }}\n"
    found = facts(remote, repository, {"x.yaml": "a: 1"}, {"t.yaml": template})
    assert removed(found) == [("PersistentVolumeClaim", "")]
    assert found.unreadable == (f"{APP}/t.yaml",)


def test_more_than_may_be_read_is_unreadable(
    remote: GitRemote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bounds on bytes and files nothing is claimed to be harmless."""
    monkeypatch.setattr(impact, "_READ_LIMIT", 500)
    names = [f"{n:02}.yaml" for n in range(20)]
    found = facts(remote, repository, dict.fromkeys(names, claim("a")), {name: claim(f"b{name}") for name in names})
    assert found.unreadable
    assert len(found.changed_files) == 20
    monkeypatch.setattr(impact, "MOST_FILES", 3)
    found = facts(remote, repository, dict.fromkeys(names, claim("c")), {name: claim(f"d{name}") for name in names})
    assert len(found.changed_files) == 3
    assert len(found.unreadable) == 3


def test_a_binary_in_a_manifests_clothes_is_unreadable(remote: GitRemote, repository: GitRepository) -> None:
    """Bytes that are no text are told; other binaries do not matter."""
    found = facts(remote, repository, {"a.yaml": "a: 1", "b.png": "1"}, {"a.yaml": "\x00\x01", "b.png": "\x00\x02"})
    assert found.unreadable == (f"{APP}/a.yaml",)
