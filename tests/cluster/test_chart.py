"""The chart in a real cluster: what the API server takes of it, and what its account may do and may not."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from controller.adapters.gitops.argocd.operations import begin_sync, refresh, terminate
from controller.adapters.kubernetes.client import Api
from controller.core.application import ApplicationKey
from controller.settings import load_settings
from tests.cluster.helm import CHART, HelmError, helm, of_kind, rendered
from tests.cluster.release import Installed, installation
from tests.cluster.stack.api import ApiError
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.objects import kind_of
from tests.cluster.stack.processes import until
from tests.core.policy_documents import minimal

REFRESH = "argocd.argoproj.io/refresh"
EVERYTHING: dict[str, Any] = {
    "settings": {
        "metricsSources": {"default": {"prometheus": {"url": "http://prometheus:9090", "enforcedMatchers": {"a": "b"}}}},
        "repositories": [
            {
                "url": "https://git.example.com/shop.git",
                "credentials": {"githubApp": {"appId": 12345678901, "installationId": 2, "privateKeyFile": "/secrets/a/b"}},
            }
        ],
        "alertSinks": {"on-call": {"alertmanager": {"url": "http://alertmanager:9093"}}},
        "limits": {"rollbacksPerHour": 5, "gitTimeout": "10s", "maximumMode": "Shadow"},
        "server": {"externalUrl": "https://rollguard.example.com"},
        "cluster": {"name": "eu-1", "destinationsOutsideOwnNamespace": {"shop": ["shop-canary"]}},
    },
    "secrets": ["rollguard-git", "rollguard-alerts"],
    "configMaps": ["authorities"],
    "onCall": {"subjects": [{"kind": "Group", "name": "on-call", "apiGroup": "rbac.authorization.k8s.io"}]},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    },
    "networkPolicy": {"from": [{"podSelector": {}}], "egress": [{"to": [{"podSelector": {}}]}]},
    "image": {"digest": "sha256:" + "a" * 64, "pullSecrets": [{"name": "registry"}]},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "extraEnv": [{"name": "ROLLGUARD_LIMITS__GIT_TIMEOUT", "value": "20s"}],
    "tolerations": [{"operator": "Exists"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> Iterator[Installed]:
    """The chart beside an Argo CD."""
    with installation(control_plane) as release:
        yield release


# --- rendering ---------------------------------------------------------------------------------------------------


def test_helm_finds_nothing_wrong() -> None:
    """``helm lint``, with nothing set and with everything."""
    assert "0 chart(s) failed" in helm("lint", CHART, "--strict", values={})
    assert "0 chart(s) failed" in helm("lint", CHART, "--strict", values=EVERYTHING)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"metrics": {"serviceMonitor": {"enable": True}}}, "additional properties 'enable' not allowed"),
        ({"settings": {"limits": {"gitTimout": "10s"}}}, "additional properties 'gitTimout' not allowed"),
        ({"settings": {"limits": {"gitTimeout": 10}}}, "got number, want string"),
        ({"settings": {"store": {"sqlite": "/a"}}}, "additional properties 'store' not allowed"),
        ({"settings": {"cluster": {"approvals": True}}}, "additional properties 'approvals' not allowed"),
        (
            {"settings": {"cluster": {"watchNamespaces": ["a"]}}},
            "additional properties 'watchNamespaces' not allowed",
        ),
        (
            {"settings": {"cluster": {"repositorySecrets": ["a"]}}},
            "additional properties 'repositorySecrets' not allowed",
        ),
        ({"argocd": {"namespace": "Argo CD"}}, "does not match pattern"),
        ({"replicas": "two"}, "got string, want integer"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name the account"),
    ],
)
def test_mistakes_in_the_values_are_refused(values: dict[str, Any], said: str) -> None:
    """A typo is an error that names the place, not a setting that is silently ignored."""
    with pytest.raises(HelmError, match=said.replace("(", "[(]")):
        rendered("guard", values)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_settings_can_be_loaded(values: dict[str, Any], tmp_path: Path) -> None:
    """The ConfigMap is a settings file that fits the rights of the release."""
    more = {
        "watchNamespaces": ["shop"],
        "argocd": {"namespace": "gitops", "applicationNamespaces": ["team"], "repositorySecrets": ["shop-write"]},
    }
    (found,) = [
        each
        for each in of_kind(rendered("guard", {**values, **more}), "ConfigMap")
        if "rollguard.yaml" in each["data"]
    ]
    file = tmp_path / "rollguard.yaml"
    file.write_text(found["data"]["rollguard.yaml"])
    settings = load_settings(file, {})
    assert settings.store.kubernetes is not None
    cluster = settings.cluster
    assert (cluster.argocd_namespace, cluster.default_application_namespace) == ("gitops", "gitops")
    assert (cluster.application_namespaces, cluster.watch_namespaces) == (("team",), ("shop",))
    assert cluster.repository_secrets == ("shop-write",)
    assert cluster.approvals is True
    assert settings.server.address == ("0.0.0.0", 8080)
    if values:
        assert settings.cluster.name == "eu-1"
        assert settings.repositories[0].credentials is not None
        assert settings.repositories[0].credentials.github_app is not None
        assert settings.repositories[0].credentials.github_app.app_id == 12345678901


def test_the_definitions_outlive_the_release() -> None:
    """Uninstalling takes no policy and no state with it, unless that is said; and they can be left to somebody else."""
    kept = of_kind(rendered("guard", {}), "CustomResourceDefinition")
    assert [each["metadata"]["annotations"] for each in kept] == [{"helm.sh/resource-policy": "keep"}] * 6
    gone = of_kind(rendered("guard", {"crds": {"keep": False}}), "CustomResourceDefinition")
    assert [each["metadata"].get("annotations") for each in gone] == [None] * 6
    assert of_kind(rendered("guard", {"crds": {"install": False}}), "CustomResourceDefinition") == []


def test_approvals_count_only_where_they_are_checked() -> None:
    """The setting, the right to read Approvals, the approvers' role and the admission policy come together or not at all."""

    def parts(*, enabled: bool) -> list[bool]:
        documents = rendered("guard", {"admissionPolicy": {"enabled": enabled}})
        (settings,) = [
            each["data"]["rollguard.yaml"]
            for each in of_kind(documents, "ConfigMap")
            if "rollguard.yaml" in each["data"]
        ]
        roles = of_kind(documents, "ClusterRole")
        account = next(each for each in roles if each["metadata"]["name"].endswith("-policies"))
        return [
            "approvals: true" in settings,
            any("approvals" in rule["resources"] for rule in account["rules"]),
            any(each["metadata"]["name"].endswith("-approver") for each in roles),
            any(
                each["metadata"]["name"].endswith("-approvals") and each["spec"]["failurePolicy"] == "Fail"
                for each in of_kind(documents, "ValidatingAdmissionPolicy")
            ),
        ]

    assert parts(enabled=True) == [True] * 4
    assert parts(enabled=False) == [False] * 4


