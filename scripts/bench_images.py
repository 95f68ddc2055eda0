"""Benchmark of images of a real SDK: `ostree-go export oci` compared with `buildah build` and `buildah push`."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench_delta import compose
from bench_measure import Sample, measure, run, spread

ARCH, REF = "x86_64", "go-sdk/x86_64/1.26.5"
# No container is run, so no container runtime is needed.
CONTAINERFILE = "FROM scratch\nCOPY tree /\n"


@dataclass(frozen=True)
class Way:
    name: str
    is_ours: bool = True


def rows(args):
    """Exports to an OCI image layout. All files are on disk, as in an image store."""
    if os.geteuid() != 0 or not shutil.which("buildah"):
        sys.exit("error: images are measured by root, with buildah")
    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=args.disk) as work:
        work = Path(work)
        env = {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}
        repo, context, images = work / "repo", work / "context", work / "images"
        compose(args.bin, ARCH, repo, work, env)
        context.mkdir()
        run([args.bin, "--repo", repo, "checkout", REF, context / "tree"], env)
        (context / "Containerfile").write_text(CONTAINERFILE)
        buildah = ["buildah", "--root", work / "store", "--runroot", work / "run", "--storage-driver", "overlay"]
        export = [args.bin, "--repo", repo, "export", "oci", REF, f"oci:{images}:1"]
        ways = {
            Way("`export oci`, zstd"): export,
            Way("`export oci --compression gzip`"): [*export, "--compression", "gzip"],
            Way("`buildah build`, the tree being checked out", False): [*buildah, "build", "--no-cache", "-q", "-t", "sdk", context],
            Way("`buildah push`, gzip", False): [*buildah, "push", "-q", "sdk", f"oci:{images}:1"],
        }
        samples, sizes = {way: [] for way in ways}, {}
        try:
            for turn in range(args.runs):
                for way, command in ways.items():
                    shutil.rmtree(images, ignore_errors=True)
                    os.sync()
                    samples[way].append(measure(command, env))
                    if images.exists():
                        sizes[way] = sum(file.stat().st_size for file in images.rglob("*") if file.is_file())
                    print(f"run {turn + 1}/{args.runs}: {way.name}: {samples[way][-1].wall:.2f} s", file=sys.stderr)
        finally:
            for mount in ("store/overlay", "store"):
                subprocess.run(["umount", "-q", work / mount], check=False)
    return [{"step": way.name, "is_ours": way.is_ours, **Sample.all(samples[way]), "bytes": sizes.get(way)} for way in ways]


def markdown(found, facts, runs):
    lines = [
        f"{facts['cpu']}, {facts['nproc']} cores; Linux {facts['kernel']}; disk; Go 1.26.5, {ARCH}; "
        f"{version()}; medians of {runs} (least–most).",
        "",
        "| | s | user + sys s | peak MB | MB |",
        "|---|---|---|---|---|",
    ]
    for r in found:
        size = f"{r['bytes'] / 1e6:.1f}" if r["bytes"] else ""
        lines.append(f"| {r['step']} | {spread(r['wall'])} | {r['user']['median']:.2f} + {r['sys']['median']:.2f} "
                     f"| {r['peak_mb']['max']:.0f} | {size} |")
    theirs = sum(r["wall"]["median"] for r in found if not r["is_ours"])
    ours = [r["wall"]["median"] for r in found if r["is_ours"]]
    lines += ["", f"Building and pushing takes {theirs / ours[0]:.1f}× as long as the first, and {theirs / ours[1]:.1f}× as long as the second."]
    return "\n".join(lines) + "\n"


def version():
    said = subprocess.run(["buildah", "--version"], capture_output=True, text=True, check=True).stdout.split()
    return f"buildah {said[2]}"
