"""The benchmarks."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.machine import Machine
from bench.options import Options
from bench.report import Row
from bench.subjects import build, client, compose, delta, growth, images, inspect, limits, proxy, workspace


@dataclass(frozen=True)
class Subject:
    """A benchmark."""

    measure: Callable[[Options], list[Row]]
    """Runs the steps and returns the results."""
    lines: Callable[[list[Row], Machine, int], list[str]]
    """Returns the lines of the results in Markdown. The last argument is the number of runs."""


SUBJECTS = {
    "limits": Subject(limits.measure_rows, limits.lines),
    "compose": Subject(compose.measure_rows, compose.lines),
    "delta": Subject(delta.measure_rows, delta.lines),
    "client": Subject(client.measure_rows, client.lines),
    "build": Subject(build.measure_rows, build.lines),
    "images": Subject(images.measure_rows, images.lines),
    "workspace": Subject(workspace.measure_rows, workspace.lines),
    "inspect": Subject(inspect.measure_rows, inspect.lines),
    "proxy": Subject(proxy.measure_rows, proxy.lines),
    "growth": Subject(growth.measure_rows, growth.lines),
}
