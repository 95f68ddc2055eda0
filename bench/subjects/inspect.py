"""Benchmark of reading the build information of a large program, compared with `go version -m` and `readelf`."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import Machine
from bench.measure import Command, Sample, measure, progress, run, summaries
from bench.options import Options
from bench.ostree_go import OstreeGo
from bench.paths import scratch
from bench.report import Row, cpu, medians, peak, spread, table
from bench.sdks import NEW, tarball

ARCH = "x86_64"
DATA = 90_000_000
"""The size of the file that the program embeds."""

PROGRAM = {
    "go.mod": "module example.com/large\n\ngo 1.26\n",
    "main.go": """package main

import (
	_ "embed"
	"net/http"
)

//go:embed data
var data string

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(data)) })
	http.ListenAndServe("127.0.0.1:0", nil)
}
""",
}


@dataclass
class Step:
    """A command, and its results."""

    name: str
    command: Command
    samples: list[Sample] = field(default_factory=list)


def measure_rows(options: Options) -> list[Row]:
    """Builds the program, and measures the commands in turn."""
    with scratch(options.disk) as work:
        ostree_go = OstreeGo(options.binary, work)
        go, program = build(work, ostree_go.env)
        # `go version -m` cannot tell how a program is loaded, and `readelf` cannot tell how it was built.
        peers = '"$0" version -m "$1" && exec readelf --wide -d -l -h "$1"'
        steps = [
            Step("`ostree-go inspect`", ostree_go.command("inspect", program)),
            Step("`ostree-go inspect --require static,no-pprof`",
                 ostree_go.command("inspect", program, "--require", "static,no-pprof")),
            Step("`ostree-go --version`, for the start of the process", ostree_go.command("--version")),
            Step("`go version -m` and `readelf -dlh`", ["sh", "-c", peers, str(go), str(program)]),
        ]
        for turn in range(options.runs):
            for step in steps if turn % 2 == 0 else reversed(steps):
                step.samples.append(measure(step.command, ostree_go.env))
                progress(f"run {turn + 1}/{options.runs}: {step.name}: {step.samples[-1].wall:.4f} s")
        size = program.stat().st_size
        run(["chmod", "-R", "u+w", work])
    return [{"step": step.name, **summaries(step.samples), "bytes": size} for step in steps]


def build(work: Path, env: dict[str, str]) -> tuple[Path, Path]:
    """Returns the go command and the program."""
    sdk, module, program = work / "sdk", work / "module", work / "large"
    for folder in (sdk, module):
        folder.mkdir()
    run(["tar", "xzf", tarball(NEW, ARCH).path, "-C", sdk])
    for name, text in PROGRAM.items():
        (module / name).write_text(text)
    (module / "data").write_bytes(os.urandom(DATA))
    go = sdk / "go/bin/go"
    settings = {"CGO_ENABLED": "0", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(work / "gocache")}
    run([go, "-C", module, "build", "-trimpath", "-ldflags=-s -w", "-o", program, "."], env | settings)
    return go, program


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    return [
        machine.description(f"a program of {rows[0]['bytes'] / 1e6:.0f} MB", f"Go {NEW}, {ARCH}", medians(runs)),
        "",
        *table(["", "s", "user + sys s", "peak MB"], map(cells, rows)),
    ]


def cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table."""
    return [row["step"], spread(row["wall"], 4), cpu(row), peak(row)]
