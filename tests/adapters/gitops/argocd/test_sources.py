"""Where in Git an Application can be restored, and what a person is told where it cannot."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.gitops.argocd.reading import seen_application
from controller.adapters.gitops.argocd.sources import application_of, branch_of, same_repository
from controller.core.application import Application, ApplicationKey, GitSource
from tests.adapters.gitops.argocd.objects import SOURCE, URL, application

GENERATE = "argocd.argoproj.io/manifest-generate-paths"


def found(
    source: dict[str, Any] | None = None,
    sources: list[dict[str, Any]] | None = None,
    annotation: str | None = None,
    **metadata: Any,
) -> Application:
    annotations = {GENERATE: annotation} if annotation is not None else {}
    spec = {"source": source, "sources": sources} if sources else {"source": SOURCE | (source or {})}
    return application_of(seen_application(application(spec=spec, metadata={"annotations": annotations} | metadata)))


def paths(**more: Any) -> tuple[str, ...]:
    return found(**more).source.paths


# --- paths -------------------------------------------------------------------------------------------------------


def test_an_application_is_its_path_on_its_branch() -> None:
    """Key, labels and destination are the Application's; the paths are told as declared ones."""
    made = found(labels={"team": "shop"})
    assert made == Application(
        ApplicationKey("argocd", "checkout"),
        GitSource(URL, "main", ("apps/checkout",), ("apps/checkout",)),
        (("team", "shop"),),
        "shop",
    )


@pytest.mark.parametrize("path", [".", "", "/", "./"])
def test_the_root_is_the_whole_tree(path: str) -> None:
    """However it is written."""
    assert paths(source={"path": path}) == ("",)


def test_value_files_are_read_as_argo_cd_reads_them() -> None:
    """Relative to the path; with a slash from the root; patterns as the folder before them; other sites' not at all."""
    files = [
        "values.yaml",
        "../shared/values.yaml",
        "/env/shop.yaml",
        "/globs/*/values.yaml",
        "https://example.com/values.yaml",
        "secrets://../secrets/shop.yaml",
        "../../../etc/passwd",
    ]
    helm = {"valueFiles": files, "fileParameters": [{"name": "script", "path": "/scripts/run.sh"}]}
    expected = ("apps/checkout", "apps/secrets/shop.yaml", "apps/shared/values.yaml", "env/shop.yaml", "globs")
    assert paths(source={"helm": helm}) == (*expected, "scripts/run.sh")


def test_the_build_environment_is_put_in() -> None:
    """Argo CD puts it in before it looks for a file; what is only known at a sync stands for its folder."""
    files = ["/env/$ARGOCD_APP_NAME.yaml", "/of/${ARGOCD_APP_NAMESPACE}/v.yaml", "/at/$ARGOCD_APP_REVISION/v.yaml"]
    expected = ("apps/checkout", "at", "env/checkout.yaml", "of/shop/v.yaml")
    assert paths(source={"helm": {"valueFiles": files}}) == expected


def test_components_and_libraries_belong_to_it() -> None:
    """Kustomize components relative to the path, jsonnet libraries from the root."""
    assert paths(source={"kustomize": {"components": ["../components/tls"]}}) == (
        "apps/checkout",
        "apps/components/tls",
    )
    directory = {"jsonnet": {"libs": ["vendor", "lib"]}}
    assert paths(source={"directory": directory}) == ("apps/checkout", "lib", "vendor")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (".", ("apps/checkout",)),
        (".;../shared", ("apps/checkout", "apps/shared")),
        (" . ; /base ;", ("apps/checkout", "base")),
        ("/shared/*-secret.yaml", ("apps/checkout", "shared")),
        ("../../../outside", ("apps/checkout",)),
    ],
)
def test_the_annotation_adds_paths(annotation: str, expected: tuple[str, ...]) -> None:
    """``;`` between them, a leading slash for the root, patterns for their folder."""
    assert paths(annotation=annotation) == expected


def test_the_annotation_narrows_an_application_at_the_root() -> None:
    """Where the path is the whole repository, only what is annotated is its own."""
    assert paths(source={"path": "."}, annotation="/apps/cart;/base") == ("apps/cart", "base")


# --- which source ------------------------------------------------------------------------------------------------

CHART = {"repoURL": "https://charts.example.com", "chart": "checkout", "targetRevision": "1.2.3"}
VALUES = {"repoURL": URL, "targetRevision": "main", "ref": "values"}


def test_sources_win_over_source() -> None:
    """As in Argo CD."""
    made = found(source=SOURCE, sources=[SOURCE | {"path": "other"}])
    assert made.source.paths == ("other",)


def test_a_chart_of_a_fixed_version_with_values_in_git() -> None:
    """The values are what a commit changes."""
    made = found(sources=[CHART | {"helm": {"valueFiles": ["$values/env/shop.yaml"]}}, VALUES])
    assert made.source == GitSource(URL, "main", ("env/shop.yaml",), ("env/shop.yaml",))
    assert not made.not_revertible


def test_sources_of_one_branch_are_one_place() -> None:
    """However their URLs are written."""
    made = found(sources=[SOURCE, SOURCE | {"repoURL": URL.upper().removesuffix(".GIT"), "path": "apps/cart"}])
    assert made.source.paths == ("apps/cart", "apps/checkout")
    assert not made.not_revertible


def test_several_places_that_move_cannot_be_restored_by_one_commit() -> None:
    """Each is named, and what to do."""
    made = found(sources=[SOURCE, SOURCE | {"repoURL": "https://git.example.com/other.git", "targetRevision": ""}])
    assert "https://git.example.com/other.git (HEAD)" in made.not_revertible
    assert "Revert the commit in the one that broke it" in made.not_revertible


