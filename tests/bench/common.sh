# What the measuring scripts share; to be sourced, with the script's arguments: a network namespace where that is possible, the
# release build (or the program in CORDBOARD), generator and floor, a folder for this run, and the functions below.
set -eu
cd "$(dirname "$0")/../.."
if [ "$(id -u)" = 0 ] && [ -z "${BENCH_INSIDE:-}" ] && unshare -n true 2>/dev/null; then
    [ -n "${CORDBOARD:-}" ] || cargo build --release --quiet
    BENCH_INSIDE=1 exec unshare -n -- "$0" "$@"
fi
[ -z "${BENCH_INSIDE:-}" ] || ip link set lo up
[ -n "${BENCH_INSIDE:-}${CORDBOARD:-}" ] || cargo build --release --quiet

work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
cc -O2 -w -o "$work/callgen" tests/bench/load/callgen.c -lm
cc -O2 -w -o "$work/relay" tests/bench/load/relay.c
binary=${CORDBOARD:-$PWD/target/release/cordboard}

# start: the appliance on the first core, up when this returns.
start() {
    rm -rf "$work/data"
    taskset -c 0 "$binary" run --log-level error --data-dir "$work/data" --provision examples/bench.toml &
    server=$!
    for _ in $(seq 300); do
        "$binary" status --data-dir "$work/data" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "the appliance does not come up" >&2
    exit 1
}
# floor CALLS: a relay that does nothing but forward, a socket per leg.
floor() {
    taskset -c 0 "$work/relay" 1 "$1" &
    server=$!
    sleep 0.5
}
stop() { kill "$server"; wait "$server" 2>/dev/null || true; server=; }
# generate OPTION...: calls from the second core. What was measured is in $work/out, and of all runs in $work/log.
generate() {
    taskset -c 1 "$work/callgen" --server 127.0.0.1:5060 --pid "$server" "$@" >"$work/out" 2>&1
    cat "$work/out" >>"$work/log"
}
# field NAME: the number after the first NAME; quantile SERIES NAME: the same in the line of a series.
field() { sed -n "s/.*$1\([0-9.]*\).*/\1/p" "$work/out" | head -1; }
quantile() { sed -n "s/^$1 .*$2=\([0-9.]*\).*/\1/p" "$work/out" | head -1; }
# share: of the core that the server took.
share() { sed -n 's/.*server_cpu=[^(]*(\([0-9.]*\)% core.*/\1/p' "$work/out"; }
# median, least, greatest NUMBER...
sorted() { printf '%s\n' "$@" | sort -n; }
median() { sorted "$@" | sed -n "$((($# + 1) / 2))p"; }
least() { sorted "$@" | head -1; }
greatest() { sorted "$@" | tail -1; }
# calc FORMAT EXPRESSION
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }
header() { printf '| figure | measured | how |\n| --- | --- | --- |\n'; }
finish() { cp "$work/log" "${BENCH_LOG:-/dev/null}"; }
