"""Measures ostree-go and compares it with other tools, in the same run and on the same files.

Both tools run each step alternately, and the tool that runs first changes from run to run. Caches are warm, and the
data of earlier steps is synced to disk before a step starts. The table shows medians and, in brackets, the minimum and
maximum. The subject `chart` draws the results of the others.
"""

import argparse
import sys
from pathlib import Path

from bench import chart, report
from bench.machine import this_machine
from bench.options import Options
from bench.paths import BINARY, PAGE, RESULTS, ROOT
from bench.subjects import SUBJECTS


def main() -> None:
    """Runs the benchmark that the arguments name."""
    args = parser().parse_args()
    if args.subject == "chart":
        write_chart(PAGE.parent if args.update_docs else RESULTS)
        return
    options = Options(args.runs, tuple(args.only), args.bin.resolve(), args.tmpfs, args.disk)
    if not options.binary.exists():
        sys.exit(f"error: {options.binary}: no such command; `make build` builds it")
    for _, folder in options.media():
        folder.mkdir(parents=True, exist_ok=True)

    subject = SUBJECTS[args.subject]
    rows = subject.measure(options)
    machine = this_machine(options.disk)
    text = "\n".join(subject.lines(rows, machine, options.runs)) + "\n"
    print(text)
    if args.json:
        report.write_json(args.json, args.subject, options.runs, machine, rows)
    if args.update_docs:
        report.update_page(args.subject, text)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the arguments."""
    found = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("subject", choices=[*SUBJECTS, "chart"])
    found.add_argument("--runs", type=int, default=5, metavar="N", help="measure each step N times (default: 5)")
    found.add_argument("--only", action="append", default=[], metavar="TEXT",
                       help="run only steps whose name, such as tmpfs/archive or disk/bare-user, contains this text")
    found.add_argument("--bin", type=Path, default=BINARY, metavar="PATH",
                       help="the command to measure (default: the one that `make build` builds)")
    found.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"), metavar="DIR",
                       help="directory on a tmpfs (default: /dev/shm)")
    found.add_argument("--disk", type=Path, default=RESULTS, metavar="DIR",
                       help=f"directory on a disk (default: {RESULTS.relative_to(ROOT)})")
    found.add_argument("--json", type=Path, metavar="FILE", help="write the results into a file")
    found.add_argument("--update-docs", action="store_true",
                       help=f"write the table into {PAGE.relative_to(ROOT)}, or the chart next to it")
    return found


def write_chart(folder: Path) -> None:
    """Draws the latest results of all benchmarks in one chart."""
    groups = chart.groups(RESULTS)
    if not groups:
        sys.exit(f"error: {RESULTS}: no results to draw; `make bench` makes them")
    path = folder / "bench-ratios.svg"
    path.write_text(chart.svg(groups))
    print(path)
