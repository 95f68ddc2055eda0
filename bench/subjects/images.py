"""Benchmark of images of a real SDK: `ostree-go export oci` compared with `buildah build` and `buildah push`."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import Machine
from bench.measure import Command, Sample, measure, progress, run, summaries
from bench.options import Options
from bench.ostree_go import OstreeGo, release_ref
from bench.paths import scratch
from bench.report import Row, cpu, medians, peak, spread, table
from bench.sdks import NEW

ARCH = "x86_64"
# No container is run, so no container runtime is needed.
CONTAINERFILE = "FROM scratch\nCOPY tree /\n"


@dataclass
class Step:
    """A command, and its results."""

    name: str
    is_ours: bool
    command: Command
    samples: list[Sample] = field(default_factory=list)
    size: int | None = None
    """Bytes of the image, if the command writes one."""


def measure_rows(options: Options) -> list[Row]:
    """Exports to an OCI image layout. All files are on disk, as in an image store."""
    if os.geteuid() != 0 or not shutil.which("buildah"):
        sys.exit("error: images are measured by root, with buildah")
    with scratch(options.disk) as work:
        ostree_go = OstreeGo(options.binary, work)
        images = work / "images"
        steps = prepare(ostree_go, work, images)
        try:
            for turn in range(options.runs):
                for step in steps:
                    shutil.rmtree(images, ignore_errors=True)
                    os.sync()
                    step.samples.append(measure(step.command, ostree_go.env))
                    if images.exists():
                        step.size = sum(file.stat().st_size for file in images.rglob("*") if file.is_file())
                    progress(f"run {turn + 1}/{options.runs}: {step.name}: {step.samples[-1].wall:.2f} s")
        finally:
            for mount in ("store/overlay", "store"):
                subprocess.run(["umount", "-q", work / mount], check=False)
    return [{"step": step.name, "is_ours": step.is_ours, **summaries(step.samples), "bytes": step.size}
            for step in steps]


def prepare(ostree_go: OstreeGo, work: Path, images: Path) -> list[Step]:
    """Composes the SDK and checks it out, and returns the commands to measure."""
    repo, context, ref = work / "repo", work / "context", release_ref(NEW, ARCH)
    ostree_go.init(repo)
    run(ostree_go.compose_command(repo, NEW, arch=ARCH), ostree_go.env)
    context.mkdir()
    ostree_go.run("--repo", repo, "checkout", ref, context / "tree")
    (context / "Containerfile").write_text(CONTAINERFILE)
    export = ostree_go.command("--repo", repo, "export", "oci", ref, f"oci:{images}:1")
    buildah = ["buildah", "--root", f"{work}/store", "--runroot", f"{work}/run", "--storage-driver", "overlay"]
    return [
        Step("`export oci`, zstd", True, export),
        Step("`export oci --compression gzip`", True, [*export, "--compression", "gzip"]),
        Step("`buildah build`, the tree being checked out", False,
             [*buildah, "build", "--no-cache", "-q", "-t", "sdk", str(context)]),
        Step("`buildah push`, gzip", False, [*buildah, "push", "-q", "sdk", f"oci:{images}:1"]),
    ]


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    theirs = sum(row["wall"]["median"] for row in rows if not row["is_ours"])
    zstd, gzip = (theirs / row["wall"]["median"] for row in rows if row["is_ours"])
    buildah = run(["buildah", "--version"]).split()[2]
    return [
        machine.description("disk", f"Go {NEW}, {ARCH}", f"buildah {buildah}", medians(runs)),
        "",
        *table(["", "s", "user + sys s", "peak MB", "MB"], map(cells, rows)),
        "",
        f"Building and pushing takes {zstd:.1f}× as long as the first, and {gzip:.1f}× as long as the second.",
    ]


def cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table."""
    size = f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else ""
    return [row["step"], spread(row["wall"]), cpu(row), peak(row), size]
