"""Real SDKs in the archive format of Go's download page, built once from their module zips and cached outside the tree."""

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

ROOT = Path(__file__).resolve().parent.parent
# The tests use the same cache for the same zips.
CACHE = Path(os.environ.get("OSTREE_GO_TEST_CACHE") or Path.home() / ".cache/ostree-go-tests")
SDKS = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Tarball:
    path: Path
    sha256: str


@cache
def tarball(version, arch):
    """Returns the path of the `.tar.gz` of an SDK, and its digest."""
    goarch = SDKS[arch]
    path = CACHE / "bench" / f"go{version}.linux-{goarch}.tar.gz"
    if not path.exists():
        print(f"packing {path.name}, once", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        repack(module_zip(f"v0.0.1-go{version}.linux-{goarch}"), path)
    with path.open("rb") as file:
        return Tarball(path, hashlib.file_digest(file, "sha256").hexdigest())


def repack(zip_path, dest):
    partial = dest.with_suffix(".partial")
    with (zipfile.ZipFile(zip_path) as source, partial.open("wb") as file,
          gzip.GzipFile("", "wb", 9, file, mtime=0) as gz, tarfile.open(fileobj=gz, mode="w") as tar):
        for name in sorted(source.namelist()):
            path = re.sub(r"(^|/)_go\.mod$", r"\1go.mod", name.split("@", 1)[1].split("/", 1)[1])
            content = source.read(name)
            entry = tarfile.TarInfo(f"go/{path}")
            entry.size, entry.mtime, entry.mode = len(content), 1, 0o755 if executable(path) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    partial.rename(dest)


def executable(path):
    """Returns the file mode according to Go's own packer, which depends only on the name."""
    return (path.startswith(("bin/", "pkg/tool/")) or path.endswith((".bash", ".sh", ".pl", ".rc"))
            or re.search(r"(^|/)go_[^/]+_[^/]+_exec$", path) is not None)


def module_zip(version):
    """Returns the zip of golang.org/toolchain at a version, verified with the pinned sum."""
    sums = dict(re.findall(r"^golang.org/toolchain (\S+) (\S+)$", (ROOT / "tests/sdk.sum").read_text(), re.MULTILINE))
    folder = CACHE / "proxy/golang.org/toolchain/@v"
    path = folder / f"{version}.zip"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temp:
            got = by_go(Path(temp), version) or by_proxy(Path(temp), version)
            if not got:
                sys.exit(f"error: {version}: neither `go mod download` nor a proxy of GOPROXY has it")
            found = h1(got / f"{version}.zip")
            if found != sums[version]:
                sys.exit(f"error: {version}: found {found}, the checksum database has {sums[version]}")
            for form in ("info", "mod", "zip"):
                (got / f"{version}.{form}").rename(folder / f"{version}.{form}")
    return path


def by_go(temp, version):
    if not shutil.which("go"):
        return None
    env = os.environ | {"GOMODCACHE": str(temp / "cache"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    done = subprocess.run(["go", "mod", "download", f"golang.org/toolchain@{version}"], env=env, cwd=temp, check=False)
    return temp / "cache/cache/download/golang.org/toolchain/@v" if done.returncode == 0 else None


def by_proxy(temp, version):
    # The default of the go command.
    for proxy in re.split("[,|]", os.environ.get("GOPROXY") or "https://proxy.golang.org"):
        if proxy in ("direct", "off", ""):
            continue
        try:
            for form in ("info", "mod", "zip"):
                url = f"{proxy.rstrip('/')}/golang.org/toolchain/@v/{version}.{form}"
                with urllib.request.urlopen(url) as answer, (temp / f"{version}.{form}").open("wb") as file:
                    shutil.copyfileobj(answer, file)
            return temp
        except urllib.error.URLError as why:
            print(f"{proxy}: {why}", file=sys.stderr)
    return None


def h1(path):
    with zipfile.ZipFile(path) as source:
        lines = [f"{hashlib.sha256(source.read(name)).hexdigest()}  {name}\n" for name in sorted(source.namelist())]
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()
