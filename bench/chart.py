"""Chart of the speed ratios: one bar per step, on a logarithmic scale, with a mark for each goal."""

import json
import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

from bench.measure import progress
from bench.report import Row

SUBJECTS = ("compose", "delta", "client")
WIDTH, LEFT, RIGHT, ROW, BAR, TOP = 760, 380, 70, 22, 12, 46
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

# Grey text and lines are readable on light and dark backgrounds; an image in a page cannot adapt to the theme.
STYLE = """
text { font: 12px sans-serif; fill: #808080; } .head { font-weight: bold; } .end { text-anchor: end; } .mid { text-anchor: middle; }
.met { fill: #2f9e5b; } .missed { fill: #d9822b; } .grid { stroke: #808080; stroke-opacity: .3; } .goal { stroke: #8a63d2; stroke-width: 3; }
"""


@dataclass(frozen=True)
class Bar:
    """A comparison with another tool."""

    label: str
    ratio: float
    goal: float


@dataclass(frozen=True)
class Group:
    """The bars of one benchmark."""

    subject: str
    bars: list[Bar]


def groups(folder: Path) -> list[Group]:
    """Returns the rows with a comparison and a goal, by benchmark. Benchmarks without results are left out."""
    found = []
    for subject in SUBJECTS:
        path = folder / f"{subject}.json"
        if not path.exists():
            progress(f"left out: {subject}: no {path}")
            continue
        rows = json.loads(path.read_text())["rows"]
        bars = [Bar(label(row), row["ratio"], row["goal_ratio"]) for row in rows
                if row.get("ratio") and row.get("goal_ratio")]
        if bars:
            found.append(Group(subject, bars))
    return found


def label(row: Row) -> str:
    """Returns the text next to a bar."""
    where = [row.get("mode"), row.get("over"), row.get("file_system")]
    return ", ".join([row["step"], *filter(None, where)])


def legend() -> str:
    """Draws the explanation of the colours and of the marks."""
    return (f'<rect class="met" x="{LEFT}" y="9" width="24" height="10"/><text x="{LEFT + 30}" y="18">goal met</text>'
            f'<rect class="missed" x="{LEFT + 100}" y="9" width="24" height="10"/>'
            f'<text x="{LEFT + 130}" y="18">missed</text>'
            f'<path class="goal" d="M{LEFT + 200} 7v14"/><text x="{LEFT + 208}" y="18">goal</text>')


def svg(groups: list[Group]) -> str:
    """Draws the chart."""
    height = TOP + ROW * sum(1 + len(group.bars) for group in groups) + 10
    values = [value for group in groups for bar in group.bars for value in (bar.ratio, bar.goal)]
    low, high = math.log10(min(0.5, *values)), math.log10(max(10, *values) * 1.1)

    def at(value: float) -> float:
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
           "<title>How many times as fast as the other tools</title>", f"<style>{STYLE}</style>",
           '<text class="head" x="10" y="18">times as fast</text>' + legend()]
    for tick in TICKS:
        if low <= math.log10(tick) <= high:
            out.append(f'<path class="grid" d="M{at(tick):.1f} {TOP}V{height - 8}"/>'
                       f'<text class="mid" x="{at(tick):.1f}" y="{TOP - 6}">{tick:g}×</text>')
    y = TOP
    for group in groups:
        y += ROW
        out.append(f'<text class="head" x="10" y="{y - 6}">{escape(group.subject)}</text>')
        for bar in group.bars:
            y += ROW
            # A bar begins at 1×, the speed of the other tool. Bars of slower steps extend to the left.
            start, end = sorted((at(1), at(bar.ratio)))
            out.append(f'<text class="end" x="{LEFT - 8}" y="{y - 6}">{escape(bar.label)}</text>'
                       f'<rect class="{"met" if bar.ratio >= bar.goal else "missed"}" x="{start:.1f}" y="{y - ROW + 6}" '
                       f'width="{max(end - start, 1):.1f}" height="{BAR}"/>'
                       f'<path class="goal" d="M{at(bar.goal):.1f} {y - ROW + 3}v{BAR + 6}"/>'
                       f'<text x="{max(end, at(bar.goal)) + 6:.1f}" y="{y - 6}">{bar.ratio:.1f}×</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
