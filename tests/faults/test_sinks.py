"""A sink that hangs: the loop does not wait for it, and what it was to be told is delivered later."""

import json
from pathlib import Path

from tests.loop.site import Site, until, write_yaml
from tests.servers.receiver import Receiver, answer, hang


def test_a_sink_that_hangs_holds_up_nothing_and_is_told_later(site: Site, tmp_path: Path) -> None:
    """The sink hangs from the first alert on: the restore is made all the same; once it answers it hears of both."""
    secret = tmp_path / "hmac"
    secret.write_text("a key of this test")
    write_yaml(
        site.policies / "broken.yaml", {"apiVersion": "rollguard.dev/v1alpha1", "kind": "SLOPolicy", "spec": {}}
    )
    with Receiver(hang) as receiver:
        hook = {"url": f"{receiver.url}/hook", "secretFile": str(secret)}
        site.extra = {"alertSinks": {"slow": {"webhook": hook}}}
        site.start()
        receiver.wait_for(bool)
        site.commit("two", 0.3)
        until(site.restores, "restore")
        assert len(receiver.requests) == 1
        receiver.behave = answer(200)
        receiver.stopping.set()
        told = receiver.wait_for(lambda seen: {"RollguardPolicyInvalid", "RollguardRolledBack"} <= names(seen[1:]))
        assert told
        site.stop()


def names(requests: list[object]) -> set[str]:
    """The alerts of some CloudEvents."""
    return {json.loads(each.body)["data"]["alert"] for each in requests}  # type: ignore[attr-defined]