def test_changed_settings_restart_the_pods() -> None:
    """A settings file is read at the start only."""

    def checksum(limit: int) -> str:
        values = {"settings": {"limits": {"rollbacksPerHour": limit}}}
        (found,) = of_kind(rendered("guard", values), "Deployment")
        return str(found["spec"]["template"]["metadata"]["annotations"]["checksum/settings"])

    assert checksum(5) == checksum(5) != checksum(6)


def test_only_policies_of_all_namespaces_need_a_cluster_role() -> None:
    """With namespaces named, the account has no right beyond Roles; it can never write elsewhere."""
    named = rendered("guard", {"watchNamespaces": ["shop", "pay"], "aggregateRoles": False})
    assert of_kind(named, "ClusterRole") == of_kind(named, "ClusterRoleBinding") == []
    assert {each["metadata"]["namespace"] for each in of_kind(named, "Role")} == {"guard", "argocd", "shop", "pay"}
    (everywhere,) = of_kind(rendered("guard", {"aggregateRoles": False}), "ClusterRole")
    groups = {
        (group, name) for rule in everywhere["rules"] for group in rule["apiGroups"] for name in rule["resources"]
    }
    assert {group for group, _ in groups} == {"rollguard.dev", "events.k8s.io"}


# --- applying ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_api_server_takes_every_object(
    control_plane: ControlPlane, installed: Installed, values: dict[str, Any]
) -> None:
    """Each is accepted without an unknown field (those of the Prometheus operator, where it is there)."""
    given = {**values, "argocd": {"namespace": installed.argocd}}
    for each in rendered(installed.namespace, given):
        if each["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        path = control_plane.api.path(kind_of(each), each["metadata"].get("namespace"), each["metadata"]["name"])
        control_plane.api.request(
            "PATCH",
            path,
            params={"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=each,
        )


def test_the_pods_fit_a_restricted_namespace(control_plane: ControlPlane, installed: Installed) -> None:
    """Pod security admission, at its strictest, lets both replicas be made; they write nowhere but to two empty folders."""
    pods = until(lambda: len(made := control_plane.api.list("Pod", installed.namespace)) == 2 and made, "two pods")
    for pod in pods:  # type: ignore[attr-defined]
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        writable = [each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")]
        assert sorted(writable) == ["/tmp", "/var/cache/rollguard"]


def test_an_upgrade_leaves_state_as_it_is(control_plane: ControlPlane, installed: Installed) -> None:
    """Applying a newer chart over an open restore changes nothing of it."""
    state = {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "GuardedApplication",
        "metadata": {
            "name": "argocd.cart",
            "namespace": installed.namespace,
            "finalizers": ["rollguard.dev/open-restore"],
        },
        "spec": {"application": {"namespace": "argocd", "name": "cart"}},
    }
    control_plane.apply(state)
    control_plane.patch(
        "GuardedApplication",
        installed.namespace,
        "argocd.cart",
        {"status": {"version": 7, "state": "x"}},
        subresource="status",
    )
    before = control_plane.get("GuardedApplication", installed.namespace, "argocd.cart")
    values = {"argocd": {"namespace": installed.argocd}, "watchNamespaces": [installed.shop], "logLevel": "DEBUG"}
    control_plane.apply(rendered(installed.namespace, values))
    assert control_plane.get("GuardedApplication", installed.namespace, "argocd.cart") == before
    bare = {"metadata": {"finalizers": None}}
    control_plane.patch("GuardedApplication", installed.namespace, "argocd.cart", bare)


# --- what the account may do -------------------------------------------------------------------------------------

MAY = [
    (
        "guard",
        "rollguard.dev/guardedapplications",
        "",
        "get list watch create patch",
        "update delete deletecollection",
    ),
    ("guard", "rollguard.dev/guardedapplications/status", "", "patch", "update"),
    ("guard", "rollguard.dev/promotions", "", "get list watch create patch", "update delete deletecollection"),
    ("guard", "rollguard.dev/promotions/status", "", "patch", "update"),
    ("guard", "coordination.k8s.io/leases", "rollguard", "get update create", "delete patch list"),
    ("guard", "coordination.k8s.io/leases", "other", "create", "get update"),
    ("guard", "/secrets", "", "", "get list watch create update"),
    ("guard", "/configmaps", "rollguard", "", "get update"),
    ("guard", "apps/deployments", "rollguard", "", "get update patch"),
    ("guard", "/pods/exec", "", "", "create"),
    ("shop", "rollguard.dev/slopolicies", "", "get list watch", "create update patch delete"),
    ("shop", "rollguard.dev/slopolicies/status", "", "patch", "update"),
    ("shop", "rollguard.dev/promotionpipelines", "", "get list watch", "create update patch delete approve"),
    ("shop", "rollguard.dev/promotionpipelines/status", "", "patch", "update"),
    ("shop", "rollguard.dev/approvals", "", "get list watch", "create update patch delete"),
    ("shop", "rollguard.dev/promotions", "", "", "get list create patch"),
    ("shop", "rollguard.dev/syncanalyses", "", "get list create patch delete", "update deletecollection"),
    ("shop", "events.k8s.io/events", "", "create patch", "get list delete"),
    ("shop", "/secrets", "", "", "get list"),
    ("shop", "apps/deployments", "", "", "get patch create"),
    ("argocd", "argoproj.io/applications", "", "get list watch patch", "create update delete deletecollection"),
    ("argocd", "argoproj.io/appprojects", "", "get list watch", "create update patch delete"),
    ("argocd", "/secrets", "", "", "get list watch"),
    ("argocd", "/secrets", "shop-write", "get", "list watch update patch delete"),
    ("argocd", "/configmaps", "argocd-tls-certs-cm", "get", "update patch"),
    ("argocd", "/configmaps", "argocd-cm", "", "get update patch"),
    ("kube-system", "rollguard.dev/slopolicies", "", "", "get list watch"),
    ("kube-system", "rollguard.dev/approvals", "", "", "get list watch create"),
    ("kube-system", "argoproj.io/applications", "", "", "get list patch"),
    ("", "rbac.authorization.k8s.io/clusterroles", "", "", "get create bind escalate"),
    ("", "/namespaces", "", "", "get list"),
    ("", "admissionregistration.k8s.io/validatingadmissionpolicies", "", "", "get update delete"),
]


@pytest.mark.parametrize(("where", "what", "name", "may", "may_not"), MAY, ids=[" ".join(e[:3]) for e in MAY])
def test_the_account_may_what_it_needs_and_no_more(
    installed: Installed, *, where: str, what: str, name: str, may: str, may_not: str
) -> None:
    """As the API server itself answers the account."""
    places = {"guard": installed.namespace, "shop": installed.shop, "argocd": installed.argocd}

    def allowed(verb: str) -> bool:
        group, resource, *sub = what.split("/")
        asked = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "name": name,
            "namespace": places.get(where, where),
        }
        asked |= {"subresource": sub[0]} if sub else {}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = installed.api.request("POST", path, json={**review, "spec": {"resourceAttributes": asked}})
        return bool(answer["status"]["allowed"])

    until(lambda: allowed("get") or "get" not in may, "the Roles to count")
    assert [verb for verb in may.split() if not allowed(verb)] == []
    assert [verb for verb in may_not.split() if allowed(verb)] == []


def test_owners_get_their_rights_from_the_clusters_own_roles(
    control_plane: ControlPlane, installed: Installed
) -> None:
    """Whoever may edit a namespace may edit policies there, and nobody a GuardedApplication or an analysis."""
    account = {"kind": "ServiceAccount", "name": "owner", "namespace": installed.shop}
    token = control_plane.token_for(installed.shop, "owner")
    control_plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "owner", "namespace": installed.shop},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [account],
        }
    )
    owner = control_plane.client(token)
    policy = minimal() | {"metadata": {"name": "checkout", "namespace": installed.shop}}

    def applied() -> bool:
        try:
            owner.apply(policy)
        except ApiError as error:
            if error.status == 403:
                return False
            raise
        return True

    try:
        until(applied, "the aggregated roles to count")
        assert owner.list("SyncAnalysis", installed.shop) == []
        analysis = {"apiVersion": "rollguard.dev/v1alpha1", "kind": "SyncAnalysis", "spec": {"application": {}}}
        with pytest.raises(ApiError, match="cannot create"):
            owner.create(analysis | {"metadata": {"name": "forged", "namespace": installed.shop}})
        with pytest.raises(ApiError, match="cannot patch"):
            owner.patch("SLOPolicy", installed.shop, "checkout", {"status": {}}, subresource="status")
        with pytest.raises(ApiError, match="cannot list"):
            owner.list("GuardedApplication", installed.namespace)
    finally:
        owner.close()


