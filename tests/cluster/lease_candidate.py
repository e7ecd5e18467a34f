"""A process that stands for a Lease: ``python -m tests.cluster.lease_candidate KUBECONFIG NAMESPACE IDENTITY SECONDS``.

It prints ``leading`` once it does, then answers each line that it is sent with whether it leads and whether it lost the
Lease; at the end of its input it gives the Lease up.
"""

import sys
import threading
from pathlib import Path

import structlog

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.lease import LeaseElection
from controller.app import SystemClock


def main(kubeconfig: str, namespace: str, identity: str, seconds: str) -> None:
    """Stand, lead, answer."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # apart from the answers
    duration = float(seconds)
    api = Api.connect(Path(kubeconfig), timeout=duration / 3)
    election = LeaseElection(api, namespace, "rollguard", identity, SystemClock(), duration=duration)
    election.acquire(threading.Event())
    say("leading")
    for line in sys.stdin:
        if line.strip() == "lost":
            election.lost.wait()
        say(f"{'leads' if election.leads() else 'leads not'}, {election.lost.is_set()}")
    election.release()


def say(line: str) -> None:
    """To whoever started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
