"""Static deltas of real SDKs: `ostree-go publish` beside `ostree static-delta generate`."""

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
ARCH = "x86_64"
TIMES_FASTER = 5  # goal
PEAK_MB = 600  # goal: the most that making a delta may take


@dataclass(frozen=True)
class Step:
    name: str
    old: str | None
    new: str
    again: tuple = ()  # more deltas that publish makes out of this one


def rows(args):
    """Both steps, in turn, in two copies of one repository on tmpfs."""
    found = []
    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=args.tmpfs) as work:
        work = Path(work)
        env = {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}
        ours, peer = work / "ours", work / "peer"
        releases, channels = compose(args.bin, ours, work, env)
        shutil.copytree(ours, peer)
        publish = [args.bin, "publish", "--repo", ours, "--history", "1"]
        run(publish, env)
        steps = [Step("from nothing", None, releases[1], (channels[1],)),
                 Step("to the next patch release", channels[0], channels[1])]
        for step in steps:
            samples = {"ours": [], "peer": []}
            for turn in range(args.runs):
                for side in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
                    for name in (delta_name(step.old, step.new), *step.again):
                        shutil.rmtree(delta_folder(ours if side == "ours" else peer, name), ignore_errors=True)
                    os.sync()
                    source = [f"--from={step.old}"] if step.old else ["--empty"]
                    generate = ["ostree", "static-delta", "generate", "--repo", peer, *source, f"--to={step.new}"]
                    samples[side].append(measure(publish, env) if side == "ours" else measure(generate))
                print(f"run {turn + 1}/{args.runs}: {step.name}: {samples['ours'][-1].wall:.2f} s, "
                      f"peer {samples['peer'][-1].wall:.2f} s", file=sys.stderr)
            name = delta_name(step.old, step.new)
            found.append(row(step, samples, size(ours, name), size(peer, name)))
        check(ours, steps, work)
    return found


def compose(binary, repo, work, env):
    """Both releases onto one channel; the commits of the releases and of the channel."""
    run([binary, "--repo", repo, "init", "--mode", "archive"], env)
    releases, channels = [], []
    for version in VERSIONS:
        treefile = work / "treefile.yaml"
        source = str(tarball(version, ARCH).path).replace(SDKS[ARCH], "${goarch}")
        treefile.write_text(f"version: {version}\ninclude: {ROOT}/treefiles/base.yaml\narches: [{ARCH}]\n"
                            f"source:\n  - path: {source}\nchannels: [\"go-sdk/${{basearch}}/1.26\"]\n")
        run([binary, "compose", treefile, "--repo", repo], env)
        releases.append(said(["ostree", "rev-parse", "--repo", repo, f"go-sdk/{ARCH}/{version}"]).strip())
        channels.append(said(["ostree", "rev-parse", "--repo", repo, f"go-sdk/{ARCH}/1.26"]).strip())
    return releases, channels


def check(repo, steps, work):
    """The stock command applies what was measured, in repositories that have nothing but the old commit."""
    for step in steps:
        client = work / step.name.replace(" ", "-")
        run(["ostree", "init", "--repo", client, "--mode", "bare-user"])
        if step.old:
            run(["ostree", "pull-local", "--repo", client, repo, step.old])
        folder = delta_folder(repo, delta_name(step.old, step.new))
        run(["ostree", "static-delta", "apply-offline", "--repo", client, folder])
        run(["ostree", "fsck", "--repo", client, "--quiet"])


def delta_name(old, new):
    return f"{old}-{new}" if old else new


def delta_folder(repo, name):
    """Where libostree keeps it: checksums in base64 with `_` for `/`."""
    parts = [base64.b64encode(bytes.fromhex(part), b"+_").decode().rstrip("=") for part in name.split("-")]
    path = "-".join(parts)
    return repo / "deltas" / path[:2] / path[2:]


def size(repo, name):
    """Bytes of the parts and of the objects that are fetched beside them, as the stock command counts."""
    shown = said(["ostree", "static-delta", "show", "--repo", repo, name])
    found = {what: int(n) for what, n in re.findall(r"^(Total Size|Total Fallback Size|Number of parts): (\d+)", shown, re.M)}
    return {"bytes": found["Total Size"], "fallback_bytes": found["Total Fallback Size"], "parts": found["Number of parts"]}


def row(step, samples, ours, peer):
    seconds = {side: Sample.all(all_runs) for side, all_runs in samples.items()}
    ratio = seconds["peer"]["wall"]["median"] / seconds["ours"]["wall"]["median"]
    met = ratio >= TIMES_FASTER and ours["bytes"] <= peer["bytes"] and seconds["ours"]["peak_mb"]["max"] < PEAK_MB
    return {"step": step.name, "ostree_go": seconds["ours"] | ours, "peer": seconds["peer"] | peer,
            "ratio": ratio, "goal_ratio": TIMES_FASTER, "goal_peak_mb": PEAK_MB, "met": met}


def markdown(found, facts, runs):
    lines = [
        f"{facts['cpu']}, {facts['nproc']} cores; Linux {facts['kernel']}; libostree {facts['libostree']}; "
        f"tmpfs; Go {VERSIONS[0]} and {VERSIONS[1]} for {ARCH}; medians of {runs} (least–most).",
        "",
        "| delta | ostree-go s | user s | peak MB | MB | parts | libostree s | user s | peak MB | MB, with fallbacks | ratio | goal | |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in found:
        ours, peer = r["ostree_go"], r["peer"]
        lines.append(
            f"| {r['step']} | {spread(ours['wall'])} | {ours['user']['median']:.1f} | {ours['peak_mb']['max']:.0f} "
            f"| {ours['bytes'] / 1e6:.2f} | {ours['parts']} | {spread(peer['wall'])} | {peer['user']['median']:.1f} "
            f"| {peer['peak_mb']['max']:.0f} | {peer['bytes'] / 1e6:.2f} | {r['ratio']:.1f}× | ≥ {r['goal_ratio']}×, no larger, "
            f"< {r['goal_peak_mb']} MB | {'met' if r['met'] else '**missed**'} |")
    return "\n".join(lines) + "\n"
