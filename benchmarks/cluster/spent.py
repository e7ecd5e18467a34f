"""What a process has spent, read from the process table.

Invariant: to be watched costs a process nothing.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of some processes, by name, at one moment."""

    at: float
    cpu: dict[str, float]

    @classmethod
    def now(cls, processes: dict[str, int]) -> "Spent":
        """How it is now; ``processes`` are process ids by name."""
        return cls(time.monotonic(), {name: _cpu(pid) for name, pid in processes.items()})

    def cores(self, since: "Spent") -> dict[str, float]:
        """Cores that were busy since then, by process."""
        passed = self.at - since.at
        return {name: (spent - since.cpu[name]) / passed for name, spent in self.cpu.items() if name in since.cpu}


def _cpu(pid: int) -> float:
    """User and system time, with children that were waited for (Git)."""
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system + spent.children_user + spent.children_system)


def resident(pid: int) -> float:
    """The memory that a process has, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / MEGABYTE


def most_resident(pid: int) -> float:
    """The most memory that it ever had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024 / MEGABYTE
