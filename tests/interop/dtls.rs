//! OpenSSL as the other end of a DTLS-SRTP handshake (RFC 5764), in both parts. It exports the keying material, with
//! which this test then talks and listens as a phone would. (Debian's baresip has an RSA certificate, which we do not
//! take: see ARCHITECTURE.md.)

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cordboard::base::{Codec, PlayId, PortId};
use cordboard::core::media::{DigitSource, MediaCommand, MediaEvent, PlayItem, StreamParams};
use cordboard::edge::clock::Clock;
use cordboard::edge::dtls::Identity;
use cordboard::edge::rtp::{self, MediaHandle, RtpConfig};
use cordboard::media::NoRecorder;
use cordboard::proto::rtp::packet::Header;
use cordboard::proto::sdp::{Association, Fingerprint, Protection};
use cordboard::proto::srtp::{MasterKey, Receiver, Sender, Suite, TAIL_MAX};

use crate::harness::{Peer, Place, have, wait_for};

const LONG: Duration = Duration::from_secs(30);
const PORT: PortId = PortId(1);

/// The media thread with one port.
struct Media {
    handle: MediaHandle,
    events: smol::channel::Receiver<MediaEvent>,
    socket: u16,
    address: IpAddr,
}

impl Media {
    fn start(place: &Place) -> Media {
        let address: IpAddr = place.host(1).parse().unwrap();
        let (sender, events) = smol::channel::bounded(1_024);
        let config = RtpConfig { address, second: None, port_min: 20_000, port_max: 20_099 };
        let prompts = HashMap::from([(Arc::from("hello"), vec![8_000; 8_000])]);
        let identity = Some(Identity::generate().unwrap());
        let handle = rtp::spawn(config, prompts, Vec::new(), NoRecorder, sender, Clock::start(), identity).unwrap();
        let mut media = Media { handle, events, socket: 0, address };
        media.send(MediaCommand::BindSockets(1));
        let MediaEvent::Sockets(sockets) = media.event() else { panic!("no sockets") };
        media.socket = sockets[0];
        media.send(MediaCommand::OpenRtp { port: PORT, socket: media.socket });
        media
    }

    fn send(&self, command: MediaCommand) {
        self.handle.send(command).unwrap();
        self.handle.wake();
    }

    fn event(&self) -> MediaEvent {
        let timeout = async {
            smol::Timer::after(LONG).await;
            Err(smol::channel::RecvError)
        };
        smol::block_on(smol::future::or(self.events.recv(), timeout)).expect("an event in time")
    }

    fn begin(&self, active: bool, fingerprint: Fingerprint, remote: SocketAddr) {
        let protection = Some(Box::new(Protection::Dtls(Association { active, fingerprint, tls_id: None })));
        let transport = MediaCommand::SetTransport {
            port: PORT,
            protection,
            rtcp_mux: true,
            remote,
            signalling: remote.ip(),
            answered: true,
        };
        self.send(transport);
        let stream = StreamParams {
            telephone_event: Some(101),
            remote_rtcp: remote,
            ..StreamParams::both_ways(Codec::Pcmu, remote)
        };
        self.send(MediaCommand::SetStream { port: PORT, stream });
    }
}

/// An ECDSA certificate with its key; returns its fingerprint.
fn certificate(dir: &Path) -> Fingerprint {
    let openssl = |args: &str| {
        let output = Command::new("openssl").current_dir(dir).args(args.split(' ')).output().unwrap();
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=phone -keyout key.pem -out cert.pem",
    );
    let text = openssl("x509 -in cert.pem -noout -fingerprint -sha256");
    let octets: Vec<u8> =
        text.trim().split_once('=').unwrap().1.split(':').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    Fingerprint(octets.try_into().unwrap())
}

