"""Limits of this machine: the time for the steps that no tool can avoid in a compose, a delta or an install."""

import ctypes
import ctypes.util
import os
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench_inputs import ROOT, tarball
from bench_measure import measure, run, said, spread, summary

VERSION, ARCH = "1.26.5", "x86_64"
LEVEL = 5  # the level of the object writer: `LEVEL` in store/loose.rs
FILES = 11_500


def rows(args):
    """Measures each limit on one core."""
    found = []

    def add(what, bounds, take, bytes=None, files=None):
        seconds = summary([take() for _ in range(args.runs)])
        found.append({"limit": what, "bounds": bounds, "seconds": seconds, "bytes": bytes, "files": files})
        print(f"{what}: {seconds['median']:.2f} s", file=sys.stderr)

    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=args.tmpfs) as work:
        packed, tar = tarball(VERSION, ARCH).path, Path(work) / "go.tar"
        run(["sh", "-c", f"gzip -dc {packed} > {tar}"])
        size = tar.stat().st_size
        add("sha256 (openssl)", "every compose", command(["openssl", "dgst", "-sha256", tar]), size)
        add("inflate the tar.gz (gzip -dc)", "compose of a new source", command(["gzip", "-dc", packed]), size)
        deflate = Deflate()
        if deflate.found:
            files = regular_files(tar)
            add(f"deflate every file (libdeflate, level {LEVEL})", "compose into an archive repository",
                lambda: deflate.all(files), sum(map(len, files)), len(files))
            del files
        else:
            print("left out: deflate: no libdeflate.so.0", file=sys.stderr)
        parts = delta_parts(args.bin, Path(work))
        decoded = sum(int(said(["sh", "-c", f"xz -dc {part} | wc -c"])) for part in parts)
        add("decode the parts of a delta from nothing (xz -dc)", "install", command(["xz", "-dc", "-T1", *parts]), decoded)
    for medium, folder in (("tmpfs", args.tmpfs), ("disk", args.disk)):
        for how in (nameless, plain):
            add(f"create files on {medium} ({how.__doc__})", "compose, install", lambda: create(folder, how), files=FILES)
    return found


def command(words):
    """Returns the seconds that a command takes; its output is discarded."""
    line = ["sh", "-c", 'exec "$@" > /dev/null', "sh", *words]
    return lambda: measure(line).wall


def delta_parts(binary, work):
    """Returns the xz streams of the delta from nothing."""
    env = {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}
    repo, treefile = work / "repo", work / "treefile.yaml"
    treefile.write_text(f"version: {VERSION}\ninclude: {ROOT}/treefiles/base.yaml\nchannels: []\n"
                        f"source:\n  - path: {tarball(VERSION, ARCH).path}\n")
    run([binary, "--repo", repo, "init", "--mode", "archive"], env)
    run([binary, "compose", treefile, "--repo", repo, "--arch", ARCH], env)
    run([binary, "publish", "--repo", repo], env)
    streams = []
    for part in sorted(repo.glob("deltas/*/*/[0-9]*")):
        how, stream = part.read_bytes()[:1], work / f"part-{part.name}.xz"
        if how != b"x":
            sys.exit(f"error: {part}: expected an xz part, found {how}")
        stream.write_bytes(part.read_bytes()[1:])
        streams.append(stream)
    return streams


class Deflate:
    """Compresses one file after the other with libdeflate, as the object writer does."""

    def __init__(self):
        name = ctypes.util.find_library("deflate")
        self.found = name is not None
        if self.found:
            self.library = ctypes.CDLL(name)
            self.library.libdeflate_alloc_compressor.restype = ctypes.c_void_p
            self.library.libdeflate_deflate_compress.restype = ctypes.c_size_t
            self.library.libdeflate_deflate_compress.argtypes = [
                ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
            self.compressor = self.library.libdeflate_alloc_compressor(LEVEL)

    def all(self, files):
        room = ctypes.create_string_buffer(2 * max(map(len, files)))
        start = time.monotonic()
        for content in files:
            self.library.libdeflate_deflate_compress(self.compressor, content, len(content), room, len(room))
        return time.monotonic() - start


def regular_files(tar):
    with tarfile.open(tar) as archive:
        return [archive.extractfile(entry).read() for entry in archive if entry.isreg()]


def create(parent, how):
    """Returns the seconds to create the files, empty, in 256 directories as in a repository, without any sync."""
    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=parent) as work, ExitStack() as opened:
        folders = []
        for number in range(256):
            path = Path(work) / f"{number:02x}"
            path.mkdir()
            folders.append(os.open(path, os.O_DIRECTORY))
            opened.callback(os.close, folders[-1])
        start = time.monotonic()
        for number in range(FILES):
            how(folders[number % 256], str(number))
        return time.monotonic() - start


def nameless(folder, name):
    """O_TMPFILE, linkat"""
    file = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o644, dir_fd=folder)
    os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
    os.close(file)


def plain(folder, name):
    """O_CREAT"""
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=folder))


def markdown(found, facts, runs):
    lines = [
        f"{facts['cpu']}, one of {facts['nproc']} cores; Linux {facts['kernel']}; {facts['disk_file_system']} on disk; "
        f"Go {VERSION}, {ARCH}; medians of {runs} (least–most).",
        "",
        "| limit | bounds | s | of | a second |",
        "|---|---|---|---|---|",
    ]
    for r in found:
        seconds = r["seconds"]
        if r["bytes"]:
            of, rate = f"{r['bytes'] / 1e6:.0f} MB", f"{r['bytes'] / 1e6 / seconds['median']:.0f} MB"
        else:
            of, rate = f"{r['files']:,} files", f"{r['files'] / seconds['median']:,.0f} files"
        lines.append(f"| {r['limit']} | {r['bounds']} | {spread(seconds)} "
                     f"| {of} | {rate} |")
    return "\n".join(lines) + "\n"