def test_of_rendered_manifests_the_dry_source_is_restored() -> None:
    """Only Argo CD writes what is rendered."""
    hydrator = {
        "drySource": {"repoURL": URL, "path": "dry", "targetRevision": "main"},
        "syncSource": {"targetBranch": "env/shop", "path": "shop"},
    }
    document = application(spec={"source": None, "sourceHydrator": hydrator})
    assert application_of(seen_application(document)).source == GitSource(URL, "main", ("dry",), ("dry",))


def test_what_is_rendered_to_be_merged_is_judged_where_it_is_deployed_from() -> None:
    """With ``hydrateTo`` a person's merge stands between: told with the place to revert, and what is to be merged then."""
    hydrator = {
        "drySource": {"repoURL": URL, "path": "dry", "targetRevision": "main"},
        "syncSource": {"targetBranch": "env", "path": "shop"},
        "hydrateTo": {"targetBranch": "env-next"},
    }
    made = application_of(seen_application(application(spec={"source": None, "sourceHydrator": hydrator})))
    assert made.source == GitSource(URL, "env", ("shop",), ("shop",))
    assert f"rendered from dry of {URL} (main) to the branch env-next" in made.not_revertible
    assert made.not_revertible.endswith("then merge env-next into env.")


@pytest.mark.parametrize(
    ("target", "branch"),
    [
        ("", "HEAD"),
        ("HEAD", "HEAD"),
        ("main", "main"),
        ("refs/heads/main", "main"),
        ("refs/heads/1.2", "1.2"),
        ("release/1.2", "release/1.2"),
        ("release-1.2.3", "release-1.2.3"),
        ("v1", None),
        ("v1.2.3", None),
        ("1.2.3-rc.1", None),
        ("4.x", None),
        ("1.*", None),
        ("^1.2", None),
        (">=1.2 <2", None),
        ("*", None),
        ("refs/tags/main", None),
        ("0123456789abcdef0123456789abcdef01234567", None),
        ("0123abc", None),
    ],
)
def test_only_a_branch_is_a_branch(target: str, branch: str | None) -> None:
    """What Argo CD may read as a version, a tag or a commit moves with no commit to a branch."""
    assert branch_of(target) == branch


def test_a_pinned_application_names_where_it_is_pinned() -> None:
    """The person's step is in the Application, in what deploys it, or in the ApplicationSet that generates it."""
    pinned = {"targetRevision": "v1.2.3"}
    assert found(source=pinned).not_revertible.startswith("It is pinned: its targetRevision is v1.2.3")
    assert "in the Application argocd/checkout. If v1.2.3 is a branch" in found(source=pinned).not_revertible
    owner = {"kind": "ApplicationSet", "name": "shops"}
    assert "in the ApplicationSet shops" in found(source=pinned, ownerReferences=[owner]).not_revertible
    tracking = {"argocd.argoproj.io/tracking-id": "root:argoproj.io/Application:argocd/checkout"}
    assert "which the Application root deploys" in found(source=pinned, annotations=tracking).not_revertible


def test_a_chart_of_a_registry_cannot_be_restored() -> None:
    """It is found all the same, so that its owner is told."""
    assert "It deploys the chart checkout 1.2.3" in found(sources=[CHART]).not_revertible
    oci = {"repoURL": "oci://registry.example.com/shop", "targetRevision": "latest"}
    assert "It deploys an OCI artifact latest" in found(sources=[oci]).not_revertible


@pytest.mark.parametrize("source", [CHART, {"targetRevision": "v1.2.3"}])
def test_another_version_is_a_deployment_and_no_other_application(source: dict[str, Any]) -> None:
    """What is known of it is kept when somebody sets another version, so that it is judged against that."""
    one, other = found(source=source), found(source=source | {"targetRevision": "v1.3.0"})
    assert one.source == other.source
    assert one.not_revertible != other.not_revertible


def test_a_plugins_inputs_are_not_known_unless_they_are_annotated() -> None:
    """With the annotation the owner says what they are."""
    plugged = {"plugin": {"name": "render"}}
    assert GENERATE in found(source=plugged).not_revertible
    assert not found(source=plugged, annotation=".;/lib").not_revertible


def test_an_application_set_child_is_restored_by_commit() -> None:
    """Git is changed, not the Application that is generated."""
    assert not found(ownerReferences=[{"kind": "ApplicationSet", "name": "shops"}]).not_revertible


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://git.example.com/Shop.git", "https://git.example.com/shop", True),
        ("git@git.example.com:shop.git", "ssh://git@git.example.com/shop", True),
        ("https://git.example.com/shop", "ssh://git@git.example.com/shop", False),
        ("https://git.example.com/shop", "https://git.example.com/shops", False),
    ],
)
def test_urls_are_the_same_where_argo_cd_takes_them_so(one: str, other: str, same: bool) -> None:
    """Case and ``.git`` do not matter; the protocol does."""
    assert (same_repository(one) == same_repository(other)) is same


_TEXTS = st.text(alphabet="ab./$*{}; ", max_size=12)


@given(path=_TEXTS, files=st.lists(_TEXTS, max_size=4), annotation=_TEXTS)
def test_no_path_leads_out_of_the_repository(path: str, files: list[str], annotation: str) -> None:
    """Whatever is written: paths are inside, without slashes at their ends, and none in another."""
    for each in paths(source={"path": path, "helm": {"valueFiles": files}}, annotation=annotation):
        assert not each.startswith(("/", "..")) or each.startswith("...")
        assert ".." not in each.split("/")
        assert each == each.strip("/")
