#!/bin/bash
# Measures how many bridged G.711 calls one core carries with p99 of the delay below 20 ms and less than .1 % lost, and how many the
# least that forwarding costs does (relay.c) under the same generator, which has the other core. Prints one Markdown table
# row per figure.
#
# usage: tests/bench/capacity.sh [FIRST]      (calls to begin with, default 400)
#
# Needs cc, two cores and, to be undisturbed by other programs on loopback, root (it then works in a network namespace
# of its own).
. "$(dirname "$0")/common.sh"
first=${1:-400}

# appliance CALLS, relay CALLS: run so many; what was seen is in $work/out.
appliance() {
    start
    generate --ext 400 --calls "$1" --rate 200 --fixed --warm 2 --measure 5 --media
    stop
}
relay() {
    floor "$1"
    generate --static 1 --calls "$1" --rate 1000 --fixed --warm 2 --measure 5 --media
    stop
}
# carries WHO CALLS: whether all is well with so many.
carries() {
    "$1" "$2"
    local late lost
    late=$(sed -n 's/.*delay_us p50=[0-9]* p99=\([0-9]*\).*/\1/p' "$work/out")
    lost=$(field loss=)
    [ "$(field ok=)" = "$2" ] && awk "BEGIN { exit !(${late:-1e9} < 20000 && ${lost:-100} < 0.1) }"
}
# most WHO: the highest number that is carried, within some percent.
most() {
    local low=$first high middle
    carries "$1" "$low" || { echo "$1 does not carry $low: name a lower number" >&2; exit 1; }
    while carries "$1" $((low * 5 / 4)); do low=$((low * 5 / 4)); done
    high=$((low * 5 / 4))
    for _ in 1 2 3; do
        middle=$(((low + high) / 2))
        if carries "$1" "$middle"; then low=$middle; else high=$middle; fi
    done
    echo "$low"
}
header
floor_most=$(most relay)
ours=$(most appliance)
row 'bridged calls on one core, delay p99 < 20 ms, loss < .1 %' \
    "$ours, $(calc %.0f "100 * $ours / $floor_most") % of the floor's $floor_most" '`capacity.sh`'
finish
