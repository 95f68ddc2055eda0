#!/usr/bin/env python3
"""Builds the source RPM of golang-ostree-ref, which tells hosts where to find a release of the Go SDK and its key.

    scripts/ref-srpm.py --repo REPO --version 1.26.5 --remote NAME --url URL --key FILE --output-dir DIR

Prints the path of the source RPM, whose content depends only on the repository and the arguments.
"""

import argparse
import calendar
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = Path(__file__).resolve().parent.parent / "packaging" / "golang-ostree-ref.spec"
MARK = "# ---- values\n"


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def command(*args, cwd=None):
    done = subprocess.run(args, stdout=subprocess.PIPE, text=True, check=False, cwd=cwd)
    if done.returncode:
        fail(f"`{args[0]}` failed with exit code {done.returncode}")
    return done.stdout


def releases(program, repo, version):
    """Returns the entries of `ostree-go list` for the releases of a version, for both architectures."""
    listed = json.loads(command(program, "list", "--repo", repo, "--format=json"))
    found = [
        {key: ref[key] for key in ("ref", "arch", "version", "commit", "h1")} | {"timestamp": ref["timestamp"]}
        for ref in listed["refs"]
        if ref["kind"] == "release" and ref["version"] == version
    ]
    if not found:
        fail(f"{repo} has no release of Go {version}")
    return sorted(found, key=lambda release: release["arch"])


def main():
    parser = argparse.ArgumentParser(description="Builds the source RPM of golang-ostree-ref.")
    parser.add_argument("--repo", required=True, help="repository that contains the release")
    parser.add_argument("--version", required=True, help="Go version, without the prefix `go`")
    parser.add_argument("--remote", required=True, help="name of the remote on hosts")
    parser.add_argument("--url", required=True, help="URL from which hosts pull the repository")
    parser.add_argument("--key", required=True, type=Path, help="file with the armoured public GPG key")
    parser.add_argument("--output-dir", required=True, type=Path)
    parser.add_argument("--ostree-go", default="ostree-go", help="path of the ostree-go command (default: from PATH)")
    args = parser.parse_args()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", args.remote):
        fail(f"`{args.remote}` is no name for a remote, expected letters, digits, `-` and `_`")
    # RPM versions cannot contain `-`: 1.26.5-acme1 becomes 1.26.5^acme1, which is newer than 1.26.5.
    if not re.fullmatch(r"[0-9A-Za-z.-]+", args.version):
        fail(f"`{args.version}` is no Go version")
    if not re.fullmatch(r"(https|http|file)://[!-~]+", args.url):
        fail(f"`{args.url}` is no URL, expected https://, http:// or file://")
    if not args.key.is_file() or b"BEGIN PGP PUBLIC KEY BLOCK" not in args.key.read_bytes():
        fail(f"{args.key} is no armoured public GPG key")

    found = releases(args.ostree_go, args.repo, args.version)
    newest = max(release["timestamp"] for release in found)
    moment = time.strptime(newest, "%Y-%m-%dT%H:%M:%SZ")
    seconds = calendar.timegm(moment)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "remote.conf").write_text(
            f'[remote "{args.remote}"]\n'
            f"url={args.url}\n"
            "gpg-verify=true\n"
            f"gpgkeypath=/etc/pki/rpm-gpg/RPM-GPG-KEY-{args.remote}\n"
        )
        shutil.copyfile(args.key, work / "RPM-GPG-KEY")
        document = {"schema": 1, "remote": args.remote, "url": args.url, "sdk.version": args.version, "releases": found}
        (work / "release.json").write_text(json.dumps(document, indent=2) + "\n")
        for name in ("remote.conf", "RPM-GPG-KEY", "release.json"):
            (work / name).chmod(0o644)
            os.utime(work / name, (seconds, seconds))
        before, _, after = SPEC.read_text().split(MARK)
        days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
        date = f"{days[moment.tm_wday]} {months[moment.tm_mon - 1]} {moment.tm_mday:02} {moment.tm_year}"
        values = {
            "sdk_version": args.version.replace("-", "^"),
            "sdk_date": date,
            "sdk_remote": args.remote,
        }
        lines = "".join(f"%global {key} {value}\n" for key, value in values.items())
        spec = work / SPEC.name
        spec.write_text(before + MARK + lines + MARK + after)
        os.utime(spec, (seconds, seconds))
        args.output_dir.mkdir(parents=True, exist_ok=True)
        out = args.output_dir.resolve()
        # A source RPM contains the spec with expanded paths, so none of them may name this directory.
        defines = {"_topdir": "/builddir", "_builddir": ".", "_sourcedir": ".", "_specdir": ".", "_srcrpmdir": f"{out}"}
        flags = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
        command("rpmbuild", "--quiet", "-bs", *flags, spec.name, cwd=work)
    print(out / f"golang-ostree-ref-{values['sdk_version']}-1.src.rpm")


if __name__ == "__main__":
    main()
