"""Restores that a cluster makes difficult: what Rollguard does about each, beside a real Argo CD."""

import pytest

from tests.cluster.conftest import MakeSite
from tests.cluster.manifests import deployment
from tests.cluster.site import Layout, Site, image, plain

CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


def broken(shop: Site, tag: str = "bad", **more: object) -> str:
    """A bad version runs; returns its commit."""
    commit = shop.push(tag, **more)  # type: ignore[arg-type]
    shop.until(lambda: shop.live() == tag, "the bad deployment")
    return commit


def test_a_fix_that_comes_first_is_left_alone(make_site: MakeSite) -> None:
    """The owner fixes it forward during the analysis: the fix stays, and nobody is woken by a rollback."""
    shop = make_site()
    shop.guard()
    broken(shop)
    fix = shop.push("two")
    shop.until(lambda: shop.live() == "two", "the fix")
    shop.until(lambda: shop.guarded()["phase"] == "Idle", "the end of the analysis")
    assert shop.repository.head() == fix
    assert "RollguardRolledBack" not in shop.alerts()


def test_a_third_commit_does_not_hide_a_bad_second(make_site: MakeSite) -> None:
    """Both are undone by one commit, back to what was good before the chain."""
    shop = make_site()
    shop.guard()
    broken(shop)
    third = shop.push("bad-too")
    shop.until(lambda: shop.restored(third), "the restore")
    assert len(shop.commits_since(third)) == 1


def test_a_version_that_never_becomes_healthy_is_undone_where_the_policy_says_so(make_site: MakeSite) -> None:
    """Its pods are never ready: no bad request is served, and the deadline alone brings the old version back."""
    shop = make_site()
    shop.guard(onUnhealthy={"action": "Rollback", "deadline": "15s"})
    bad = broken(shop, "unready")
    shop.until(lambda: shop.restored(bad), "the restore")
    assert shop.told("RollguardUnhealthy") is not None


def test_two_applications_on_one_path_are_restored_once(make_site: MakeSite) -> None:
    """Both read it and both breach: one commit, one decision."""

    def files(tag: str) -> dict[str, str | None]:
        text = "resources: [app.yaml]\n"
        return {"apps/shop/app.yaml": deployment("shop", image(tag)), "apps/shop/kustomization.yaml": text}

    both = {
        "checkout": Layout("apps/shop", files, "shop"),
        "twin": Layout("apps/shop", files, "shop-b", source={"kustomize": {"nameSuffix": "-b"}}),
    }
    shop = make_site(**both)
    shop.guard(sharedPaths={"action": "Rollback", "quorum": "50%"})
    bad = broken(shop)
    shop.until(lambda: shop.restored(bad) and shop.restored(bad, "twin"), "the restore of both")
    assert len(shop.commits_since(bad)) == 1


def overlays(tag: str, number: int, own: str = "") -> dict[str, str | None]:
    images = f"images: [{{name: {image('x').rpartition(':')[0]}, newTag: {own}}}]\n" if own else ""
    return {
        "base/app.yaml": deployment("shop", image(tag), replicas=1),
        "base/kustomization.yaml": "resources: [app.yaml]\n",
        f"envs/e{number}/kustomization.yaml": f"resources: [../../base]\nnamePrefix: e{number}-\n{images}",
    }


def test_a_base_that_five_share_is_restored_by_people_and_an_overlay_by_us(make_site: MakeSite) -> None:
    """A bad change of the base is offered on a branch, since four others read it; one of the own overlay is pushed."""
    layouts = {
        f"e{number}": Layout(f"envs/e{number}", lambda tag, number=number: overlays(tag, number), f"e{number}-shop")  # type: ignore[misc]
        for number in range(5)
    }
    shop = make_site(**layouts)
    shop.guard("e0")
    commit = shop.push("bad", "e0")
    shop.until(lambda: any(each.startswith("rollguard/restore-") for each in shop.branches()), "the offer")
    assert shop.repository.head() == commit
    shop.until(lambda: shop.told("RollguardPullRequestOpened", "e0"), "the page")
    told = shop.told("RollguardPullRequestOpened", "e0")
    assert told is not None
    assert "read the same paths" in told["description"]
    fixed = shop.push("one", "e0", "Revert by hand")
    shop.until(lambda: shop.live("e0") == "one" and shop.guarded("e0")["phase"] == "Idle", "the recovery")
    own = shop.repository.commit(overlays("one", 0, "bad"), "Deploy bad in one environment")
    shop.argocd.refresh(shop.application("e0"))
    shop.until(lambda: shop.live("e0") == "bad", "the bad overlay")
    shop.until(lambda: shop.restored(own, "e0"), "the restore")
    assert shop.repository.head() != fixed


