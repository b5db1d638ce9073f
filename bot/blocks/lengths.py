"""How long a dataset's examples are, as a PNG."""

import io
from collections.abc import Mapping
from itertools import pairwise
from typing import Any


def png(name: str, report: Mapping[str, Any]) -> bytes:
    """A picture of 1200 x 560 pixels: how many examples have how many tokens."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    histogram, tokens = report.get("histogram") or {}, report.get("tokens") or {}
    edges = [float(one) for one in histogram.get("edges") or [0, 1]]
    counts = [int(one) for one in histogram.get("counts") or [0]]
    figure = Figure(figsize=(7.5, 3.5), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    widths = [right - left for left, right in pairwise(edges)]
    axes.bar(edges[:-1], counts, width=widths, align="edge", color="#1264a3", edgecolor="white", linewidth=0.8)
    marks = (("median", "median", "#e8912d"), ("p95", "95 of 100 are no longer", "#e01e5a"))
    for key, label, color in marks if edges[-1] > edges[0] else ():
        if tokens.get(key) is not None and (key == "median" or tokens[key] != tokens.get("median")):
            axes.axvline(
                float(tokens[key]), ymax=0.84, color=color, linewidth=2, label=f"{label}: {float(tokens[key]):,.0f}"
            )
    if edges[0] > 0 and edges[-1] / edges[0] > 200:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    title = "".join(one if one.isprintable() and ord(one) < 0x2500 else "?" for one in name[:60]).replace("$", r"\$")
    axes.set_title(f"{title}: how long its examples are", loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel("tokens of an example")
    axes.set_ylabel("examples")
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.set_ylim(top=1.22 * max(counts, default=1))  # room for the legend
        axes.legend(frameon=False, loc="upper right", ncols=2)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
