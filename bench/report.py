"""Presentation of results: tables in Markdown, JSON files, and the page of the book."""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.machine import Machine
from bench.measure import Summary
from bench.paths import PAGE

Row = dict[str, Any]
"""A result, as it is written to JSON."""


def spread(seconds: Summary, digits: int = 2) -> str:
    """Returns the median and, in brackets, the minimum and maximum."""
    return f"{seconds['median']:.{digits}f} ({seconds['min']:.{digits}f}–{seconds['max']:.{digits}f})"


def cpu(side: Mapping[str, Summary]) -> str:
    """Returns the medians of the CPU time."""
    return f"{side['user']['median']:.2f} + {side['sys']['median']:.2f}"


def peak(side: Mapping[str, Summary]) -> str:
    """Returns the maximum of the peak memory in MB."""
    return f"{side['peak_mb']['max']:.0f}"


def verdict(met: bool) -> str:
    """Returns the text of a goal that is met or missed."""
    return "met" if met else "**missed**"


def medians(runs: int) -> str:
    """Returns the explanation of the numbers in a table."""
    return f"medians of {runs} (least–most)"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Returns the lines of a table."""
    columns = list(columns)
    head = "|" + "".join(f" {name} |" if name else " |" for name in columns)
    return [head, "|---" * len(columns) + "|", *("| " + " | ".join(cells) + " |" for cells in rows)]


def write_json(path: Path, subject: str, runs: int, machine: Machine, rows: list[Row]) -> None:
    """Writes the results of a benchmark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"schema": 1, "subject": subject, "runs": runs, "machine": asdict(machine), "rows": rows}
    path.write_text(json.dumps(document, indent=2) + "\n")


def update_page(subject: str, text: str) -> None:
    """Writes the results of a benchmark between its markers in the page."""
    page, count = re.subn(
        rf"(<!-- bench:{subject} -->\n).*?(<!-- /bench:{subject} -->)",
        lambda marker: f"{marker[1]}\n{text}\n{marker[2]}", PAGE.read_text(), flags=re.DOTALL)
    if count != 1:
        sys.exit(f"error: {PAGE}: expected the markers of bench:{subject} once, found {count}")
    PAGE.write_text(page)
