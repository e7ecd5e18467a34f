"""A stand-in for Flux's source-controller, which is not to be had here: it publishes what is in Git as artifacts.

It does what kustomize-controller and those who talk to Flux see of it: each GitRepository's branch is fetched at its
interval, at once when its spec changes or ``reconcile.fluxcd.io/requestedAt`` is set; the tree is served as a tarball
over HTTP, and the status tells revision, digest and readiness. Suspended ones are left alone. It knows branches only,
of repositories that need no secret.
"""

import functools
import gzip
import hashlib
import http.server
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from tests.cluster.stack.api import ApiError, KubeApi
from tests.cluster.stack.objects import Object
from tests.servers.git import run_git

REQUESTED = "reconcile.fluxcd.io/requestedAt"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LOOK_EVERY = 0.25


class SourceStandIn:
    """Serves artifacts and keeps the status of all GitRepositories, in two threads of the tests' process."""

    def __init__(self, api: KubeApi, folder: Path) -> None:
        self._api = api
        self._artifacts = folder / "artifacts"
        self._clones = folder / "clones"
        self._artifacts.mkdir(parents=True, exist_ok=True)
        self._clones.mkdir(parents=True, exist_ok=True)
        handler = functools.partial(_Files, directory=str(self._artifacts))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._looked: dict[str, float] = {}
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._look_on, daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=30)
        self._api.close()

    def _look_on(self) -> None:
        while not self._ending.wait(_LOOK_EVERY):
            try:
                for each in self._api.list("GitRepository"):
                    if self._due(each):
                        self._reconcile(each)
            except (ApiError, requests.RequestException):
                continue  # the API server is away, or the object changed meanwhile: look again

    def _due(self, source: Object) -> bool:
        spec, status, metadata = source["spec"], source.get("status", {}), source["metadata"]
        if spec.get("suspend") or metadata.get("deletionTimestamp"):
            return False
        requested = metadata.get("annotations", {}).get(REQUESTED)
        return (
            status.get("observedGeneration") != metadata["generation"]
            or (requested is not None and requested != status.get("lastHandledReconcileAt"))
            or time.monotonic() - self._looked.get(metadata["uid"], 0.0) > _seconds(spec["interval"])
        )

    def _reconcile(self, source: Object) -> None:
        metadata = source["metadata"]
        self._looked[metadata["uid"]] = time.monotonic()
        status: dict[str, Any] = {"observedGeneration": metadata["generation"]}
        if (requested := metadata.get("annotations", {}).get(REQUESTED)) is not None:
            status["lastHandledReconcileAt"] = requested
        try:
            artifact = self._publish(source)
            status["artifact"] = artifact
            ready = ("True", "Succeeded", f"stored artifact for revision '{artifact['revision']}'")
        except AssertionError as error:
            ready = ("False", "GitOperationFailed", str(error)[:500])
        status["conditions"] = [self._condition(source, *ready)]
        self._api.patch(
            "GitRepository", metadata["namespace"], metadata["name"], {"status": status}, subresource="status"
        )

    def _publish(self, source: Object) -> Object:
        metadata, spec = source["metadata"], source["spec"]
        branch = spec.get("ref", {}).get("branch", "master")
        clone = self._clones / metadata["uid"]
        if not clone.exists():
            run_git("init", "-q", "--bare", str(clone))
        run_git("fetch", "-q", "--force", spec["url"], f"refs/heads/{branch}:refs/heads/{branch}", cwd=clone)
        commit = run_git("rev-parse", f"refs/heads/{branch}", cwd=clone).decode().strip()
        revision = f"{branch}@sha1:{commit}"
        known = source.get("status", {}).get("artifact", {})
        if known.get("revision") == revision:
            return dict(known)
        tarball = gzip.compress(run_git("archive", "--format=tar", commit, cwd=clone), mtime=0)
        path = f"gitrepository/{metadata['namespace']}/{metadata['name']}/{commit}.tar.gz"
        file = self._artifacts / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tarball)
        return {
            "path": path,
            "url": f"http://127.0.0.1:{self._server.server_port}/{path}",
            "revision": revision,
            "digest": f"sha256:{hashlib.sha256(tarball).hexdigest()}",
            "size": len(tarball),
            "lastUpdateTime": _now(),
        }

    def _condition(self, source: Object, status: str, reason: str, message: str) -> Object:
        before = next(iter(source.get("status", {}).get("conditions", [])), {})
        since = before["lastTransitionTime"] if before.get("status") == status else _now()
        return {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
            "observedGeneration": source["metadata"]["generation"],
        }


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        pass


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(duration: str) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", duration))
