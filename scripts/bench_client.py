"""Benchmark of a host: install, upgrade, checkout and rollback, compared with `curl | tar xz` and `ostree checkout`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench_inputs import ROOT, tarball
from bench_link import Link
from bench_measure import Sample, measure, quoted, run, spread

OLD, NEW, ARCH = "1.26.4", "1.26.5", "x86_64"
CHANNEL = f"go-sdk/{ARCH}/1.26"
LOOPBACK, LINK = "loopback", "50 ms, 100 Mbit/s"


@dataclass(frozen=True)
class Step:
    """An operation of a host, the tool it is compared with, and its goals."""

    name: str
    peer: str | None = None
    times_faster: float | None = None
    seconds: float | None = None
    megabytes: float | None = None


def steps(way):
    install = 1.0 if way == LOOPBACK else 1.2
    yield Step("install from nothing", "curl, tar xz", times_faster=install)
    yield Step("upgrade to the next patch release", "curl, tar xz", times_faster=10, megabytes=2)
    yield Step("install from a registry", "curl, tar xz", times_faster=2 if way == LOOPBACK else 1.3)
    yield Step("upgrade from a registry", "curl, tar xz")
    if way == LOOPBACK:
        yield Step("checkout by hard links", "ostree checkout -U -H", times_faster=2)
        yield Step("roll back", seconds=0.010)


class Web:
    """nginx that serves a directory and counts the bytes it sends."""

    def __init__(self, work, folder):
        self.log = work / "access.log"
        config = work / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        temp = " ".join(f"{kind}_temp_path {work}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(
            f"daemon off; {user} pid {work}/nginx.pid; error_log {work}/error.log; worker_processes 1; events {{}}\n"
            f"http {{ {temp} log_format sent '$body_bytes_sent'; access_log {self.log} sent; sendfile on; tcp_nopush on;\n"
            f"keepalive_timeout 60; keepalive_requests 100000;\n"
            f"server {{ listen 127.0.0.1:0; listen unix:{work}/socket; root {folder}; }} }}\n"
            .replace("listen 127.0.0.1:0; ", f"listen 127.0.0.1:{free_port()}; "))
        self.port = int(config.read_text().split("listen 127.0.0.1:")[1].split(";")[0])
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", config],
                                        stderr=subprocess.DEVNULL)
        while not (work / "socket").exists():
            if self.process.poll() is not None:
                sys.exit(f"error: nginx ended\n{(work / 'error.log').read_text()}")
            time.sleep(0.01)

    def sent(self):
        """Returns the bytes of content that were sent since the last call."""
        time.sleep(0.05)
        lines = self.log.read_text().split()
        self.log.write_text("")
        subprocess.run(["kill", "-USR1", str(self.process.pid)], check=True)
        time.sleep(0.05)
        return sum(map(int, lines))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Publisher:
    """Two states of a repository, before and after the patch release, and the tarballs."""

    def __init__(self, work, binary):
        self.served, self.states = work / "served", [work / "before", work / "after"]
        self.served.mkdir()
        self.binary, self.env = binary, {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}
        run([binary, "key", "generate", "--output-dir", work / "keys"], self.env)
        self.key = work / "keys/public.asc"
        channel = CHANNEL.replace(ARCH, "${basearch}")
        for version, state in zip((OLD, NEW), self.states):
            if version == NEW:
                shutil.copytree(self.states[0], state, symlinks=True)
            treefile = work / "treefile.yaml"
            treefile.write_text(
                f"version: {version}\ninclude: {ROOT}/treefiles/base.yaml\nchannels: ['{channel}']\n"
                f"source:\n  - path: {tarball(version, ARCH).path}\n")
            signing = ["--gpg-sign", key_of(self.key, self.env), "--gpg-homedir", work / "keys/gnupg"]
            run([binary, "compose", treefile, "--repo", state, "--arch", ARCH, *signing], self.env)
            run([binary, "publish", "--repo", state, *signing], self.env)
            self.image(state)
            (self.served / f"{version}.tar.gz").symlink_to(tarball(version, ARCH).path)

    def image(self, state):
        """Writes a channel's image as files with the paths of a registry. A pull requests only blobs and manifests."""
        layout, registry = state / "image", state / "v2/acme/go-sdk"
        shutil.rmtree(state / "v2", ignore_errors=True)
        run([self.binary, "export", "oci", "1.26", f"oci:{layout}:1.26", "--repo", state, "--arch", ARCH], self.env)
        for kind in ("manifests", "blobs"):
            (registry / kind).mkdir(parents=True)
            for blob in (layout / "blobs/sha256").iterdir():
                shutil.copy(blob, registry / kind / f"sha256:{blob.name}")
        index = json.loads((layout / "index.json").read_text())
        shutil.copy(registry / "manifests" / index["manifests"][-1]["digest"], registry / "manifests/1.26")

    def serve(self, after):
        for name, place in (("repo", self.states[after]), ("v2", self.states[after] / "v2")):
            new = self.served / "new"
            new.symlink_to(place)
            new.rename(self.served / name)


def key_of(file, env):
    shown = subprocess.run(["gpg", "--show-keys", "--with-colons", file], env=env, capture_output=True, text=True,
                           check=True).stdout
    return next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr:"))


