"""What fails while a restore is under way, beside a real API server and a real Argo CD."""

import signal

from tests.cluster.conftest import MakeSite


def test_a_leader_that_is_killed_after_its_push_leaves_one_restore(make_site: MakeSite) -> None:
    """The push was taken and nothing written down: the standby finds it in the branch, adds none, and goes on."""
    shop = make_site()
    shop.declare()
    first = shop.start("tests.loop.killed_controller", ROLLGUARD_KILL_AT="push-after")
    shop.until(shop.adopted, "adoption")
    shop.start()
    shop.until(lambda: shop.said("standing by"), "the standby")
    bad = shop.push("bad")
    assert shop.until(lambda: first.poll() is not None, "the leader's death")
    assert first.returncode == -signal.SIGKILL
    shop.until(lambda: shop.live() == "one", "the old image live")
    shop.until(lambda: shop.story()[-1].get("recovery") == "Recovered", "the recovery")
    assert len(shop.commits_since(bad)) == 1
    assert shop.alerts().count("RollguardRolledBack") == 1


def test_a_leader_that_was_frozen_pushes_no_more(make_site: MakeSite) -> None:
    """Frozen past its Lease, awake again: another has acted, it has ended itself, and there is one restore."""
    shop = make_site()
    shop.declare()
    first = shop.start()
    shop.until(shop.adopted, "adoption")
    second = shop.start()
    shop.until(lambda: shop.said("standing by"), "the standby")
    first.send_signal(signal.SIGSTOP)
    bad = shop.push("bad")
    shop.until(lambda: shop.commits_since(bad), "the successor's restore")
    first.send_signal(signal.SIGCONT)
    assert shop.until(lambda: first.poll() is not None, "the end of the old leader")
    assert first.returncode == 3
    shop.until(lambda: shop.live() == "one", "the old image live")
    assert second.poll() is None
    assert len(shop.commits_since(bad)) == 1


def test_an_api_server_that_comes_and_goes_makes_no_second_analysis(make_site: MakeSite) -> None:
    """Restarted again and again during an analysis: every watch is cut each time, and one restore comes of it."""
    shop = make_site()
    shop.lease = "30s"  # longer than the API server takes to start
    shop.guard()
    bad = shop.push("bad")
    shop.until(lambda: shop.live() == "bad", "the bad deployment")
    for _ in range(3):
        shop.cluster.restart_api_server()
    shop.until(lambda: shop.restored(bad), "the restore")
    assert len(shop.commits_since(bad)) == 1
    # Whether it recovers is not asked here: the cluster itself hears late of what is deployed after such restarts.
    told = "one analysis of a deployment, and its verdict"
    shop.until(
        lambda: [e.get("verdict") for e in shop.story() if e.get("kind") == "Deployment"] == ["Breached"], told
    )
