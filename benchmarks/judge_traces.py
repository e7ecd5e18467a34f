"""How many recorded traces ``rollguard judge`` judges in a second of CPU time, reading the JSON included.

A trace has 1,440 ticks before the sync and 120 after it, of one objective. Prints traces a second, where the time goes,
and the ratio to a yardstick that is taken in the same run: the standard library's JSON reader on the same lines, which
does nothing but read. Run: ``python benchmarks/judge_traces.py``.
"""

import json
import time
from collections.abc import Callable, Iterable

import numpy as np

from controller.core.policy import Mode
from controller.core.traces import Trace, judge_trace, read_traces

BEFORE, AFTER, INTERVAL, REQUESTS = 1440, 120, 15, 150
TRACES, RUNS = 20, 9
GOAL = 100.0
SCENES = {"clean": 0.001, "close to the limit": 0.008, "5 % bad": 0.05}


def header(name: str) -> dict[str, object]:
    objective = {"name": "availability", "target": "99", "indicator": {"ratio": {}}}
    return {"trace": name, "policy": {"objectives": [objective], "mode": Mode.ENFORCE}, "interval": INTERVAL}


def lines(share: float) -> list[bytes]:
    draw = np.random.default_rng(1)
    found: list[bytes] = []
    for case in range(TRACES):
        shares = np.concatenate((np.full(BEFORE, 0.001), np.full(AFTER, share)))
        bad = draw.binomial(REQUESTS, shares).tolist()
        found.append(json.dumps(header(f"case-{case}")).encode() + b"\n")
        for index, count in enumerate(bad):
            tick = {
                "t": (index - BEFORE + 1) * INTERVAL,
                "objective": "availability",
                "bad": count,
                "total": REQUESTS,
            }
            found.append(json.dumps(tick).encode() + b"\n")
    return found


def seconds_each(work: Callable[[], object]) -> float:
    """Median CPU time of one trace."""
    work()
    spent = []
    for _ in range(RUNS):
        begun = time.process_time_ns()
        work()
        spent.append(time.process_time_ns() - begun)
    return float(np.median(spent)) / 1e9 / TRACES


def judged(recorded: Iterable[Trace]) -> list[object]:
    return [judge_trace(each) for each in recorded]


def main() -> None:
    for name, share in SCENES.items():
        recorded = lines(share)
        texts = [line.decode() for line in recorded]
        yardstick = seconds_each(lambda texts=texts: [json.loads(text) for text in texts])
        traces = list(read_traces(recorded))
        reading = seconds_each(lambda recorded=recorded: list(read_traces(recorded)))
        judging = seconds_each(lambda traces=traces: judged(traces))
        whole = seconds_each(lambda recorded=recorded: judged(read_traces(recorded)))
        print(
            f"{name:20} {1 / whole:6.0f} traces/s (goal {GOAL:.0f}): reading {1e3 * reading:.2f} ms, judging "
            f"{1e3 * judging:.2f} ms; {whole / yardstick:.2f} × yardstick ({1e3 * yardstick:.2f} ms)"
        )


if __name__ == "__main__":
    main()
