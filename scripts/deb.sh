#!/usr/bin/env bash
# Builds a .deb of ostree-go from a built command.
#
#   scripts/deb.sh OUTDIR BINARY
#
# Prints the path of the package. It contains the same files as `make install PREFIX=/usr`, at the places and in the forms
# that Debian's policy requires. All times in it are SOURCE_DATE_EPOCH, by default the time of the last commit, so that the
# same command gives the same package.
set -euo pipefail

outdir=${1:?usage: scripts/deb.sh OUTDIR BINARY}
binary=$(realpath "${2:?usage: scripts/deb.sh OUTDIR BINARY}")
mkdir -p "$outdir"
outdir=$(cd "$outdir" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The names and versions of the libraries' packages are only known on Debian and its derivatives.
command -v dpkg-shlibdeps >/dev/null || {
    echo "error: dpkg-shlibdeps is missing; it belongs to the package dpkg-dev of Debian and Ubuntu" >&2
    exit 1
}

# In a container, the checkout often belongs to another user, which git refuses by default.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory="$PWD" log -1 --format=%ct)}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)-1
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/debian/ostree-go
share=$root/usr/share
doc=$share/doc/ostree-go

umask 022
PREFIX=/usr DESTDIR=$root scripts/install.sh "$binary"
strip --remove-section=.comment --remove-section=.note --strip-unneeded "$root/usr/bin/ostree-go"
# Debian's zsh does not read site-functions.
mv "$share/zsh/site-functions" "$share/zsh/vendor-completions"
# Debian's copyright file replaces the texts of the licenses.
rm -r "$share/licenses"
install -m644 packaging/deb/copyright "$doc/copyright"
mv "$doc/CHANGELOG.md" "$doc/changelog"
cat >"$doc/changelog.Debian" <<CHANGELOG
ostree-go ($version) unstable; urgency=medium

  * Package of ostree-go ${version%-*}.

 -- $(sed -n 's/^Maintainer: //p' packaging/deb/control)  $(LC_ALL=C date -uRd "@$SOURCE_DATE_EPOCH")
CHANGELOG
gzip -9n "$doc/changelog" "$doc/changelog.Debian" "$share"/man/man1/*.1

mkdir "$root/DEBIAN"
# dpkg-shlibdeps reads the name of the source package in debian/control.
printf 'Source: ostree-go\n\nPackage: ostree-go\nArchitecture: any\n' >"$work/debian/control"
shlibs=$(cd "$work" && dpkg-shlibdeps -O debian/ostree-go/usr/bin/ostree-go | sed -n 's/^shlibs:Depends=//p')
# Debian's policy counts each file in KiB, rounded up.
size=$(find "$root/usr" -type f -printf '%s\n' | awk '{ size += int(($1 + 1023) / 1024) } END { print size }')
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SHLIBS@/$shlibs/" \
    -e "s/@INSTALLED_SIZE@/$size/" packaging/deb/control >"$root/DEBIAN/control"
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

package=$outdir/ostree-go_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"
