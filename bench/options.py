"""Settings that all benchmarks share."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The settings of one run of a benchmark."""

    runs: int
    """How often each step is measured."""
    only: tuple[str, ...]
    """Texts in the names of the steps to run; all steps if empty."""
    binary: Path
    """The command that is measured."""
    tmpfs: Path
    """Directory on a tmpfs."""
    disk: Path
    """Directory on a disk."""

    def media(self) -> list[tuple[str, Path]]:
        """Returns the file systems to measure on, with their names."""
        return [("tmpfs", self.tmpfs), ("disk", self.disk)]

    def includes(self, name: str) -> bool:
        """Returns true if a step was asked for."""
        return not self.only or any(text in name for text in self.only)