# --- what of an Application it may change ------------------------------------------------------------------------


@pytest.fixture
def application(control_plane: ControlPlane, installed: Installed) -> Iterator[str]:
    """The name of an Application with a sync that is running."""
    name = f"app-{uuid4().hex[:6]}"
    source = {"repoURL": "https://git.example.com/shop.git", "path": "checkout", "targetRevision": "main"}
    state = {
        "phase": "Running",
        "startedAt": "2026-01-01T00:00:00Z",
        "operation": {"sync": {"revision": "a" * 40}},
        "syncResult": {"revision": "a" * 40, "source": source},
    }
    control_plane.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": name,
                "namespace": installed.argocd,
                "labels": {"team": "shop"},
                "annotations": {"kept": "yes"},
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            },
            "spec": {
                "project": "default",
                "source": source,
                "destination": {"server": "https://kubernetes.default.svc", "namespace": installed.shop},
                "syncPolicy": {"automated": {"prune": True}, "syncOptions": ["ServerSideApply=true"]},
            },
            "status": {
                "operationState": state,
                "health": {"status": "Degraded"},
                "sync": {"status": "Synced", "comparedTo": {"source": source, "destination": {}}},
                "history": [{"id": 1, "revision": "a" * 40, "deployedAt": "2026-01-01T00:00:00Z"}],
            },
        }
    )
    yield name
    control_plane.patch("Application", installed.argocd, name, {"metadata": {"finalizers": None}})
    control_plane.delete("Application", installed.argocd, name, wait=False)


