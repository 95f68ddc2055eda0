"""Benchmark of a growing repository: its size, and the time and memory of the commands that use it."""

import json
import os
import re
import shutil
from pathlib import Path

from bench import ostree
from bench.machine import Machine
from bench.measure import Sample, measure, progress, run, summaries
from bench.nginx import Nginx
from bench.options import Options
from bench.ostree_go import CHANNEL, OstreeGo
from bench.paths import scratch
from bench.report import Row, medians, spread, table
from bench.sdks import GOARCH, tarball

REAL = [f"1.26.{patch}" for patch in range(10)]
MARKS = (10, 25, 50, 100)  # numbers of versions for which results are reported
CHANGED = 100  # library files that differ between two generated releases, as many as in a patch release
MOST_TURNS = 5  # number of versions that are measured before each mark; each is new to the publisher and the host
KEEP = 3
ARCH = "x86_64"  # architecture of the host


class Publisher:
    """An archive repository into which one version after the other is composed, for both architectures."""

    def __init__(self, ostree_go: OstreeGo) -> None:
        self.ostree_go, self.work = ostree_go, ostree_go.home
        self.repo, self.model_delta = self.work / "repo", self.work / "model"
        self.key = ostree_go.generate_key()
        ostree_go.init(self.repo)
        self.publish = self.command("publish", "--history", "0", *self.key.signing)
        self.changing: list[Path] = []
        """Files that generated versions change, relative to a tree."""

    def command(self, verb: str, *words: str | Path) -> list[str]:
        """Returns a command for the repository."""
        return self.ostree_go.command(verb, "--repo", self.repo, *words)

    def compose(self, number: int, arch: str | None = None) -> None:
        """Composes a version, for one or both architectures. The first version has the number 1."""
        version, source = f"1.26.{number - 1}", None
        if version not in REAL:
            self.generate(version, number)
            source = self.work / "tree-${goarch}/go"
        run(self.ostree_go.compose_command(self.repo, version, *self.key.signing, arch=arch, source=source),
            self.ostree_go.env)

    def generate(self, version: str, number: int) -> None:
        """Generates a version: the trees of the last real version with a new VERSION and more changed files."""
        for arch, goarch in GOARCH.items():
            tree = self.work / f"tree-{goarch}"
            if not tree.exists():
                tree.mkdir()
                run(["tar", "xzf", tarball(REAL[-1], arch).path, "-C", tree])
            if not self.changing:
                self.changing = sorted(path.relative_to(tree) for path in (tree / "go/src").rglob("*.go"))
            version_file = tree / "go/VERSION"
            version_file.write_text(re.sub(r"^go\S+", f"go{version}", version_file.read_text()))
            for index in range(CHANGED):
                name = self.changing[(number * CHANGED + index) * 7 % len(self.changing)]
                with (tree / name).open("a") as file:
                    file.write(f"// As of {version}.\n")

    def size(self, number: int) -> Row:
        """Returns the disk usage of the releases without deltas, and the size of their archives."""
        used = run(["du", "-s", "--block-size=1", "--exclude=deltas", self.repo]).split()[0]
        packed = sum(tarball(version, arch).path.stat().st_size for version in REAL[:number] for arch in GOARCH)
        return {"versions": number, "repository_bytes": int(used), "tarball_bytes": packed}

    def publish_model_delta(self) -> None:
        """Generates the delta to which all others are hard links."""
        run(self.publish, self.ostree_go.env)
        self.model_delta.mkdir()
        generated = next(self.repo.glob("deltas/*/*/superblock")).parent
        shutil.copytree(generated, self.model_delta, dirs_exist_ok=True)

    def link_missing_deltas(self) -> None:
        """Creates the delta from nothing that publish would generate, so that only its other work is timed.

        It is a link to a real delta of another release; a host that upgrades does not read it.
        """
        listed = run(self.command("list", "--format", "json"), self.ostree_go.env)
        for commit in {ref["commit"] for ref in json.loads(listed)["refs"]}:
            folder = ostree.delta_path(self.repo, ostree.delta_name(None, commit))
            if not folder.exists():
                shutil.copytree(self.model_delta, folder, copy_function=os.link)


class Host:
    """A host that follows the channel."""

    def __init__(self, publisher: Publisher, web: Nginx) -> None:
        self.ostree_go = publisher.ostree_go
        self.env = self.ostree_go.env | {"OSTREE_GO_ROOT": str(publisher.work / "root")}
        run(self.ostree_go.command("remote", "add", "acme", f"http://127.0.0.1:{web.port}/repo", "--gpg-import",
                                   publisher.key.public), self.env)

    def install(self) -> None:
        """Installs the current version of the channel."""
        run(self.ostree_go.command("install", CHANNEL), self.env)


