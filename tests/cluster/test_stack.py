"""The cluster that other tests build on is a real one: what is taken for granted there is shown here."""

import hmac
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.cluster.manifests import IMAGE, deployment, image_of
from tests.cluster.stack.api import ApiError, KubeApi
from tests.cluster.stack.argocd import NAMESPACE as ARGOCD
from tests.cluster.stack.argocd import ArgoCD
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.flux import FluxKustomize
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.gitea import OWNER, ForgeError, Gitea
from tests.cluster.stack.objects import condition_of
from tests.cluster.stack.processes import until
from tests.cluster.stack.shop_service import BAD_SHARE, ShopService
from tests.servers.prometheus import PrometheusServer
from tests.servers.receiver import Receiver


@pytest.fixture
def application(argocd: ArgoCD, cluster: ControlPlane, repository: Repository, namespace: str):
    """The name of an Application that deploys the repository, synced."""
    argocd.application(namespace, repository.url, "apps/checkout", namespace)
    argocd.await_synced(namespace, repository.head())
    yield namespace
    cluster.delete("Application", ARGOCD, namespace, wait=False)


@pytest.fixture
def push(application: str, argocd: ArgoCD, repository: Repository) -> Callable[..., str]:
    """Pushes a version of the application and has Argo CD look; returns the commit."""

    def made(tag: str, **more: int) -> str:
        text = deployment("checkout", f"{IMAGE}:{tag}", **more)
        commit = repository.commit({"apps/checkout/app.yaml": text}, f"Deploy {tag}")
        argocd.refresh(application)
        return commit

    return made


# --- the API server ----------------------------------------------------------------------------------------------


def test_a_service_account_without_rights_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    """RBAC is enforced, on tokens that the API server itself issued."""
    api = control_plane.client(control_plane.token_for(namespace, "nobody"))
    try:
        with pytest.raises(ApiError) as refused:
            api.list("ConfigMap", namespace)
    finally:
        api.close()
    assert refused.value.status == 403
    assert f"system:serviceaccount:{namespace}:nobody" in str(refused.value)


def test_a_service_account_may_do_what_its_role_says(control_plane: ControlPlane, namespace: str) -> None:
    """A Role of a namespace counts there and nowhere else."""
    api = control_plane.client(control_plane.token_for(namespace, "reader"))
    control_plane.apply(_READER.format(namespace=namespace))
    try:
        until(lambda: _may_list(api, namespace), "the Role to count")
        assert not _may_list(api, "kube-system")
    finally:
        api.close()


def _may_list(api: KubeApi, namespace: str) -> bool:
    try:
        api.list("ConfigMap", namespace)
    except ApiError as error:
        if error.status == 403:
            return False
        raise
    return True


def test_a_rule_in_a_definition_is_enforced(control_plane: ControlPlane, namespace: str) -> None:
    """A CEL rule of a CustomResourceDefinition refuses what breaks it, with its own message."""
    control_plane.apply(_DEFINITION)
    control_plane.apply(_GATE.format(namespace=namespace, low=1, high=2))
    with pytest.raises(ApiError, match="low must not exceed high") as refused:
        control_plane.apply(_GATE.format(namespace=namespace, low=3, high=2))
    assert refused.value.status == 422


def test_kubectl_speaks_to_it(control_plane: ControlPlane, namespace: str) -> None:
    """The kubeconfig is one that kubectl takes."""
    assert control_plane.kubectl("get", "namespace", namespace, "-o", "name").strip() == f"namespace/{namespace}"


def test_it_comes_back_after_a_crash(control_plane: ControlPlane, namespace: str) -> None:
    """An API server that was killed answers again at the same address, with the same objects."""
    control_plane.restart_api_server()
    assert control_plane.get("Namespace", None, namespace)["status"]["phase"] == "Active"


# --- Argo CD -----------------------------------------------------------------------------------------------------


def test_argo_cd_deploys_from_the_forge(application: str, cluster: ControlPlane, argocd: ArgoCD) -> None:
    """An Application of a repository in Gitea is synced, and its pods are ready on kwok's node."""
    pods = cluster.api.list("Pod", application, "app=checkout")
    assert [condition_of(pod, "Ready") for pod in pods] == ["True", "True"]
    assert argocd.get(application)["status"]["health"]["status"] == "Healthy"


