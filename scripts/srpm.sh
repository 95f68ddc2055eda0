#!/usr/bin/env bash
# Builds the source RPM of ostree-go from the last commit.
#
#   scripts/srpm.sh OUTDIR [--without-vendor]
#
# Prints the path of the source RPM. It contains the dependencies, so that it can be built without a network. With
# --without-vendor it does not contain them; build it with `rpmbuild --without vendor`. The same commit gives the same
# archive.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

outdir=${1:?usage: scripts/srpm.sh OUTDIR [--without-vendor]}
vendor=with
case ${2-} in
    "") ;;
    --without-vendor) vendor=without ;;
    *)
        echo "error: unknown option $2 (known: --without-vendor)" >&2
        exit 2
        ;;
esac
mkdir -p "$outdir"
outdir=$(cd "$outdir" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version=$(sed -n 's/^Version: *//p' packaging/ostree-go.spec)
name=ostree-go-$version
# In a container, the checkout often belongs to another user, which git refuses by default.
git=(git -c safe.directory="$PWD")
epoch=$("${git[@]}" log -1 --format=%ct)
"${git[@]}" archive --format=tar --prefix="$name/" HEAD | gzip -9n > "$work/$name.tar.gz"
if [[ $vendor == with ]]; then
    (
        cd "$work"
        tar -xzf "$name.tar.gz"
        cargo vendor --locked --quiet --manifest-path "$name/Cargo.toml" vendor > /dev/null
        tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -cf - vendor | gzip -6n > "$name-vendor.tar.gz"
        rm -rf "$name" vendor
    )
fi
rpmbuild --quiet -bs \
    --define "_topdir $work/build" --define "_sourcedir $work" --define "_srcrpmdir $outdir" \
    "--$vendor" vendor packaging/ostree-go.spec
echo "$outdir/ostree-go-$version-$(rpmspec -q --srpm --qf '%{release}' packaging/ostree-go.spec).src.rpm"
