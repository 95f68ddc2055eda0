"""Benchmark of a host: install, upgrade, checkout and rollback, compared with `curl | tar xz` and `ostree checkout`."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.link import Link
from bench.machine import Machine
from bench.measure import Sample, measure, progress, quoted, run, summaries
from bench.nginx import Nginx
from bench.options import Options
from bench.ostree_go import CHANNEL, OstreeGo, channel_ref
from bench.paths import scratch
from bench.report import Row, medians, peak, spread, table, verdict
from bench.sdks import NEW, OLD, tarball

ARCH = "x86_64"
REF_IN_REPO = channel_ref(ARCH)
REF = f"acme:{REF_IN_REPO}"
TAR, CHECKOUT = "curl, tar xz", "ostree checkout -U -H"
PULL_LOCAL = "ostree pull-local --untrusted, ostree checkout -U -H"
LOOPBACK, LINK = "loopback", "50 ms, 100 Mbit/s"


@dataclass(frozen=True)
class Step:
    """An operation of a host, the tool it is compared with, and its goals."""

    name: str
    command: tuple[str, ...]
    peer: str | None = None
    times_faster: float | None = None
    seconds: float | None = None
    megabytes: float | None = None
    upgrades: bool = False
    """True if the newer release has been published."""
    from_registry: bool = False
    from_disk: bool = False
    """True if the release comes from a repository on this machine."""


def steps_over(network: str) -> list[Step]:
    """Returns the steps to run over a network, in this order."""
    is_local = network == LOOPBACK
    install, upgrade = ("install", CHANNEL), ("upgrade",)
    steps = [
        Step("install from nothing", install, TAR, times_faster=1.0 if is_local else 1.2),
        Step("upgrade to the next patch release", upgrade, TAR, times_faster=10, megabytes=2, upgrades=True),
        Step("install from a registry", install, TAR, times_faster=2 if is_local else 1.3, from_registry=True),
        Step("upgrade from a registry", upgrade, TAR, upgrades=True, from_registry=True),
    ]
    if is_local:
        steps += [
            Step("install from a local repository", install, PULL_LOCAL, times_faster=1, from_disk=True),
            Step("checkout by hard links", ("--repo", "root/repo", "checkout", REF, "ours"), CHECKOUT, times_faster=2),
            Step("roll back", ("rollback",), seconds=0.010),
        ]
    return steps


class Publisher:
    """Two states of a repository, before and after the patch release, and the tarballs."""

    def __init__(self, ostree_go: OstreeGo) -> None:
        self.ostree_go = ostree_go
        work = ostree_go.home
        self.served, self.before, self.after = work / "served", work / "before", work / "after"
        self.served.mkdir()
        self.key = ostree_go.generate_key()
        self.add_release(self.before, OLD)
        shutil.copytree(self.before, self.after, symlinks=True)
        self.add_release(self.after, NEW)

    def add_release(self, repo: Path, version: str) -> None:
        """Composes and publishes a release in a repository."""
        signing = self.key.signing
        run(self.ostree_go.compose_command(repo, version, *signing, arch=ARCH), self.ostree_go.env)
        self.ostree_go.run("publish", "--repo", repo, *signing)
        self.add_image(repo)
        (self.served / f"{version}.tar.gz").symlink_to(tarball(version, ARCH).path)

    def add_image(self, repo: Path) -> None:
        """Writes a channel's image as files with the paths of a registry. A pull requests only blobs and manifests."""
        layout, registry = repo / "image", repo / "v2/acme/go-sdk"
        shutil.rmtree(repo / "v2", ignore_errors=True)
        self.ostree_go.run("export", "oci", CHANNEL, f"oci:{layout}:{CHANNEL}", "--repo", repo, "--arch", ARCH)
        for kind in ("manifests", "blobs"):
            (registry / kind).mkdir(parents=True)
            for blob in (layout / "blobs/sha256").iterdir():
                shutil.copy(blob, registry / kind / f"sha256:{blob.name}")
        index = json.loads((layout / "index.json").read_text())
        shutil.copy(registry / "manifests" / index["manifests"][-1]["digest"], registry / "manifests" / CHANNEL)

    def serve(self, state: Path) -> None:
        """Replaces what the web server serves by one of the two states."""
        for name, target in (("repo", state), ("v2", state / "v2")):
            new = self.served / "new"
            new.symlink_to(target)
            new.rename(self.served / name)