@pytest.fixture
def guarded(installed: Installed, application: str) -> str:
    """The Application, once the admission policy is in force."""

    def refused() -> bool:
        try:
            installed.api.patch("Application", installed.argocd, application, {"spec": {"project": "other"}})
        except ApiError as error:
            return "Rollguard does not change what an Application deploys" in str(error)
        return False

    until(refused, "the admission policy to count")
    return application


SYNC = {
    "initiatedBy": {"username": "rollguard"},
    "info": [{"name": "Rollguard", "value": "id"}],
    "sync": {"prune": True, "syncOptions": ["ServerSideApply=true"]},
    "retry": {"limit": 2},
}
ALLOWED = [
    {"metadata": {"annotations": {REFRESH: "normal"}}},
    {"operation": SYNC},
    {"operation": {**SYNC, "sync": {}, "retry": None}},
    {"status": {"operationState": {"phase": "Terminating"}}},
    {"metadata": {"annotations": {REFRESH: "normal"}}, "status": {"operationState": {"phase": "Terminating"}}},
]


@pytest.mark.parametrize("change", ALLOWED, ids=range(len(ALLOWED)))
def test_the_three_changes_are_let_through(installed: Installed, guarded: str, change: dict[str, Any]) -> None:
    """A refresh, a sync in our own name, the end of a running one: as the chart's account, on a real Application."""
    changed = installed.api.patch("Application", installed.argocd, guarded, change)
    for part, value in change.items():
        assert part == "metadata" or _holds(changed[part], value)


