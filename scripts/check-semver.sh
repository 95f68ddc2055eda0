#!/usr/bin/env bash
# Compares the interface of the library with that of the last release, the newest tag `vVERSION` before HEAD. A change that
# the version in Cargo.toml does not allow is an error. Before the first release, the script prints a message and succeeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo=${CARGO:-cargo}
# In a container, the checkout often belongs to another user, which git refuses by default.
if ! tag=$(git -c safe.directory="$PWD" describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
    echo "semver: NOT CHECKED, no release is tagged in this history (a shallow clone has no tags)" >&2
    exit
fi
"$cargo" semver-checks --version >/dev/null 2>&1 || "$cargo" install --locked cargo-semver-checks
# The features are for the project's own tests, and not part of the interface.
"$cargo" semver-checks --package ostree-go-sdk --only-explicit-features --baseline-rev "$tag"
echo "semver: the version allows all changes of the interface since $tag"
