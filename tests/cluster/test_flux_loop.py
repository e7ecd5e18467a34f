"""The whole loop beside a real Flux: a bad commit is deployed, found, reverted in Git, and deployed again."""

from pathlib import Path

import pytest

from tests.cluster.flux_site import flux_site
from tests.cluster.stack.api import ApiError
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.flux import NAMESPACE as FLUX
from tests.cluster.stack.flux import FluxKustomize
from tests.cluster.stack.flux_source import REQUESTED
from tests.cluster.stack.gitea import Gitea
from tests.cluster.stack.processes import until


def test_a_bad_commit_is_reverted_in_git_and_the_service_recovers(
    definitions_applied: ControlPlane, cluster: ControlPlane, flux: FluxKustomize, gitea: Gitea, tmp_path: Path
) -> None:
    """From a bad push to recovery, with the rights that the chart gives beside Flux; a commit to others is no deployment."""
    with flux_site(cluster, flux, gitea, tmp_path, interval="1h") as shop:
        shop.guard()
        shop.repository.commit({"docs/readme.txt": "hello"}, "Write")
        bad = shop.push("bad")
        shop.until(lambda: shop.live() == "bad", "the bad deployment")
        shop.until(lambda: shop.repository.head() != bad, "the restore in Git")
        shop.until(lambda: shop.live() == "one", "the old image live")
        shop.until(lambda: shop.story()[-1].get("verdict") == "Recovered", "the recovery")
        assert [each["verdict"] for each in shop.story()] == ["Breached", "Recovered"]
        assert shop.alerts().count("RollguardRolledBack") == 1


def test_a_version_that_never_becomes_healthy_is_reverted(
    definitions_applied: ControlPlane, cluster: ControlPlane, flux: FluxKustomize, gitea: Gitea, tmp_path: Path
) -> None:
    """Flux gives up waiting and says why: where the policy says so, Git is restored."""
    with flux_site(cluster, flux, gitea, tmp_path, timeout="15s", retryInterval="1h") as shop:
        shop.guard(onUnhealthy={"deadline": "5m", "action": "Rollback"})
        bad = shop.push("unready-2")
        shop.until(lambda: shop.repository.head() != bad, "the restore in Git")
        shop.until(lambda: shop.live() == "one", "the old image live")
        shop.until(lambda: shop.story()[0].get("verdict") == "Unhealthy", "the verdict")


def test_the_account_may_ask_flux_to_reconcile_and_change_nothing_else(
    definitions_applied: ControlPlane, cluster: ControlPlane, flux: FluxKustomize, gitea: Gitea, tmp_path: Path
) -> None:
    """RBAC lets it patch two kinds, and the admission policy all of them but one annotation stay as they are."""
    with flux_site(cluster, flux, gitea, tmp_path) as shop:
        api = cluster.client(cluster.token_for(shop.own, shop.own))
        kinds = {"Kustomization": shop.application("checkout"), "GitRepository": shop.namespace}
        refused = [
            {"spec": {"suspend": True}},
            {"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}},
            {"metadata": {"labels": {"a": "b"}}},
            {"metadata": {"finalizers": None}},
        ]

        def denied(kind: str, name: str, body: dict) -> str:
            with pytest.raises(ApiError) as error:
                api.patch(kind, FLUX, name, body)
            return str(error.value)

        for kind, name in kinds.items():
            until(lambda kind=kind, name=name: "Rollguard" in denied(kind, name, refused[0]), "the admission policy")
            for body in refused[1:]:
                if kind == "Kustomization" or "finalizers" not in body["metadata"]:
                    assert "Rollguard" in denied(kind, name, body)
            api.annotate(kind, FLUX, name, **{REQUESTED: "now"})
        with pytest.raises(ApiError, match="403"):
            api.delete("Kustomization", FLUX, kinds["Kustomization"])
        api.close()