@dataclass(frozen=True)
class Outcome:
    """Results of one run of a step."""

    ours: Sample
    ours_bytes: int
    peer: Sample | None
    peer_bytes: int


class Host:
    """A host, with one root directory for each kind of remote."""

    def __init__(self, folder: Path, publisher: Publisher, web: Nginx, port: int) -> None:
        self.folder, self.publisher, self.web, self.url = folder, publisher, web, f"http://127.0.0.1:{port}"
        self.env = publisher.ostree_go.env | {"OSTREE_GO_ROOT": str(folder / "root")}
        self.registry_env = publisher.ostree_go.env | {"OSTREE_GO_ROOT": str(folder / "root-oci")}
        self.local_env = publisher.ostree_go.env | {"OSTREE_GO_ROOT": str(folder / "root-local")}
        for env, remote in ((self.env, f"{self.url}/repo"), (self.registry_env, f"oci+{self.url}/acme/go-sdk")):
            run(publisher.ostree_go.command("remote", "add", "acme", remote, "--gpg-import", publisher.key.public), env)

    def measure(self, step: Step, ours_first: bool) -> Outcome:
        """Runs a step once with ostree-go and, if there is one, once with the other tool."""
        self.publisher.serve(self.publisher.after if step.upgrades else self.publisher.before)
        env = self.registry_env if step.from_registry else self.local_env if step.from_disk else self.env
        words = (*step.command, "--from-repo", self.publisher.before) if step.from_disk else step.command
        before = self.measure_peer(step, env) if not ours_first else None
        ours = self.measure_command(self.publisher.ostree_go.command(*words), env)
        peer = before or self.measure_peer(step, env)
        return Outcome(*ours, *(peer or (None, 0)))

    def measure_peer(self, step: Step, env: dict[str, str]) -> tuple[Sample, int] | None:
        """Measures the tool that a step is compared with."""
        if step.peer == TAR:
            tree = f"tar-{step.name.replace(' ', '-')}"
            fetch = quoted(["curl", "-sSf", f"{self.url}/{NEW if step.upgrades else OLD}.tar.gz"])
            return self.measure_command(["sh", "-c", f"mkdir {tree} && {fetch} | tar xz -C {tree}"], env)
        if step.peer == CHECKOUT:
            checkout = ["ostree", "checkout", "--repo", "root/repo", "-U", "-H", REF, "theirs"]
            return self.measure_command(checkout, env)
        if step.peer == PULL_LOCAL:
            pull = quoted(["ostree", "pull-local", "--untrusted", "--repo", "local", self.publisher.before, REF_IN_REPO])
            checkout = quoted(["ostree", "checkout", "--repo", "local", "-U", "-H", REF_IN_REPO, "local-tree"])
            init = "ostree init --repo local --mode bare-user"
            return self.measure_command(["sh", "-c", f"{init} && {pull} && {checkout}"], env)
        return None

    def measure_command(self, command: list[str], env: dict[str, str]) -> tuple[Sample, int]:
        """Measures a command in the host's directory, and the bytes that the web server sends meanwhile."""
        os.sync()
        self.web.sent()
        return measure(command, env, self.folder), self.web.sent()


def measure_rows(options: Options) -> list[Row]:
    """Runs the steps over each network and on each file system, except on disk over the slow link."""
    rows = []
    with scratch(options.disk) as work:
        publisher = Publisher(OstreeGo(options.binary, work))
        web = Nginx(work, publisher.served)
        try:
            for network in (LOOPBACK, LINK):
                for medium, folder in options.media():
                    if options.includes(f"{medium}/{network}") and (network, medium) != (LINK, "disk"):
                        rows += measure_steps(options, publisher, web, network, medium, folder)
        finally:
            web.stop()
    return rows


