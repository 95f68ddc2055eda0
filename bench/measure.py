"""Measurement of commands."""

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

Command = Sequence[str | os.PathLike[str]]
Environment = Mapping[str, str]


@dataclass(frozen=True)
class Sample:
    """Result of one run of a command with all its child processes."""

    wall: float
    """Seconds from the start to the end."""
    user: float
    """Seconds of CPU time in user mode."""
    sys: float
    """Seconds of CPU time in the kernel."""
    peak_mb: float
    """Peak resident set of the largest process."""


class Summary(TypedDict):
    """Statistics of one figure of several samples."""

    median: float
    min: float
    max: float
    all: list[float]


def summary(values: Iterable[float]) -> Summary:
    """Returns the statistics of one figure."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}


def summaries(samples: Sequence[Sample]) -> dict[str, Summary]:
    """Returns the statistics of each figure of the samples, by the figure's name."""
    figures = [asdict(sample) for sample in samples]
    return {name: summary(sample[name] for sample in figures) for name in figures[0]}


# Starts a command and reports its resource usage. It is a small process, because the kernel initialises the peak of
# the command with that of the process that starts it. Peaks below about 10 MB are therefore meaningless.
STARTER = """
import os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
start = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - start
os.write(report, f"{os.waitstatus_to_exitcode(status)} {wall} {usage.ru_utime} {usage.ru_stime} {usage.ru_maxrss}".encode())
"""


def measure(command: Command, env: Environment | None = None, folder: Path | None = None) -> Sample:
    """Runs a command to completion, in a directory if one is given. If it fails, the benchmark ends."""
    read_end, write_end = os.pipe()
    with tempfile.TemporaryFile() as output, open(read_end) as report:
        starter = [sys.executable, "-I", "-S", "-c", STARTER, str(write_end), *map(str, command)]
        done = subprocess.run(starter, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                              pass_fds=[write_end], check=False)
        os.close(write_end)
        # The report is empty if the command could not be started.
        code, *figures = report.read().split() or [str(done.returncode)]
        if int(code) != 0:
            output.seek(0)
            sys.exit(f"error: {quoted(command)}: exit code {code}\n{output.read().decode(errors='replace')}")
    wall, user, system, peak = map(float, figures)
    return Sample(wall, user, system, peak * 1024 / 1e6)


def run(command: Command, env: Environment | None = None) -> str:
    """Runs a command that is not measured, and returns its output. If it fails, the benchmark ends."""
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {quoted(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def quoted(command: Command) -> str:
    """Returns a command as a line for a shell."""
    return shlex.join(map(str, command))


def progress(message: str) -> None:
    """Prints a line about the running benchmark; the results are on the standard output."""
    print(message, file=sys.stderr)
