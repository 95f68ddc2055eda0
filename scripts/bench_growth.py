"""Benchmark of a growing repository: its size, and the time and memory of the commands that use it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from bench_client import Web, key_of
from bench_delta import delta_folder, delta_name
from bench_inputs import ROOT, SDKS, tarball
from bench_measure import Sample, measure, run, said, spread

REAL = [f"1.26.{patch}" for patch in range(10)]
MARKS = (10, 25, 50, 100)
CHANGED = 100  # library files that differ between two generated releases, as many as in a patch release
MOST_TURNS = 5  # number of versions that are measured before each reported size; each is new to the publisher and the host
KEEP = 3
ARCH = "x86_64"  # architecture of the host

# The operations after each measured release, in this order.
STEPS = ("publish, one release is new", "publish, nothing is new", "list", "prune --dry-run",
         "a host's upgrade", "a host's gc")


def rows(args):
    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=args.tmpfs) as work:
        work = Path(work)
        publisher = Publisher(work, args.bin)
        web = Web(work, work)
        try:
            sizes, steps = grow(args, publisher, Host(work, publisher, web))
        finally:
            web.stop()
            run(["chmod", "-R", "u+w", work])
        run(["ostree", "fsck", "--repo", publisher.repo, "--quiet"])
    return [{"sizes": sizes}, *steps]


def grow(args, publisher, host):
    turns = min(args.runs, MOST_TURNS)
    sizes, found, samples = [], [], {}
    for number in range(1, max(MARKS) + 1):
        if number == 1:
            publisher.compose(number, "--arch", ARCH)
            publisher.publish_truly()
            host.install()
        publisher.compose(number)
        if number <= len(REAL):
            sizes.append(publisher.size(number))
        mark = next(mark for mark in MARKS if mark >= number)
        if mark - number > turns:
            continue
        publisher.stand_in()
        commands = dict(zip(STEPS, [
            publisher.publish, publisher.publish, publisher.command("list"),
            publisher.command("prune", "--keep", KEEP, "--dry-run"),
            host.command("upgrade"), host.command("gc", "--superseded")]))
        once = {}
        for step, command in commands.items():
            os.sync()
            once[step] = measure(command, host.env if step.startswith("a host") else publisher.env)
        print(f"{number} versions: " + ", ".join(f"{step} {once[step].wall:.3f} s" for step in STEPS), file=sys.stderr)
        if mark - number == turns:
            # Discard this sample. Many releases are new to this publish and to the host, because the versions before
            # it were composed only.
            samples = {step: [] for step in STEPS}
            continue
        for step in STEPS:
            samples[step].append(once[step])
        if mark == number:
            found += [{"step": step, "versions": mark, "ostree_go": Sample.all(samples[step])} for step in STEPS]
    return sizes, found


class Publisher:
    """An archive repository into which one version after the other is composed, for both architectures."""

    def __init__(self, work, binary):
        self.work, self.binary, self.repo = work, binary, work / "repo"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}
        run([binary, "key", "generate", "--output-dir", work / "keys"], self.env)
        self.key = work / "keys/public.asc"
        self.signing = ["--gpg-sign", key_of(self.key, self.env), "--gpg-homedir", work / "keys/gnupg"]
        run([binary, "--repo", self.repo, "init", "--mode", "archive"], self.env)
        self.publish = self.command("publish", "--history", "0", *self.signing)
        self.model, self.changing = work / "model", []

    def command(self, verb, *words):
        return [self.binary, verb, "--repo", self.repo, *words]

    def compose(self, number, *words):
        version = f"1.26.{number - 1}"
        if version in REAL:
            path = tarball(version, ARCH).path
            source = path.parent / path.name.replace(SDKS[ARCH], "${goarch}")
        else:
            self.generate(version, number)
            source = self.work / "tree-${goarch}/go"
        treefile = self.work / "treefile.yaml"
        treefile.write_text(f"version: {version}\ninclude: {ROOT}/treefiles/base.yaml\n"
                            f"channels: [\"go-sdk/${{basearch}}/1.26\"]\nsource:\n  - path: {source}\n")
        run(self.command("compose", treefile, *self.signing, *words), self.env)

    def generate(self, version, number):
        """Generates a version: the trees of the last real version with a new VERSION and more changed files."""
        for goarch in SDKS.values():
            tree = self.work / f"tree-{goarch}"
            if not tree.exists():
                arch = next(arch for arch in SDKS if SDKS[arch] == goarch)
                with tarfile.open(tarball(REAL[-1], arch).path) as archive:
                    archive.extractall(tree, filter="fully_trusted")
            if not self.changing:
                self.changing = sorted(path.relative_to(tree) for path in (tree / "go/src").rglob("*.go"))
            text = (tree / "go/VERSION").read_text()
            (tree / "go/VERSION").write_text(re.sub(r"^go\S+", f"go{version}", text))
            for index in range(CHANGED):
                name = self.changing[(number * CHANGED + index) * 7 % len(self.changing)]
                with (tree / name).open("a") as file:
                    file.write(f"// As of {version}.\n")

    def size(self, number):
        """Returns the disk usage of the releases without deltas, and the size of their archives."""
        taken = said(["du", "-s", "--block-size=1", "--exclude=deltas", self.repo]).split()[0]
        packed = sum(tarball(version, arch).path.stat().st_size for version in REAL[:number] for arch in SDKS)
        return {"versions": number, "repository_bytes": int(taken), "tarball_bytes": packed}

    def publish_truly(self):
        """Generates the delta to which all others are hard links."""
        run(self.publish, self.env)
        self.model.mkdir()
        made = next(self.repo.glob("deltas/*/*/superblock")).parent
        shutil.copytree(made, self.model, dirs_exist_ok=True)

    def stand_in(self):
        """Creates the delta from nothing that publish would generate, so that only its other work is timed.
        It is a link to a real delta of another release; a host that upgrades does not read it."""
        listed = subprocess.run(self.command("list", "--format", "json"), env=self.env, capture_output=True, check=True)
        for commit in {found["commit"] for found in json.loads(listed.stdout)["refs"]}:
            folder = delta_folder(self.repo, delta_name(None, commit))
            if not folder.exists():
                shutil.copytree(self.model, folder, copy_function=os.link)


class Host:
    """A host that follows the channel."""

    def __init__(self, work, publisher, web):
        self.binary = publisher.binary
        self.env = publisher.env | {"OSTREE_GO_ROOT": str(work / "root")}
        run([self.binary, "remote", "add", "acme", f"http://127.0.0.1:{web.port}/repo", "--gpg-import", publisher.key], self.env)

    def command(self, *words):
        return [self.binary, *words]

    def install(self):
        run(self.command("install", "1.26"), self.env)


def markdown(found, facts, runs):
    sizes, steps = found[0]["sizes"], found[1:]
    lines = [
        f"{facts['cpu']}, {facts['nproc']} cores; Linux {facts['kernel']}; libostree {facts['libostree']}; tmpfs; "
        f"Go {REAL[0]} to {REAL[-1]}, both architectures.",
        "",
        "| versions | releases | repository MB, without deltas | tarballs MB | of the tarballs |",
        "|---|---|---|---|---|",
    ]
    for r in sizes:
        taken, packed = r["repository_bytes"], r["tarball_bytes"]
        lines.append(f"| {r['versions']} | {r['versions'] * len(SDKS)} | {taken / 1e6:.0f} | {packed / 1e6:.0f} "
                     f"| {100 * taken / packed:.0f} % |")
    marks = sorted({r["versions"] for r in steps})
    lines += [
        "",
        f"Then generated versions, up to {marks[-1]}, medians of {min(runs, MOST_TURNS)} (least–most), in seconds; and peak MB.",
        "",
        "| | " + " | ".join(f"{mark} versions" for mark in marks) + " | peak MB |",
        "|---" * (len(marks) + 2) + "|",
    ]
    for step in STEPS:
        at = {r["versions"]: r["ostree_go"] for r in steps if r["step"] == step}
        walls = " | ".join(spread(at[mark]["wall"], digits=3) for mark in marks)
        peaks = ", ".join(f"{at[mark]['peak_mb']['max']:.0f}" for mark in marks)
        lines.append(f"| {step} | {walls} | {peaks} |")
    return "\n".join(lines) + "\n"
