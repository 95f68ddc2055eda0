"""Benchmark of static deltas of real SDKs: `ostree-go publish` compared with `ostree static-delta generate`."""

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import ostree
from bench.machine import Machine
from bench.measure import Sample, measure, progress, run, summaries
from bench.options import Options
from bench.ostree_go import OstreeGo
from bench.paths import scratch
from bench.report import Row, medians, peak, spread, table, verdict
from bench.sdks import GOARCH, NEW, OLD

TIMES_FASTER = 5  # goal
PEAK_MB = 600  # goal for the peak memory of generating a delta
BEST_MB = 45  # goal for the size of a delta from nothing with the preset best
SIZES = {"bytes": "Total Size", "fallback_bytes": "Total Fallback Size", "parts": "Number of parts"}


@dataclass(frozen=True)
class Step:
    """A delta to generate, and the goals for ostree-go."""

    name: str
    old: str | None
    new: str
    derived: tuple[str, ...] = ()
    """Further deltas that publish derives from this one."""
    preset: str = "fast"
    times_faster: int = TIMES_FASTER
    megabytes: float | None = None

    @property
    def delta(self) -> str:
        """The name of the delta."""
        return ostree.delta_name(self.old, self.new)


class Repositories:
    """Two copies of one repository: each tool generates deltas in its own."""

    def __init__(self, ostree_go: OstreeGo) -> None:
        self.ostree_go, self.work = ostree_go, ostree_go.home
        self.ours, self.peer = self.work / "ours", self.work / "peer"
        ostree_go.init(self.ours)
        self.steps: list[Step] = []
        for arch in GOARCH:
            (_, old), (release, new) = ostree_go.compose_releases(self.ours, (OLD, NEW), arch)
            self.steps += [Step(f"{arch}, from nothing", None, release, (new,)),
                           Step(f"{arch}, to the next patch release", old, new)]
        shutil.copytree(self.ours, self.peer)
        self.publish = ostree_go.command("publish", "--repo", self.ours, "--history", "1")
        run(self.publish, ostree_go.env)

    def sample_ours(self, deltas: Iterable[str], preset: str = "fast") -> Sample:
        """Measures a publish that generates the named deltas."""
        delete(self.ours, deltas)
        return measure([*self.publish, "--delta-preset", preset], self.ostree_go.env)

    def sample_peer(self, step: Step) -> Sample:
        """Measures libostree's generator."""
        delete(self.peer, [step.delta])
        source = [f"--from={step.old}"] if step.old else ["--empty"]
        return measure(["ostree", "static-delta", "generate", "--repo", self.peer, *source, f"--to={step.new}"])

    def check(self, step: Step) -> None:
        """Applies our delta with the stock command, in a repository that contains only the old commit."""
        client = self.work / "client"
        run(["ostree", "init", "--repo", client, "--mode", "bare-user"])
        if step.old:
            run(["ostree", "pull-local", "--repo", client, self.ours, step.old])
        folder = ostree.delta_path(self.ours, step.delta)
        run(["ostree", "static-delta", "apply-offline", "--repo", client, folder])
        ostree.fsck(client)
        shutil.rmtree(client)


def delete(repo: Path, deltas: Iterable[str]) -> None:
    """Deletes deltas, and waits until earlier data is on disk."""
    for name in deltas:
        shutil.rmtree(ostree.delta_path(repo, name), ignore_errors=True)
    os.sync()


def measure_rows(options: Options) -> list[Row]:
    """Generates each delta with both tools on tmpfs, and then all deltas in one publish."""
    with scratch(options.tmpfs) as work:
        repositories = Repositories(OstreeGo(options.binary, work))
        found: dict[Step, Row] = {}
        for step in repositories.steps:
            found[step] = measure_step(options, repositories, step)
        single = list(found.values())
        first = repositories.steps[0]
        best = Step(f"{first.name}, --delta-preset best", None, first.new, first.derived, "best", 1, BEST_MB)
        best_row = measure_step(options, repositories, best, found[first]["peer"])
        return [*single, best_row, measure_publish(options, repositories, single)]


