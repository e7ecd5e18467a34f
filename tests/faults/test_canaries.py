"""No secret leaves the controller: every credential is a canary, everything that is written is searched for it."""

import base64
import json
import re
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.faults.parts import deployed, rollguard
from tests.loop.process import controller, ended
from tests.loop.site import Site, manifest, until
from tests.servers.git import HttpGit, run_git
from tests.servers.receiver import Behaviour, Receiver, answer

CANARIES = {
    name: f"canary-{name}-7f3a9c51"
    for name in ("git", "metrics", "header", "hmac", "alertmanager", "chat", "hook", "deploy")
}


def forms(secret: str) -> set[bytes]:
    """The ways in which a secret might be written."""
    encoded = {base64.b64encode(text.encode()) for text in (secret, f"git:{secret}", f"x-access-token:{secret}")}
    return {secret.encode(), quote(secret, safe="").encode(), secret.encode().hex().encode(), *encoded}


def echo(status: int) -> Behaviour:
    """A careless server: its error repeats what it was sent."""

    def behave(handler: object, receiver: Receiver) -> None:
        sent = receiver.requests[-1]
        answer(status, json.dumps({"error": f"{sent.path} {sent.headers}"}).encode())(handler, receiver)  # type: ignore[arg-type]

    return behave


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A file for each canary."""
    made = {}
    for name, secret in CANARIES.items():
        made[name] = str(tmp_path / f"{name}.secret")
        Path(made[name]).write_text(secret + "\n")
    return made


def test_no_secret_is_in_anything_that_is_written(site: Site, tmp_path: Path, files: dict[str, str]) -> None:
    """A failing deployment, sinks and a Git server that echo, a restore: no log, status, metric, alert or file has one."""
    git = HttpGit(tmp_path, token=CANARIES["git"])
    site.url = git.url(site.remote)
    run_git("config", "http.receivepack", "true", cwd=site.remote.folder)
    with Receiver(echo(503)) as receiver:
        Path(files["chat"]).write_text(f"gotify://127.0.0.1:{receiver.port}/{CANARIES['chat']}\n")
        site.extra = settings(site, receiver, files)
        site.remote.commit({"apps/checkout/broken": "yes\n"}, "Begin broken")
        process = controller(site)
        try:
            collected = story(site, receiver)
        finally:
            code = ended(site, process)
            git.close()
    assert code == 0
    sent = [str(request.headers) + request.path for request in receiver.requests]
    for used in (CANARIES["alertmanager"], CANARIES["chat"]):  # they were used, so they could have been written
        assert any(used in each for each in sent)
    assert any(CANARIES["git"] in base64.b64decode(each.partition(" ")[2]).decode() for each in git.authorizations)
    told = b"\n".join(request.body for request in receiver.requests)
    assert b"logs in with ***" in told
    for name, where in {**collected, "alerts": told, **written(site)}.items():
        found = [canary for canary, secret in CANARIES.items() if any(form in where for form in forms(secret))]
        assert not found, f"{name} holds {found}"


def settings(site: Site, receiver: Receiver, files: dict[str, str]) -> dict[str, object]:
    """Every credential that the settings know."""
    shop = site.shops["checkout"]
    script = (
        f'echo "logs in with $PASSWORD"; test ! -e apps/checkout/broken && cp apps/checkout/app.yaml {shop.deployed}'
    )
    application = {
        "name": "checkout",
        "namespace": "shop",
        "repository": site.url,
        "paths": ["apps/checkout"],
        "reconcile": {
            "command": ["/bin/sh", "-c", script],
            "interval": "500ms",
            "environment": {"PASSWORD": CANARIES["deploy"]},
        },
    }
    prometheus = {
        "url": site.prometheus.url,
        "bearerTokenFile": files["metrics"],
        "headers": {"X-Scope-OrgID": CANARIES["header"]},
    }
    return {
        "applications": [application],
        "repositories": [{"url": site.url, "credentials": {"tokenFile": files["git"]}}],
        "metricsSources": {"default": {"prometheus": prometheus}},
        "alertSinks": {
            "hook": {"webhook": {"url": f"{receiver.url}/events", "secretFile": files["hmac"]}},
            "on-call": {"alertmanager": {"url": receiver.url, "bearerTokenFile": files["alertmanager"]}},
            "chat": {"apprise": {"urlFile": files["chat"]}},
        },
        "server": {"listen": "127.0.0.1:0", "deployedHook": {"secretFile": files["hook"]}},
    }


def story(site: Site, receiver: Receiver) -> dict[str, bytes]:
    """A deployment that fails, one that works, one that breaks and is restored; returns what people can read of it."""
    log = site.folder / "controller.log"
    until(lambda: '"url": "http' in log.read_text(), "start", log=log)
    root = re.findall(r'"url": "(http[^"]+)"', log.read_text())[-1]
    receiver.wait_for(
        lambda seen: {"/events", "/message", "/api/v2/alerts"} <= {each.path.split("?")[0] for each in seen}
    )
    failing = {"status while it fails": rollguard(site, "status", "checkout", "--output", "json").encode()}
    receiver.behave = answer(200)
    site.remote.commit({"apps/checkout/broken": None}, "Mend it")
    until(lambda: deployed(site, "one"), "deployment", log=log)
    site.remote.commit({"apps/checkout/app.yaml": manifest("two", 0.3)}, "Deploy two")
    until(site.restores, "restore", log=log)
    until(lambda: deployed(site, "one"), "redeployment", log=log)
    with urllib.request.urlopen(f"{root}/metrics", timeout=20) as reply:
        metrics = reply.read()
    with urllib.request.urlopen(f"{root}/api/v1/rollouts", timeout=20) as reply:
        rollouts = reply.read()
    newest = json.loads(rollguard(site, "history", "--output", "json"))
    said = {
        " ".join(command): rollguard(site, *command).encode()
        for command in (
            ("status", "checkout", "--output", "json"),
            ("explain", newest["analyses"][-1]["id"]),
        )
    }
    return {**failing, "metrics": metrics, "API": rollouts, **said}


def written(site: Site) -> dict[str, bytes]:
    """Every file of the controller, and the repository's history."""
    history = run_git("log", "--all", "--format=%an %cn %B", "-p", cwd=site.remote.folder)
    kept = {str(file): file.read_bytes() for file in (site.folder / "state").rglob("*") if file.is_file()}
    assert any(name.endswith("state.db") for name in kept)
    return {"history": history, "log": (site.folder / "controller.log").read_bytes(), **kept}
