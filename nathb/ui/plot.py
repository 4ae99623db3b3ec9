"""Who held which route when, as a picture: a line per route, a colour per node."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from nathb.core import timeline
from nathb.core.errors import JournalError, UsageError
from nathb.core.events import EventKind
from nathb.core.model import Route
from nathb.core.timeline import Occurrence, Span

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Okabe and Ito's, which colour-blind people can distinguish: https://jfly.uni-koeln.de/color/."""
NOBODY = "#999999"
DOUBT: dict[str, Any] = {"alpha": 0.45, "hatch": "///"}
ENDINGS = {".svg", ".png", ".pdf"}
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "nathb", "font.size": 9.0}


def draw(
    path: Path, group: str, happened: tuple[Occurrence, ...], begin: float, end: float
) -> None:
    """Write the picture; times are seconds since 1970.

    UsageError for a file of another kind, JournalError when matplotlib is missing, no route is
    known or the file cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise UsageError(f"{path}: cannot be drawn; end the name in .svg, .png or .pdf")
    spans = timeline.spans(happened, begin, end)
    if not spans:
        raise JournalError(f"{group}: no route was moved in that time: there is nothing to draw")
    try:
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise JournalError(
            "matplotlib, which draws the plot, is not installed; install nathb again with it: "
            "sudo make install EXTRAS=plot"
        ) from error
    routes = list(dict.fromkeys(span.route for span in spans))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 1.3 + 0.45 * len(routes)), layout="constrained")
        axes = figure.add_subplot()
        _bars(axes, spans)
        failed = _failures(axes, happened, routes)
        axes.set_yticks(range(len(routes)), [str(route) for route in routes])
        axes.set_ylim(len(routes) - 0.5, -0.5)
        axes.set_xlim(_local(begin), _local(max(end, begin + 1.0)))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        _time(axes, end)
        crosses = " (x: a move failed)" if failed else ""
        axes.set_title(f"{group}: who held which route{crosses}", loc="left")
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise JournalError(f"{path}: cannot be written: {error.strerror}") from error


def _bars(axes: Any, spans: tuple[Span, ...]) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415

    rows = {route: row for row, route in enumerate(dict.fromkeys(one.route for one in spans))}
    holders = sorted({one.holder for one in spans if one.holder})
    colours = {holder: COLOURS[at % len(COLOURS)] for at, holder in enumerate(holders)}
    for one in spans:
        begin = _local(one.since)
        axes.barh(
            rows[one.route],
            _local(one.until) - begin,
            left=begin,
            height=0.55,
            color=colours.get(one.holder, NOBODY),
            edgecolor="white",
            linewidth=0.5,
            **({} if one.certain else DOUBT),
        )
    named = [Patch(color=colour, label=holder) for holder, colour in colours.items()]
    if any(not one.holder for one in spans):
        named.append(Patch(color=NOBODY, label="outside, or nowhere"))
    if any(not one.certain for one in spans):
        named.append(Patch(facecolor=NOBODY, label="moved on unseen", edgecolor="white", **DOUBT))
    axes.legend(handles=named, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _failures(axes: Any, happened: Iterable[Occurrence], routes: list[Route]) -> int:
    """Mark each move that failed; return how many there are."""
    failed = [
        (_local(one.at), routes.index(one.event.route))
        for one in happened
        if one.event is not None
        and one.event.kind is EventKind.MOVE_FAILED
        and one.event.route in routes
    ]
    for at, row in failed:
        axes.scatter([at], [row], marker="x", color="black", zorder=3)
    return len(failed)


def _time(axes: Any, end: float) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    zone = _local(end).tzinfo
    locator = AutoDateLocator(tz=zone)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    axes.set_xlabel(f"local time, {_local(end):%Z}")


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at).astimezone()
