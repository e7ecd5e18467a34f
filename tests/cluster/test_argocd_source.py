"""What the Argo CD source tells of a real Argo CD, and what it asks of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.gitops.argocd.source import ArgoCDSource
from controller.adapters.kubernetes.client import Api
from controller.core.application import NO_BRANCH, GitSource, Revision
from controller.core.delivering import END_AGAIN
from controller.ports.gitops import SyncReport, SyncSourceUnavailable
from tests.cluster.argocd_site import FILE, IMAGE, PATH, RIGHTS, Site
from tests.cluster.local_repository import LocalRepository
from tests.cluster.manifests import deployment, image_of
from tests.cluster.shifted_clock import ShiftedClock
from tests.cluster.stack.argocd import NAMESPACE, ArgoCD
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.gitea import OWNER, Gitea
from tests.cluster.stack.processes import until
from tests.fakes.heard import Heard
from tests.servers.chart_repository import ChartRepository

CONFIG = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {annotations}}}\ndata: {{a: {data}}}\n"
)
NO_COMMIT = Revision("0" * 40)


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture(scope="module")
def api(argocd: ArgoCD, control_plane: ControlPlane) -> Api:
    """As a ServiceAccount that may do no more than the source needs."""
    control_plane.apply(RIGHTS)
    return Api.connect(control_plane.kubeconfig_for("rollguard", "controller"))


@pytest.fixture
def site(  # noqa: PLR0917  fixtures
    api: Api, argocd: ArgoCD, cluster: ControlPlane, namespace: str, tmp_path: Path, clock: ShiftedClock
) -> Iterator[Site]:
    source = ArgoCDSource(api, namespaces=[NAMESPACE], clock=clock)
    heard = Heard()
    source.discover()
    source.watch(heard)
    yield Site(namespace, cluster, argocd, LocalRepository(tmp_path / "manifests"), heard, source)
    source.stop()
    cluster.delete("Application", NAMESPACE, namespace, wait=False)


# --- deployments -------------------------------------------------------------------------------------------------


def test_what_is_live_is_told_at_first_sight(site: Site, api: Api, clock: ShiftedClock) -> None:
    """A source that starts beside a running Application finds it, and says what is live and that it is healthy."""
    commit = site.begin()
    later, heard = ArgoCDSource(api, namespaces=[NAMESPACE], clock=clock), Heard()
    try:
        found = {each.key: each for each in later.discover()}
        later.watch(heard)
        healthy = heard.await_report(site.key, "Healthy", commit)
    finally:
        later.stop()
    assert found[site.key].source == GitSource(site.repository.url, "main", (PATH,), (PATH,))
    assert found[site.key].destination == site.name
    assert not found[site.key].not_revertible
    assert healthy.at == site.heard.await_report(site.key, "Healthy", commit).at


def test_a_new_revision_is_started_and_then_healthy(site: Site) -> None:
    """A commit is told Started when its operation begins, and Healthy after its pods are ready."""
    first = site.begin()
    second = site.push("two")
    healthy = site.heard.await_report(site.key, "Healthy", second)
    started = site.heard.await_report(site.key, "Started", second)
    assert site.story() == [("Started", first), ("Healthy", first), ("Started", second), ("Healthy", second)]
    assert started.at <= healthy.at
    assert site.cluster.get("Deployment", site.name, "checkout")["status"]["readyReplicas"] == 2


@pytest.mark.parametrize("tag", ["unready", "crashing"])
def test_a_version_that_never_gets_ready_is_never_healthy(site: Site, tag: str) -> None:
    """Argo CD says Succeeded as soon as it has applied; Healthy is not told before the pods are ready."""
    first = site.begin()
    bad = site.push(tag, deadline=1)
    site.await_status(lambda status: _is_over(status, bad) and status["health"]["status"] == "Degraded")
    third = site.push("three")
    site.heard.await_report(site.key, "Healthy", third)
    assert site.story()[2:] == [("Started", bad), ("Started", third), ("Healthy", third)]
    assert first != bad


def test_a_sync_that_fails_is_told_with_the_reason(site: Site) -> None:
    """What the API server refuses is Failed, with its words, once no retry is pending."""
    site.begin(syncPolicy={"automated": {}, "retry": {"limit": 0}})
    bad = site.commit({f"{PATH}/config.yaml": _config("Not_A_Name")})
    failed = site.heard.await_report(site.key, "Failed", bad)
    assert "Not_A_Name" in failed.message


def test_a_revert_of_what_was_never_applied_is_what_runs(site: Site) -> None:
    """After a sync that applied nothing Argo CD needs no sync for the revert: it is told healthy all the same."""
    site.begin(syncPolicy={"automated": {}, "retry": {"limit": 0}})
    bad = site.commit({f"{PATH}/config.yaml": _config("Not_A_Name")})
    site.heard.await_report(site.key, "Failed", bad)
    revert = site.repository.revert()
    site.argocd.refresh(site.name)
    assert site.heard.await_report(site.key, "Healthy", revert).only
    assert site.story()[-1] == ("Healthy", revert)


def test_a_failed_sync_that_is_tried_again_is_in_the_way(site: Site) -> None:
    """While Argo CD retries nothing is Failed; it is told that the operation is tried again."""
    retry = {"limit": 5, "backoff": {"duration": "1h"}}
    site.begin(syncPolicy={"automated": {}, "retry": retry})
    bad = site.commit({f"{PATH}/config.yaml": _config("Not_A_Name")})
    told = site.heard.await_delivery(site.key, lambda each: each.operation is not None and each.operation.retrying)
    assert told.operation is not None
    assert told.operation.revision == bad
    assert ("Failed", bad) not in site.story()
    _end(site, bad)


def _end(site: Site, revision: str) -> None:
    """End a sync as the guard does: again where it still runs, since Argo CD may write its own state over the end of it."""
    assert site.source.terminate(site.key, Revision(revision))
    for _ in range(5):
        try:
            site.heard.await_report(site.key, "Failed", revision, END_AGAIN)
        except TimeoutError:
            site.source.terminate(site.key, Revision(revision))
        else:
            return
    site.heard.await_report(site.key, "Failed", revision)


def _is_over(status: dict, revision: str) -> bool:
    state = status["operationState"]
    return state["phase"] == "Succeeded" and state["syncResult"]["revision"] == revision


def _config(name: str, annotations: str = "{}", data: str = "b") -> str:
    return CONFIG.format(name=name, annotations=annotations, data=data)


# --- what is no deployment ---------------------------------------------------------------------------------------


def test_a_self_heal_is_silent(site: Site) -> None:
    """What Argo CD puts back by itself is no deployment, and no drift either."""
    first = site.begin(self_heal=True)
    site.cluster.patch("Deployment", site.name, "checkout", {"spec": {"replicas": 5}})
    site.await_status(
        lambda status: (
            status["operationState"]["operation"]["sync"]["autoHealAttemptsCount"] > 0
            and status["operationState"]["phase"] == "Succeeded"
        )
    )
    _assert_only_the_next_is_told(site, first)
    assert not site.heard.await_delivery(site.key, lambda each: each.operation is None).drift


@pytest.mark.parametrize(
    "sync",
    [
        {},
        {"dryRun": True},
        {"resources": [{"group": "apps", "kind": "Deployment", "name": "checkout"}]},
    ],
    ids=["resync", "dry run", "partial"],
)
def test_a_persons_sync_that_deploys_nothing_new_is_silent(site: Site, sync: dict) -> None:
    """A manual sync of the same revision, a dry run and a sync of some resources are no deployments."""
    first = site.begin()
    site.operate(**sync)
    _assert_only_the_next_is_told(site, first)


def test_a_dry_run_of_a_new_revision_is_silent(site: Site) -> None:
    """What a dry run of a commit would do is not done: only its own sync is told."""
    first = site.push("one")
    site.deploy(automated=False)
    site.operate()
    site.heard.await_report(site.key, "Healthy", first)
    second = site.push("two")
    site.operate(dryRun=True)
    site.operate()
    healthy = site.heard.await_report(site.key, "Healthy", second)
    started = site.heard.await_report(site.key, "Started", second)
    assert site.story() == [("Started", first), ("Healthy", first), ("Started", second), ("Healthy", second)]
    assert started.at == site.started_at()
    assert healthy.at >= started.at


def test_an_unrelated_commit_is_silent(site: Site) -> None:
    """In a repository of many applications a commit elsewhere moves what is compared, and deploys nothing."""
    first = site.begin()
    elsewhere = site.commit({"apps/cart/app.yaml": deployment("cart", f"{IMAGE}:one")})
    site.await_status(lambda status: status["sync"] == status["sync"] | {"status": "Synced", "revision": elsewhere})
    _assert_only_the_next_is_told(site, first)


def _assert_only_the_next_is_told(site: Site, first: str) -> None:
    """Deploy another version: what would have been told before must have come before it."""
    following = site.push("next")
    site.heard.await_report(site.key, "Healthy", following)
    told = [("Started", first), ("Healthy", first), ("Started", following), ("Healthy", following)]
    assert site.story() == told


def test_a_persons_rollback_is_a_deployment_of_what_was(site: Site) -> None:
    """Where auto-sync is off, going back in Argo CD's history is told as a deployment of the older commit."""
    first = site.push("one")
    site.deploy(automated=False)
    site.operate()
    site.heard.await_report(site.key, "Healthy", first)
    second = site.push("two")
    site.operate()
    site.heard.await_report(site.key, "Healthy", second)
    source = {"repoURL": site.repository.url, "path": PATH, "targetRevision": "main"}
    site.operate(revision=first, source=source)
    site.heard.await_story(site.key, lambda story: story[-2:] == [("Started", first), ("Healthy", first)])
    assert len(site.story()) == 6
    assert image_of(site.cluster.get("Deployment", site.name, "checkout")) == f"{IMAGE}:one"


