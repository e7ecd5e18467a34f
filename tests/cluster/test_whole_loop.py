"""The whole loop beside a real Argo CD: a bad commit is deployed, found, reverted in Git, and deployed again."""

import time

from tests.cluster.conftest import MakeSite


def test_a_bad_commit_is_reverted_in_git_and_the_service_recovers(make_site: MakeSite) -> None:
    """From a bad push to recovery: found by Prometheus, reverted in Git, brought back by Argo CD, told in the cluster."""
    shop = make_site()
    shop.guard()
    bad = shop.push("bad")
    shop.until(lambda: shop.live() == "bad", "the bad deployment")
    shop.until(lambda: shop.guarded().get("phase") == "RollingBack" or shop.repository.head() != bad, "the verdict")
    verdict = time.monotonic()
    shop.until(lambda: shop.repository.head() != bad, "the restore in Git")
    pushed = time.monotonic()
    shop.until(lambda: shop.live() == "one", "the old image live")
    live = time.monotonic()
    shop.until(lambda: shop.story()[-1].get("recovery") == "Recovered", "the recovery")
    recovered = time.monotonic()
    assert [each.get("recovery") or each.get("verdict") for each in shop.story()] == ["Breached", "Recovered"]
    shop.until(lambda: shop.guarded()["phase"] == "Idle", "the end")
    assert shop.alerts().count("RollguardRolledBack") == 1
    story = shop.story()[0]
    assert story["restore"]["commit"] == shop.repository.head()
    assert story["objectives"][0]["name"] == "availability"
    events = shop.cluster.api.list("Event.events.k8s.io", shop.namespace)
    assert {"RolledBack", "RolledBackOver"} <= {each["reason"] for each in events}
    policy = shop.cluster.get("SLOPolicy", shop.namespace, shop.application("checkout"))
    ready = {each["type"]: each["status"] for each in policy["status"]["conditions"]}
    assert ready == {"Ready": "True", "Conflict": "False", "RollbackPath": "True"}
    print(  # noqa: T201  the figures of one run, for whoever reads its output
        f"\nverdict to push {pushed - verdict:.1f} s, push to old image live {live - pushed:.1f} s, "
        f"push to recovered {recovered - pushed:.1f} s"
    )
