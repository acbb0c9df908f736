#!/bin/bash
# Measures the README's figures: the appliance on one core, the load generator on the other, and side by side with the
# least that forwarding RTP costs on this kernel (relay.c). Prints one Markdown table row per figure.
#
# usage: tests/bench/figures.sh [CALLS]      (bridged calls with media; default 400)
#
# Needs cc, two cores and, to be undisturbed by other programs on loopback, root (it then works in a network namespace
# of its own).
set -eu
cd "$(dirname "$0")/../.."
calls=${1:-400}
if [ "$(id -u)" = 0 ] && [ -z "${FIGURES_INSIDE:-}" ] && unshare -n true 2>/dev/null; then
    cargo build --release --quiet
    FIGURES_INSIDE=1 exec unshare -n -- "$0" "$@"
fi
[ -z "${FIGURES_INSIDE:-}" ] || ip link set lo up
[ -n "${FIGURES_INSIDE:-}" ] || cargo build --release --quiet

work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
cc -O2 -w -o "$work/callgen" tests/bench/load/callgen.c -lm
cc -O2 -w -o "$work/relay" tests/bench/load/relay.c
binary=$PWD/target/release/cordboard

generate() { taskset -c 1 "$work/callgen" --server 127.0.0.1:5060 --pid "$server" "$@" >"$work/out" 2>&1; cat "$work/out" >>"$work/log"; }
start() {
    rm -rf "$work/data"
    taskset -c 0 "$binary" run --log-level error --data-dir "$work/data" --provision examples/bench.toml &
    server=$!
    sleep 1.5
}
stop() { kill "$server"; wait "$server" 2>/dev/null || true; server=; }
field() { sed -n "s/.*$1\([0-9.]*\).*/\1/p" "$work/out" | head -1; }
quantile() { sed -n "s/^$1 .*$2=\([0-9.]*\).*/\1/p" "$work/out" | head -1; }
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }

printf '| figure | measured | how |\n| --- | --- | --- |\n'

# The floor first: a relay that does nothing but forward, a socket per leg.
taskset -c 0 "$work/relay" 1 "$calls" &
server=$!
sleep 0.5
generate --static 1 --calls "$calls" --fixed --measure 8 --media
floor=$(field cpu_per_call=)
stop

start
generate --ext 400 --calls "$calls" --rate 50 --fixed --measure 8 --media
bridged=$(field cpu_per_call=)
row 'CPU per bridged G.711 call-second' "$(awk "BEGIN{printf \"%.2f ms\", 1000*$bridged}"), $(awk "BEGIN{printf \"%.2f\", $bridged/$floor}") x the floor of $(awk "BEGIN{printf \"%.2f ms\", 1000*$floor}")" "\`--ext 400 --calls $calls --rate 50 --fixed --measure 8 --media\` and \`relay 1 $calls\`"
row 'delay added to RTP, p50 / p99; loss' "$(sed -n 's/.*delay_us p50=\([0-9]*\) p99=\([0-9]*\).*/\1 \/ \2 us/p' "$work/out"); $(field loss=) %" 'the same run'
row 'memory per bridged call' "$(field rss_per_call=) kB" 'the same run'
stop

start
generate --ext 400 --calls 2000 --rate 200 --hold 0 --warm 1
row 'bridged call, signalling only, CPU; failed' "$(field cpu_per_completed_call=) ms; $(field 'fail=')" '`--ext 400 --calls 2000 --rate 200 --hold 0 --warm 1`'
generate --ext 100 --calls 4000 --rate 400 --hold 0 --warm 1
row 'answer and hang up, CPU; failed' "$(field cpu_per_completed_call=) ms; $(field 'fail=')" '`--ext 100 --calls 4000 --rate 400 --hold 0 --warm 1`'
share() { sed -n 's/.*server_cpu=[^(]*(\([0-9.]*\)% core.*/\1 %/p' "$work/out"; }
generate --ext 400 --calls 6000 --rate 1000 --hold 0 --warm 1
row '1,000 bridged calls a second: share of the core; failed' "$(share); $(field 'fail=')" '`--ext 400 --calls 6000 --rate 1000 --hold 0 --warm 1`'
generate --ext 100 --calls 15000 --rate 3000 --hold 0 --warm 1
row '3,000 answered calls a second: share of the core; failed' "$(share); $(field 'fail=')" '`--ext 100 --calls 15000 --rate 3000 --hold 0 --warm 1`'
stop

start
generate --ext 202 --calls 400 --rate 50 --fixed --hold 1 --holdagent --warm 1 --measure 4
row "caller's entry to agent's INVITE, p50 / p99" "$(quantile 'invite->agentINVITE' p50) / $(quantile 'invite->agentINVITE' p99) ms" '`--ext 202 --calls 400 --rate 50 --fixed --hold 1 --holdagent --warm 1 --measure 4`'
stop

start
generate --ext 200 --calls 510 --rate 50 --fixed --hold 2 --holdagent --warm 1 --measure 25 --media
row "agent free to next INVITE, 500 waiting with music, p50 / p99" "$(quantile 'agentfree->nextINVITE' p50) / $(quantile 'agentfree->nextINVITE' p99) ms" '`--ext 200 --calls 510 --rate 50 --fixed --hold 2 --holdagent --warm 1 --measure 25 --media`'
row '500 waiting with music: share of the core; double offers' "$(share); $(field double_ring=)" 'the same run'
stop

row 'start to first 200 OK, 500 agents' "$("$binary" bench start examples/bench.toml | sed 's/^start: //; s/ to the first 200 OK//')" '`cordboard bench start examples/bench.toml`'
cp "$work/log" "${FIGURES_LOG:-/dev/null}"