class Host:
    """Runs ostree-go and the other tool once each."""

    def __init__(self, folder, publisher, web, url):
        self.folder, self.publisher, self.web, self.url = folder, publisher, web, url
        self.env = publisher.env | {"OSTREE_GO_ROOT": str(folder / "root")}
        self.by_image = publisher.env | {"OSTREE_GO_ROOT": str(folder / "root-oci")}
        for env, remote in ((self.env, f"{url}/repo"), (self.by_image, f"oci+{url}/acme/go-sdk")):
            run([publisher.binary, "remote", "add", "acme", remote, "--gpg-import", publisher.key], env)

    def commands(self, step):
        ours = {"install from nothing": ["install", "1.26"], "upgrade to the next patch release": ["upgrade"],
                "install from a registry": ["install", "1.26"], "upgrade from a registry": ["upgrade"],
                "checkout by hard links": ["--repo", self.folder / "root/repo", "checkout", f"acme:{CHANNEL}",
                                           self.folder / "ours"],
                "roll back": ["rollback"]}[step.name]
        version = OLD if step.name.startswith("install") else NEW
        if step.peer == "curl, tar xz":
            tree = self.folder / f"tar-{step.name.replace(' ', '-')}"
            fetch = quoted(["curl", "-sSf", f"{self.url}/{version}.tar.gz"])
            peer = ["sh", "-c", f"mkdir {tree} && {fetch} | tar xz -C {tree}"]
        elif step.peer:
            peer = ["ostree", "checkout", "--repo", self.folder / "root/repo", "-U", "-H", f"acme:{CHANNEL}",
                    self.folder / "theirs"]
        else:
            peer = None
        return [self.publisher.binary, *ours], peer

    def sample(self, step, ours_first):
        self.publisher.serve(after=step.name.startswith("upgrade"))
        ours, peer = self.commands(step)
        both = [("ours", ours), ("peer", peer)]
        samples = {}
        for side, command in both if ours_first else reversed(both):
            if command is None:
                continue
            os.sync()
            self.web.sent()
            samples[side] = measure(command, self.by_image if step.name.endswith("a registry") else self.env)
            samples[f"{side} bytes"] = self.web.sent()
        return samples


def rows(args):
    made = []
    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=args.disk) as work:
        work = Path(work)
        publisher = Publisher(work, args.bin)
        web = Web(work, publisher.served)
        try:
            for way in (LOOPBACK, LINK):
                for medium, folder in (("tmpfs", args.tmpfs), ("disk", args.disk)):
                    if args.only and not any(text in f"{medium}/{way}" for text in args.only):
                        continue
                    if way == LINK and medium == "disk":
                        continue
                    made += rows_of(args, publisher, web, way, medium, folder)
        finally:
            web.stop()
    return made


def rows_of(args, publisher, web, way, medium, folder):
    samples = {step: [] for step in steps(way)}
    link = Link(web.port, delay=0.025, bits_per_second=100e6) if way == LINK else None
    try:
        for turn in range(args.runs):
            with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=folder) as work:
                host = Host(Path(work), publisher, web, f"http://127.0.0.1:{link.port if link else web.port}")
                for step in samples:
                    got = host.sample(step, ours_first=turn % 2 == 0)
                    samples[step].append(got)
                    peer = f", peer {got['peer'].wall:.2f} s" if "peer" in got else ""
                    print(f"{medium}, {way}, run {turn + 1}/{args.runs}: {step.name}: {got['ours'].wall:.3f} s"
                          f"{peer}, {got['ours bytes'] / 1e6:.1f} MB", file=sys.stderr)
                run(["chmod", "-R", "u+w", work])
    finally:
        if link:
            link.stop()
    return [row(step, way, medium, got) for step, got in samples.items()]


def row(step, way, medium, samples):
    ours = Sample.all([s["ours"] for s in samples])
    peer = Sample.all([s["peer"] for s in samples]) if step.peer else None
    size = max(s["ours bytes"] for s in samples)
    ratio = peer["wall"]["median"] / ours["wall"]["median"] if peer else None
    met = ((step.times_faster is None or ratio >= step.times_faster)
           and (step.seconds is None or ours["wall"]["median"] < step.seconds)
           and (step.megabytes is None or size < step.megabytes * 1e6))
    return {"step": step.name, "over": way, "file_system": medium, "ostree_go": ours, "peer": peer,
            "peer_is": step.peer, "bytes": size, "peer_bytes": max((s.get("peer bytes", 0) for s in samples)),
            "ratio": ratio, "goal_ratio": step.times_faster, "goal_seconds": step.seconds,
            "goal_megabytes": step.megabytes, "met": met}


def markdown(rows, facts, runs):
    lines = [
        f"{facts['cpu']}, {facts['nproc']} cores; Linux {facts['kernel']}; libostree {facts['libostree']}; Go {OLD}, then "
        f"{NEW}, {ARCH}; nginx; medians of {runs} (least–most).",
        "",
        "| a host's | over | on | ostree-go s | MB moved | peak MB | peer | s | MB moved | ratio | goal | |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        goals = [f"≥ {r['goal_ratio']:g}×" if r["goal_ratio"] else "", f"< {r['goal_seconds'] * 1000:g} ms" if r["goal_seconds"] else "",
                 f"< {r['goal_megabytes']:g} MB" if r["goal_megabytes"] else ""]
        peer = [r["peer_is"], spread(r["peer"]["wall"]), f"{r['peer_bytes'] / 1e6:.1f}", f"{r['ratio']:.2f}×"] if r["peer"] else ["", "", "", ""]
        wall = r["ostree_go"]["wall"]
        ours = spread(wall) if wall["median"] >= 0.1 else spread(wall, digits=4)
        goals = ", ".join(filter(None, goals))
        verdict = ("met" if r["met"] else "**missed**") if goals else ""
        lines.append(f"| {r['step']} | {r['over']} | {r['file_system']} | {ours} | {r['bytes'] / 1e6:.1f} "
                     f"| {r['ostree_go']['peak_mb']['max']:.0f} | {' | '.join(peer)} "
                     f"| {goals} | {verdict} |")
    return "\n".join(lines) + "\n"
