#!/bin/bash
# Measures what becomes of calls beyond the limit: finds the highest rate at which every call is served, then offers twice
# and three times as many. Server on one core, generator on the other. Prints one Markdown table row per figure.
#
# usage: tests/bench/overload.sh [EXTENSION] [FIRST]
#        (default 400, bridged calls, from 500 a second on; 100 is answer and hang up. `examples/bench.toml` has them all.)
#
# Needs cc, two cores and, to be undisturbed by other programs on loopback, root (it then works in a network namespace
# of its own).
set -eu
cd "$(dirname "$0")/../.."
ext=${1:-400}
first=${2:-500}
if [ "$(id -u)" = 0 ] && [ -z "${FIGURES_INSIDE:-}" ] && unshare -n true 2>/dev/null; then
    [ -n "${CORDBOARD:-}" ] || cargo build --release --quiet
    FIGURES_INSIDE=1 exec unshare -n -- "$0" "$@"
fi
[ -z "${FIGURES_INSIDE:-}" ] || ip link set lo up
[ -n "${FIGURES_INSIDE:-}${CORDBOARD:-}" ] || cargo build --release --quiet

work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
cc -O2 -w -o "$work/callgen" tests/bench/load/callgen.c -lm
binary=${CORDBOARD:-$PWD/target/release/cordboard}

# generate RATE SECONDS: calls that are hung up as soon as they are answered.
generate() {
    taskset -c 1 "$work/callgen" --server 127.0.0.1:5060 --pid "$server" --ext "$ext" --calls $(($1 * $2)) --rate "$1" \
        --hold 0 --warm 1 >"$work/out" 2>&1
    cat "$work/out" >>"$work/log"
}
start() {
    rm -rf "$work/data"
    taskset -c 0 "$binary" run --log-level error --data-dir "$work/data" --provision examples/bench.toml &
    server=$!
    sleep 1.5
}
stop() { kill "$server"; wait "$server" 2>/dev/null || true; server=; }
# field NAME: a counter of the generator's second line, 0 where it is not there.
field() { sed -n "/^ok=/s/.*\b$1=\([0-9]*\).*/\1/p" "$work/out" | head -1 | grep . || echo 0; }
failed() { echo $(($(field fail) + $(field notended))); }
status() { "$binary" status --data-dir "$work/data" | sed -n 's/^load  *//p'; }
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }

# serves RATE: whether every call of six seconds is served.
serves() {
    start
    generate "$1" 6
    stop
    [ "$(failed)" = 0 ]
}
low=$first
while serves $((low * 6 / 5)); do low=$((low * 6 / 5)); done
high=$((low * 6 / 5))
for _ in 1 2; do
    middle=$(((low + high) / 2))
    if serves "$middle"; then low=$middle; else high=$middle; fi
done
[ "$low" != "$first" ] || serves "$first" || { echo "not even $first a second are served: name a lower first rate" >&2; exit 1; }

printf '| figure | measured | how |\n| --- | --- | --- |\n'
row "calls a second to $ext, every one served" "$low" "\`overload.sh $ext\`"
for times in 2 3; do
    start
    generate $((low * times)) 15 &
    generator=$!
    sleep 14
    seen=$(status)
    wait "$generator"
    stop
    calls=$((low * times * 15))
    served=$(field ok)
    # A 503 that is sent again is counted again: of the calls that failed, those without any answer are left out.
    refused=$(($(field fail) - $(field f0) - $(field f1) - $(field f2)))
    row "$times times as many: served, of the limit; refused by 503; neither" \
        "$(awk "BEGIN{printf \"%.1f %%\", 100 * $served / 15 / $low}"); $refused; $((calls - served - $refused))" "$seen"
    grep '^invite->200' "$work/out" >>"$work/quantiles" || true
done
[ ! -s "$work/quantiles" ] || cat "$work/quantiles"
cp "$work/log" "${FIGURES_LOG:-/dev/null}"