def test_an_application_that_is_made_anew_is_told_anew(site: Site) -> None:
    """Over objects that are there already Argo CD syncs nothing: what is live is what it was compared with."""
    commit = site.begin()
    site.cluster.delete("Application", NAMESPACE, site.name)
    site.heard.await_gone(site.key)
    site.deploy()
    site.heard.await_story(site.key, lambda story: story[2:] == [("Healthy", commit)])
    second = site.push("two")
    site.heard.await_report(site.key, "Healthy", second)
    assert site.story()[2:] == [("Healthy", commit), ("Started", second), ("Healthy", second)]


# --- kinds of sources --------------------------------------------------------------------------------------------


def test_a_helm_chart_with_values_beside_it(site: Site) -> None:
    """A chart's value files belong to the Application, wherever in the repository they are."""
    site.repository.commit(_chart("chart", "{{ .Values.tag }}") | {"env/values.yaml": "tag: one\n"})
    helm = {"valueFiles": ["/env/values.yaml"]}
    site.deploy(source={"repoURL": site.repository.url, "path": "chart", "targetRevision": "main", "helm": helm})
    site.heard.await_report(site.key, "Healthy", site.repository.head())
    second = site.commit({"env/values.yaml": "tag: two\n"})
    site.heard.await_report(site.key, "Healthy", second)
    assert site.heard.await_application(site.key).source.paths == ("chart", "env/values.yaml")
    assert image_of(site.cluster.get("Deployment", site.name, "checkout")) == f"{IMAGE}:two"