def _holds(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return all(_holds(found.get(key), each) for key, each in wanted.items())
    return bool(found == wanted)


REFUSED = [
    ({"spec": {"source": {"targetRevision": "evil"}}}, "does not change what an Application deploys"),
    ({"spec": {"source": {"repoURL": "https://evil.example.com"}}}, "does not change what an Application deploys"),
    ({"spec": {"destination": {"namespace": "kube-system"}}}, "does not change what an Application deploys"),
    ({"spec": {"syncPolicy": {"automated": {"prune": False}}}}, "does not change what an Application deploys"),
    ({"metadata": {"labels": {"team": "other"}}}, "labels, finalizers or owners"),
    ({"metadata": {"finalizers": []}}, "labels, finalizers or owners"),
    ({"metadata": {"annotations": {"kept": "no"}}}, "refresh alone"),
    ({"metadata": {"annotations": {"kept": None}}}, "refresh alone"),
    ({"metadata": {"annotations": {"argocd.argoproj.io/manifest-generate-paths": "/"}}}, "refresh alone"),
    ({"metadata": {"annotations": {REFRESH: "hard"}}}, "normal refresh"),
    ({"status": {"health": {"status": "Healthy"}}}, "operationState.phase alone"),
    ({"status": {"history": []}}, "operationState.phase alone"),
    ({"status": {"history": None}}, "operationState.phase alone"),
    ({"status": {"operationState": {"message": "done"}}}, "operationState.phase alone"),
    ({"status": {"operationState": None}}, "operationState.phase alone"),
    ({"status": {"operationState": {"phase": "Succeeded"}}}, "Running to Terminating alone"),
    ({"operation": {**SYNC, "initiatedBy": {"username": "admin"}}}, "in its own name"),
    ({"operation": {**SYNC, "initiatedBy": {"username": "rollguard", "automated": True}}}, "in its own name"),
    ({"operation": {"sync": {}}}, "in its own name"),
    ({"operation": {**SYNC, "sync": {"revision": "somebodys-branch"}}}, "and of nothing else"),
    ({"operation": {**SYNC, "sync": {"revisions": ["somebodys-branch"]}}}, "and of nothing else"),
    ({"operation": {**SYNC, "sync": {"syncOptions": ["Force=true"]}}}, "and of nothing else"),
    ({"operation": {**SYNC, "sync": {"manifests": ["kind: Pod"]}}}, "and of nothing else"),
    ({"operation": {**SYNC, "sync": {"source": {"repoURL": "https://evil.example.com"}}}}, "and of nothing else"),
    ({"operation": {**SYNC, "sync": {"sources": [{"repoURL": "https://evil.example.com"}]}}}, "and of nothing else"),
    ({"operation": {**SYNC, "sync": {"resources": [{"kind": "Pod", "name": "a"}]}}}, "and of nothing else"),
    ({"operation": {**SYNC, "sync": {"dryRun": True}}}, "and of nothing else"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=range(len(REFUSED)))
def test_every_other_change_is_refused(
    control_plane: ControlPlane, installed: Installed, guarded: str, change: dict[str, Any], said: str
) -> None:
    """Whoever gets hold of the account cannot deploy anything but what the Application declares."""
    before = control_plane.get("Application", installed.argocd, guarded)
    with pytest.raises(ApiError, match=said):
        installed.api.patch("Application", installed.argocd, guarded, change)
    assert control_plane.get("Application", installed.argocd, guarded) == before


def test_a_sync_that_somebody_asked_for_is_left_alone(
    control_plane: ControlPlane, installed: Installed, guarded: str
) -> None:
    """A pending operation is neither replaced nor removed; the refresh beside it is let through."""
    theirs = {"initiatedBy": {"username": "ann"}, "sync": {"manifests": ["theirs"]}}
    control_plane.patch("Application", installed.argocd, guarded, {"operation": theirs})
    for change in ({"operation": SYNC}, {"operation": None}):
        with pytest.raises(ApiError, match="a sync that somebody asked for"):
            installed.api.patch("Application", installed.argocd, guarded, change)
    refresh = {"metadata": {"annotations": {REFRESH: "normal"}}}
    assert installed.api.patch("Application", installed.argocd, guarded, refresh)["operation"] == theirs


def test_nothing_is_pruned_where_the_application_does_not_say_so(
    control_plane: ControlPlane, installed: Installed, guarded: str
) -> None:
    """A sync in our name deletes only where every sync of the Application does."""
    manual = {"spec": {"syncPolicy": {"automated": None}}}
    control_plane.patch("Application", installed.argocd, guarded, manual)
    with pytest.raises(ApiError, match="and of nothing else"):
        installed.api.patch("Application", installed.argocd, guarded, {"operation": SYNC})
    kept = {**SYNC, "sync": {"syncOptions": ["ServerSideApply=true"]}}
    assert installed.api.patch("Application", installed.argocd, guarded, {"operation": kept})["operation"] == kept


def test_the_controllers_own_requests_are_let_through(
    control_plane: ControlPlane, installed: Installed, guarded: str
) -> None:
    """Refresh, terminate and sync as the Argo CD adapter writes them, with the rights of the account."""
    api, key = Api.connect(installed.kubeconfig), ApplicationKey(installed.argocd, guarded)
    refresh(api, key)
    control_plane.patch("Application", installed.argocd, guarded, {"operation": {"sync": {"prune": True}}})
    assert terminate(api, key, lambda _: True)
    found = control_plane.get("Application", installed.argocd, guarded)
    assert found["metadata"]["annotations"][REFRESH] == "normal"
    assert found["status"]["operationState"]["phase"] == "Terminating"
    done = {
        "operation": None,
        "status": {"operationState": {"phase": "Failed", "finishedAt": "2026-01-01T00:01:00Z"}},
    }
    control_plane.patch("Application", installed.argocd, guarded, done)
    assert begin_sync(api, key, {"Rollguard": "id"}, lambda _: "")
    asked = control_plane.get("Application", installed.argocd, guarded)["operation"]
    assert asked["sync"] == {"prune": True, "syncOptions": ["ServerSideApply=true"]}


def test_an_ended_sync_is_not_ended_again(control_plane: ControlPlane, installed: Installed, guarded: str) -> None:
    """Only what is running can be terminated."""
    done = {"status": {"operationState": {"phase": "Succeeded", "finishedAt": "2026-01-01T00:01:00Z"}}}
    control_plane.patch("Application", installed.argocd, guarded, done)
    with pytest.raises(ApiError, match="Running to Terminating alone"):
        installed.api.patch(
            "Application", installed.argocd, guarded, {"status": {"operationState": {"phase": "Terminating"}}}
        )


def test_everybody_else_changes_applications_as_before(
    control_plane: ControlPlane, installed: Installed, guarded: str
) -> None:
    """The policy is about our account alone."""
    change = copy.deepcopy({"spec": {"source": {"targetRevision": "next"}}})
    changed = control_plane.patch("Application", installed.argocd, guarded, change)
    assert changed["spec"]["source"]["targetRevision"] == "next"
