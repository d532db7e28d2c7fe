"""The picture of a run: how many times the peer each row is, and how memory and time an image grow with images.

Transparent, in greys and colours that can be read on white and on black; the same results give the same bytes.
"""
import statistics

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

TEXT, GRID, OURS, OTHER = "#7a7a7a", "#80808055", "#2f8fd0", "#d07a2f"
STYLE = {
    "svg.hashsalt": "finetune", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10,
    "text.color": TEXT, "axes.labelcolor": TEXT, "axes.edgecolor": TEXT, "axes.titlecolor": TEXT, "xtick.color": TEXT,
    "ytick.color": TEXT, "grid.color": GRID, "axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "figure.facecolor": "none", "axes.facecolor": "none",
    "savefig.facecolor": "none"}


def draw(path, rows, growth):
    """`rows` are (label, ratios, aim) from top to bottom; `growth` the points of the curves."""
    with matplotlib.rc_context(STYLE):
        height = 1.2 + 0.34 * len(rows) + (2.6 if growth else 0)
        figure = plt.figure(figsize=(9, height), layout="constrained")
        parts = figure.subfigures(
            2 if growth else 1, 1, height_ratios=[height - 2.6, 2.6] if growth else None, squeeze=False)
        if rows:
            _bars(parts[0, 0].subplots(), rows)
        if growth:
            memory, time = parts[1, 0].subplots(1, 2)
            _curves(memory, growth, "mebibytes", 1, "peak memory, MiB")
            _curves(time, growth, "seconds_per_image", 1000, "milliseconds an image")
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


def _bars(axes, rows):
    places = range(len(rows))
    middle = [statistics.median(ratios) for _, ratios, _ in rows]
    axes.barh(places, [value - 1 for value in middle], left=1, color=OURS, height=0.6)
    for place, (_, ratios, aim) in enumerate(rows):
        axes.plot([min(ratios), max(ratios)], [place, place], color=TEXT, linewidth=1.2)
        axes.plot([aim, aim], [place - 0.42, place + 0.42], color=OTHER, linewidth=2)
        axes.text(1.01, place, f"{middle[place]:.3g}×", transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(places, [label for label, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    least = min(min(ratios + [aim]) for _, ratios, aim in rows)
    most = max(max(ratios + [aim]) for _, ratios, aim in rows)
    axes.set_xlim(min(0.5, least / 1.5), most * 1.2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.xaxis.set_minor_formatter("")
    axes.axvline(1, color=TEXT, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(
        "finetune beside the peer: median, least and greatest ratio; the aim in orange", fontsize=10, loc="left")


def _curves(axes, growth, quantity, factor, label):
    for network, color, marker in zip(dict.fromkeys(point["network"] for point in growth), (OURS, OTHER), "os"):
        points = {}
        for point in growth:
            if point["network"] == network:
                points.setdefault(point["images"], []).append(point[quantity] * factor)
        counts = sorted(points)
        middle = [statistics.median(points[count]) for count in counts]
        axes.plot(counts, middle, color=color, marker=marker, label=network)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.3 * max(point[quantity] * factor for point in growth))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("images")
    axes.set_title(label, fontsize=10, loc="left")
    axes.legend()
