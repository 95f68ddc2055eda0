"""Benchmark of the first build on a fresh host: with std caches, with Go's tarball, and with a warm build cache.

The tarball with an empty GOCACHE is also what a container of a `golang` image starts with.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Machine
from bench.measure import Sample, measure, progress, run, summaries
from bench.nginx import Nginx
from bench.options import Options
from bench.ostree_go import CHANNEL, OstreeGo
from bench.paths import scratch
from bench.report import Row, cpu, medians, spread, table, verdict
from bench.sdks import NEW, tarball

ARCH = "x86_64"
WARM_LIMIT = 1.5
"""The goal for the time compared with a warm GOCACHE."""
START_LIMIT = 0.05
"""The goal for the seconds that the sandbox adds to a command."""
START_TURNS = 4
"""How often each run measures the start of a command, which takes milliseconds."""

PROGRAM = {
    "go.mod": "module example.com/hello\n\ngo 1.26\n",
    "main.go": """package main

import (
	"fmt"
	"net/http"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, greeting(r.Host)) })
	http.ListenAndServe("127.0.0.1:0", nil)
}

func greeting(host string) string { return "hello, " + host }
""",
    "main_test.go": """package main

import "testing"

func TestGreeting(t *testing.T) {
	if got := greeting("you"); got != "hello, you" {
		t.Fatal(got)
	}
}
""",
}
"""A program with net/http and a small test."""


@dataclass(frozen=True)
class Step:
    """A go command, and the goal for its CPU time compared with an empty GOCACHE."""

    name: str
    command: tuple[str, ...]
    times_faster: float | None
    env: tuple[tuple[str, str], ...] = (("CGO_ENABLED", "0"),)


CROSS = (("CGO_ENABLED", "0"), ("GOARCH", "arm64"))
STEPS = [
    Step("go build", ("build", "-o", "out", "."), 40),
    Step("go build -trimpath", ("build", "-trimpath", "-o", "out", "."), 40),
    Step("go build, for arm64", ("build", "-o", "out", "."), 40, CROSS),
    Step("go test", ("test", "."), 30),
    Step("go vet", ("vet", "."), 40),
    Step("go build, with cgo", ("build", "-o", "out", "."), None, (("CGO_ENABLED", "1"),)),
]


class Host:
    """A host with an SDK and its std caches, and the same SDK from a tarball."""

    def __init__(self, ostree_go: OstreeGo, folder: Path, url: str) -> None:
        self.ostree_go, self.folder = ostree_go, folder
        self.env = ostree_go.env | {"OSTREE_GO_ROOT": str(folder / "root")}
        self.tarball = folder / "tarball"
        self.tarball.mkdir()
        run(["tar", "xzf", tarball(NEW, ARCH).path, "-C", self.tarball])
        run(ostree_go.command("remote", "add", "acme", url, "--no-gpg-verify"), self.env)
        run(ostree_go.command("install", CHANNEL, "--stdcache", "aarch64"), self.env)

    def base_env(self, step: Step) -> dict[str, str]:
        """Returns the environment that all sides share, without a module proxy."""
        return self.env | {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"} | dict(step.env)

    def program(self, name: str) -> Path:
        """Writes the program into a new directory. Its path and content differ from all others."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        for file, text in PROGRAM.items():
            (path / file).write_text(text.replace("hello, ", f"hello, {name} "))
        return path

    def measure_ours(self, step: Step) -> Sample:
        """Runs the command with the std caches and an empty folder for what is built."""
        cache = self.folder / "ours-cache"
        shutil.rmtree(cache, ignore_errors=True)
        printed = run(self.ostree_go.command("env", "--cache", cache, "--shell", "json"), self.env)
        document = json.loads(printed)
        env = self.base_env(step) | document["set"]
        return measure([f"{document['bin']}/go", *step.command], env, self.program("ours"))

    def measure_run(self, step: Step) -> Sample:
        """Runs the command in the sandbox of `ostree-go run`."""
        program = self.program("sandbox")
        settings = [word for name, value in step.env for word in ("--env", f"{name}={value}")]
        words = self.ostree_go.command("run", "--write", program, *settings, "--", "go", *step.command)
        return measure(words, self.env, program)

    def measure_tarball(self, step: Step, is_warm: bool) -> Sample:
        """Runs the command of the tarball, with an empty GOCACHE or with the one of the run before."""
        cache = self.folder / "tarball-cache"
        if not is_warm:
            shutil.rmtree(cache, ignore_errors=True)
        env = self.base_env(step) | {"GOCACHE": str(cache), "GOMODCACHE": str(self.folder / "mod")}
        program = self.program("warm" if is_warm else "cold")
        return measure([self.tarball / "go/bin/go", *step.command], env, program)


