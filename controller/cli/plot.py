"""A plot of the evidence in the terminal, and its short form in one line.

Invariant: the plot has no colours of its own, so it can be read on any background and copied into a report.
"""

import shutil

from controller.cli.evidence_path import EvidencePath
from controller.cli.output import lasted

_WIDEST, _HEIGHT = 100, 18
_POINTS = 10
_SHORT = 180.0
HIGHEST = 3.0
"""Times the threshold at which the plot ends: what is beyond it says nothing more, and would hide how it was reached."""


def drawn(path: EvidencePath, start: float) -> str:
    """The evidence over the time since ``start``, with the threshold as a dotted line; cut off at three times it."""
    import plotext  # noqa: PLC0415  slow to import, and only needed here

    figure = plotext.figure
    figure.clear()
    figure.plot_size(min(_WIDEST, shutil.get_terminal_size().columns), _HEIGHT)
    top = HIGHEST * path.threshold
    unit, name = (1.0, "seconds") if path.at[-1] - start < _SHORT else (60.0, "minutes")
    since = [(at - start) / unit for at in (path.begin, *path.at)]
    line = figure.signal(since, [min(value, top) for value in (0.0, *path.log_e)], marker="braille")
    line.lines()
    figure.draw(line)
    figure.line(path.threshold, "horizontal", style="dotted")
    low, high = min(*path.log_e, 0.0), min(max(*path.log_e, path.threshold), top)
    figure.ruler("y").lim(low - 0.5, high + 0.5)
    figure.title(f"{path.title}; dotted: the threshold {path.threshold:.2f}")
    figure.label(f"{name} since the start", "x")
    return str(plotext.uncolorize(str(figure.build()))).rstrip()


def in_one_line(path: EvidencePath, start: float) -> str:
    """Some points of the path, the first and the last among them: ``15s −0.1 · 1m 2.3 · 1m30s 7.4``."""
    last = len(path.at) - 1
    chosen = sorted({round(number * last / (_POINTS - 1)) for number in range(_POINTS)})
    return " · ".join(f"{lasted(path.at[each] - start)} {path.log_e[each]:.1f}" for each in chosen)
