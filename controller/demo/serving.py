"""Servers of the demo: started on a free loopback port, and awaited until they answer.

Invariant: the port that a server got is known when ``serve`` returns; one that was lost to another process in the meantime
is replaced.
"""

import http.client
import random
import socket
from collections.abc import Callable

from controller.demo.processes import Child, DemoError, end, ending, tail

READY_SECONDS = 30.0
_TRIES = 5
_POLL = 0.05
_PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to outgoing connections, of which the demo makes many."""


def free_port() -> int:
    """A port that was free a moment ago; another process may take it, so its user must be ready to try again."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise DemoError(f"no port between {_PORTS.start} and {_PORTS.stop} is free on 127.0.0.1.")


def serve(what: str, begin: Callable[[str], Child], path: str, wait: Callable[[float], None]) -> tuple[Child, str]:
    """Start a server and wait until it answers 200 at ``path``; returns it with its host and port.

    Args:
        what: its name, with the program in it.
        begin: starts it at a host and port.
        path: where it answers once it is ready.
        wait: sleeps so many seconds, and may raise.

    Raises:
        DemoError: it does not start; the text has the end of its log.
    """
    for _ in range(_TRIES):
        address = f"127.0.0.1:{free_port()}"
        child = begin(address)
        try:
            if _ready(child, address, path, wait):
                return child, address
        except BaseException:
            end([child])
            raise
        end([child])
        if "address already in use" not in tail(child.log):
            break
    code = child.process.returncode
    why = f"ended ({ending(code)})" if code >= 0 else f"was not ready within {READY_SECONDS:g} s"
    raise DemoError(f"{what} {why}. The end of its log:\n{tail(child.log)}")


def _ready(child: Child, address: str, path: str, wait: Callable[[float], None]) -> bool:
    """Whether it answers before it ends, and in time."""
    for _ in range(round(READY_SECONDS / _POLL)):
        if child.process.poll() is not None:
            return False
        connection = http.client.HTTPConnection(address, timeout=2)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.HTTPStatus.OK:
                return child.process.poll() is None
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        wait(_POLL)
    return False
