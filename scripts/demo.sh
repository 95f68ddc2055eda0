#!/usr/bin/env bash
# Runs the whole workflow with real SDKs: compose, sign, publish, serve, install, build, upgrade, roll back.
# All files that it creates are in build/demo.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

demo=build/demo
repo=$demo/repo
web=
native=$(uname -m)
case $native in
x86_64) twin=aarch64 ;;
aarch64) twin=x86_64 ;;
*)
    echo "error: the demo runs on x86_64 and aarch64, but this machine is $native" >&2
    exit 1
    ;;
esac

trap 'echo "error: the demo failed at line $LINENO: $BASH_COMMAND" >&2' ERR
trap '[[ -z $web ]] || kill "$web"' EXIT

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
bin=${CARGO_TARGET_DIR:-target}/release
run cargo build --release --locked --quiet -p ostree-go-cli
[[ $bin == /* ]] || bin=$PWD/$bin
PATH=$bin:/usr/sbin:$PATH
# Deployed files and Go's caches are read-only, so that rm would fail.
[[ ! -e $demo ]] || chmod -R u+w "$demo"
rm -rf "$demo"
mkdir -p "$demo"
export OSTREE_GO_ROOT=$PWD/$demo/root

# $old is a patch release before $new, the version in the treefile of this repository.
new=$(sed -n 's/^version: *//p' treefiles/go-1.26.yaml)
old=1.26.9
cat >"$demo/go-$old.yaml" <<YAML
include: $PWD/treefiles/base.yaml
version: $old
channels: ["go-sdk/\${basearch}/1.26"]
stdcache: { targets: [$native], modes: [plain] }
pin:
  x86_64: { h1: "h1:H1MNjtpLSXRMijiKWuh1cj9j9YM4NXKqM93/8h6Aics=" }
  aarch64: { h1: "h1:7zX/9hOPdr3dzQYUa5W/Bpz3BIL2eF1oDoQjg/io1U8=" }
YAML
sed -e "s|^include: .*|include: $PWD/treefiles/base.yaml|" -e '/stable$/d' -e "s/^stdcache: .*/stdcache: { targets: [$native], modes: [plain] }/" treefiles/go-1.26.yaml >"$demo/go-$new.yaml"

title "Publisher: create a key"
run ostree-go key generate --output-dir "$demo/keys"
key=$(gpg --homedir "$demo/keys/gnupg" --list-keys --with-colons 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')
sign=(--gpg-sign "$key" --gpg-homedir "$demo/keys/gnupg")

title "Compose and sign Go $old for both architectures: commit IDs on stdout, messages on stderr"
say ostree-go compose "$demo/go-$old.yaml" --repo "$repo" "${sign[@]}"
time ostree-go compose "$demo/go-$old.yaml" --repo "$repo" "${sign[@]}" | tee "$demo/first"

title "Compose again: nothing changes"
say ostree-go compose "$demo/go-$old.yaml" --repo "$repo" "${sign[@]}"
time ostree-go compose "$demo/go-$old.yaml" --repo "$repo" "${sign[@]}" | tee "$demo/second"
same "the second compose" "$(<"$demo/second")" "$(<"$demo/first")"

title "Publish: static deltas, index page and signed summary"
say ostree-go publish --repo "$repo" "${sign[@]}" --public-key "$demo/keys/public.asc"
time ostree-go publish --repo "$repo" "${sign[@]}" --public-key "$demo/keys/public.asc"

title "Read the repository with the stock ostree command"
run ostree fsck --repo "$repo" --quiet
run ostree show --repo "$repo" --print-metadata-key=sdk.version "go-sdk/$twin/$old"

title "Serve the repository with a web server for static files"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
user=
((EUID)) || user="user root;"
temp=$(printf "%s_temp_path $PWD/$demo/web; " client_body proxy fastcgi uwsgi scgi)
cat >"$demo/nginx.conf" <<NGINX
daemon off; $user pid $PWD/$demo/nginx.pid; error_log $PWD/$demo/nginx.log; events {}
http {
    $temp access_log off; types { text/html html; application/json json; }
    server { listen 127.0.0.1:$port; root $PWD/$repo; }
}
NGINX
nginx -c "$PWD/$demo/nginx.conf" 2>>"$demo/nginx.log" &
web=$!
url=http://127.0.0.1:$port
run curl --silent --show-error --fail --retry 20 --retry-connrefused --retry-delay 1 --output /dev/null "$url/index.html"

title "Host: trust the key, install the SDK, and add it to PATH"
run ostree-go remote add acme "$url" --gpg-import "$demo/keys/public.asc"
say ostree-go install 1.26
time ostree-go install 1.26
say 'eval "$(ostree-go env)"'
eval "$(ostree-go env)"
run go version

title "Build a program in a sandbox without a network: the SDK came with a compiled standard library"
mkdir -p "$demo/hello"
printf 'module example.com/hello\n\ngo 1.26\n' >"$demo/hello/go.mod"
cat >"$demo/hello/main.go" <<'GO'
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
GO
say 'ostree-go run --write . -- go build -o hello.bin .'
time (cd "$demo/hello" && ostree-go run --write . -- go build -o hello.bin .)
mv "$demo/hello/hello.bin" "$demo/hello.bin"
run "$demo/hello.bin" | tee "$demo/hello.out"
grep -q "hello from go$old" "$demo/hello.out"

title "Install the SDK for $twin side by side"
run ostree-go install 1.26 --arch "$twin"
qemu=$(command -v "qemu-$twin-static" || command -v "qemu-$twin")
for go in "$OSTREE_GO_ROOT"/deployments/*/usr/bin/go; do
    [[ $go -ef $(command -v go) ]] || run "$qemu" "$go" version
done

title "Publisher: compose and publish Go $new"
say ostree-go compose "$demo/go-$new.yaml" --repo "$repo" "${sign[@]}"
time ostree-go compose "$demo/go-$new.yaml" --repo "$repo" "${sign[@]}"
say ostree-go publish --repo "$repo" "${sign[@]}" --public-key "$demo/keys/public.asc"
time ostree-go publish --repo "$repo" "${sign[@]}" --public-key "$demo/keys/public.asc"

title "Host: upgrade with a static delta, and roll back"
say ostree-go upgrade
time ostree-go upgrade
run go version
same "the active version" "$(go version | cut -d' ' -f3)" "go$new"
run ostree-go status
say ostree-go rollback
time ostree-go rollback
same "the active version" "$(go version | cut -d' ' -f3)" "go$old"
run go version
run ostree-go status

title "Done: $repo contains Go $old and $new for $native and $twin in $(du -sh "$repo" | cut -f1), deltas included"
