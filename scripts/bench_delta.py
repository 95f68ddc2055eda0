"""Benchmark of static deltas of real SDKs: `ostree-go publish` compared with `ostree static-delta generate`."""

import base64
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench_inputs import SDKS, tarball
from bench_measure import Sample, measure, run, said, spread

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("1.26.4", "1.26.5")
ARCHES = ("x86_64", "aarch64")
TIMES_FASTER = 5  # goal
PEAK_MB = 600  # goal for the peak memory of generating a delta
BEST_MB = 45  # goal for the size of a delta from nothing with the preset best


@dataclass(frozen=True)
class Step:
    name: str
    old: str | None
    new: str
    again: tuple = ()  # further deltas that publish derives from this one
    preset: str = "fast"
    peer: "Step | None" = None  # the step whose libostree results are reused, because libostree has only one preset
    goal: float = TIMES_FASTER
    goal_mb: float | None = None


def steps_for(arch, releases, channels):
    nothing = Step(f"{arch}, from nothing", None, releases[1], (channels[1],))
    return [nothing, Step(f"{arch}, to the next patch release", channels[0], channels[1])]


def rows(args):
    """Runs the steps alternately in two copies of one repository on tmpfs."""
    found = []
    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=args.tmpfs) as work:
        work = Path(work)
        env = {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}
        ours, peer = work / "ours", work / "peer"
        commits = {arch: compose(args.bin, arch, ours, work, env) for arch in ARCHES}
        shutil.copytree(ours, peer)
        publish = [args.bin, "publish", "--repo", ours, "--history", "1"]
        run(publish, env)
        steps = [step for arch in ARCHES for step in steps_for(arch, *commits[arch])]
        first = steps[0]
        best = Step(f"{first.name}, --delta-preset best", None, first.new, first.again, "best", first, 1, BEST_MB)
        everything = []
        for step in [*steps, best]:
            names = (delta_name(step.old, step.new), *step.again)
            samples = {"ours": [], "peer": []}
            for turn in range(args.runs):
                for side in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
                    if side == "peer" and step.peer:
                        continue
                    for name in names:
                        shutil.rmtree(delta_folder(ours if side == "ours" else peer, name), ignore_errors=True)
                    os.sync()
                    source = [f"--from={step.old}"] if step.old else ["--empty"]
                    generate = ["ostree", "static-delta", "generate", "--repo", peer, *source, f"--to={step.new}"]
                    ask = [*publish, "--delta-preset", step.preset]
                    samples[side].append(measure(ask, env) if side == "ours" else measure(generate))
                last = {side: f"{all_runs[-1].wall:.2f} s" for side, all_runs in samples.items() if all_runs}
                print(f"run {turn + 1}/{args.runs}: {step.name}: {last}", file=sys.stderr)
            name = names[0]
            if step.peer:
                sizes = (size(ours, name), size(peer, delta_name(step.peer.old, step.peer.new)))
                found.append(row(step, seconds(samples["ours"]), found[steps.index(step.peer)]["peer"], *sizes))
            else:
                everything += names
                found.append(row(step, *(seconds(samples[side]) for side in ("ours", "peer")), size(ours, name), size(peer, name)))
            check(ours, step, work)
        found.append(publish_all(args, publish, env, ours, everything, found[: len(steps)]))
    return found


def publish_all(args, publish, env, ours, names, made):
    """Generates all deltas of the release in one publish, compared with the sum of libostree's times for them."""
    samples = []
    for turn in range(args.runs):
        for name in names:
            shutil.rmtree(delta_folder(ours, name), ignore_errors=True)
        os.sync()
        samples.append(measure(publish, env))
        print(f"run {turn + 1}/{args.runs}: publish: {samples[-1].wall:.2f} s", file=sys.stderr)
    taken = seconds(samples) | total([r["ostree_go"] for r in made])
    alone = [r["peer"] for r in made]
    sums = {what: {of: sum(one[what][of] for one in alone) for of in ("median", "min", "max")} for what in ("wall", "user")}
    peer = sums | {"peak_mb": {"max": max(one["peak_mb"]["max"] for one in alone)}} | total(alone)
    return row(Step("publish of the patch release, both architectures", None, ""), taken, peer, {}, {})


def total(sides):
    return {what: sum(side[what] for side in sides) for what in ("bytes", "fallback_bytes", "parts")}


