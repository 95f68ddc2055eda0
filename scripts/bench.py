#!/usr/bin/env python3
"""Measures ostree-go and compares it with other tools, in the same run and on the same files.

    scripts/bench.py limits|compose|delta|client|images|growth [--runs N] [--only TEXT]… [--bin PATH] [--json FILE] [--update-docs]
    scripts/bench.py chart [--update-docs]

Both tools run each step alternately, and the tool that runs first changes from run to run. Caches are warm, and the
data of earlier steps is synced to disk before a step starts. The table shows medians and, in brackets, the minimum and
maximum.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import bench_chart
import bench_client
import bench_delta
import bench_growth
import bench_images
import bench_limits
from bench_inputs import SDKS, tarball
from bench_measure import Sample, machine, measure, quoted, run, spread, user_xattrs

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/src/performance.md"
RESULTS = ROOT / "build/bench"  # directory for the JSON files of `make bench`
PEAK_MB = 200  # goal for the peak memory of a compose


@dataclass(frozen=True)
class Step:
    """An operation that both tools run, and the goals for ostree-go."""

    name: str
    version: str
    arch: str
    pinned: bool = False
    times_faster: dict | None = None  # by repository mode
    seconds: float | None = None


# The steps run in this order, in one repository per tool.
STEPS = [
    Step("one SDK", "1.26.4", "x86_64", times_faster={"archive": 5, "bare-user": 3}),
    Step("the second arch", "1.26.4", "aarch64", times_faster={"archive": 20, "bare-user": 3}),
    Step("the next patch release", "1.26.5", "x86_64", times_faster={"archive": 20, "bare-user": 3}),
    Step("unchanged", "1.26.5", "x86_64", seconds=0.2),
    Step("unchanged, source pinned", "1.26.5", "x86_64", pinned=True, seconds=0.2),
]


class Ours:
    """Runs `ostree-go compose`, which reads the archive directly."""

    def __init__(self, work, mode, binary):
        self.repo, self.work, self.binary = work / "ours", work, binary
        self.env = {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}
        run([binary, "--repo", self.repo, "init", "--mode", mode], self.env)

    def prepare(self, step):
        goarch, source = SDKS[step.arch], tarball(step.version, step.arch)
        lines = [
            f"version: {step.version}",
            f"include: {ROOT}/treefiles/base.yaml",
            f"source:\n  - path: {str(source.path).replace(goarch, '${goarch}')}",
            "channels: []",
        ]
        if step.pinned:
            lines.append(f"pin: {{ {step.arch}: {{ sha256: {source.sha256} }} }}")
        treefile = self.work / "treefile.yaml"
        treefile.write_text("\n".join(lines) + "\n")
        self.command = [self.binary, "compose", treefile, "--repo", self.repo, "--arch", step.arch]
        if step.pinned:
            # Adding the pin changes the treefile. This unmeasured compose records the new input hash.
            run(self.command, self.env)

    def sample(self):
        return measure(self.command, self.env)


class Peer:
    """Runs `tar xzf` and then `ostree commit --tree=dir`."""

    def __init__(self, work, mode, _binary):
        self.repo, self.tree = work / "peer", work / "tree"
        run(["ostree", "init", "--repo", self.repo, "--mode", mode])

    def prepare(self, step):
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()
        tar = ["tar", "xzf", tarball(step.version, step.arch).path, "-C", self.tree]
        commit = ["ostree", "commit", "--repo", self.repo, "--branch", f"go/{step.arch}/{step.version}",
                  f"--tree=dir={self.tree}/go", "--owner-uid=0", "--owner-gid=0", "--no-xattrs"]
        self.command = ["sh", "-c", f"{quoted(tar)} && exec {quoted(commit)}"]

    def sample(self):
        return measure(self.command)


def compose(args):
    """Runs every step on every file system and in every repository mode."""
    for step in STEPS:
        tarball(step.version, step.arch)
    rows = []
    for medium, folder in (("tmpfs", args.tmpfs), ("disk", args.disk)):
        for mode in ("archive", "bare-user"):
            if args.only and not any(text in f"{medium}/{mode}" for text in args.only):
                continue
            Path(folder).mkdir(parents=True, exist_ok=True)
            if mode == "bare-user" and not user_xattrs(folder):
                print(f"left out: {medium}/{mode}: no user xattrs on {folder}", file=sys.stderr)
                continue
            rows += compose_into(args, medium, folder, mode)
    return rows


def compose_into(args, medium, folder, mode):
    samples = {(step.name, side): [] for step in STEPS for side in (Ours, Peer)}
    for turn in range(args.runs):
        with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=folder) as work:
            sides = [side(Path(work), mode, args.bin) for side in (Ours, Peer)]
            for step in STEPS:
                for side in sides if turn % 2 == 0 else reversed(sides):
                    # Unchanged input has an absolute goal, because the other tools would repeat all the work.
                    if step.seconds and isinstance(side, Peer):
                        continue
                    side.prepare(step)
                    os.sync()
                    samples[step.name, type(side)].append(side.sample())
                peer = "" if step.seconds else f", peer {samples[step.name, Peer][-1].wall:.2f} s"
                print(f"{medium}/{mode} run {turn + 1}/{args.runs}: {step.name}: "
                      f"{samples[step.name, Ours][-1].wall:.2f} s{peer}", file=sys.stderr)
            if turn == args.runs - 1:
                run(["ostree", "fsck", "--repo", sides[0].repo, "--quiet"])
    return [row(medium, mode, step, samples[step.name, Ours], samples[step.name, Peer]) for step in STEPS]


def row(medium, mode, step, ours, peer):
    ours, peer = Sample.all(ours), Sample.all(peer) if peer else None
    ratio = peer["wall"]["median"] / max(ours["wall"]["median"], 1e-6) if peer else None
    goal = (step.times_faster or {}).get(mode)
    if goal is not None:
        met = ratio >= goal
    else:
        met = ours["wall"]["median"] < step.seconds
    return {"file_system": medium, "mode": mode, "step": step.name, "ostree_go": ours, "peer": peer,
            "ratio": ratio, "goal_ratio": goal, "goal_seconds": step.seconds,
            "goal_peak_mb": PEAK_MB, "met": met and ours["peak_mb"]["max"] < PEAK_MB}


def markdown(rows, facts, runs):
    lines = [
        f"{facts['cpu']}, {facts['nproc']} cores; Linux {facts['kernel']}; libostree {facts['libostree']}; "
        f"tmpfs and {facts['disk_file_system']}; medians of {runs} (least–most).",
        "",
        "| compose | repository | on | ostree-go s | user + sys s | peak MB | tar + ostree commit s | user + sys s | ratio | goal | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        goal = f"≥ {r['goal_ratio']}×" if r["goal_ratio"] else f"< {r['goal_seconds']} s"
        cpu = [f"{r[side]['user']['median']:.2f} + {r[side]['sys']['median']:.2f}" if r[side] else ""
               for side in ("ostree_go", "peer")]
        peer, ratio = (spread(r["peer"]["wall"]), f"{r['ratio']:.1f}×") if r["peer"] else ("", "")
        lines.append(
            f"| {r['step']} | {r['mode']} | {r['file_system']} | {spread(r['ostree_go']['wall'])} | {cpu[0]} "
            f"| {r['ostree_go']['peak_mb']['max']:.0f} | {peer} | {cpu[1]} "
            f"| {ratio} | {goal} | {'met' if r['met'] else '**missed**'} |")
    return "\n".join(lines) + "\n"


def update_docs(name, table):
    """Writes the table between the markers in the page."""
    page, count = re.subn(
        rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)",
        lambda m: f"{m[1]}\n{table}\n{m[2]}", PAGE.read_text(), flags=re.DOTALL)
    if count != 1:
        sys.exit(f"error: {PAGE}: expected the markers of bench:{name} once, found {count}")
    PAGE.write_text(page)


def chart(into_docs):
    """Draws the latest results of all benchmarks in one chart."""
    groups = bench_chart.bars(RESULTS)
    if not groups:
        sys.exit(f"error: {RESULTS}: no results to draw; `make bench` makes them")
    path = (PAGE.parent if into_docs else RESULTS) / "bench-ratios.svg"
    path.write_text(bench_chart.svg(groups))
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # The functions that measure the rows of each benchmark and format its table.
    subjects = {
        "limits": (bench_limits.rows, bench_limits.markdown), "compose": (compose, markdown),
        "delta": (bench_delta.rows, bench_delta.markdown), "client": (bench_client.rows, bench_client.markdown),
        "images": (bench_images.rows, bench_images.markdown), "growth": (bench_growth.rows, bench_growth.markdown)}
    parser.add_argument("subject", choices=[*subjects, "chart"])
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    parser.add_argument("--only", action="append", metavar="TEXT", help="run only steps whose name, such as tmpfs/archive or disk/bare-user, contains this text")
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    parser.add_argument("--bin", type=Path, default=ROOT / target / "release/ostree-go", metavar="PATH")
    parser.add_argument("--tmpfs", default="/dev/shm", metavar="DIR")
    parser.add_argument("--disk", default=RESULTS, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--update-docs", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    if args.subject == "chart":
        return chart(args.update_docs)
    args.bin = args.bin.resolve()
    if not args.bin.exists():
        sys.exit(f"error: {args.bin}: no such command; `make bench` builds it")
    Path(args.disk).mkdir(parents=True, exist_ok=True)

    measured, table_of = subjects[args.subject]
    rows = measured(args)
    facts = machine(args.disk)
    table = table_of(rows, facts, args.runs)
    print(table)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"schema": 1, "subject": args.subject, "runs": args.runs, "machine": facts, "rows": rows}
        args.json.write_text(json.dumps(document, indent=2) + "\n")
    if args.update_docs:
        update_docs(args.subject, table)


if __name__ == "__main__":
    main()