def test_a_push_is_deployed(
    push: Callable[..., str],
    application: str,
    cluster: ControlPlane,
    argocd: ArgoCD,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A push and a refresh bring the new image; how long it took from the refresh is printed."""
    commit = push("two")
    began = time.monotonic()
    cluster.api.await_object("Deployment", application, "checkout", lambda found: image_of(found) == f"{IMAGE}:two")
    with capsys.disabled():
        sys.stdout.write(f"\n[from a refresh to the new image in the cluster: {time.monotonic() - began:.2f} s]\n")
    argocd.await_synced(application, commit)


def test_pods_that_never_become_ready_are_degraded(
    push: Callable[..., str], application: str, argocd: ArgoCD
) -> None:
    """A version that is never ready is Progressing, and Degraded once its deadline for progress has passed."""
    commit = push("unready-2", deadline=3)
    argocd.await_synced(application, commit, health="Progressing")
    argocd.await_synced(application, commit, health="Degraded")


def test_a_private_repository_is_read_with_its_password(
    gitea: Gitea, repository: Repository, argocd: ArgoCD, namespace: str
) -> None:
    """Argo CD asks its own program for the password of a repository that it was given."""
    gitea.request("PATCH", repository.path, json={"private": True})
    argocd.repository(f"repository-{namespace}", repository.url, OWNER, gitea.token)
    argocd.application(namespace, repository.url, "apps/checkout", namespace)
    argocd.await_synced(namespace, repository.head())


def test_an_application_set_makes_applications(
    argocd: ArgoCD, cluster: ControlPlane, repository: Repository, namespace: str
) -> None:
    """The controller of ApplicationSets makes an Application of each element."""
    argocd.start_applicationset_controller()
    cluster.apply(_APPLICATION_SET.format(name=namespace, url=repository.url))
    argocd_name = f"{namespace}-checkout"
    cluster.api.await_object("Application", ARGOCD, argocd_name)
    argocd.await_synced(argocd_name, repository.head())
    cluster.delete("ApplicationSet", ARGOCD, namespace)


def test_the_hydrator_pushes_what_it_rendered(
    argocd: ArgoCD, gitea: Gitea, cluster: ControlPlane, repository: Repository, namespace: str
) -> None:
    """Argo CD renders a commit into a branch of its own, which names the commit, and deploys from there."""
    argocd.start_commit_server()
    for write in (False, True):
        argocd.repository(f"repository-{namespace}-{write}".lower(), repository.url, OWNER, gitea.token, write=write)
    hydrator = {
        "drySource": {"repoURL": repository.url, "path": "apps/checkout", "targetRevision": "main"},
        "syncSource": {"targetBranch": "environments/test", "path": "checkout"},
    }
    argocd.application(namespace, "", "", namespace, source=None, sourceHydrator=hydrator)
    synced = argocd.await_synced(namespace)
    assert synced["status"]["sourceHydrator"]["currentOperation"]["drySHA"] == repository.head()
    assert synced["status"]["sync"]["revision"] == repository.head("environments/test")
    cluster.delete("Application", ARGOCD, namespace)


# --- the forge ---------------------------------------------------------------------------------------------------


def test_a_protected_branch_takes_no_push(repository: Repository) -> None:
    """Branch protection refuses a push, and lets a pull request in."""
    repository.protect("main")
    with pytest.raises(AssertionError, match="pre-receive hook declined"):
        repository.commit({"apps/checkout/app.yaml": deployment("checkout", f"{IMAGE}:two")})
    head = repository.commit({"apps/checkout/app.yaml": deployment("checkout", f"{IMAGE}:two")}, branch="two")
    number = repository.open_pull_request("two", "Deploy two")
    assert [each["head"]["sha"] for each in repository.pull_requests()] == [head]
    repository.merge(number)
    assert repository.pull_requests() == []


def test_another_user_may_do_less(gitea: Gitea, repository: Repository) -> None:
    """A user who may only read cannot write, by the API either."""
    token = gitea.create_user(f"reader-{uuid4().hex[:6]}", uuid4().hex)
    with pytest.raises(ForgeError) as refused:
        gitea.request("POST", f"{repository.path}/branches", token, json={"new_branch_name": "mine"})
    assert refused.value.status in {403, 404}


def test_it_tells_of_a_push(repository: Repository) -> None:
    """A webhook to loopback is sent, signed with its secret."""
    with Receiver() as receiver:
        repository.webhook(receiver.url, secret="between us")
        commit = repository.commit({"README": "changed"})
        received = receiver.wait_for(bool)[0]
    assert json.loads(received.body)["after"] == commit
    signature = hmac.new(b"between us", received.body, "sha256").hexdigest()
    assert received.headers["x-gitea-signature"] == signature


# --- Flux --------------------------------------------------------------------------------------------------------


def test_flux_applies_what_is_in_git(
    flux: FluxKustomize, cluster: ControlPlane, repository: Repository, namespace: str
) -> None:
    """A Kustomization is applied and healthy, and so is the next commit when it is asked for."""
    flux.source(namespace, repository.url)
    flux.kustomization(namespace, namespace, "./apps/checkout", target_namespace=namespace)
    flux.await_applied(namespace, repository.head())
    assert image_of(cluster.get("Deployment", namespace, "checkout")) == f"{IMAGE}:one"
    commit = repository.commit({"apps/checkout/app.yaml": deployment("checkout", f"{IMAGE}:two")})
    flux.reconcile("GitRepository", namespace)
    flux.await_applied(namespace, commit)
    assert image_of(cluster.get("Deployment", namespace, "checkout")) == f"{IMAGE}:two"
    cluster.delete("Kustomization", "flux-system", namespace)


# --- the service that follows ------------------------------------------------------------------------------------


def test_the_service_behaves_as_what_is_deployed(cluster: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """Prometheus sees errors when a bad image is live, and none when the image never becomes ready."""

    def deploy(tag: str) -> None:
        text = deployment("checkout", f"{IMAGE}:{tag}").replace(
            "{name: checkout}", f"{{name: checkout, namespace: {namespace}}}", 1
        )
        cluster.apply(text)

    deploy("one")
    with (
        ShopService(cluster, {"checkout": (namespace, "checkout")}) as shop,
        PrometheusServer(tmp_path) as prometheus,
    ):
        shop.await_serving("checkout", f"{IMAGE}:one")
        shop.push_history(prometheus, 120)
        prometheus.set_targets([shop.target])
        prometheus.wait_for(f"{_RATIO} < 0.01")
        deploy("unready-2")
        cluster.api.await_object(
            "Deployment", namespace, "checkout", lambda found: found["status"].get("updatedReplicas")
        )
        assert shop.serving("checkout") == {f"{IMAGE}:one"}
        deploy("bad-3")
        shop.await_serving("checkout", f"{IMAGE}:bad-3")
        prometheus.wait_for(f"{_RATIO} > {BAD_SHARE / 2}")
        bad, total = shop.totals("checkout")
        assert 0 < bad < total


# --- the machine -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("argocd", "gitea", "flux")
def test_everything_listens_on_loopback() -> None:
    """No server of the stack can be reached from elsewhere."""
    servers = psutil.Process().children(recursive=True)
    addresses = {
        connection.laddr.ip
        for server in servers
        for connection in server.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


_RATIO = (
    'sum(rate(http_requests_total{service="checkout",code="500"}[10s]))'
    ' / sum(rate(http_requests_total{service="checkout"}[10s]))'
)
_READER = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader, namespace: {namespace}}}
rules: [{{apiGroups: [""], resources: [configmaps], verbs: [get, list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects: [{{kind: ServiceAccount, name: reader, namespace: {namespace}}}]
"""
_DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gates.stack.example.com}
spec:
  group: stack.example.com
  scope: Namespaced
  names: {plural: gates, singular: gate, kind: Gate, listKind: GateList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              x-kubernetes-validations: [{rule: "self.low <= self.high", message: low must not exceed high}]
              properties: {low: {type: integer}, high: {type: integer}}
"""
_GATE = """\
apiVersion: stack.example.com/v1
kind: Gate
metadata: {{name: gate, namespace: {namespace}}}
spec: {{low: {low}, high: {high}}}
"""
_APPLICATION_SET = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {{name: {name}, namespace: argocd}}
spec:
  goTemplate: true
  generators: [{{list: {{elements: [{{app: checkout}}]}}}}]
  template:
    metadata: {{name: "{name}-{{{{.app}}}}"}}
    spec:
      project: default
      source: {{repoURL: "{url}", path: "apps/{{{{.app}}}}", targetRevision: main}}
      destination: {{server: "https://kubernetes.default.svc", namespace: {name}}}
      syncPolicy: {{automated: {{}}}}
"""
