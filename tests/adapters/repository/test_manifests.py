"""Objects in manifest files: Lists, hooks, kustomizations, templates, and hostile YAML."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.adapters.repository.manifests import LARGEST_FILE, guessed, is_manifest, read_manifest


def kinds(text: str, path: str = "a.yaml") -> list[tuple[str, str, str, bool]]:
    manifest = read_manifest(path, text.encode())
    assert manifest is not None
    return [(each.kind, each.namespace, each.name, each.hook) for each in manifest.objects]


def test_documents_lists_and_hooks() -> None:
    """Several documents, a List, Helm and Argo CD hooks, a generated name."""
    text = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
---
# nothing here
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Secret, metadata: {name: s}}
  - {apiVersion: batch/v1, kind: Job, metadata: {generateName: migrate-, annotations: {helm.sh/hook: pre-upgrade}}}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: sync
  annotations: {"argocd.argoproj.io/hook": PreSync, "helm.sh/hook-weight": "1"}
"""
    assert kinds(text) == [
        ("Service", "shop", "a", False),
        ("Secret", "", "s", False),
        ("Job", "", "migrate-", True),
        ("Job", "", "sync", True),
    ]


def test_json_and_anchors() -> None:
    """JSON is YAML; an alias stands for what it names."""
    assert kinds('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}', "a.json") == [
        ("Pod", "", "p", False)
    ]
    text = "meta: &m {name: x}\n---\nshared: &s {name: y}\napiVersion: v1\nkind: Pod\nmetadata: *s\n"
    assert kinds(text) == [("Pod", "", "y", False)]


def test_values_and_other_yaml_have_no_objects() -> None:
    """A values file, a plain list and an empty file declare nothing, and can be read."""
    for text in ("image: {tag: 1}\nkind_of: x\n", "- a\n- b\n", "", "# only a comment\n", "just text\n"):
        assert kinds(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "a: {{ .Values.x }}\nb: [",
        "kind: Deployment\n  bad indent: x\n",
        "\x00",
        "a: *unknown",
        "[" * 5000,
        "{a: " * 5000,
        "- " * 3000 + "x",
        "base: &b {kind: Secret}\n---\n<<: {kind: Secret}\napiVersion: v1\n",
        "apiVersion: v1\nkind: List\nitems: [{kind: SecretList, apiVersion: v1, items: []}]\n",
        "a: &a x\n" + "".join(f"k{n}: *a\n" for n in range(200_001)),
        "x" * (LARGEST_FILE + 1),
    ],
)
def test_what_cannot_be_read_is_said(text: str) -> None:
    """Templates, broken YAML, depth, size and merged keys: no objects are claimed, the file is unreadable."""
    assert read_manifest("a.yaml", text.encode()) is None
    assert read_manifest("a.yaml", b"a: \xff\xfe") is None
    assert read_manifest("values.tpl", b"a: 1") is None


def test_an_alias_bomb_stays_small() -> None:
    """Aliases of aliases of aliases share their nodes; reading takes no time."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 50)]
    began = time.perf_counter()
    assert kinds("\n".join(lines)) == []
    bomb = "\n".join(lines) + "\nsecretGenerator: [{name: s, files: *a49}]\n"
    manifest = read_manifest("kustomization.yaml", bomb.encode())
    assert manifest is not None
    assert manifest.generated[0][1] == ""
    assert time.perf_counter() - began < 30


def test_no_tag_is_honoured() -> None:
    """Python tags construct nothing."""
    assert kinds("apiVersion: v1\nkind: !!python/object/apply:os.system [echo hi]\n") == []
    assert kinds("apiVersion: v1\nkind: !!python/name:os.system Pod\n") == [("Pod", "", "", False)]


def test_policies_are_told_apart() -> None:
    """A file is ours only if every document in it is."""
    own = "apiVersion: rollguard.dev/v1alpha1\nkind: SLOPolicy\nmetadata: {name: p}\n"
    other = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
    for text, expected in (
        (own, True),
        (own + "---\n" + own, True),
        (own + other, False),
        (other, False),
        ("", False),
    ):
        manifest = read_manifest("a.yaml", text.encode())
        assert manifest is not None
        assert manifest.own is expected


def test_kustomizations() -> None:
    """What it lists and generates is told; Flux's object of the same name is an object like any other."""
    text = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml, ../base]\n"
        "secretGenerator: [{name: s, literals: [a=b]}]\n"
    )
    manifest = read_manifest("x/kustomization.yaml", text.encode())
    assert manifest is not None
    assert [each.kind for each in manifest.objects] == ["Kustomization"]
    assert [(made.kind, made.name) for made, _ in manifest.generated] == [("Secret", "s")]
    assert manifest.resources == ("a.yaml", "../base")
    flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: shop}\n"
    assert kinds(flux) == [("Kustomization", "", "shop", False)]


def test_kinds_are_guessed_in_templates() -> None:
    """A template's kinds, names and hooks, as far as its text shows them."""
    text = (
        "{{- if .x }}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: fixed\n---\n"
        'kind: "Job"\nmetadata:\n  name: {{ .name }}\n  annotations:\n    "helm.sh/hook": pre-upgrade\n{{ end }}\n'
    )
    found = guessed("t.yaml", text.encode())
    assert [(each.kind, each.name, each.hook) for each in found] == [("Secret", "fixed", True), ("Job", "", True)]
    assert guessed("t.yaml", b"\xff\x00") == ()


def test_which_files_are_manifests() -> None:
    """By their names: YAML, JSON, what is rendered into them, and kustomizations."""
    assert all(map(is_manifest, ("a.yaml", "b/c.yml", "d.json", "x/_helpers.tpl", "Kustomization")))
    assert not any(map(is_manifest, ("README.md", "yaml", "a.txt", "run.sh")))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text(alphabet="&*!-:{}[]<>|'\"\n #%@akind", max_size=60)))
def test_no_text_makes_it_fail(text: str) -> None:
    """Whatever a file holds, it is read or told to be unreadable."""
    for path in ("a.yaml", "kustomization.yaml"):
        read_manifest(path, text.encode(errors="surrogatepass"))
        guessed(path, text.encode(errors="surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    """Bytes that are no text either."""
    read_manifest("a.yaml", body)
    guessed("a.yaml", body)
