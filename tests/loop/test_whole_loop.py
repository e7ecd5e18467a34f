"""The whole loop on real Git and a real Prometheus: deployed, found, reverted in Git, deployed again, recovered."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.store import SqliteStore
from controller.core.recovery import RecoveryKind
from controller.core.state import Standing, load_record
from controller.core.verdict import VerdictKind
from tests.loop.site import Site, manifest, until, write_yaml
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.git import HttpGit, SshServer, run_git
from tests.servers.prometheus import PrometheusServer


def deployed(site: Site, version: str, name: str = "checkout") -> bool:
    """Whether a version is what the shop runs."""
    file = site.shops[name].deployed
    return file.exists() and f"version: {version}\n" in file.read_text()


def recovered(site: Site, name: str = "checkout") -> bool:
    """Whether the story of an application is over."""
    rollout = site.rollout(name)
    return rollout.analysis is None and rollout.rollback is None


def test_a_bad_commit_is_found_and_reverted_in_git(site: Site, tmp_path: Path) -> None:
    """A bad commit is deployed, found, reverted once, deployed again, the service recovers, and the history tells it."""
    with AlertmanagerServer(tmp_path) as alertmanager:
        site.extra = {"alertSinks": {"on-call": {"alertmanager": {"url": alertmanager.url}}}}
        site.start()
        good, bad = site.remote.head(), site.commit("two", 0.3)
        until(site.restores, "restore")
        until(
            lambda: any(each["labels"]["alertname"] == "RollguardRolledBack" for each in alertmanager.alerts()),
            "alert",
        )
        until(lambda: deployed(site, "one"), "redeployment")
        until(lambda: recovered(site), "recovery")
        until(lambda: alertmanager.alerts() == [], "resolution")
    assert len(site.restores()) == 1
    said = run_git("log", "-1", "--format=%B", "main", cwd=site.remote.folder).decode()
    assert re.match(r"Roll back checkout to [0-9a-f]{7}: availability \d\d(\.\d)? % against 99 %\n\n", said), said
    for trailer in (
        f"Rollguard-Rollback-Of: {bad}",
        f"Rollguard-Restores: {good}",
        "Rollguard-Analysis: shop/checkout/",
    ):
        assert f"\n{trailer}" in said
    site.stop()
    store = SqliteStore(site.folder / "state" / "state.db", create=False)
    records = [load_record(each.body) for each in store.analyses()]
    store.close()
    assert [each.analysis.recovery for each in records] == [RecoveryKind.RECOVERED, None]
    assert records[1].analysis.verdict is VerdictKind.BREACHED


def test_a_good_commit_is_verified_and_git_is_left_alone(site: Site) -> None:
    """A healthy version passes at its deadline and becomes the next target; the branch has only the people's commits."""
    site.start()
    good = site.commit("two")
    until(lambda: recovered(site) and site.rollout().good.revision == good, "verdict")  # type: ignore[union-attr]
    assert site.rollout().good.standing is Standing.VERIFIED  # type: ignore[union-attr]
    assert site.remote.head() == good
    assert site.rollout().alerts == ()


def test_a_later_change_elsewhere_survives(site: Site) -> None:
    """The restore takes back the application's files only, not what somebody pushed elsewhere meanwhile."""
    site.start()
    site.commit("two", 0.3)
    until(lambda: deployed(site, "two"), "deployment")
    site.remote.commit({"docs/note.md": "a note\n"}, "Notes")
    until(site.restores, "restore")
    files = site.remote.files()
    assert files["docs/note.md"] == b"a note\n"
    assert b"version: one" in files["apps/checkout/app.yaml"]


def test_a_bad_one_among_many_is_the_only_one_restored(make_site: Callable[..., Site]) -> None:
    """Four applications in one repository deploy at once; one is bad, and only that one goes back."""
    names = ("checkout", "cart", "search", "mail")
    site = make_site(*names).start()
    for name in names:
        site.commit("two", 0.3 if name == "search" else 0.001, name=name)
    until(lambda: site.restores("search"), "restore")
    until(lambda: all(recovered(site, name) for name in names), "verdicts")
    assert [len(site.restores(name)) for name in names] == [0, 0, 1, 0]
    assert all(deployed(site, "two", name) for name in names if name != "search")


