"""The types of a plotly figure as plain JSON (https://plotly.com/python/reference)."""

from typing import Any, NotRequired, TypedDict

# Attributes by name, nested as plotly has them.
Trace = dict[str, Any]
Layout = dict[str, Any]


class PlotlyFigure(TypedDict):
    """Traces and layout; `axes` holds other x axes by name, where a reader may choose one."""

    data: list[Trace]
    layout: Layout
    axes: NotRequired[dict[str, Layout]]
