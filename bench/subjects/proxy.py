"""Benchmark of the module proxy, with 100 parallel clients.

The peers are nginx, which serves the same files without checking anything, and goproxy (github.com/goproxy/goproxy), which
compares what it fetches with a checksum database once. All of them, the server that the modules come from, its checksum
database and the clients share the machine.
"""

import os
import random
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Machine
from bench.measure import Summary, progress, quoted, run, summary
from bench.nginx import Nginx, free_port
from bench.options import Options
from bench.ostree_go import OstreeGo
from bench.paths import CACHE, ROOT, scratch
from bench.report import Row, medians, spread, table
from bench.sdks import NEW, tarball
from bench.subjects.workspace import h1

ARCH = "x86_64"
CLIENTS = 100
SECONDS = 2
"""The duration of a load of cached files."""
MODULES = 200
BYTES = 200_000
"""The size of a module's zip file; its content is random, so that it cannot be compressed."""
VERSION = "v1.2.3"
DATABASE = "sum.example.com"
GOPROXY_MODULE = "github.com/goproxy/goproxy"
GOPROXY_VERSION = "v0.21.0"

NGINX, GOPROXY, OURS = "nginx", "goproxy", "ostree-go proxy"
UNCACHED, SMALL, ZIPS = "not in the cache", "`.info` and `.mod`", "`.zip`"


@dataclass(frozen=True)
class Load:
    """What the clients request."""

    name: str
    paths: Path
    """A file with the paths."""
    seconds: int
    """How long they request them; each path once if zero."""


@dataclass(frozen=True)
class Result:
    """Result of one load."""

    requests: float
    """Requests per second."""
    megabytes: float
    """Megabytes of content per second."""
    peak_mb: float
    """Peak resident set of all processes of the server together."""


