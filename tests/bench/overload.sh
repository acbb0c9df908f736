#!/bin/bash
# Measures what becomes of calls beyond the limit: finds the highest rate at which every call is served, then offers that, twice
# and three times as many, in turns, so that a machine that gets slower meanwhile does so for all. Server on one core,
# generator on the other. Prints one Markdown table row per figure.
#
# usage: tests/bench/overload.sh [EXTENSION] [FIRST] [ROUNDS]
#        (default 400, bridged calls, from 500 a second on, 5 rounds; 100 is answer and hang up. `examples/bench.toml` has them all.)
#
# Needs cc, two cores and, to be undisturbed by other programs on loopback, root (it then works in a network namespace
# of its own).
. "$(dirname "$0")/common.sh"
ext=${1:-400}
first=${2:-500}
rounds=${3:-5}
seconds=12

# offer RATE SECONDS: calls that are hung up as soon as they are answered.
offer() { generate --ext "$ext" --calls $(($1 * $2)) --rate "$1" --hold 0 --warm 1; }
# count NAME: a counter of the generator's, 0 where it is not there.
count() { sed -n "/^ok=/s/.*\b$1=\([0-9]*\).*/\1/p" "$work/out" | head -1 | grep . || echo 0; }
# serves RATE: whether every call of six seconds is served.
serves() {
    start
    offer "$1" 6
    stop
    [ $(($(count fail) + $(count notended))) = 0 ]
}
low=$first
while serves $((low * 6 / 5)); do low=$((low * 6 / 5)); done
high=$((low * 6 / 5))
for _ in 1 2 3; do
    middle=$(((low + high) / 2))
    if serves "$middle"; then low=$middle; else high=$middle; fi
done
[ "$low" != "$first" ] || serves "$first" || { echo "not even $first a second are served: name a lower first rate" >&2; exit 1; }
header
row "calls a second to $ext, every one served" "$low" "\`overload.sh $ext\`"

# Each load follows three seconds of half the limit, as floods do.
declare -A served unanswered late
for _ in $(seq "$rounds"); do
    for times in 1 2 3; do
        start
        offer $((low / 2)) 3
        offer $((low * times)) "$seconds"
        stop
        served[$times]+=" $(count ok)"
        unanswered[$times]+=" $(($(count f0) + $(count f1) + $(count f2) + $(count notended)))"
        late[$times]+=" $(quantile 'invite->200' p99)"
    done
done
for times in 2 3; do
    ratios=()
    read -ra at_limit <<<"${served[1]}"
    read -ra beyond <<<"${served[$times]}"
    for round in "${!beyond[@]}"; do
        ratios+=("$(calc %.1f "100 * ${beyond[$round]} / ${at_limit[$round]}")")
    done
    row "$times times as many: served, of what was served at the limit; not answered; p99 of answers" \
        "$(median "${ratios[@]}") % (median of $rounds, $(least "${ratios[@]}") to $(greatest "${ratios[@]}")); $(greatest ${unanswered[$times]}); $(median ${late[$times]}) ms" \
        "the same run"
done
finish
