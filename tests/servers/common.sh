# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by each family's script: downloads that are kept, and a count of what passed.
#
#   $QUIESCED_CACHE_DIR   where downloads are kept [~/.cache/quiesced]
#   $servers              a directory of this run, which every user can reach; it goes
#                         away at the end of the script
#   $tests                the integration tests

set -euo pipefail

# shellcheck disable=SC2034
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/../integration" && pwd)
cache=${QUIESCED_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/quiesced}
servers=$(mktemp -d)
trap 'rm -rf "$servers"' EXIT
chmod 755 "$servers"
umask 022
passed=()
failed=()

# retry COMMAND...: a mirror may be away for a moment
retry() {
    local try
    for try in 1 2 3 4; do
        "$@" && return
        echo "try $try failed: $*" >&2
        sleep $((try * 5))
    done
    return 1
}

# npm_unpack PACKAGE VERSION DIRECTORY: what an npm package holds, without its scripts
npm_unpack() {
    local package=$1 version=$2 directory=$3 file
    file=$cache/npm/$(tr -c 'a-z0-9\n' - <<<"${package#@}")-$version.tgz
    if [ ! -s "$file" ]; then
        mkdir -p "$cache/npm"
        (cd "$servers" && retry npm pack --silent "$package@$version" >"$servers/packed") || return
        mv "$servers/$(tail -n 1 "$servers/packed")" "$file"
    fi
    mkdir -p "$directory"
    tar -xzf "$file" -C "$directory" --strip-components=1 --no-same-owner
}

# run NAME COMMAND...: shows its output and counts it
run() {
    local name=$1
    shift
    printf '\n=== %s\n' "$name"
    if "$@"; then
        passed+=("$name")
    else
        failed+=("$name")
    fi
}

# summary: the end of a family's script
summary() {
    printf '\n'
    [ ${#passed[@]} -eq 0 ] || printf 'passed: %s\n' "${passed[@]}"
    [ ${#failed[@]} -eq 0 ] || printf 'FAILED: %s\n' "${failed[@]}"
    [ ${#failed[@]} -eq 0 ]
}