def test_a_helm_chart_is_restored_by_its_values(make_site: MakeSite) -> None:
    """The version stands in a values file outside the chart's folder: that file is what is restored."""
    template = deployment("shop", "{{ .Values.image }}")

    def files(tag: str) -> dict[str, str | None]:
        return {
            "charts/shop/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
            "charts/shop/templates/app.yaml": template,
            "envs/prod/values.yaml": f"image: {image(tag)}\n",
        }

    helm = {"helm": {"valueFiles": ["../../envs/prod/values.yaml"]}}
    shop = make_site(checkout=Layout("charts/shop", files, "shop", source=helm))
    shop.guard()
    bad = broken(shop)
    shop.until(lambda: shop.restored(bad), "the restore")
    assert len(shop.commits_since(bad)) == 1


def test_a_claim_is_never_removed_by_a_push(make_site: MakeSite) -> None:
    """The bad commit brought a PersistentVolumeClaim: prune would delete it, so people are asked."""
    shop = make_site()
    shop.guard()
    bad = broken(shop, also={"apps/checkout/claim.yaml": CLAIM})
    shop.until(lambda: any(each.startswith("rollguard/restore-") for each in shop.branches()), "the offer")
    assert shop.repository.head() == bad
    shop.until(lambda: shop.told("RollguardProtectedChange"), "the page")
    told = shop.told("RollguardProtectedChange")
    assert told is not None
    assert "PersistentVolumeClaim data" in told["summary"]
    assert shop.cluster.get("PersistentVolumeClaim", shop.namespace, "data")


def test_an_unrelated_commit_between_survives(make_site: MakeSite) -> None:
    """Three applications in one repository: another's commit on top of the bad one stays, and is no sync of ours."""
    shop = make_site(checkout=plain("checkout"), cart=plain("cart"), search=plain("search"))
    shop.guard()
    bad = broken(shop)
    between = shop.push("two", "cart")
    shop.until(lambda: shop.live("cart") == "two", "the other's deployment")
    shop.until(lambda: shop.restored(between), "the restore")
    assert shop.live("cart") == "two"
    assert len(shop.commits_since(bad)) == 2
    shop.until(
        lambda: [each.get("revision") for each in shop.story()][:1] == [bad], "the story of the bad version alone"
    )