def compose(binary, arch, repo, work, env):
    """Composes both releases into one channel, and returns the commits of the releases and of the channel."""
    if not repo.exists():
        run([binary, "--repo", repo, "init", "--mode", "archive"], env)
    releases, channels = [], []
    for version in VERSIONS:
        treefile = work / "treefile.yaml"
        source = str(tarball(version, arch).path).replace(SDKS[arch], "${goarch}")
        treefile.write_text(f"version: {version}\ninclude: {ROOT}/treefiles/base.yaml\narches: [{arch}]\n"
                            f"source:\n  - path: {source}\nchannels: [\"go-sdk/${{basearch}}/1.26\"]\n")
        run([binary, "compose", treefile, "--repo", repo], env)
        releases.append(said(["ostree", "rev-parse", "--repo", repo, f"go-sdk/{arch}/{version}"]).strip())
        channels.append(said(["ostree", "rev-parse", "--repo", repo, f"go-sdk/{arch}/1.26"]).strip())
    return releases, channels


def check(repo, step, work):
    """Applies the measured deltas with the stock command, in a repository that contains only the old commit."""
    client = work / "client"
    run(["ostree", "init", "--repo", client, "--mode", "bare-user"])
    if step.old:
        run(["ostree", "pull-local", "--repo", client, repo, step.old])
    folder = delta_folder(repo, delta_name(step.old, step.new))
    run(["ostree", "static-delta", "apply-offline", "--repo", client, folder])
    run(["ostree", "fsck", "--repo", client, "--quiet"])
    shutil.rmtree(client)


def delta_name(old, new):
    return f"{old}-{new}" if old else new


def delta_folder(repo, name):
    """Returns libostree's path of a delta: checksums in base64 with `_` instead of `/`."""
    parts = [base64.b64encode(bytes.fromhex(part), b"+_").decode().rstrip("=") for part in name.split("-")]
    path = "-".join(parts)
    return repo / "deltas" / path[:2] / path[2:]


def size(repo, name):
    """Returns the bytes of the parts and of the fallback objects, as reported by the stock command."""
    shown = said(["ostree", "static-delta", "show", "--repo", repo, name])
    found = {what: int(n) for what, n in re.findall(r"^(Total Size|Total Fallback Size|Number of parts): (\d+)", shown, re.M)}
    return {"bytes": found["Total Size"], "fallback_bytes": found["Total Fallback Size"], "parts": found["Number of parts"]}


def seconds(samples):
    return Sample.all(samples)


def row(step, ours, peer, our_size, peer_size):
    ours, peer = ours | our_size, peer | peer_size
    ratio = peer["wall"]["median"] / ours["wall"]["median"]
    met = ratio >= step.goal and ours["bytes"] <= peer["bytes"] and ours["peak_mb"]["max"] < PEAK_MB
    met = met and (step.goal_mb is None or ours["bytes"] < step.goal_mb * 1e6)
    return {"step": step.name, "ostree_go": ours, "peer": peer, "ratio": ratio, "goal_ratio": step.goal,
            "goal_peak_mb": PEAK_MB, "goal_mb": step.goal_mb, "met": met}


def markdown(found, facts, runs):
    lines = [
        f"{facts['cpu']}, {facts['nproc']} cores; Linux {facts['kernel']}; libostree {facts['libostree']}; "
        f"tmpfs; Go {VERSIONS[0]} and {VERSIONS[1]}; medians of {runs} (least–most).",
        "",
        "| delta | ostree-go s | user s | peak MB | MB | parts | libostree s | user s | peak MB | MB, with fallbacks | ratio | goal | |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in found:
        ours, peer = r["ostree_go"], r["peer"]
        smaller = f"< {r['goal_mb']} MB" if r["goal_mb"] else "no larger"
        lines.append(
            f"| {r['step']} | {spread(ours['wall'])} | {ours['user']['median']:.1f} | {ours['peak_mb']['max']:.0f} "
            f"| {ours['bytes'] / 1e6:.2f} | {ours['parts']} | {spread(peer['wall'])} | {peer['user']['median']:.1f} "
            f"| {peer['peak_mb']['max']:.0f} | {peer['bytes'] / 1e6:.2f} | {r['ratio']:.1f}× | ≥ {r['goal_ratio']}×, {smaller}, "
            f"peak < {r['goal_peak_mb']} MB | {'met' if r['met'] else '**missed**'} |")
    return "\n".join(lines) + "\n"