def measure_rows(options: Options) -> list[Row]:
    """Measures the commands, and the installation with and without std caches."""
    rows: list[Row] = []
    with scratch(options.disk) as work:
        ostree_go = OstreeGo(options.binary, work)
        repo = work / "repo"
        extra = "stdcache: { targets: [x86_64, aarch64] }"
        run(ostree_go.compose_command(repo, NEW, arch=ARCH, extra=extra), ostree_go.env)
        ostree_go.run("publish", "--repo", repo)
        web = Nginx(work, work)
        try:
            url = f"http://127.0.0.1:{web.port}/repo"
            rows += measure_installs(options, ostree_go, web, url)
            with scratch(options.tmpfs) as folder:
                host = Host(ostree_go, folder, url)
                rows += [measure_step(options, host, step) for step in STEPS if options.includes(step.name)]
                rows += measure_starts(options, host)
                run(["chmod", "-R", "u+w", folder])
        finally:
            web.stop()
    return rows


def measure_installs(options: Options, ostree_go: OstreeGo, web: Nginx, url: str) -> list[Row]:
    """Measures an installation without std caches, with those of the host, and with those of another target too."""
    rows: list[Row] = []
    for name, words in (("without std caches", ["--no-stdcache"]), ("with the caches for x86_64", []),
                        ("with the caches for both targets", ["--stdcache", "aarch64"])):
        samples, moved, size = [], 0, 0
        for _ in range(options.runs):
            with scratch(options.tmpfs) as folder:
                env = ostree_go.env | {"OSTREE_GO_ROOT": str(folder / "root")}
                run(ostree_go.command("remote", "add", "acme", url, "--no-gpg-verify"), env)
                web.sent()
                samples.append(measure(ostree_go.command("install", CHANNEL, *words), env))
                moved = web.sent()
                size = allocated(folder / "root")
                run(["chmod", "-R", "u+w", folder])
        rows.append({"kind": "install", "step": name, "ostree_go": summaries(samples), "bytes": moved, "disk": size})
        progress(f"install {name}: {samples[-1].wall:.2f} s, {moved / 1e6:.1f} MB, {size / 1e6:.0f} MB on disk")
    return rows


def allocated(folder: Path) -> int:
    """Returns the bytes that the files in a folder take, each inode once."""
    inodes = {}
    for top, _, names in os.walk(folder):
        for name in names:
            found = os.lstat(os.path.join(top, name))
            inodes[found.st_ino] = found.st_blocks * 512
    return sum(inodes.values())