def measure_steps(options: Options, publisher: Publisher, web: Nginx, network: str, medium: str,
                  folder: Path) -> list[Row]:
    """Runs the steps on a new host, once for each run."""
    outcomes: dict[Step, list[Outcome]] = {step: [] for step in steps_over(network)}
    with port_over(network, web.port) as port:
        for turn in range(options.runs):
            with scratch(folder) as work:
                host = Host(work, publisher, web, port)
                for step, found in outcomes.items():
                    found.append(host.measure(step, ours_first=turn % 2 == 0))
                    last = found[-1]
                    compared = f", peer {last.peer.wall:.2f} s" if last.peer else ""
                    progress(f"{medium}, {network}, run {turn + 1}/{options.runs}: {step.name}: "
                             f"{last.ours.wall:.3f} s{compared}, {last.ours_bytes / 1e6:.1f} MB")
                # Deployments are read-only.
                run(["chmod", "-R", "u+w", work])
    return [row(step, network, medium, found) for step, found in outcomes.items()]


@contextmanager
def port_over(network: str, port: int) -> Iterator[int]:
    """Returns the port at which a port of this machine can be reached over a network."""
    if network == LOOPBACK:
        yield port
        return
    link = Link(port, delay=0.025, bits_per_second=100e6)
    try:
        yield link.port
    finally:
        link.stop()


def row(step: Step, network: str, medium: str, outcomes: list[Outcome]) -> Row:
    """Returns the result of a step."""
    ours = summaries([outcome.ours for outcome in outcomes])
    peer = summaries([outcome.peer for outcome in outcomes if outcome.peer]) if step.peer else None
    size, wall = max(outcome.ours_bytes for outcome in outcomes), ours["wall"]["median"]
    ratio = peer["wall"]["median"] / wall if peer else None
    met = ((step.times_faster is None or ratio is not None and ratio >= step.times_faster)
           and (step.seconds is None or wall < step.seconds)
           and (step.megabytes is None or size < step.megabytes * 1e6))
    return {"step": step.name, "over": network, "file_system": medium, "ostree_go": ours, "peer": peer,
            "peer_is": step.peer, "bytes": size, "peer_bytes": max(outcome.peer_bytes for outcome in outcomes),
            "ratio": ratio, "goal_ratio": step.times_faster, "goal_seconds": step.seconds,
            "goal_megabytes": step.megabytes, "met": met}


def lines(rows: list[Row], machine: Machine, runs: int) -> list[str]:
    """Returns the lines of the results in Markdown."""
    return [
        machine.description(f"libostree {machine.libostree}", f"Go {OLD}, then {NEW}, {ARCH}", "nginx", medians(runs)),
        "",
        *table(["a host's", "over", "on", "ostree-go s", "MB moved", "peak MB", "peer", "s", "MB moved", "ratio", "goal",
                ""], map(cells, rows)),
    ]


def cells(row: Row) -> list[str]:
    """Returns the cells of a row of the table."""
    goals = ", ".join(filter(None, [
        f"≥ {row['goal_ratio']:g}×" if row["goal_ratio"] else "",
        f"< {row['goal_seconds'] * 1000:g} ms" if row["goal_seconds"] else "",
        f"< {row['goal_megabytes']:g} MB" if row["goal_megabytes"] else "",
    ]))
    compared = [""] * 4
    if row["peer"]:
        compared = [row["peer_is"], spread(row["peer"]["wall"]), f"{row['peer_bytes'] / 1e6:.1f}",
                    f"{row['ratio']:.2f}×"]
    wall = row["ostree_go"]["wall"]
    return [row["step"], row["over"], row["file_system"], spread(wall, digits=2 if wall["median"] >= 0.1 else 4),
            f"{row['bytes'] / 1e6:.1f}", peak(row["ostree_go"]), *compared, goals,
            verdict(row["met"]) if goals else ""]