/// What OpenSSL exported: client's and server's key (RFC 5764 section 4.2).
fn exported(peer: &Peer) -> Option<(MasterKey, MasterKey)> {
    let log = peer.log();
    let hex = log.lines().find_map(|line| line.trim().strip_prefix("Keying material: "))?;
    let octets: Vec<u8> = (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect();
    let key = |n: usize| {
        let octets = [&octets[n * 16..][..16], &octets[32 + n * 14..][..14]].concat();
        MasterKey::new(Suite::AesCm128HmacSha1_80, &octets).unwrap()
    };
    Some((key(0), key(1)))
}

/// OpenSSL with the arguments that both parts share; its standard input stays open.
fn openssl(place: &Place, part: &str, address: &str) -> Peer {
    let script = format!(
        "sleep 60 | openssl {part} {address} -dtls1_2 -cert cert.pem -key key.pem -use_srtp SRTP_AES128_CM_SHA1_80 \
         -keymatexport EXTRACTOR-dtls_srtp -keymatexportlen 60"
    );
    place.start("openssl", Command::new("sh").args(["-c", &script]))
}

/// Talks and listens with the keys of a handshake.
fn talk(media: &Media, theirs: &MasterKey, ours: &MasterKey) {
    let phone = UdpSocket::bind((media.address, 0)).unwrap();
    phone.set_read_timeout(Some(LONG)).unwrap();
    phone.connect((media.address, media.socket)).unwrap();
    let (mut sender, mut receiver) = (Sender::new(theirs), Receiver::new(ours, &[]));
    let header = Header { marker: true, payload_type: 101, sequence: 1, timestamp: 160, ssrc: 7 };
    let plain = [&header.to_octets()[..], &[5, 0x8a, 3, 0x20]].concat();
    let mut packet = plain.clone();
    packet.resize(plain.len() + TAIL_MAX, 0);
    let len = sender.protect(&mut packet, plain.len()).unwrap();
    phone.send(&packet[..len]).unwrap();
    assert_eq!(media.event(), MediaEvent::Digit { port: PORT, digit: '5', source: DigitSource::Event });
    let items = vec![PlayItem::Prompt("hello".into())];
    media.send(MediaCommand::Play { port: PORT, play: PlayId(1), items });
    for _ in 0..40 {
        let len = phone.recv(&mut packet_buffer(&mut packet)[..]).unwrap();
        let len = receiver.unprotect(&mut packet[..len]).expect("protected by the key that was exported");
        assert_eq!((len, packet[1] & 0x7f), (172, 0));
    }
}

fn packet_buffer(packet: &mut Vec<u8>) -> &mut Vec<u8> {
    packet.resize(2_000, 0);
    packet
}

fn keys_of(media: &Media, peer: &Peer) -> (MasterKey, MasterKey) {
    assert_eq!(media.event(), MediaEvent::Secured { port: PORT, suite: Suite::AesCm128HmacSha1_80 }, "{}", peer.log());
    wait_for("the exported keys", LONG, || exported(peer).is_some());
    exported(peer).unwrap()
}

#[test]
fn openssl_begins_a_handshake() {
    if !have(&["openssl"]) {
        return;
    }
    let place = Place::new("dtls-client");
    let fingerprint = certificate(place.dir());
    let media = Media::start(&place);
    media.begin(false, fingerprint, SocketAddr::new(media.address, 9));
    let peer = openssl(&place, "s_client -connect", &format!("{}:{}", media.address, media.socket));
    let (client, server) = keys_of(&media, &peer);
    talk(&media, &client, &server);
    media.handle.stop();
}

#[test]
fn openssl_waits_for_a_handshake() {
    if !have(&["openssl"]) {
        return;
    }
    let place = Place::new("dtls-server");
    let fingerprint = certificate(place.dir());
    let media = Media::start(&place);
    let address = format!("{}:20444", place.host(2));
    let peer = openssl(&place, "s_server -Verify 1 -accept", &address);
    wait_for("openssl", LONG, || peer.log().contains("ACCEPT"));
    media.begin(true, fingerprint, address.parse().unwrap());
    let (client, server) = keys_of(&media, &peer);
    talk(&media, &server, &client);
    media.handle.stop();
}

#[test]
fn a_certificate_that_was_not_described_is_refused() {
    if !have(&["openssl"]) {
        return;
    }
    let place = Place::new("dtls-stranger");
    let mut fingerprint = certificate(place.dir());
    fingerprint.0[0] ^= 1;
    let media = Media::start(&place);
    // Where OpenSSL comes from: a stranger's certificate says nothing about the phone's.
    media.begin(false, fingerprint, SocketAddr::from(([127, 0, 0, 1], 9)));
    let _peer = openssl(&place, "s_client -connect", &format!("{}:{}", media.address, media.socket));
    assert_eq!(media.event(), MediaEvent::SecureFailed { port: PORT, reason: "certificate" });
    media.handle.stop();
}
