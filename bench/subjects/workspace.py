"""Benchmark of `workspace check`: 200 modules in one go.work, with a vendor directory, and without.

The peer is what the go command offers: `go mod verify`, which hashes the module cache, but neither the vendor directory
nor the sources of a replacement.
"""

import base64
import hashlib
import os
import zipfile
from pathlib import Path

from bench.machine import Machine
from bench.measure import Sample, measure, progress, run, summaries
from bench.options import Options
from bench.ostree_go import CHANNEL, OstreeGo
from bench.paths import scratch
from bench.report import Row, cpu, medians, peak, spread, table
from bench.sdks import NEW

ARCH = "x86_64"
UNITS = 200
"""Modules of the workspace."""
DEPENDENCIES = 200
"""Modules that they need together."""
NEEDED = 10
"""Modules that each of them needs."""
FILES = 50
"""Files of each needed module."""
VERSION = "v1.2.3"


def dependency(number: int) -> str:
    """Returns the path of a needed module."""
    return f"example.com/dep{number % DEPENDENCIES:03}"


def h1(files: dict[str, bytes]) -> str:
    """Returns Go's `h1` digest of files (`golang.org/x/mod/sumdb/dirhash`)."""
    lines = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


def write_proxy(proxy: Path) -> list[str]:
    """Writes the needed modules in the form of a module proxy, and returns the lines of go.sum by module."""
    sums = []
    for number in range(DEPENDENCIES):
        path = dependency(number)
        mod = f"module {path}\n\ngo 1.26\n".encode()
        prefix = f"{path}@{VERSION}/"
        files = {f"{prefix}go.mod": mod}
        for file in range(FILES):
            body = "".join(f"// {path} {file} {line}\n" for line in range(100))
            text = f"package dep\n\n{body}\nfunc F{file}() int {{ return {file} }}\n"
            files[f"{prefix}file{file}.go"] = text.encode()
        folder = proxy / path / "@v"
        folder.mkdir(parents=True)
        (folder / "list").write_text(f"{VERSION}\n")
        (folder / f"{VERSION}.info").write_text(f'{{"Version":"{VERSION}","Time":"2026-01-01T00:00:00Z"}}')
        (folder / f"{VERSION}.mod").write_bytes(mod)
        with zipfile.ZipFile(folder / f"{VERSION}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        sums.append(f"{path} {VERSION} {h1(files)}\n{path} {VERSION}/go.mod {h1({'go.mod': mod})}\n")
    return sums


def write_units(top: Path, sums: list[str]) -> None:
    """Writes a go.work and its modules."""
    uses = "".join(f"\t./unit{unit:03}\n" for unit in range(UNITS))
    top.mkdir()
    (top / "go.work").write_text(f"go 1.26\n\nuse (\n{uses})\n")
    for unit in range(UNITS):
        needed = sorted({(unit + step * 7) % DEPENDENCIES for step in range(NEEDED)})
        folder = top / f"unit{unit:03}"
        folder.mkdir()
        requires = "".join(f"\t{dependency(number)} {VERSION}\n" for number in needed)
        (folder / "go.mod").write_text(f"module example.com/unit{unit:03}\n\ngo 1.26\n\nrequire (\n{requires})\n")
        (folder / "go.sum").write_text("".join(sums[number] for number in needed))
        imports = "".join(f'\tdep{number:03} "{dependency(number)}"\n' for number in needed)
        calls = " + ".join(f"dep{number:03}.F0()" for number in needed)
        (folder / "main.go").write_text(f"package main\n\nimport (\n{imports})\n\nfunc main() {{ println({calls}) }}\n")


class Workspace:
    """A workspace, an installed SDK and a filled module cache."""

    def __init__(self, ostree_go: OstreeGo, folder: Path) -> None:
        self.ostree_go, self.top = ostree_go, folder / "workspace"
        proxy = folder / "proxy"
        write_units(self.top, write_proxy(proxy))
        self.env = ostree_go.env | {
            "OSTREE_GO_ROOT": str(folder / "root"), "GOMODCACHE": str(folder / "modules"), "GOSUMDB": "off",
            "GOPROXY": proxy.as_uri(), "GOCACHE": str(folder / "cache"), "GOTOOLCHAIN": "local",
        }
        repo = folder / "repo"
        run(ostree_go.compose_command(repo, NEW, "--no-stdcache", arch=ARCH), ostree_go.env)
        run(ostree_go.command("install", CHANNEL, "--from-repo", repo), self.env)
        self.go_command = folder / "root/current/usr/bin/go"
        self.go("list", "-m", "all")
        self.go("mod", "download")

    def go(self, *words: str) -> Sample:
        """Runs the go command in the workspace."""
        return measure([self.go_command, *words], self.env, self.top)

    def ours(self, *words: str) -> Sample:
        """Runs the command in the workspace."""
        return measure(self.ostree_go.command("workspace", *words), self.env, self.top)


def measure_rows(options: Options) -> list[Row]:
    """Measures the lock and the check, with cold and with warm caches of the kernel."""
    rows: list[Row] = []
    with scratch(options.disk) as folder:
        workspace = Workspace(OstreeGo(options.binary, folder), folder)
        for form in ("module cache", "vendor directory"):
            if form == "vendor directory":
                workspace.go("work", "vendor")
            workspace.ours("lock")
            samples: dict[str, list[Sample]] = {}
            for _ in range(options.runs):
                for state in ("cold", "warm"):
                    steps = {"lock": lambda: workspace.ours("lock"), "check": lambda: workspace.ours("check")}
                    if form == "module cache":
                        steps["go mod verify"] = lambda: workspace.go("mod", "verify")
                    for name, step in steps.items():
                        if state == "cold" and not drop_caches():
                            continue
                        samples.setdefault(f"{name}, {state}", []).append(step())
            for name, found in samples.items():
                rows.append({"form": form, "step": name, "ostree_go": summaries(found)})
                progress(f"{form}: {name}: {found[-1].wall:.2f} s")
        run(["chmod", "-R", "u+w", folder])
    return rows


def drop_caches() -> bool:
    """Drops the kernel's caches of files. Returns false without the permission to do so."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        return False
    return True


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    return [
        machine.description(f"Go {NEW}, {ARCH}; {UNITS} modules in one go.work, {DEPENDENCIES} needed modules of {FILES} files",
                            "disk", medians(runs)),
        "",
        *table(["dependencies in", "", "s", "user + sys s", "peak MB"],
               ([row["form"], command(row["step"]), spread(row["ostree_go"]["wall"]), cpu(row["ostree_go"]),
                 peak(row["ostree_go"])] for row in rows)),
    ]


def command(step: str) -> str:
    """Returns a step with its command in the form of code."""
    name, state = step.rsplit(", ", 1)
    name = name if name.startswith("go ") else f"workspace {name}"
    return f"`{name}`, {state}"
