#!/bin/bash
# The DTMF detector beside spandsp's, which is compiled into a program of its own (LGPL: never linked into the product).
#
# usage: tests/bench/dtmf.sh [speed|talk-off]      (nothing: how far each goes)
#
# Needs cc, Debian's libspandsp-dev and, for real speech, asterisk-core-sounds-*-wav (tests/setup.sh installs them).
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if cc -O2 -o "$work/peer" tests/bench/peer/dtmf_spandsp.c -lspandsp 2>"$work/log"; then
    export DTMF_PEER=$work/peer
else
    echo "dtmf: no libspandsp-dev here, so without a peer" >&2
fi
cargo bench --quiet --bench dtmf -- "$@"
