#!/bin/bash
# Measures the README's figures: the appliance on one core, the load generator on the other, and side by side with the
# least that forwarding RTP costs on this kernel (relay.c). Prints one Markdown table row per figure.
#
# usage: tests/bench/figures.sh [CALLS] [ROUNDS]      (bridged calls with media, default 400; measured so often, default 3)
#
# Needs cc, two cores and, to be undisturbed by other programs on loopback, root (it then works in a network namespace
# of its own).
. "$(dirname "$0")/common.sh"
calls=${1:-400}
rounds=${2:-3}
media="--calls $calls --rate 50 --fixed --measure 8 --media"

header
# The floor and the appliance in turns: what changes in the machine meanwhile changes for both.
floors=() bridged=() ratios=() memory=() p50=() p99=() loss=()
for _ in $(seq "$rounds"); do
    floor "$calls"
    generate --static 1 --calls "$calls" --rate 1000 --fixed --measure 8 --media
    floors+=("$(field cpu_per_call=)")
    stop
    start
    generate --ext 400 $media
    bridged+=("$(field cpu_per_call=)")
    ratios+=("$(calc %.2f "${bridged[-1]} / ${floors[-1]}")")
    memory+=("$(field rss_per_call=)")
    p50+=("$(field 'delay_us p50=')") p99+=("$(sed -n 's/.*delay_us p50=[0-9]* p99=\([0-9]*\).*/\1/p' "$work/out")") loss+=("$(field loss=)")
    stop
done
row 'CPU per bridged G.711 call-second' \
    "$(calc %.2f "1000 * $(median "${bridged[@]}")") ms, $(median "${ratios[@]}") x the floor (median of $rounds, $(least "${ratios[@]}") to $(greatest "${ratios[@]}"))" \
    "\`--ext 400 $media\` and \`relay 1 $calls\` in turns"
row 'delay added to RTP, p50 / p99; loss' "$(median "${p50[@]}") / $(median "${p99[@]}") us; $(greatest "${loss[@]}") %" 'the same runs'
row 'memory per bridged call' "$(median "${memory[@]}") kB" 'the same runs'

# signalling NAME OPTION...: CPU a call, share of the core, calls that failed.
signalling() {
    local name=$1 cost=() core=() failed=()
    shift
    for _ in $(seq "$rounds"); do
        start
        generate "$@"
        cost+=("$(field cpu_per_completed_call=)") core+=("$(share)") failed+=("$(field 'fail=')")
        stop
    done
    row "$name: CPU a call; share of the core; failed" \
        "$(median "${cost[@]}") ms ($(least "${cost[@]}") to $(greatest "${cost[@]}")); $(median "${core[@]}") %; $(greatest "${failed[@]}")" "\`$*\`"
}
signalling '200 bridged calls a second' --ext 400 --calls 1600 --rate 200 --hold 0 --warm 1
signalling '1,000 bridged calls a second' --ext 400 --calls 6000 --rate 1000 --hold 0 --warm 1
signalling '1,000 answered calls a second' --ext 100 --calls 6000 --rate 1000 --hold 0 --warm 1
signalling '3,000 answered calls a second' --ext 100 --calls 15000 --rate 3000 --hold 0 --warm 1

start
entry="--ext 202 --calls 400 --rate 50 --fixed --hold 1 --holdagent --warm 1 --measure 4"
generate $entry
row "caller's entry to agent's INVITE, p50 / p99" "$(quantile 'invite->agentINVITE' p50) / $(quantile 'invite->agentINVITE' p99) ms" "\`$entry\`"
stop

start
waiting="--ext 200 --calls 510 --rate 50 --fixed --hold 2 --holdagent --warm 1 --measure 25 --media"
generate $waiting
row "agent free to next INVITE, 500 waiting with music, p50 / p99" "$(quantile 'agentfree->nextINVITE' p50) / $(quantile 'agentfree->nextINVITE' p99) ms" "\`$waiting\`"
row '500 waiting with music: share of the core; double offers' "$(share) %; $(field double_ring=)" 'the same run'
stop

# Ten times as many: the callers send nothing, which would be more than one core can read.
start
crowd="--ext 200 --calls 5010 --rate 200 --fixed --hold 2 --holdagent --warm 1 --measure 10"
generate $crowd
row "agent free to next INVITE, 5,000 waiting with music, p50 / p99; share of the core" "$(quantile 'agentfree->nextINVITE' p50) / $(quantile 'agentfree->nextINVITE' p99) ms; $(share) %" "\`$crowd\`"
stop

# Transactions stay for 32 s (64 T1), so the load is over 40 s after its last call.
start
resident() { awk '/^VmRSS/ { printf "%.0f", $2 / 1024 }' "/proc/$server/status"; }
load="--ext 400 --calls 24000 --rate 3000 --hold 0 --warm 1"
sizes=("$(resident)")
for _ in 1 2; do
    generate $load
    sizes+=("$(resident)")
    sleep 40
    sizes+=("$(resident)")
done
row 'memory at the start; after a load, and 40 s later; after the same again, and 40 s later' \
    "${sizes[0]}; ${sizes[1]}, ${sizes[2]}; ${sizes[3]}, ${sizes[4]} MiB" "\`$load\`"
stop

row 'start to first 200 OK, 500 agents' "$("$binary" bench start examples/bench.toml | sed 's/^start: //; s/ to the first 200 OK//')" '`cordboard bench start examples/bench.toml`'
finish