@pytest.mark.parametrize("way", ["ssh", "http"])
def test_the_restore_is_pushed_over_the_network(make_site: Callable[..., Site], tmp_path: Path, way: str) -> None:
    """The same loop over SSH with a key, and over HTTP with a token from a file; neither is in any log."""
    site = make_site()
    server: Any
    if way == "ssh":
        server = SshServer(tmp_path / "ssh")
        site.url = server.url(site.remote)
        credentials = {"sshKeyFile": str(server.key), "knownHostsFile": str(server.known_hosts)}
    else:
        server = HttpGit(tmp_path)
        site.url = server.url(site.remote)
        run_git("config", "http.receivepack", "true", cwd=site.remote.folder)
        token = tmp_path / "token"
        token.write_text(server.token)
        credentials = {"tokenFile": str(token)}
    site.extra = {"repositories": [{"url": site.url, "credentials": credentials}]}
    try:
        site.start()
        site.commit("two", 0.3)
        until(site.restores, "restore")
        until(lambda: deployed(site, "one"), "redeployment")
        site.stop()
    finally:
        server.close()


def test_a_pull_request_policy_offers_a_branch(site: Site) -> None:
    """With action PullRequest main stays as it is, and the branch of ours merges cleanly."""
    site.declare("checkout", onBreach={"action": "PullRequest"})
    site.start()
    bad = site.commit("two", 0.3)
    listed = lambda: run_git("branch", "--list", "rollguard/*", cwd=site.remote.folder).decode().split()  # noqa: E731
    branch = until(listed, "offer")[0]
    assert site.remote.head() == bad
    site.remote.move("main", site.remote.head(branch))
    until(lambda: deployed(site, "one"), "redeployment")
    until(lambda: recovered(site), "recovery")
    assert site.rollout().alerts == ()


def test_a_broken_policy_among_others_stops_only_itself(make_site: Callable[..., Site]) -> None:
    """One policy has a typo: its application is not guarded and people are told; the other one is restored."""
    site = make_site("checkout", "cart")
    good = site.policies / "cart.yaml"
    write_yaml(
        site.policies / "broken.yaml", {"apiVersion": "rollguard.dev/v1alpha1", "kind": "SLOPolicy", "spec": {}}
    )
    good.write_text(good.read_text().replace("objectives", "objektives"))
    site.start()
    assert site.rollout("cart").policy is None
    site.commit("two", 0.3)
    until(site.restores, "restore")


def test_a_breach_that_goes_on_is_not_cascaded(site: Site) -> None:
    """The restored version breaks too: critical alert, and no second restore."""
    site.start()
    shop = site.shops["checkout"]
    site.commit("two", 0.3)
    until(lambda: deployed(site, "two"), "deployment")
    shop.share = lambda: 0.3  # type: ignore[method-assign]
    until(site.restores, "restore")
    names = lambda: {each.name.value for each in site.rollout().alerts}  # noqa: E731
    until(lambda: "RollguardRollbackIneffective" in names(), "ineffective")
    assert len(site.restores()) == 1


def test_metrics_down_and_back_finds_what_happened_meanwhile(site: Site, prometheus: PrometheusServer) -> None:
    """Prometheus hangs during the deployment: nothing is pushed; once it answers again the breach is found."""
    site.declare("checkout", analysis={"window": "2m"})
    site.start()
    site.commit("two", 0.3)
    until(lambda: site.rollout().analysis is not None and site.rollout().analysis.reference, "reference")  # type: ignore[union-attr]
    prometheus.pause()
    try:
        head = site.remote.head()
        until(lambda: site.rollout().analysis.ticks and site.rollout().analysis.ticks[0].missing.any(), "failed tick")  # type: ignore[union-attr]
        assert site.remote.head() == head
    finally:
        prometheus.resume()
    until(site.restores, "restore")


def test_a_manifest_that_would_remove_a_volume_claim_is_offered_not_pushed(site: Site) -> None:
    """The bad commit added a PersistentVolumeClaim: restoring would prune it, so a person must."""
    site.start()
    claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n"
    bad = site.remote.commit(
        {"apps/checkout/app.yaml": manifest("two", 0.3), "apps/checkout/claim.yaml": claim},
        "Deploy two with a volume",
    )
    until(lambda: any(each.name.value == "RollguardProtectedChange" for each in site.rollout().alerts), "page")
    assert site.remote.head() == bad
