#!/usr/bin/env bash
# Runs every check: peers, formatting, lints, documentation, tests. Goes on after a failure, sums up at the end and
# fails if anything failed. Arguments go to `cargo test`.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
summary=()
failed=0

# step NAME COMMAND...
step() {
    local name=$1 began=$SECONDS
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    if "$@" 2>&1 | tee "$log"; then
        summary+=("$(printf 'ok      %-14s %4d s' "$name" $((SECONDS - began)))")
    else
        summary+=("$(printf 'FAILED  %-14s %4d s' "$name" $((SECONDS - began)))")
        failed=1
    fi
}

# A toolchain installed with rustup's minimal profile has neither.
component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null; then
        rustup component add "$2"
    else
        echo "cargo $1 is missing: install the component $2"
        return 1
    fi
}

formatting() {
    component fmt rustfmt && cargo fmt --all --check
}

lints() {
    component clippy clippy && cargo clippy --workspace --all-targets -- -D warnings
}

documentation() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
}

# What the tests hold against deny.toml without a network, by the tool itself; advisories where their database is reachable.
dependencies() {
    if ! cargo deny --version >/dev/null 2>&1; then
        echo "cargo-deny is not installed: licences, sources and bans are held by the tests alone, advisories by nobody"
        return
    fi
    cargo deny --offline check licenses bans sources || return 1
    if cargo deny fetch db; then
        cargo deny check advisories
    else
        echo "the advisory database cannot be reached: advisories are not checked"
    fi
}

for tool in cargo cc; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: install Rust and a C compiler"; exit 1; }
done

step peers bash tests/setup.sh
# A peer that is there by now, or must be (CI), is not skipped over: see tests/setup.sh.
if ! grep -q "setup: missing" "$log"; then
    export CORDBOARD_PEERS=required
fi
# Nor are rights that are there: root, whom some tests need (in CI it must be there), and mounts, which a container may forbid.
if [ "$(id -u)" -eq 0 ] || [ "${CI:-}" = true ]; then
    export CORDBOARD_ROOT=required
else
    echo "not root: tests that need it are skipped and say so"
fi
if unshare --mount mount -t tmpfs tmpfs /mnt 2>/dev/null; then
    export CORDBOARD_MOUNT=required
else
    echo "no mounts here: the test that fills a disk is skipped and says so"
fi
step formatting formatting
step lints lints
step documentation documentation
step dependencies dependencies
step tests cargo test --workspace --no-fail-fast "$@"
passed=$(awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
    END { printf "%d passed, %d failed, %d ignored", passed, failed, ignored }' "$log")

printf '\n'
printf '%s\n' "${summary[@]}"
printf 'tests: %s\n' "$passed"
if [ "$failed" -eq 0 ]; then echo "all checks passed"; else echo "some checks failed"; fi
exit "$failed"