def measure_step(options: Options, repositories: Repositories, step: Step, peer: Row | None = None) -> Row:
    """Runs a step alternately with both tools, or only with ostree-go if the results of libostree are given."""
    ours: list[Sample] = []
    peers: list[Sample] = []
    for turn in range(options.runs):
        if peer is None and turn % 2 == 1:
            peers.append(repositories.sample_peer(step))
        ours.append(repositories.sample_ours((step.delta, *step.derived), step.preset))
        if peer is None and turn % 2 == 0:
            peers.append(repositories.sample_peer(step))
        compared = f", libostree {peers[-1].wall:.2f} s" if peers else ""
        progress(f"run {turn + 1}/{options.runs}: {step.name}: {ours[-1].wall:.2f} s{compared}")
    ostree_go = {**summaries(ours), **size(repositories.ours, step.delta)}
    if peer is None:
        peer = {**summaries(peers), **size(repositories.peer, step.delta)}
    repositories.check(step)
    return row(step, ostree_go, peer)


def measure_publish(options: Options, repositories: Repositories, single: list[Row]) -> Row:
    """Generates all deltas of the release in one publish, compared with the sum of libostree's times for them."""
    deltas = [name for step in repositories.steps for name in (step.delta, *step.derived)]
    samples = []
    for turn in range(options.runs):
        samples.append(repositories.sample_ours(deltas))
        progress(f"run {turn + 1}/{options.runs}: publish: {samples[-1].wall:.2f} s")
    peers = [row["peer"] for row in single]
    peer: Row = {figure: {of: sum(side[figure][of] for side in peers) for of in ("median", "min", "max")}
                 for figure in ("wall", "user")}
    peer["peak_mb"] = {"max": max(side["peak_mb"]["max"] for side in peers)}
    return row(Step("publish of the patch release, both architectures", None, ""),
               {**summaries(samples), **total(row["ostree_go"] for row in single)}, {**peer, **total(peers)})


def total(sides: Iterable[Row]) -> dict[str, int]:
    """Returns the sums of the sizes."""
    sides = list(sides)
    return {name: sum(side[name] for side in sides) for name in SIZES}


def size(repo: Path, delta: str) -> dict[str, int]:
    """Returns the bytes of the parts and of the fallback objects, as reported by the stock command."""
    shown = run(["ostree", "static-delta", "show", "--repo", repo, delta])
    values = dict(re.findall(rf"^({'|'.join(SIZES.values())}): (\d+)", shown, re.MULTILINE))
    return {name: int(values[line]) for name, line in SIZES.items()}


def row(step: Step, ours: Row, peer: Row) -> Row:
    """Returns the result of a step."""
    ratio = peer["wall"]["median"] / ours["wall"]["median"]
    met = (ratio >= step.times_faster and ours["bytes"] <= peer["bytes"] and ours["peak_mb"]["max"] < PEAK_MB
           and (step.megabytes is None or ours["bytes"] < step.megabytes * 1e6))
    return {"step": step.name, "ostree_go": ours, "peer": peer, "ratio": ratio, "goal_ratio": step.times_faster,
            "goal_peak_mb": PEAK_MB, "goal_mb": step.megabytes, "met": met}


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    return [
        machine.description(f"libostree {machine.libostree}", "tmpfs", f"Go {OLD} and {NEW}", medians(runs)),
        "",
        *table(["delta", "ostree-go s", "user s", "peak MB", "MB", "parts", "libostree s", "user s", "peak MB",
                "MB, with fallbacks", "ratio", "goal", ""], map(cells, rows)),
    ]


def cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table."""
    ours, peer = row["ostree_go"], row["peer"]
    goal_size = f"< {row['goal_mb']} MB" if row["goal_mb"] else "no larger"
    return [row["step"], spread(ours["wall"]), f"{ours['user']['median']:.1f}", peak(ours), f"{ours['bytes'] / 1e6:.2f}",
            str(ours["parts"]), spread(peer["wall"]), f"{peer['user']['median']:.1f}", peak(peer),
            f"{peer['bytes'] / 1e6:.2f}", f"{row['ratio']:.1f}×",
            f"≥ {row['goal_ratio']}×, {goal_size}, peak < {row['goal_peak_mb']} MB", verdict(row["met"])]
