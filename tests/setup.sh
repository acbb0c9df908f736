#!/usr/bin/env bash
# Installs the peers that the interoperability tests talk to, by apt on Debian. Does nothing where all are there.
#   SIPp (calls, registrations, malformed input), baresip (an agent's phone), tshark (looks for malformed packets),
#   sox (measures what was heard), openssl (SIP over TLS), systemd-analyze (judges the unit), dnsmasq (names of
#   providers), python3 (another user at the control socket), ip (a site behind a link), real speech in five languages (what detectors must not take for tones).
# With CI=true a peer that cannot be had is an error; elsewhere it is named, and the tests that need it say that they
# were skipped.
set -euo pipefail

# command:package
peers=(sipp:sip-tester baresip:baresip-core tshark:tshark sox:sox openssl:openssl systemd-analyze:systemd
    dnsmasq:dnsmasq-base python3:python3 ip:iproute2)
# folder:package
data=()
for speech in en:en_US_f_Allison es:es_MX_f_Allison fr:fr_CA_f_June it:it_IT_m_Carlo ru:ru_RU_f_IvrvoiceRU; do
    data+=("/usr/share/asterisk/sounds/${speech##*:}:asterisk-core-sounds-${speech%%:*}-wav")
done

missing() {
    local peer
    for peer in "${peers[@]}"; do
        command -v "${peer%%:*}" >/dev/null || echo "${peer##*:}"
    done
    for peer in "${data[@]}"; do
        [ -d "${peer%%:*}" ] || echo "${peer##*:}"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

install() {
    command -v apt-get >/dev/null || { echo "setup: no apt-get here"; return 1; }
    if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
        echo "setup: installing needs root, or sudo without a password"
        return 1
    fi
    # Without an answer tshark's package asks who may capture: root may.
    echo "wireshark-common wireshark-common/install-setuid boolean false" | as_root debconf-set-selections || true
    local apt=(apt-get -qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
    as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" update || return 1
    as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --no-install-recommends "$@" >/dev/null || return 1
}

mapfile -t wanted < <(missing)
if [ "${#wanted[@]}" -gt 0 ]; then
    echo "setup: installing ${wanted[*]}"
    install "${wanted[@]}" || echo "setup: that did not work"
fi

mapfile -t wanted < <(missing)
if [ "${#wanted[@]}" -gt 0 ]; then
    echo "setup: missing: ${wanted[*]}"
    if [ "${CI:-}" = true ]; then
        exit 1
    fi
    echo "setup: tests that need them are skipped and say so"
else
    echo "setup: all peers are there: ${peers[*]%%:*}"
fi
