"""Description of the machine on which the benchmarks run."""

import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.measure import run


@dataclass(frozen=True)
class Machine:
    """The facts that a reader needs to interpret the numbers."""

    cpu: str
    nproc: int
    memory_mb: int
    kernel: str
    disk_file_system: str
    libostree: str
    tar: str

    def description(self, *more: str, cores: str = "") -> str:
        """Returns the line above a table, with further facts in the order of the arguments."""
        return "; ".join([f"{self.cpu}, {cores or f'{self.nproc} cores'}", f"Linux {self.kernel}", *more]) + "."


def this_machine(disk: Path) -> Machine:
    """Returns the facts about this machine and the file system of a directory."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model")))
    return Machine(
        cpu=next(models, platform.machine()),
        nproc=len(os.sched_getaffinity(0)),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        kernel=platform.release(),
        disk_file_system=file_system(disk),
        libostree=libostree_version(),
        tar=run(["tar", "--version"]).splitlines()[0],
    )


def file_system(path: Path) -> str:
    """Returns the type of the file system that contains a path."""
    return run(["stat", "--file-system", "--format=%T", path]).strip().replace("ext2/ext3", "ext4")


def libostree_version() -> str:
    """Returns the version of libostree, or `?` if `ostree --version` does not contain it."""
    lines = run(["ostree", "--version"]).splitlines()
    return next((line.split(":")[1].strip(" '\"") for line in lines if "Version:" in line), "?")


def has_user_xattrs(folder: Path) -> bool:
    """Returns true if the file system of a directory supports bare-user repositories."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            os.setxattr(file.name, "user.ostreemeta", b"x")
        except OSError:
            return False
    return True