def test_a_chart_of_a_registry_is_told_by_its_version(site: Site) -> None:
    """No Git has it: a revision is its version with the values in the Application; going back is the same content."""
    image = f"{IMAGE}:{{{{ .Values.tag }}}}"
    with ChartRepository() as charts:
        for version, replicas in (("1.0.0", 1), ("1.1.0", 2)):
            template = {"templates/app.yaml": deployment("checkout", image, replicas=replicas)}
            charts.publish("checkout", version, template)

        def declared(version: str, tag: str) -> dict[str, object]:
            helm = {"values": f"tag: {tag}\n"}
            return {"repoURL": charts.url, "chart": "checkout", "targetRevision": version, "helm": helm}

        def change(version: str, tag: str) -> SyncReport:
            told = len(site.heard.reports(site.key))
            body = {"spec": {"source": declared(version, tag)}}
            site.cluster.patch("Application", NAMESPACE, site.name, body)
            return healthy(told)

        def healthy(told: int) -> SyncReport:
            until(lambda: site.story()[told:] and site.story()[-1][0] == "Healthy", "the report")
            return site.heard.reports(site.key)[-1]

        site.deploy(source=declared("1.0.*", "one"))
        reports = [healthy(0), change("1.1.0", "one"), change("1.1.0", "two"), change("1.0.*", "one")]
    assert [each.revision.partition("@")[0] for each in reports] == ["1.0.0", "1.1.0", "1.1.0", "1.0.0"]
    assert len({each.revision for each in reports}) == 3
    assert reports[0].content == reports[3].content
    assert len({each.content for each in reports}) == 3
    assert [phase for phase, _ in site.story()] == ["Started", "Healthy"] * 4
    found = site.heard.await_application(site.key)
    assert found.source == GitSource(charts.url, NO_BRANCH, ())
    assert "Set targetRevision to the last good version" in found.not_revertible


