"""Limits of this machine: the time for the steps that no tool can avoid in a compose, a delta or an install."""

import ctypes
import ctypes.util
import os
import sys
import tarfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.machine import Machine
from bench.measure import Command, measure, progress, run, summary
from bench.options import Options
from bench.ostree_go import OstreeGo
from bench.paths import scratch
from bench.report import Row, medians, spread, table
from bench.sdks import NEW, tarball

ARCH = "x86_64"
LEVEL = 5  # the level of the object writer: `LEVEL` in store/loose.rs
FILES = 11_500


def measure_rows(options: Options) -> list[Row]:
    """Measures each limit on one core."""
    found: list[Row] = []

    def add(limit: str, bounds: str, take: Callable[[], float], size: int | None = None,
            files: int | None = None) -> None:
        seconds = summary(take() for _ in range(options.runs))
        found.append({"limit": limit, "bounds": bounds, "seconds": seconds, "bytes": size, "files": files})
        progress(f"{limit}: {seconds['median']:.2f} s")

    with scratch(options.tmpfs) as work:
        packed, tar = tarball(NEW, ARCH).path, work / "go.tar"
        run(["sh", "-c", 'gzip -dc "$0" > "$1"', packed, tar])
        size = tar.stat().st_size
        add("sha256 (openssl)", "every compose", discarding(["openssl", "dgst", "-sha256", tar]), size)
        add("inflate the tar.gz (gzip -dc)", "compose of a new source", discarding(["gzip", "-dc", packed]), size)
        deflate = Deflate.load()
        if deflate:
            files = regular_files(tar)
            add(f"deflate every file (libdeflate, level {LEVEL})", "compose into an archive repository",
                partial(deflate.seconds, files), sum(map(len, files)), len(files))
            del files
        else:
            progress("left out: deflate: no libdeflate.so.0")
        parts = delta_parts(OstreeGo(options.binary, work))
        decoded = sum(int(run(["sh", "-c", 'xz -dc "$0" | wc -c', part])) for part in parts)
        add("decode the parts of a delta from nothing (xz -dc)", "install",
            discarding(["xz", "-dc", "-T1", *parts]), decoded)
    for medium, folder in options.media():
        for how, create in (("O_TMPFILE, linkat", create_by_link), ("O_CREAT", create_by_name)):
            add(f"create files on {medium} ({how})", "compose, install",
                partial(seconds_to_create, folder, create), files=FILES)
    return found


def discarding(command: Command) -> Callable[[], float]:
    """Returns a function that measures a command, whose output is discarded, and returns the seconds."""
    line = ["sh", "-c", 'exec "$@" > /dev/null', "sh", *command]
    return lambda: measure(line).wall


def delta_parts(ostree_go: OstreeGo) -> list[Path]:
    """Returns the xz streams of the delta from nothing."""
    repo = ostree_go.home / "repo"
    ostree_go.init(repo)
    run(ostree_go.compose_command(repo, NEW, arch=ARCH, in_channel=False), ostree_go.env)
    ostree_go.run("publish", "--repo", repo)
    streams = []
    for part in sorted(repo.glob("deltas/*/*/[0-9]*")):
        content, stream = part.read_bytes(), ostree_go.home / f"part-{part.name}.xz"
        # The first byte is the kind of compression.
        if content[:1] != b"x":
            sys.exit(f"error: {part}: expected an xz part, found {content[:1]!r}")
        stream.write_bytes(content[1:])
        streams.append(stream)
    return streams


class Deflate:
    """Compresses one file after the other with libdeflate, as the object writer does."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.libdeflate_alloc_compressor.restype = ctypes.c_void_p
        library.libdeflate_deflate_compress.restype = ctypes.c_size_t
        library.libdeflate_deflate_compress.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        self.library, self.compressor = library, library.libdeflate_alloc_compressor(LEVEL)

    @classmethod
    def load(cls) -> "Deflate | None":
        """Loads the library, if it is installed."""
        name = ctypes.util.find_library("deflate")
        return cls(ctypes.CDLL(name)) if name else None

    def seconds(self, files: list[bytes]) -> float:
        """Compresses all files and returns the seconds."""
        buffer = ctypes.create_string_buffer(2 * max(map(len, files)))
        start = time.monotonic()
        for content in files:
            self.library.libdeflate_deflate_compress(self.compressor, content, len(content), buffer, len(buffer))
        return time.monotonic() - start


def regular_files(tar: Path) -> list[bytes]:
    """Returns the content of each file in an archive."""
    with tarfile.open(tar) as archive:
        files = (archive.extractfile(entry) for entry in archive if entry.isreg())
        return [file.read() for file in files if file]


def seconds_to_create(parent: Path, create: Callable[[int, str], None]) -> float:
    """Returns the seconds to create the files, empty, in 256 directories as in a repository, without any sync."""
    with scratch(parent) as work, ExitStack() as opened:
        folders = []
        for number in range(256):
            path = work / f"{number:02x}"
            path.mkdir()
            folders.append(os.open(path, os.O_DIRECTORY))
            opened.callback(os.close, folders[-1])
        start = time.monotonic()
        for number in range(FILES):
            create(folders[number % 256], str(number))
        return time.monotonic() - start


def create_by_link(folder: int, name: str) -> None:
    """Creates a file without a name, and then links it."""
    file = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o644, dir_fd=folder)
    os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
    os.close(file)


def create_by_name(folder: int, name: str) -> None:
    """Creates a file."""
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=folder))


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    return [
        machine.description(f"{machine.disk_file_system} on disk", f"Go {NEW}, {ARCH}", medians(runs),
                            cores=f"one of {machine.nproc} cores"),
        "",
        *table(["limit", "bounds", "s", "of", "a second"], map(cells, rows)),
    ]


def cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table."""
    seconds = row["seconds"]
    if row["bytes"]:
        amount, rate = f"{row['bytes'] / 1e6:.0f} MB", f"{row['bytes'] / 1e6 / seconds['median']:.0f} MB"
    else:
        amount, rate = f"{row['files']:,} files", f"{row['files'] / seconds['median']:,.0f} files"
    return [row["limit"], row["bounds"], spread(seconds), amount, rate]
