#!/usr/bin/env bash
# A tour of the compose with real SDKs. Everything it makes is below build/demo.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

demo=build/demo
repo=$demo/repo
treefile=treefiles/go-1.26.yaml
bin=${CARGO_TARGET_DIR:-target}/release
native=$(uname -m)
case $native in
x86_64) twin=aarch64 ;;
aarch64) twin=x86_64 ;;
*)
    echo "error: the tour runs on x86_64 and aarch64, this is $native" >&2
    exit 1
    ;;
esac

trap 'echo "error: the tour stopped at line $LINENO: $BASH_COMMAND" >&2' ERR

title() { printf '\n# %s\n' "$*"; }
say() { printf '$ %s\n' "${*//"$PWD/"/}"; }
run() {
    say "$*"
    "$@"
}
# same WHAT FOUND EXPECTED
same() {
    [[ $2 == "$3" ]] || {
        printf 'error: %s: found\n%s\nexpected\n%s\n' "$1" "$2" "$3" >&2
        exit 1
    }
}

title "Build"
say cargo build --release -p ostree-go-cli
cargo build --release --locked --quiet -p ostree-go-cli
[[ $bin == /* ]] || bin=$PWD/$bin
PATH=$bin:$PATH
# Go's caches are read-only in places.
[[ ! -e $demo ]] || chmod -R u+w "$demo"
rm -rf "$demo"
mkdir -p "$demo"

title "Compose both architectures: commit ids on stdout, talk on stderr"
say ostree-go compose "$treefile" --repo "$repo"
time ostree-go compose "$treefile" --repo "$repo" | tee "$demo/first"

title "Compose again: nothing to do"
say ostree-go compose "$treefile" --repo "$repo"
time ostree-go compose "$treefile" --repo "$repo" | tee "$demo/second"
same "the second compose" "$(<"$demo/second")" "$(<"$demo/first")"

title "Look"
run ostree-go list --repo "$repo"
release=$(ostree refs --repo "$repo" | grep -xE "go-sdk/$native/[0-9]+\.[0-9]+(\.[0-9]+)?" | sort -V | tail -n1)
# A minor version alone is a channel where the full one is there too; the longest name is the release.
version=${release##*/}
run ostree-go show "go-sdk/$native/$version" --repo "$repo"
run ostree-go fsck --repo "$repo"

title "The stock ostree command reads the same repository"
run ostree fsck --repo "$repo" --quiet
for arch in "$native" "$twin"; do
    run ostree show --repo "$repo" --print-metadata-key=sdk.version "go-sdk/$arch/$version"
    run ostree checkout --repo "$repo" -U "go-sdk/$arch/$version" "$demo/$arch"
done

title "Build a program with the SDK that came out, and nothing of this machine's Go"
mkdir -p "$demo/hello" "$demo/home"
printf 'module example.com/hello\n\ngo %s\n' "$(cut -d. -f1,2 <<<"$version")" >"$demo/hello/go.mod"
cat >"$demo/hello/main.go" <<'EOF'
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
)

func main() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s on %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	}))
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}
EOF
clean=(env -i "PATH=/usr/bin:/bin" "HOME=$PWD/$demo/home" "GOCACHE=$PWD/$demo/go-cache"
    "GOPATH=$PWD/$demo/go-path" CGO_ENABLED=0 GOPROXY=off)
run "${clean[@]}" "$demo/$native/usr/bin/go" version
run "${clean[@]}" "$demo/$native/usr/bin/go" -C "$demo/hello" build -o ../hello.bin .
run "$demo/hello.bin" | tee "$demo/hello.out"
grep -q "hello from go$version" "$demo/hello.out"

title "The twin for $twin"
qemu=$(command -v "qemu-$twin-static" || command -v "qemu-$twin")
run "${clean[@]}" "$qemu" "$demo/$twin/usr/bin/go" version

title "Done: $repo holds Go $version for $native and $twin in $(du -sh "$repo" | cut -f1)"