def test_several_sources_of_which_one_moves(site: Site, tmp_path: Path) -> None:
    """A chart that is pinned, with its values on a branch: the branch is guarded, and its commit is told."""
    charts = LocalRepository(tmp_path / "charts")
    charts.commit(_chart("chart", "{{ .Values.tag }}"))
    charts.tag("v1.0.0")
    first = site.repository.commit({"env/values.yaml": "tag: one\n"})
    helm = {"valueFiles": ["$values/env/values.yaml"]}
    sources = [
        {"repoURL": charts.url, "path": "chart", "targetRevision": "v1.0.0", "helm": helm},
        {"repoURL": site.repository.url, "targetRevision": "main", "ref": "values"},
    ]
    site.deploy(source=None, sources=sources)
    site.heard.await_report(site.key, "Healthy", first)
    second = site.commit({"env/values.yaml": "tag: two\n"})
    site.heard.await_report(site.key, "Healthy", second)
    found = site.heard.await_application(site.key)
    assert found.source == GitSource(site.repository.url, "main", ("env/values.yaml",), ("env/values.yaml",))
    assert not found.not_revertible
    assert site.story() == [("Started", first), ("Healthy", first), ("Started", second), ("Healthy", second)]


def test_a_kustomize_overlay(site: Site) -> None:
    """A change of an overlay is a deployment; the overlay is what the Application names."""
    overlay = "resources: [../../base]\nimages: [{{name: {image}, newTag: {tag}}}]\n"
    files = {
        "base/kustomization.yaml": "resources: [app.yaml]\n",
        "base/app.yaml": deployment("checkout", f"{IMAGE}:base"),
        "overlays/shop/kustomization.yaml": overlay.format(image=IMAGE, tag="one"),
    }
    first = site.repository.commit(files)
    site.deploy("overlays/shop")
    site.heard.await_report(site.key, "Healthy", first)
    second = site.commit({"overlays/shop/kustomization.yaml": overlay.format(image=IMAGE, tag="two")})
    site.heard.await_report(site.key, "Healthy", second)
    assert site.heard.await_application(site.key).source.declared == ("overlays/shop",)
    assert site.story()[-2:] == [("Started", second), ("Healthy", second)]


def test_a_pinned_application_says_what_to_do(site: Site) -> None:
    """Nothing on a branch brings a pinned version back: found, told, with the step that a person takes."""
    first = site.push("one")
    site.repository.tag("v1.0.0")
    site.deploy(revision="v1.0.0")
    site.heard.await_report(site.key, "Healthy", first)
    sentence = site.heard.await_application(site.key).not_revertible
    assert sentence.startswith("It is pinned: its targetRevision is v1.0.0")
    assert f"Set it to the last good version in the Application {NAMESPACE}/{site.name}" in sentence


def test_of_rendered_manifests_the_commit_they_were_made_of_is_told(
    site: Site, gitea: Gitea, repository: Repository
) -> None:
    """Argo CD deploys what it rendered into a branch of its own; what people committed is what is told and restored."""
    site.argocd.start_commit_server()
    for write in (False, True):
        name = f"repository-{site.name}-{write}".lower()
        site.argocd.repository(name, repository.url, OWNER, gitea.token, write=write)
    hydrator = {
        "drySource": {"repoURL": repository.url, "path": PATH, "targetRevision": "main"},
        "syncSource": {"targetBranch": "environments/test", "path": "checkout"},
    }
    first = repository.head()
    site.deploy(source=None, sourceHydrator=hydrator)
    site.heard.await_report(site.key, "Healthy", first, 90.0)
    second = repository.commit({FILE: deployment("checkout", f"{IMAGE}:two")})
    site.argocd.refresh(site.name)
    site.heard.await_report(site.key, "Healthy", second, 90.0)
    assert site.heard.await_application(site.key).source == GitSource(repository.url, "main", (PATH,), (PATH,))
    assert site.story() == [("Started", first), ("Healthy", first), ("Started", second), ("Healthy", second)]
    assert second != repository.head("environments/test")


