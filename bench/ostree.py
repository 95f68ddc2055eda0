"""libostree's own names and paths, and its command."""

import base64
from pathlib import Path

from bench.measure import run


def rev_parse(repo: Path, ref: str) -> str:
    """Returns the commit of a ref."""
    return run(["ostree", "rev-parse", "--repo", repo, ref]).strip()


def fsck(repo: Path) -> None:
    """Checks a repository. If it is damaged, the benchmark ends."""
    run(["ostree", "fsck", "--repo", repo, "--quiet"])


def delta_name(old: str | None, new: str) -> str:
    """Returns the name of the delta between two commits, or from nothing to a commit."""
    return f"{old}-{new}" if old else new


def delta_path(repo: Path, name: str) -> Path:
    """Returns the directory of a delta: checksums in base64, with `_` instead of `/`."""
    checksums = [base64.b64encode(bytes.fromhex(part), b"+_").decode().rstrip("=") for part in name.split("-")]
    path = "-".join(checksums)
    return repo / "deltas" / path[:2] / path[2:]
