#!/bin/sh
# Makes every prompt of prompts.tsv (name, tab, text) as NAME.wav beside this script: 8 kHz, mono, 16 bits.
# Needs flite with its voice slt (free to use, CMU licence) and sox: apt-get install flite sox
# The result is committed; run this only when the manifest changes. The same tools make the same files.
set -eu
cd "$(dirname "$0")"

# Speech level: -16 dBm0. 0 dBm0 is a sine 3.14 dB below full scale, so its rms is 6.15 dB below.
target_dbfs=-22.15
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# Rms of a file in dB relative to full scale.
rms_dbfs() {
    sox "$1" -n stat 2>&1 | awk '/RMS.*amplitude/ { print 20 * log($3) / log(10) }'
}

tab=$(printf '\t')
while IFS="$tab" read -r name text; do
    mkdir -p "$(dirname "$name")"
    flite -voice slt -t "$text" -o "$work/voice.wav"
    # Trim while the hiss of a final s is still there, but for 20 ms and 60 ms, with soft edges; then the telephone band,
    # its top raised so that consonants stay clear in it. No dither anywhere: the same text gives the same file.
    sox -D "$work/voice.wav" "$work/trim.wav" \
        silence 1 0.01 0.3% reverse silence 1 0.01 0.3% fade 0.015 reverse fade 0.005 pad 0.02 0.06
    sox -D "$work/trim.wav" "$work/band.wav" gain -6 highpass 150 treble 5 2500 rate -v 8000
    gain=$(rms_dbfs "$work/band.wav" | awk -v t="$target_dbfs" '{ printf "%.2f", t - $1 }')
    # The limiter takes the few peaks that would clip.
    sox -D "$work/band.wav" -b 16 -e signed-integer -c 1 "$name.wav" gain -l "$gain"
done < prompts.tsv
