"""Reads traces from lines, one after the other.

Invariant: no more than one trace is held at a time, and a trace is only given once it is complete.
"""

from collections.abc import Iterable, Iterator

from controller.core.policy import PolicySpec
from controller.core.traces.header import for_traces, header_of
from controller.core.traces.lines import TraceError, read_object
from controller.core.traces.recording import Recording, Trace

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_traces(lines: Iterable[bytes], policy: PolicySpec | None = None) -> Iterator[Trace]:
    """The traces that these lines hold.

    Args:
        lines: each with or without its end; one longer than ``LONGEST_LINE`` may come cut off behind it.
        policy: judges in place of the traces' own policies.

    Raises:
        TraceError: a line is broken; its trace, and all that follow, are not given.
    """
    rules = None if policy is None else for_traces(policy)
    recording: Recording | None = None
    for number, line in enumerate(lines, 1):
        if recording is not None and recording.take(line):
            continue
        fields = read_object(line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line, number)
        if fields is None:
            continue
        if "trace" in fields:
            if recording is not None:
                yield recording.trace()
            recording = Recording(header_of(fields, number, rules))
        elif recording is None:
            raise TraceError(number, 'a trace begins with a header, such as {"trace": "case-1", …}')
        else:
            recording.add(fields, number)
    if recording is not None:
        yield recording.trace()
