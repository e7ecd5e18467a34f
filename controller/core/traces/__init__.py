"""Recorded traces: what the metrics said around a deployment, written down line by line, and judged as if live.

Lines become a ``Trace`` (``reading``, ``header``, ``recording``), the ticks before the sync become the reference by the
controller's own functions (``before``), and the engine judges the rest (``replay``).

Invariant: nothing is guessed. A line that does not say exactly one thing is an error that names it, and a trace with
such a line has no verdict.
"""

from controller.core.traces.header import trace_policy
from controller.core.traces.lines import LONGEST_LINE, TraceError
from controller.core.traces.reading import read_traces
from controller.core.traces.recording import Trace
from controller.core.traces.replay import TraceVerdict, judge_trace

__all__ = ["LONGEST_LINE", "Trace", "TraceError", "TraceVerdict", "judge_trace", "read_traces", "trace_policy"]
