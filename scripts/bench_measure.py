"""Measurement of commands, and a description of the machine."""

import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """Result of one run of a command with all its child processes: seconds, and the peak resident set of the largest process."""

    wall: float
    user: float
    sys: float
    peak_mb: float

    @staticmethod
    def all(samples):
        """Returns the median, minimum and maximum of each figure."""
        return {field: summary([asdict(s)[field] for s in samples]) for field in asdict(samples[0])}


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}


# Starts a command and reports its resource usage. It is a small process, because the kernel initialises the peak of
# the command with that of the process that starts it. Peaks below about 10 MB are therefore meaningless.
STARTER = """
import os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
start = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - start
os.write(report, f"{os.waitstatus_to_exitcode(status)} {wall} {usage.ru_utime} {usage.ru_stime} {usage.ru_maxrss}".encode())
"""


def measure(command, env=None):
    """Runs a command to completion. If it fails, the benchmark ends."""
    came, report = os.pipe()
    with tempfile.TemporaryFile() as said, open(came) as came:
        start = [sys.executable, "-I", "-S", "-c", STARTER, str(report), *map(str, command)]
        done = subprocess.run(start, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=[report], check=False)
        os.close(report)
        code, *took = came.read().split() or [done.returncode]
        if int(code) != 0:
            said.seek(0)
            sys.exit(f"error: {quoted(command)}: exit code {code}\n{said.read().decode(errors='replace')}")
    wall, user, system, peak = map(float, took)
    return Sample(wall, user, system, peak * 1024 / 1e6)


def machine(disk):
    """Returns the facts that a reader needs to interpret the numbers."""
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith(("model name", "Model"))), platform.machine())
    return {
        "cpu": cpu,
        "nproc": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        "kernel": platform.release(),
        "disk_file_system": file_system(disk),
        "libostree": first_version(["ostree", "--version"]),
        "tar": said(["tar", "--version"]).splitlines()[0],
    }


def file_system(path):
    return said(["stat", "--file-system", "--format=%T", path]).strip().replace("ext2/ext3", "ext4")


def first_version(command):
    return next((line.split(":")[1].strip(" '\"") for line in said(command).splitlines() if "Version:" in line), "?")


def said(command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


def user_xattrs(folder):
    """Returns true if the file system supports bare-user repositories."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            os.setxattr(file.name, "user.ostreemeta", b"x")
        except OSError:
            return False
    return True


def run(command, env=None):
    """Runs a command that is not measured. If it fails, its output is printed."""
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {quoted(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def quoted(command):
    return shlex.join(map(str, command))


def spread(wall, digits=2):
    return f"{wall['median']:.{digits}f} ({wall['min']:.{digits}f}–{wall['max']:.{digits}f})"
