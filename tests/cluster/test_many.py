"""Two hundred Applications beside a real Argo CD, of which one breaks."""

import pytest

from tests.cluster.conftest import MakeSite
from tests.cluster.manifests import deployment
from tests.cluster.site import Layout, image, policy

MANY = 200
BROKEN = "s77"


def small(name: str) -> Layout:
    """One pod in a folder of its own."""
    path = f"apps/{name}"
    return Layout(path, lambda tag: {f"{path}/app.yaml": deployment(name, image(tag), replicas=1)}, name)


@pytest.mark.timeout(900)
def test_of_two_hundred_applications_the_one_that_breaks_is_restored(make_site: MakeSite) -> None:
    """One policy guards all by a label: one is found, restored and told of; nothing is said or done of the others."""
    shop = make_site(**{name: small(name) for name in (f"s{number}" for number in range(MANY))})
    for name in shop.layouts:
        labels = {"metadata": {"labels": {"team": shop.namespace}}}
        shop.cluster.patch("Application", "argocd", shop.application(name), labels)
    chosen = {"selector": {"matchLabels": {"team": shop.namespace}}}
    declared = policy(shop.namespace, "all", "{{application}}")
    declared["spec"]["application"] = chosen
    shop.cluster.apply(declared)
    shop.start()

    def adopted() -> int:
        found = shop.cluster.api.list("GuardedApplication", shop.own)
        return sum(bool(each.get("status", {}).get("lastGood")) for each in found)

    shop.until(lambda: adopted() == MANY, "adoption of all", 180.0)
    bad = shop.repository.commit(shop.layouts[BROKEN].files("bad"), "Deploy bad")
    shop.argocd.refresh(shop.application(BROKEN))
    shop.until(lambda: shop.live(BROKEN) == "bad", "the bad deployment")
    shop.until(lambda: shop.restored(bad, BROKEN), "the restore")
    shop.until(lambda: shop.story(BROKEN)[-1].get("recovery") == "Recovered", "the recovery")
    assert len(shop.commits_since(bad)) == 1
    assert [each["status"].get("verdict") for each in shop.cluster.api.list("SyncAnalysis", shop.namespace)].count(
        "Breached"
    ) == 1
    assert set(shop.alerts()) == {"RollguardRolledBack"}
