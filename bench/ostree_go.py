"""The command under test."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from bench import ostree
from bench.measure import run
from bench.paths import BASE_TREEFILE
from bench.sdks import GOARCH, archive_path, tarball

CHANNEL = "1.26"


def channel_ref(arch: str) -> str:
    """Returns the ref of the channel into which all versions are composed."""
    return f"go-sdk/{arch}/{CHANNEL}"


def release_ref(version: str, arch: str) -> str:
    """Returns the ref of a release."""
    return f"go-sdk/{arch}/{version}"


@dataclass(frozen=True)
class Key:
    """A GPG key that signs commits."""

    public: Path
    signing: tuple[str, ...]
    """The arguments of a command that signs with it."""


class OstreeGo:
    """The command, and a directory of its own that is its home directory."""

    def __init__(self, binary: Path, home: Path) -> None:
        self.binary, self.home = binary, home
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}

    def command(self, *words: str | Path) -> list[str]:
        """Returns the command with arguments."""
        return [str(self.binary), *map(str, words)]

    def run(self, *words: str | Path) -> str:
        """Runs the command without measuring it, and returns its output."""
        return run(self.command(*words), self.env)

    def init(self, repo: Path, mode: str = "archive") -> None:
        """Creates a repository."""
        self.run("--repo", repo, "init", "--mode", mode)

    def generate_key(self) -> Key:
        """Generates a GPG key."""
        keys = self.home / "keys"
        self.run("key", "generate", "--output-dir", keys)
        public = keys / "public.asc"
        shown = run(["gpg", "--show-keys", "--with-colons", public], self.env)
        fingerprint = next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr:"))
        return Key(public, ("--gpg-sign", fingerprint, "--gpg-homedir", str(keys / "gnupg")))

    def compose_command(self, repo: Path, version: str, *words: str, arch: str | None = None, source: Path | None = None,
                        in_channel: bool = True, is_pinned: bool = False, extra: str = "") -> list[str]:
        """Writes a treefile for a version, and returns the command that composes it for one or both architectures.

        `extra` is added to the treefile. The default of `source` is the archives of the version, which are created if they are missing.
        """
        pins = {}
        if not source:
            source = archive_path(version, "${goarch}")
            pins = {name: {"sha256": tarball(version, name).sha256} for name in ([arch] if arch else GOARCH)}
        lines = [
            f"version: {version}",
            f"include: {BASE_TREEFILE}",
            f"source:\n  - path: {source}",
            f"channels: {json.dumps([channel_ref('${basearch}')] if in_channel else [])}",
        ]
        if extra:
            lines.append(extra)
        if is_pinned:
            lines.append(f"pin: {json.dumps(pins)}")
        treefile = self.home / "treefile.yaml"
        treefile.write_text("\n".join(lines) + "\n")
        return self.command("compose", treefile, "--repo", repo, *(["--arch", arch] if arch else []), *words)

    def compose_releases(self, repo: Path, versions: tuple[str, ...], arch: str) -> list[tuple[str, str]]:
        """Composes releases in turn, and returns the commits of each release and of the channel after it."""
        commits = []
        for version in versions:
            run(self.compose_command(repo, version, arch=arch), self.env)
            refs = release_ref(version, arch), channel_ref(arch)
            commits.append((ostree.rev_parse(repo, refs[0]), ostree.rev_parse(repo, refs[1])))
        return commits
