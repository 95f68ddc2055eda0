"""Places in the source tree and on the machine."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The top of the source tree."""

PAGE = ROOT / "docs/src/performance.md"
"""The page with the results."""

RESULTS = ROOT / "build/bench"
"""Directory of the JSON files that `make bench` writes."""

BASE_TREEFILE = ROOT / "treefiles/base.yaml"
"""The treefile that all composed treefiles include."""

SDK_SUMS = ROOT / "tests/sdk.sum"
"""The sums of the SDKs, from Go's checksum database."""

BINARY = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/ostree-go"
"""The command that `make build` builds."""

CACHE = Path(os.environ.get("OSTREE_GO_TEST_CACHE") or Path.home() / ".cache/ostree-go-tests")
"""Cache of SDKs, which the tests also use."""


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Creates a temporary directory, and deletes it at the end."""
    with tempfile.TemporaryDirectory(prefix="ostree-go-bench-", dir=parent) as path:
        yield Path(path)