def measure_step(options: Options, host: Host, step: Step) -> Row:
    """Measures a command on all sides, in turn."""
    sides: dict[str, list[Sample]] = {"ostree_go": [], "sandbox": [], "cold": [], "warm": []}
    for turn in range(options.runs):
        sides["cold"].append(host.measure_tarball(step, is_warm=False))
        sides["warm"].append(host.measure_tarball(step, is_warm=True))
        sides["ostree_go"].append(host.measure_ours(step))
        # The sandbox has no C compiler.
        if dict(step.env)["CGO_ENABLED"] == "0":
            sides["sandbox"].append(host.measure_run(step))
        last = {name: f"{samples[-1].wall:.2f} s" for name, samples in sides.items() if samples}
        progress(f"run {turn + 1}/{options.runs}: {step.name}: {last}")
    found = {name: summaries(samples) for name, samples in sides.items() if samples}
    total = {name: side["user"]["median"] + side["sys"]["median"] for name, side in found.items()}
    ratio, to_warm = total["cold"] / total["ostree_go"], wall(found["ostree_go"]) / wall(found["warm"])
    met = step.times_faster is None or (ratio >= step.times_faster and to_warm <= WARM_LIMIT)
    return {"kind": "build", "step": step.name, **found, "ratio": ratio, "goal_ratio": step.times_faster,
            "to_warm": to_warm, "met": met}


def measure_starts(options: Options, host: Host) -> list[Row]:
    """Measures what the sandboxes add to `go version`, with the build cache that they fill before it starts."""
    program = host.program("start")
    go = host.tarball / "go/bin/go"
    commands = {"without a sandbox": [go, "version"]}
    for backend in ("bwrap", "landlock"):
        commands[backend] = host.ostree_go.command("run", "--sandbox", backend, "--weak", "--", "go", "version")
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    for _ in range(options.runs * START_TURNS):
        for name, command in commands.items():
            samples[name].append(measure(command, host.env, program))
    bare, *sandboxes = ({"kind": "start", "step": name, "ostree_go": summaries(found)}
                        for name, found in samples.items())
    for row in sandboxes:
        row["added"] = wall(row["ostree_go"]) - wall(bare["ostree_go"])
        row["met"] = row["added"] < START_LIMIT
        progress(f"start with {row['step']}: {row['added'] * 1000:.0f} ms more")
    return [bare, *sandboxes]


def wall(side: Row) -> float:
    """Returns the median of the time."""
    return side["wall"]["median"]


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    return [
        machine.description(f"Go {NEW}, {ARCH}", "tmpfs", medians(runs)),
        "",
        *table(["first", "with std caches s", "user + sys s", "in `ostree-go run` s", "tarball, empty GOCACHE s",
                "user + sys s", "ratio of CPU", "warm GOCACHE s", "to warm", "goal", ""],
               map(cells, (row for row in rows if row["kind"] == "build"))),
        "",
        *table(["`go version`", "ms", "added ms", "goal", ""], (start_cells(row) for row in rows if row["kind"] == "start")),
        "",
        *table(["install", "s", "MB moved", "MB on disk"],
               ([row["step"], spread(row["ostree_go"]["wall"]), f"{row['bytes'] / 1e6:.1f}",
                 f"{row['disk'] / 1e6:.0f}"] for row in rows if row["kind"] == "install")),
    ]


def cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table."""
    goal = f"CPU ≥ {row['goal_ratio']:g}×, to warm ≤ {WARM_LIMIT}×" if row["goal_ratio"] else ""
    sandbox = spread(row["sandbox"]["wall"]) if "sandbox" in row else ""
    return [row["step"], spread(row["ostree_go"]["wall"]), cpu(row["ostree_go"]), sandbox, spread(row["cold"]["wall"]),
            cpu(row["cold"]), f"{row['ratio']:.0f}×", spread(row["warm"]["wall"]), f"{row['to_warm']:.2f}×", goal,
            verdict(row["met"]) if goal else ""]


def start_cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table of sandboxes."""
    found = row["ostree_go"]["wall"]
    times = f"{found['median'] * 1000:.0f} ({found['min'] * 1000:.0f}–{found['max'] * 1000:.0f})"
    if "added" not in row:
        return [row["step"], times, "", "", ""]
    return [f"`run --sandbox {row['step']}`", times, f"{row['added'] * 1000:.0f}",
            f"< {START_LIMIT * 1000:.0f} ms", verdict(row["met"])]