def test_what_an_application_set_generates_is_restored_like_any_other(site: Site) -> None:
    """It is found with its branch; a refresh of it lasts, since its annotation is not overwritten."""
    site.argocd.start_applicationset_controller()
    first = site.push("one")
    site.cluster.apply(_SET.format(name=site.name, url=site.repository.url, path=PATH))
    site.heard.await_report(site.key, "Healthy", first)
    assert not site.heard.await_application(site.key).not_revertible
    second = site.repository.commit({FILE: deployment("checkout", f"{IMAGE}:two")})
    site.source.refresh(site.key)
    site.heard.await_report(site.key, "Healthy", second)
    site.cluster.delete("ApplicationSet", NAMESPACE, site.name)


_SET = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {{name: {name}, namespace: argocd}}
spec:
  goTemplate: true
  generators: [{{list: {{elements: [{{app: checkout}}]}}}}]
  template:
    metadata: {{name: "{name}"}}
    spec:
      project: default
      source: {{repoURL: "{url}", path: "{path}", targetRevision: main}}
      destination: {{server: "https://kubernetes.default.svc", namespace: {name}}}
      syncPolicy: {{automated: {{}}}}
"""


def _chart(folder: str, tag: str) -> dict[str, str | None]:
    return {
        f"{folder}/Chart.yaml": "apiVersion: v2\nname: checkout\nversion: 1.0.0\n",
        f"{folder}/templates/app.yaml": deployment("checkout", f"{IMAGE}:{tag}"),
    }


# --- making a restore land ---------------------------------------------------------------------------------------


def test_a_refresh_makes_it_look_at_git(site: Site) -> None:
    """A commit is deployed as soon as the source asks, long before Argo CD looks by itself."""
    site.begin()
    commit = site.repository.commit({FILE: deployment("checkout", f"{IMAGE}:two")})
    site.source.refresh(site.key)
    site.heard.await_report(site.key, "Healthy", commit)


def test_a_sync_stuck_in_a_wave_is_ended(site: Site) -> None:
    """An operation that waits for what never becomes healthy is told, ended, and the next commit is deployed."""
    site.begin()
    stuck = site.commit({FILE: _in_wave("unready"), f"{PATH}/later.yaml": _in_a_later_wave()})
    told = site.heard.await_delivery(
        site.key, lambda each: each.operation is not None and "waiting for healthy state" in each.operation.message
    )
    assert told.operation is not None
    assert (told.operation.revision, told.operation.retrying, told.operation.held_by_person) == (stuck, False, False)
    assert not site.source.terminate(site.key, NO_COMMIT)
    _end(site, stuck)
    fixed = site.push("fixed")
    site.heard.await_report(site.key, "Healthy", fixed)
    assert not site.source.terminate(site.key, Revision(fixed))


def test_a_hook_that_never_ends_is_ended_and_its_revert_is_what_runs(site: Site) -> None:
    """A migration before the sync hangs: nothing of the commit is live, so Argo CD needs no sync for the revert."""
    site.begin()
    stuck = site.commit({FILE: deployment("checkout", f"{IMAGE}:two"), f"{PATH}/migration.yaml": _MIGRATION})
    site.heard.await_delivery(
        site.key,
        lambda each: each.operation is not None and "waiting for completion of hook" in each.operation.message,
    )
    _end(site, stuck)
    revert = site.repository.revert()
    site.source.refresh(site.key)
    assert site.heard.await_report(site.key, "Healthy", revert).only
    assert site.story()[2:] == [("Started", stuck), ("Failed", stuck), ("Healthy", revert)]
    assert image_of(site.cluster.get("Deployment", site.name, "checkout")) == f"{IMAGE}:one"


_MIGRATION = deployment("migration", f"{IMAGE}:unready").replace(
    "{name: migration}", "{name: migration, annotations: {argocd.argoproj.io/hook: PreSync}}", 1
)  # no Job: kwok's end by themselves


def test_a_sync_that_waits_for_a_person_is_never_ended(site: Site) -> None:
    """A prune that asks for confirmation is a person's to confirm."""
    asks = '{argocd.argoproj.io/sync-options: "Prune=confirm"}'
    site.repository.commit({f"{PATH}/config.yaml": _config("precious", asks)})
    site.begin()
    commit = site.commit({f"{PATH}/config.yaml": None})
    told = site.heard.await_delivery(
        site.key, lambda each: each.operation is not None and each.operation.held_by_person
    )
    assert told.operation is not None
    assert "precious" in told.operation.message
    assert not site.source.terminate(site.key, Revision(commit))