def write_modules(tree: Path) -> str:
    """Writes the modules in the form of a module proxy, and returns the lines of go.sum."""
    source = random.Random(1)
    sums = []
    for number in range(MODULES):
        path = f"example.com/module{number:03}"
        mod = f"module {path}\n\ngo 1.26\n".encode()
        files = {f"{path}@{VERSION}/go.mod": mod, f"{path}@{VERSION}/data": source.randbytes(BYTES)}
        folder = tree / path / "@v"
        folder.mkdir(parents=True)
        (folder / "list").write_text(f"{VERSION}\n")
        (folder / f"{VERSION}.info").write_text(f'{{"Version":"{VERSION}","Time":"2026-01-01T00:00:00Z"}}')
        (folder / f"{VERSION}.mod").write_bytes(mod)
        with zipfile.ZipFile(folder / f"{VERSION}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        sums += [f"{path} {VERSION} {h1(files)}", f"{path} {VERSION}/go.mod {h1({'go.mod': mod})}"]
    return "\n".join(sums) + "\n"


def write_loads(folder: Path) -> list[Load]:
    """Writes the lists of paths."""
    def paths(name: str, *forms: str) -> Path:
        found = folder / name
        found.write_text("".join(f"/example.com/module{number:03}/@v/{VERSION}.{form}\n"
                                 for number in range(MODULES) for form in forms))
        return found
    return [
        Load(UNCACHED, paths("all", "info", "mod", "zip"), 0),
        Load(SMALL, paths("small", "info", "mod"), SECONDS),
        Load(ZIPS, paths("zips", "zip"), SECONDS),
    ]


class Tools:
    """The Go programs: goproxy, and the other side of the benchmark. Both are built once."""

    def __init__(self, work: Path) -> None:
        self.go, self.work = work / "sdk/go/bin/go", work
        self.goproxy = CACHE / f"bench/goproxy-{GOPROXY_VERSION}"
        self.peer = work / "peer"
        (work / "sdk").mkdir()
        run(["tar", "xzf", tarball(NEW, ARCH).path, "-C", work / "sdk"])
        self.env = {name: os.environ[name] for name in ("PATH", "HOME", "GOPROXY", "GOSUMDB") if name in os.environ}
        self.env |= {"GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw"}
        run([self.go, "build", "-C", ROOT / "bench/proxy", "-o", self.peer, "."], self.env)
        if not self.goproxy.exists():
            progress(f"building goproxy {GOPROXY_VERSION}, once")
            # `go install` asks for the list of versions as well, which not every proxy has.
            module = work / "goproxy"
            module.mkdir()
            (module / "go.mod").write_text(f"module goproxy\n\ngo 1.24.0\n\nrequire {GOPROXY_MODULE} {GOPROXY_VERSION}\n")
            (work / "bin").mkdir()
            build = ["build", "-C", module, "-mod=mod", "-o", work / "bin/goproxy", f"{GOPROXY_MODULE}/cmd/goproxy"]
            run([self.go, *build], self.env)
            self.goproxy.parent.mkdir(parents=True, exist_ok=True)
            (work / "bin/goproxy").rename(self.goproxy)

    @contextmanager
    def upstream(self, tree: Path, sums: Path) -> Iterator[tuple[str, str]]:
        """Serves modules and their checksum database, and returns the URL and the key of the database."""
        command = [self.peer, "upstream", DATABASE, tree, sums]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            url, key = process.stdout.readline().split()
            yield url, key
            process.terminate()

    def load(self, url: str, load: Load, server: int) -> Result:
        """Runs a load, and returns its result. `server` is the process ID of the server."""
        tree = processes(server)
        for process in tree:
            Path(f"/proc/{process}/clear_refs").write_text("5")
        words = run([self.peer, "load", url, load.paths, str(CLIENTS), str(load.seconds)]).split()
        requests, size, seconds = map(float, words)
        return Result(requests / seconds, size / seconds / 1e6, sum(map(peak_mb, processes(server))))


def processes(parent: int) -> list[int]:
    """Returns a process and all of its descendants."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *(process for child in children for process in processes(int(child)))]


def peak_mb(process: int) -> float:
    """Returns the peak resident set of a process since it was last reset."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


@contextmanager
def started(command: list[str], env: dict[str, str], port: int, log: Path) -> Iterator[int]:
    """Starts a server, waits until it listens, and returns its process ID."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None:
                    sys.exit(f"error: {quoted(command)}: exit code {process.returncode}\n{log.read_text()}")
                time.sleep(0.01)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def measure_rows(options: Options) -> list[Row]:
    """Measures each load with each server."""
    results: dict[tuple[str, str], list[Result]] = {}
    with scratch(options.disk) as work:
        ostree_go, tools, loads = OstreeGo(options.binary, work), Tools(work), write_loads(work)
        tree, sums = work / "tree", work / "go.sum"
        sums.write_text(write_modules(tree))
        with tools.upstream(tree, sums) as (upstream, key):
            database = f"{upstream}/sumdb/{DATABASE}"
            for turn in range(options.runs):
                servers = [OURS, GOPROXY, NGINX]
                for name in servers if turn % 2 == 0 else reversed(servers):
                    cache, port, log = work / f"cache-{turn}-{name[:6]}", free_port(), work / "log"
                    address = f"127.0.0.1:{port}"
                    if name == NGINX:
                        nginx = Nginx(work, tree)
                        for load in loads[1:]:
                            result = tools.load(f"http://127.0.0.1:{nginx.port}", load, nginx.process.pid)
                            results.setdefault((load.name, name), []).append(result)
                        nginx.stop()
                        (work / "socket").unlink(missing_ok=True)
                        continue
                    if name == OURS:
                        command = ostree_go.command("proxy", "--listen", address, "--upstream", upstream, "--cache", cache,
                                                    "--sumdb", f"{key}={database}")
                        env = ostree_go.env
                    else:
                        command = [str(tools.goproxy), "server", "--address", address, "--cacher-dir", str(cache)]
                        env = tools.env | {"GOPROXY": upstream, "GOSUMDB": f"{key} {database}", "PATH": str(tools.go.parent)}
                    with started(command, env, port, log) as process:
                        for load in loads:
                            result = tools.load(f"http://{address}", load, process)
                            results.setdefault((load.name, name), []).append(result)
                            progress(f"run {turn + 1}/{options.runs}: {name}: {load.name}: {result.requests:.0f}/s")
        run(["chmod", "-R", "u+w", work])
    order = [(load, name) for load in (UNCACHED, SMALL, ZIPS) for name in (OURS, GOPROXY, NGINX)]
    return [row(load, name, results[load, name]) for load, name in order if (load, name) in results]


def row(load: str, name: str, found: list[Result]) -> Row:
    """Returns the row of the results of a load."""
    return {"load": load, "server": name, "requests": summary(one.requests for one in found),
            "megabytes": summary(one.megabytes for one in found), "peak_mb": summary(one.peak_mb for one in found)}


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    ours: dict[str, Summary] = {row["load"]: row["requests"] for row in rows if row["server"] == OURS}

    def ratio(row: Row) -> str:
        if row["server"] == OURS:
            return ""
        return f"{ours[row['load']]['median'] / row['requests']['median']:.2f}×"

    return [
        machine.description(f"Go {NEW}", f"goproxy {GOPROXY_VERSION}", f"{CLIENTS} clients",
                            f"{MODULES} modules of {BYTES // 1000} kB", "disk", medians(runs)),
        "",
        *table(["requested", "from", "requests/s", "MB/s", "peak MB", "ostree-go's rate by this one"],
               ([row["load"], row["server"], spread(row["requests"], 0), spread(row["megabytes"], 1),
                 f"{row['peak_mb']['max']:.0f}", ratio(row)] for row in rows)),
    ]
