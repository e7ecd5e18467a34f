"""A real image registry for the demo: found, started on a free loopback port, telling Rollguard what is pushed.

Invariant: its images and its log lie in the demo's folder.
"""

import http.client
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.demo.images import Image, push
from controller.demo.processes import Child, DemoError, clean_environment, start
from controller.demo.programs import cache_of, found
from controller.demo.serving import serve

TIMEOUT = 30.0
MISSING = (
    "docker-registry is neither on PATH nor in {cache}: install it (Debian and Ubuntu: apt-get install docker-registry), or "
    "run `make demo-pipeline`, which unpacks the distribution's package there."
)


def find_registry(environment: Mapping[str, str] = os.environ) -> str:
    """The program: from PATH, else from the cache that `make setup` fills.

    Raises:
        DemoError: there is none.
    """
    program = found("docker-registry", environment)
    if program is None:
        raise DemoError(MISSING.format(cache=cache_of(environment) / "bin"))
    return program


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that listens at a host and port."""

    address: str

    def push(self, path: str, pushed: Image, tag: str) -> str:
        """Push an image; returns its digest.

        Raises:
            DemoError: it refused.
        """
        return push(self._ask, path, pushed, tag)

    def _ask(self, method: str, target: str, body: bytes, type_: str) -> str:
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        try:
            connection.request(method, target, body, {"Content-Type": type_} if type_ else {})
            response = connection.getresponse()
            said = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise DemoError(f"the registry does not answer {method} {target}: {error}") from None
        finally:
            connection.close()
        if response.status >= 300:  # noqa: PLR2004
            raise DemoError(f"the registry refused {method} {target}: {response.status} {said[:300]}")
        return response.getheader("Location", "")


def start_registry(
    program: str, folder: Path, hook: str, token: str, wait: Callable[[float], None]
) -> tuple[Child, Registry]:
    """Start it in ``folder``; it posts what is pushed to ``hook``, with a token.

    Raises:
        DemoError: it does not start; the text has the end of its log.
    """
    folder.mkdir()
    file = folder / "config.yml"

    def begin(address: str) -> Child:
        file.touch(mode=0o600)
        file.write_text(_configuration(address, folder, hook, token))  # YAML has JSON in it
        argv = [program, "serve", str(file)]
        return start("the registry", argv, folder / "registry.log", folder=folder, environment=clean_environment())

    child, address = serve(f"docker-registry ({program})", begin, "/v2/", wait)
    return child, Registry(address)


def _configuration(address: str, folder: Path, hook: str, token: str) -> str:
    endpoint = {
        "name": "rollguard",
        "url": hook,
        "headers": {"Authorization": [f"Bearer {token}"]},
        "timeout": "5s",
        "threshold": 3,
        "backoff": "1s",
    }
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
            "http": {"addr": address, "secret": "of the demo"},
            "notifications": {"endpoints": [endpoint]},
        }
    )
