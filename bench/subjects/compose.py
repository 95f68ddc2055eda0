"""Benchmark of composing: `ostree-go compose` compared with `tar xzf` and `ostree commit --tree=dir`."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench import ostree
from bench.machine import Machine, has_user_xattrs
from bench.measure import Sample, measure, progress, quoted, run, summaries
from bench.options import Options
from bench.ostree_go import OstreeGo
from bench.paths import scratch
from bench.report import Row, cpu, medians, peak, spread, table, verdict
from bench.sdks import NEW, OLD, tarball

PEAK_MB = 200  # goal for the peak memory of a compose


@dataclass(frozen=True)
class Step:
    """An operation that both tools run, and the goals for ostree-go."""

    name: str
    version: str
    arch: str
    pinned: bool = False
    times_faster: tuple[int, int] | None = None  # in an archive and in a bare-user repository
    seconds: float | None = None

    def goal_ratio(self, mode: str) -> int | None:
        """Returns the goal for a mode of the repository."""
        return self.times_faster[MODES.index(mode)] if self.times_faster else None


MODES = ("archive", "bare-user")

# The steps run in this order, in one repository per tool.
STEPS = [
    Step("one SDK", OLD, "x86_64", times_faster=(5, 3)),
    Step("the second arch", OLD, "aarch64", times_faster=(20, 3)),
    Step("the next patch release", NEW, "x86_64", times_faster=(20, 3)),
    Step("unchanged", NEW, "x86_64", seconds=0.2),
    Step("unchanged, source pinned", NEW, "x86_64", pinned=True, seconds=0.2),
]


class Ours:
    """Runs `ostree-go compose`, which reads the archive directly."""

    def __init__(self, work: Path, mode: str, binary: Path) -> None:
        self.repo, self.ostree_go = work / "ours", OstreeGo(binary, work)
        self.ostree_go.init(self.repo, mode)

    def sample(self, step: Step) -> Sample:
        """Measures a step."""
        command = self.ostree_go.compose_command(
            self.repo, step.version, arch=step.arch, in_channel=False, is_pinned=step.pinned)
        if step.pinned:
            # Adding the pin changes the treefile. This unmeasured compose records the new input hash.
            run(command, self.ostree_go.env)
        os.sync()
        return measure(command, self.ostree_go.env)


class Peer:
    """Runs `tar xzf` and then `ostree commit --tree=dir`."""

    def __init__(self, work: Path, mode: str) -> None:
        self.repo, self.tree = work / "peer", work / "tree"
        run(["ostree", "init", "--repo", self.repo, "--mode", mode])

    def sample(self, step: Step) -> Sample:
        """Measures a step."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()
        tar = ["tar", "xzf", str(tarball(step.version, step.arch).path), "-C", str(self.tree)]
        commit = ["ostree", "commit", "--repo", str(self.repo), "--branch", f"go/{step.arch}/{step.version}",
                  f"--tree=dir={self.tree}/go", "--owner-uid=0", "--owner-gid=0", "--no-xattrs"]
        os.sync()
        return measure(["sh", "-c", f"{quoted(tar)} && exec {quoted(commit)}"])


def measure_rows(options: Options) -> list[Row]:
    """Runs every step on every file system and in every repository mode."""
    for step in STEPS:
        tarball(step.version, step.arch)
    rows = []
    for medium, folder in options.media():
        for mode in MODES:
            if not options.includes(f"{medium}/{mode}"):
                continue
            if mode == "bare-user" and not has_user_xattrs(folder):
                progress(f"left out: {medium}/{mode}: no user xattrs on {folder}")
                continue
            rows += measure_steps(options, medium, folder, mode)
    return rows


def measure_steps(options: Options, medium: str, folder: Path, mode: str) -> list[Row]:
    """Runs every step in new repositories, once for each run."""
    ours: dict[Step, list[Sample]] = {step: [] for step in STEPS}
    peers: dict[Step, list[Sample]] = {step: [] for step in STEPS}
    for turn in range(options.runs):
        with scratch(folder) as work:
            ostree_go, peer = Ours(work, mode, options.binary), Peer(work, mode)
            for step in STEPS:
                sides: list[tuple[Ours | Peer, dict[Step, list[Sample]]]] = [(ostree_go, ours)]
                # Unchanged input has an absolute goal, because the other tools would repeat all the work.
                if not step.seconds:
                    sides.insert(1 - turn % 2, (peer, peers))
                for side, samples in sides:
                    samples[step].append(side.sample(step))
                compared = f", peer {peers[step][-1].wall:.2f} s" if peers[step] else ""
                progress(f"{medium}/{mode} run {turn + 1}/{options.runs}: {step.name}: "
                         f"{ours[step][-1].wall:.2f} s{compared}")
            if turn == options.runs - 1:
                ostree.fsck(ostree_go.repo)
    return [row(medium, mode, step, ours[step], peers[step]) for step in STEPS]


def row(medium: str, mode: str, step: Step, ours: list[Sample], peers: list[Sample]) -> Row:
    """Returns the result of a step."""
    ostree_go, peer = summaries(ours), summaries(peers) if peers else None
    wall = ostree_go["wall"]["median"]
    ratio = peer["wall"]["median"] / max(wall, 1e-6) if peer else None
    goal = step.goal_ratio(mode)
    met = ((goal is None or ratio is not None and ratio >= goal) and (step.seconds is None or wall < step.seconds)
           and ostree_go["peak_mb"]["max"] < PEAK_MB)
    return {"file_system": medium, "mode": mode, "step": step.name, "ostree_go": ostree_go, "peer": peer,
            "ratio": ratio, "goal_ratio": goal, "goal_seconds": step.seconds, "goal_peak_mb": PEAK_MB, "met": met}


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    return [
        machine.description(f"libostree {machine.libostree}", f"tmpfs and {machine.disk_file_system}", medians(runs)),
        "",
        *table(["compose", "repository", "on", "ostree-go s", "user + sys s", "peak MB", "tar + ostree commit s",
                "user + sys s", "ratio", "goal", ""], map(cells, rows)),
    ]


def cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table."""
    ours, peer = row["ostree_go"], row["peer"]
    compared = [spread(peer["wall"]), cpu(peer), f"{row['ratio']:.1f}×"] if peer else ["", "", ""]
    goal = f"≥ {row['goal_ratio']}×" if row["goal_ratio"] else f"< {row['goal_seconds']} s"
    return [row["step"], row["mode"], row["file_system"], spread(ours["wall"]), cpu(ours), peak(ours), *compared, goal,
            verdict(row["met"])]