def test_a_sync_is_asked_for_where_auto_sync_is_off(site: Site) -> None:
    """The branch is deployed by an operation that says who asked and why; it is told that auto-sync is off."""
    commit = site.push("one")
    site.deploy(automated=False, syncPolicy={"syncOptions": ["ApplyOutOfSyncOnly=true"]})
    assert not site.heard.await_delivery(site.key, lambda _: True).automated
    assert site.source.sync(site.key, Revision(commit), "the restore is in Git")
    site.heard.await_report(site.key, "Healthy", commit)
    operation = site.argocd.get(site.name)["status"]["operationState"]["operation"]
    assert operation["initiatedBy"] == {"username": "rollguard"}
    assert {"name": "Rollguard", "value": "the restore is in Git"} in operation["info"]
    assert operation["sync"]["syncOptions"] == ["ApplyOutOfSyncOnly=true"]


def test_no_sync_is_asked_for_while_one_is_under_way(site: Site) -> None:
    """Another operation is never overwritten."""
    site.begin()
    stuck = site.commit({FILE: _in_wave("unready"), f"{PATH}/later.yaml": _in_a_later_wave()})
    site.heard.await_delivery(site.key, lambda each: each.operation is not None)
    assert not site.source.sync(site.key, Revision(stuck), "again")
    assert site.argocd.get(site.name)["operation"]["initiatedBy"] == {"automated": True}


def test_a_deny_window_blocks(site: Site) -> None:
    """While a deny window is open a commit is not deployed, which is told, and no sync can be asked for."""
    project = f"project-{site.name}"
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    site.argocd.project(project, clusterResourceWhitelist=[{"group": "*", "kind": "*"}])
    first = site.begin(project=project)
    site.cluster.patch("AppProject", NAMESPACE, project, {"spec": {"syncWindows": [window]}})
    told = site.heard.await_delivery(site.key, lambda each: each.blocked)
    assert told.blocked == f"a deny window of the project {project} is open"
    second = site.push("two")
    site.await_status(lambda status: status["sync"] == status["sync"] | {"status": "OutOfSync", "revision": second})
    with pytest.raises(SyncSourceUnavailable, match="deny window"):
        site.source.sync(site.key, Revision(second), "now")
    assert site.story() == [("Started", first), ("Healthy", first)]
    site.cluster.patch("AppProject", NAMESPACE, project, {"spec": {"syncWindows": None}})
    site.heard.await_delivery(site.key, lambda each: not each.blocked)
    site.source.refresh(site.key)
    site.heard.await_report(site.key, "Healthy", second)


def test_drift_is_told_once_it_lasts(site: Site, clock: ShiftedClock) -> None:
    """What somebody changed in the cluster is told with its name, and is over when it is synced back."""
    commit = site.begin()
    site.cluster.patch("Deployment", site.name, "checkout", {"spec": {"replicas": 5}})
    site.await_status(lambda status: status["sync"]["status"] == "OutOfSync")
    until(lambda: clock.shift(10.0) or site.heard.last_delivery(site.key).drift, "drift")
    told = site.heard.last_delivery(site.key)
    assert told.drift == (f"Deployment {site.name}/checkout",)
    assert site.source.sync(site.key, Revision(commit), "live objects differ from Git")
    site.heard.await_delivery(site.key, lambda each: not each.drift and each.operation is None)
    assert site.story()[-1] == ("Healthy", commit)


def _in_wave(tag: str) -> str:
    return deployment("checkout", f"{IMAGE}:{tag}")


def _in_a_later_wave() -> str:
    return _config("later", '{argocd.argoproj.io/sync-wave: "1"}')
