"""Chart of the speed ratios: one bar per step, on a logarithmic scale, with a mark for each goal."""

import json
import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

from bench.measure import progress
from bench.report import Row

# What each benchmark compares with; rows of `client` name their own.
SUBJECTS = {"compose": "tar xzf and ostree commit", "delta": "ostree static-delta generate", "client": ""}
WIDTH, LEFT, RIGHT, ROW, BAR, TOP = 860, 380, 170, 22, 12, 66
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

# Grey text and lines are readable on light and dark backgrounds; an image in a page cannot adapt to the theme.
STYLE = """
text { font: 12px sans-serif; fill: #808080; } .head { font-weight: bold; } .end { text-anchor: end; } .mid { text-anchor: middle; }
.met { fill: #2f9e5b; } .missed { fill: none; stroke: #d9822b; stroke-width: 2; } .grid { stroke: #808080; stroke-opacity: .3; }
.base { stroke: #808080; stroke-width: 2; } .goal { stroke: #8a63d2; stroke-width: 3; }
"""


@dataclass(frozen=True)
class Bar:
    """A comparison with another tool. A row can have more goals than its ratio, such as a size; `met` is about all of them."""

    label: str
    ratio: float
    goal: float
    met: bool


@dataclass(frozen=True)
class Group:
    """The bars of one benchmark that are compared with the same tool."""

    subject: str
    baseline: str
    bars: list[Bar]


def groups(folder: Path) -> list[Group]:
    """Returns the rows with a comparison and a goal, by benchmark and tool. Benchmarks without results are left out."""
    found: dict[tuple[str, str], list[Bar]] = {}
    for subject, baseline in SUBJECTS.items():
        path = folder / f"{subject}.json"
        if not path.exists():
            progress(f"left out: {subject}: no {path}")
            continue
        for row in json.loads(path.read_text())["rows"]:
            if row.get("ratio") and row.get("goal_ratio"):
                bar = Bar(label(row), row["ratio"], row["goal_ratio"], row["met"])
                found.setdefault((subject, row.get("peer_is") or baseline), []).append(bar)
    return [Group(subject, baseline, bars) for (subject, baseline), bars in found.items()]


def label(row: Row) -> str:
    """Returns the text next to a bar."""
    where = [row.get("mode"), row.get("over"), row.get("file_system")]
    return ", ".join([row["step"], *filter(None, where)])


def times(ratio: float) -> str:
    """Formats a ratio with enough digits to tell a goal that is narrowly missed from one that is met."""
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.1f}×"


def legend(groups: list[Group]) -> str:
    """Draws the explanation of the axis, the bars and the marks, and the number of goals that are met."""
    bars = [bar for group in groups for bar in group.bars]
    met = sum(bar.met for bar in bars)
    return (f'<text class="head" x="10" y="18">How many times as fast as the tool named in each heading</text>'
            f'<rect class="met" x="10" y="29" width="24" height="10"/><text x="40" y="38">goal met ({met})</text>'
            f'<rect class="missed" x="140" y="29" width="24" height="10"/>'
            f'<text x="170" y="38">goal missed ({len(bars) - met})</text>'
            f'<path class="goal" d="M290 27v14"/><text x="298" y="38">goal</text>'
            f'<path class="base" d="M350 27v14"/><text x="358" y="38">1×, the speed of that tool</text>')


def svg(groups: list[Group]) -> str:
    """Draws the chart."""
    height = TOP + ROW * sum(1 + len(group.bars) for group in groups) + 10
    values = [value for group in groups for bar in group.bars for value in (bar.ratio, bar.goal)]
    low, high = math.log10(min(0.5, *values)), math.log10(max(10, *values) * 1.1)

    def at(value: float) -> float:
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
           "<title>How many times as fast as the other tools, with the goals</title>", f"<style>{STYLE}</style>",
           legend(groups)]
    for tick in TICKS:
        if low <= math.log10(tick) <= high:
            out.append(f'<path class="{"base" if tick == 1 else "grid"}" d="M{at(tick):.1f} {TOP}V{height - 8}"/>'
                       f'<text class="mid" x="{at(tick):.1f}" y="{TOP - 6}">{tick:g}×</text>')
    y = TOP
    for group in groups:
        y += ROW
        out.append(f'<text class="head" x="10" y="{y - 6}">{escape(group.subject)}, compared with {escape(group.baseline)}</text>')
        for bar in group.bars:
            y += ROW
            # A bar begins at 1×, the speed of the other tool. Bars of slower steps extend to the left.
            start, end = sorted((at(1), at(bar.ratio)))
            missed = "" if bar.met else f", goal {bar.goal:g}× missed" if bar.ratio < bar.goal else ", another goal missed"
            out.append(f'<text class="end" x="{LEFT - 8}" y="{y - 6}">{escape(bar.label)}</text>'
                       f'<rect class="{"met" if bar.met else "missed"}" x="{start:.1f}" y="{y - ROW + 6}" '
                       f'width="{max(end - start, 1):.1f}" height="{BAR}"/>'
                       f'<path class="goal" d="M{at(bar.goal):.1f} {y - ROW + 3}v{BAR + 6}"/>'
                       f'<text x="{max(end, at(bar.goal)) + 6:.1f}" y="{y - 6}">{times(bar.ratio)}{missed}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