class Steps:
    """The operations after each measured release, in this order, with their environments."""

    def __init__(self, publisher: Publisher, host: Host) -> None:
        at_publisher, at_host = publisher.ostree_go.env, host.env
        self.commands = {
            "publish, one release is new": (publisher.publish, at_publisher),
            "publish, nothing is new": (publisher.publish, at_publisher),
            "list": (publisher.command("list"), at_publisher),
            "prune --dry-run": (publisher.command("prune", "--keep", str(KEEP), "--dry-run"), at_publisher),
            "a host's upgrade": (host.ostree_go.command("upgrade"), at_host),
            "a host's gc": (host.ostree_go.command("gc", "--superseded"), at_host),
        }

    def measure(self) -> dict[str, Sample]:
        """Runs each operation once."""
        samples = {}
        for step, (command, env) in self.commands.items():
            os.sync()
            samples[step] = measure(command, env)
        return samples


def measure_rows(options: Options) -> list[Row]:
    """Composes versions into one repository. The first row contains the sizes."""
    with scratch(options.tmpfs) as work:
        publisher = Publisher(OstreeGo(options.binary, work))
        web = Nginx(work, work)
        try:
            sizes, rows = grow(turns_of(options.runs), publisher, Host(publisher, web))
        finally:
            web.stop()
            # Deployments are read-only.
            run(["chmod", "-R", "u+w", work])
        ostree.fsck(publisher.repo)
    return [{"sizes": sizes}, *rows]


def turns_of(runs: int) -> int:
    """Returns the number of versions that are measured before each mark."""
    return min(runs, MOST_TURNS)


def grow(turns: int, publisher: Publisher, host: Host) -> tuple[list[Row], list[Row]]:
    """Composes all versions, and returns the sizes of the real ones and the results at the marks."""
    sizes: list[Row] = []
    rows: list[Row] = []
    samples: list[dict[str, Sample]] = []
    publisher.compose(1, ARCH)
    publisher.publish_model_delta()
    host.install()
    steps = Steps(publisher, host)
    for number in range(1, max(MARKS) + 1):
        publisher.compose(number)
        if number <= len(REAL):
            sizes.append(publisher.size(number))
        mark = next(mark for mark in MARKS if mark >= number)
        if mark - number > turns:
            continue
        publisher.link_missing_deltas()
        sample = steps.measure()
        progress(f"{number} versions: " + ", ".join(f"{step} {one.wall:.3f} s" for step, one in sample.items()))
        if mark - number == turns:
            # Discard this sample. Many releases are new to this publish and to the host, because the versions before
            # it were composed only.
            samples = []
            continue
        samples.append(sample)
        if mark == number:
            rows += [{"step": step, "versions": mark, "ostree_go": summaries([one[step] for one in samples])}
                     for step in steps.commands]
    return sizes, rows


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    sizes, measured = rows[0]["sizes"], rows[1:]
    marks = sorted({row["versions"] for row in measured})
    by_step: dict[str, dict[int, Row]] = {}
    for row in measured:
        by_step.setdefault(row["step"], {})[row["versions"]] = row["ostree_go"]
    return [
        machine.description(f"libostree {machine.libostree}", "tmpfs", f"Go {REAL[0]} to {REAL[-1]}, both architectures"),
        "",
        *table(["versions", "releases", "repository MB, without deltas", "tarballs MB", "of the tarballs"],
               map(size_cells, sizes)),
        "",
        f"Then generated versions, up to {marks[-1]}, {medians(turns_of(runs))}, in seconds; and peak MB.",
        "",
        *table(["", *(f"{mark} versions" for mark in marks), "peak MB"],
               (step_cells(step, [at[mark] for mark in marks]) for step, at in by_step.items())),
    ]


def size_cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table of sizes."""
    used, packed = row["repository_bytes"], row["tarball_bytes"]
    return [str(row["versions"]), str(row["versions"] * len(GOARCH)), f"{used / 1e6:.0f}", f"{packed / 1e6:.0f}",
            f"{100 * used / packed:.0f} %"]


def step_cells(step: str, figures: list[Row]) -> list[str]:
    """Returns the cells of a row of the table of commands."""
    return [step, *(spread(at["wall"], digits=3) for at in figures),
            ", ".join(f"{at['peak_mb']['max']:.0f}" for at in figures)]