WAVES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: after, annotations: {argocd.argoproj.io/sync-wave: "1"}}
data: {version: "%s"}
"""


def test_a_sync_stuck_in_a_wave_is_ended(make_site: MakeSite) -> None:
    """Argo CD waits for pods that are never ready and would never look at the restore: its sync is ended."""

    def files(tag: str) -> dict[str, str | None]:
        return {"apps/checkout/app.yaml": deployment("checkout", image(tag)), "apps/checkout/after.yaml": WAVES % tag}

    shop = make_site(checkout=Layout("apps/checkout", files, "checkout"))
    shop.guard(onUnhealthy={"action": "Rollback", "deadline": "15s"})
    bad = broken(shop, "unready")
    shop.until(lambda: shop.restored(bad), "the restore")
    assert shop.said("stood in the way of the restore and was ended")


@pytest.mark.parametrize("allowed", [False, True])
def test_where_syncing_is_a_persons_job(make_site: MakeSite, allowed: bool) -> None:
    """Auto-sync is off: people are told, or where ``syncWhenManual`` allows it the restore is synced."""
    shop = make_site(checkout=plain("checkout", automated=False))
    shop.guard(landing={"syncWhenManual": allowed})
    bad = shop.push("bad")
    shop.sync_by_hand("checkout")
    shop.until(lambda: shop.live() == "bad", "the bad deployment")
    shop.until(lambda: shop.commits_since(bad), "the restore in Git")
    if allowed:
        shop.until(lambda: shop.live() == "one", "the old image live")
        assert shop.told("RollguardSyncBlocked") is None
    else:
        shop.until(lambda: shop.told("RollguardSyncBlocked"), "the page")
        told = shop.told("RollguardSyncBlocked")
        assert told is not None
        assert "auto-sync is off" in told["summary"]
        assert shop.live() == "bad"


def test_a_protected_branch_gets_a_pull_request(make_site: MakeSite) -> None:
    """The forge refuses the push: a pull request is opened, people are paged with its link, one merges it, all is well."""
    shop = make_site()
    shop.forge = True
    shop.guard()
    bad = shop.push("bad")
    shop.repository.protect()
    shop.until(lambda: [each for each in shop.repository.pull_requests() if each["labels"]], "the pull request")
    pull = shop.repository.pull_requests()[0]
    assert (pull["base"]["ref"], [each["name"] for each in pull["labels"]]) == ("main", ["rollguard"])
    assert pull["head"]["ref"].startswith("rollguard/restore-")
    assert "| `availability` |" in pull["body"]
    assert shop.repository.head() == bad
    shop.until(lambda: shop.told("RollguardPullRequestOpened"), "the page")
    told = shop.told("RollguardPullRequestOpened")
    assert told is not None
    assert told["links"]["pull_request"] == pull["html_url"]
    name = f"ann-{shop.namespace}"
    person = shop.gitea.create_user(name, "a-long-passw0rd")
    shop.repository.collaborator(name)
    path = f"{shop.repository.path}/pulls/{pull['number']}/merge"
    shop.gitea.request("POST", path, person, json={"Do": "squash"})
    shop.argocd.refresh(shop.application("checkout"))
    shop.until(lambda: shop.live() == "one", "the old image live")
    shop.until(lambda: shop.guarded()["phase"] == "Idle", "the recovery")
    shop.until(lambda: "Recovered" in [each.get("recovery") for each in shop.story()], "its story")
    assert len(shop.repository.pull_requests("all")) == 1


def test_a_pull_request_that_is_not_needed_any_more_is_closed(make_site: MakeSite) -> None:
    """A person reverts by hand instead of merging it: closed in the forge, with the reason, and its branch stays."""
    shop = make_site()
    shop.forge = True
    shop.guard(onBreach={"action": "PullRequest"})
    shop.push("bad")
    shop.until(shop.repository.pull_requests, "the pull request")
    pull = shop.repository.pull_requests()[0]
    shop.push("one", message="Revert by hand")
    shop.until(lambda: not shop.repository.pull_requests(), "its end")
    said = shop.gitea.request("GET", f"{shop.repository.path}/issues/{pull['number']}/comments")
    assert "Closed by Rollguard" in said[0]["body"]
    assert pull["head"]["ref"] in shop.branches()


def test_a_protected_branch_is_told_by_day(make_site: MakeSite) -> None:
    """No push was tried yet: the forge itself says that our user may not push."""
    shop = make_site()
    shop.forge = True
    shop.repository.protect()
    shop.guard()
    shop.until(lambda: shop.told("RollguardRollbackPathLost"), "the page")
    told = shop.told("RollguardRollbackPathLost")
    assert told is not None
    assert "The forge says that main is protected" in told["description"]


def test_a_protected_branch_without_a_forge_gets_an_offer(make_site: MakeSite) -> None:
    """The settings name no forge: the restore waits on a branch of its own, and people are paged."""
    shop = make_site()
    shop.guard()
    bad = shop.push("bad")
    shop.repository.protect()
    shop.until(lambda: any(each.startswith("rollguard/restore-") for each in shop.branches()), "the offer")
    assert shop.repository.head() == bad
    shop.until(lambda: shop.told("RollguardPullRequestOpened"), "the page")
