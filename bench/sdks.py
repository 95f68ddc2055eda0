"""Real SDKs in the archive format of Go's download page, built once from their module zips and cached."""

import base64
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.measure import progress
from bench.paths import CACHE, SDK_SUMS

GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's name of each architecture."""

OLD, NEW = "1.26.4", "1.26.5"
"""A version and the next patch release."""

MODULE_FILES = ("info", "mod", "zip")
"""The files of a module in a cache or at a proxy."""

DEFAULT_GOPROXY = "https://proxy.golang.org"
"""The default of the go command."""


@dataclass(frozen=True)
class Tarball:
    """An SDK as a `.tar.gz`."""

    path: Path
    sha256: str


@cache
def tarball(version: str, arch: str) -> Tarball:
    """Returns the archive of an SDK. If it is not in the cache, it is downloaded and packed."""
    path = archive_path(version, GOARCH[arch])
    if not path.exists():
        progress(f"packing {path.name}, once")
        path.parent.mkdir(parents=True, exist_ok=True)
        repack(module_zip(f"v0.0.1-go{version}.linux-{GOARCH[arch]}"), path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Tarball(path, digest)


def archive_path(version: str, goarch: str) -> Path:
    """Returns the path of an archive in the cache. `goarch` can also be a treefile's variable."""
    return CACHE / "bench" / f"go{version}.linux-{goarch}.tar.gz"


def repack(zip_path: Path, archive_path: Path) -> None:
    """Packs the content of a module zip in the same way as Go's download page."""
    partial = archive_path.with_suffix(".partial")
    with (zipfile.ZipFile(zip_path) as source, partial.open("wb") as file,
          gzip.GzipFile("", "wb", 9, file, mtime=0) as gz, tarfile.open(fileobj=gz, mode="w") as tar):
        for name in sorted(source.namelist()):
            path = re.sub(r"(^|/)_go\.mod$", r"\1go.mod", name.split("@", 1)[1].split("/", 1)[1])
            content = source.read(name)
            entry = tarfile.TarInfo(f"go/{path}")
            entry.size, entry.mtime, entry.mode = len(content), 1, 0o755 if is_executable(path) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    partial.rename(archive_path)


def is_executable(path: str) -> bool:
    """Returns true if Go's packer makes a file executable, which depends only on its name."""
    return (path.startswith(("bin/", "pkg/tool/")) or path.endswith((".bash", ".sh", ".pl", ".rc"))
            or re.search(r"(^|/)go_[^/]+_[^/]+_exec$", path) is not None)


def module_zip(version: str) -> Path:
    """Returns the zip of a version of golang.org/toolchain, verified with the pinned sum."""
    sums = dict(re.findall(r"^golang.org/toolchain (\S+) (\S+)$", SDK_SUMS.read_text(), re.MULTILINE))
    folder = CACHE / "proxy/golang.org/toolchain/@v"
    path = folder / f"{version}.zip"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            temp = Path(name)
            downloaded = download_with_go(temp, version) or download_from_proxy(temp, version)
            if not downloaded:
                sys.exit(f"error: {version}: neither `go mod download` nor a proxy of GOPROXY has it")
            found = module_sum(downloaded / f"{version}.zip")
            if found != sums[version]:
                sys.exit(f"error: {version}: found {found}, the checksum database has {sums[version]}")
            for form in MODULE_FILES:
                (downloaded / f"{version}.{form}").rename(folder / f"{version}.{form}")
    return path


def download_with_go(temp: Path, version: str) -> Path | None:
    """Downloads a module with the go command, and returns the directory of its files if that succeeds."""
    if not shutil.which("go"):
        return None
    env = os.environ | {"GOMODCACHE": str(temp / "cache"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    done = subprocess.run(["go", "mod", "download", f"golang.org/toolchain@{version}"], env=env, cwd=temp, check=False)
    return temp / "cache/cache/download/golang.org/toolchain/@v" if done.returncode == 0 else None


def download_from_proxy(temp: Path, version: str) -> Path | None:
    """Downloads a module from the first proxy of GOPROXY that has it, and returns the directory of its files."""
    for proxy in re.split("[,|]", os.environ.get("GOPROXY") or DEFAULT_GOPROXY):
        if proxy in ("direct", "off", ""):
            continue
        try:
            for form in MODULE_FILES:
                url = f"{proxy.rstrip('/')}/golang.org/toolchain/@v/{version}.{form}"
                with urllib.request.urlopen(url) as response, (temp / f"{version}.{form}").open("wb") as file:
                    shutil.copyfileobj(response, file)
            return temp
        except urllib.error.URLError as error:
            progress(f"{proxy}: {error}")
    return None


def module_sum(path: Path) -> str:
    """Returns the sum of a module zip, in the form of a `go.sum`."""
    with zipfile.ZipFile(path) as source:
        lines = [f"{hashlib.sha256(source.read(name)).hexdigest()}  {name}\n" for name in sorted(source.namelist())]
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()
