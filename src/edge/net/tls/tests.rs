//! TLS between our own sockets, with certificates made for the test.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use smol::Executor;

use super::*;
use crate::edge::net::{Limits, NetInput, SipSockets};
use crate::proto::sip::{Path, Transmit, Transport};

/// An authority, and files of certificates that it signed.
struct Office {
    dir: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Office {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cordboard-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
        Self { dir, authority }
    }

    /// `NAME.pem` and `NAME.key`, for a DNS name or (`sip:`) a URI.
    fn issue(&self, file: &str, name: &str) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names.push(match name.starts_with("sip:") {
            true => SanType::URI(name.try_into().unwrap()),
            false => SanType::DnsName(name.try_into().unwrap()),
        });
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.dir.join(format!("{file}.pem")), certificate.pem()).unwrap();
        let path = self.dir.join(format!("{file}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn server_tls(&self, file: &str, clients: bool) -> ServerTls {
        ServerTls {
            certificate: format!("{file}.pem"),
            key: format!("{file}.key"),
            client_ca: clients.then(|| "ca.pem".to_owned()),
            require_client_certificate: clients,
        }
    }

    fn client_tls(&self, file: Option<&str>) -> ClientTls {
        ClientTls {
            ca: Some("ca.pem".into()),
            certificate: file.map(|file| format!("{file}.pem")),
            key: file.map(|file| format!("{file}.key")),
            ..ClientTls::default()
        }
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn sockets(executor: &Arc<Executor<'static>>, limits: Limits) -> (SipSockets, SocketAddr) {
    let sockets = SipSockets::bind(&["tls:127.0.0.1:0".to_owned()], limits, Arc::clone(executor)).unwrap();
    let local = sockets.listeners().next().unwrap().1;
    (sockets, local)
}

async fn take(sockets: &mut SipSockets, count: usize) -> Vec<NetInput> {
    let mut inputs = Vec::new();
    while inputs.len() < count {
        sockets.wait().await;
        sockets.drain(64, &mut inputs);
    }
    inputs
}

/// One of ours calls another of ours by `name`, with `client`'s settings; what each of them then sees.
fn call(office: &Office, server: &ServerTls, client: &ClientTls, name: &str) -> (Vec<NetInput>, Vec<NetInput>) {
    let executor = Arc::new(Executor::new());
    let ((mut called, at), (mut caller, from)) =
        (sockets(&executor, Limits::default()), sockets(&executor, Limits::default()));
    called.serve_tls(Some(super::server(&office.dir, server).unwrap().config));
    caller.set_profile(7, super::client(&office.dir, client, name).unwrap());
    let path = Path { profile: 7, ..Path::new(Transport::Tls, from, at) };
    caller.send(Transmit { path, bytes: Bytes::from_static(b"hello") });
    let both = async {
        let wanted = 1 + usize::from(server.require_client_certificate);
        let heard = async { (take(&mut called, wanted).await, Vec::new()) };
        // An identified peer is no failure: the caller waits for one.
        let failed = async {
            let mut inputs = Vec::new();
            while !inputs.iter().any(|input| matches!(input, NetInput::Failed { .. })) {
                inputs.extend(take(&mut caller, 1).await);
            }
            (Vec::new(), inputs)
        };
        smol::future::or(heard, failed).await
    };
    smol::block_on(executor.run(both))
}

#[test]
fn each_side_learns_the_domains_that_the_other_has_shown() {
    let office = Office::new();
    office.issue("server", "sip:sip.example.net");
    office.issue("client", "carrier.example.org");
    let server = office.server_tls("server", true);
    let (heard, failed) = call(&office, &server, &office.client_tls(Some("client")), "SIP.example.net");
    assert_eq!(failed, []);
    assert!(
        matches!(&heard[..], [NetInput::Identified { domains, .. }, NetInput::Chunk { path, bytes }]
            if *domains == ["carrier.example.org"] && path.transport == Transport::Tls && bytes.as_ref() == b"hello"),
        "{heard:?}"
    );
}

#[test]
fn a_certificate_that_was_held_against_no_name_identifies_nobody() {
    let office = Office::new();
    office.issue("server", "sip:sip.bank.example");
    for (verify, known) in [("name", true), ("chain", false), ("nothing", false)] {
        let executor = Arc::new(Executor::new());
        let ((mut called, at), (mut caller, from)) =
            (sockets(&executor, Limits::default()), sockets(&executor, Limits::default()));
        let server = super::server(&office.dir, &office.server_tls("server", false)).unwrap();
        called.serve_tls(Some(server.config));
        let client = ClientTls { verify: verify.into(), ..office.client_tls(None) };
        caller.set_profile(7, super::client(&office.dir, &client, "sip.bank.example").unwrap());
        let path = Path { profile: 7, ..Path::new(Transport::Tls, from, at) };
        caller.send(Transmit { path, bytes: Bytes::from_static(b"hello") });
        let heard = smol::block_on(executor.run(take(&mut called, 1)));
        let NetInput::Chunk { path, .. } = &heard[0] else { panic!("{heard:?}") };
        // What comes back shows that the caller's side is served.
        called.send(Transmit { path: *path, bytes: Bytes::from_static(b"there") });
        let seen = smol::block_on(executor.run(async {
            let mut seen = Vec::new();
            while !seen.iter().any(|input| matches!(input, NetInput::Chunk { .. })) {
                seen.extend(take(&mut caller, 1).await);
            }
            seen
        }));
        let named = |input: &NetInput| matches!(input, NetInput::Identified { domains, .. } if *domains == ["sip.bank.example"]);
        assert_eq!(seen.iter().any(named), known, "{verify:?} {seen:?}");
        assert_eq!(seen.iter().any(|input| matches!(input, NetInput::Identified { .. })), known);
    }
}

#[test]
fn a_server_of_another_name_is_not_spoken_to() {
    let office = Office::new();
    office.issue("server", "*.example.net");
    let server = office.server_tls("server", false);
    let mut client = office.client_tls(None);
    // RFC 5922 section 7.2: no wildcard.
    let (heard, failed) = call(&office, &server, &client, "sip.example.net");
    assert!(heard.is_empty() && failed.iter().any(|i| matches!(i, NetInput::Failed { .. })), "{heard:?} {failed:?}");
    client.verify = "chain".into();
    let (heard, _) = call(&office, &server, &client, "sip.example.net");
    assert_eq!(heard.len(), 1);
}

#[test]
fn a_server_of_another_authority_is_not_spoken_to() {
    let (office, other) = (Office::new(), Office::new());
    other.issue("server", "sip.example.net");
    for file in ["server.pem", "server.key"] {
        fs::copy(other.dir.join(file), office.dir.join(file)).unwrap();
    }
    let (heard, failed) =
        call(&office, &office.server_tls("server", false), &office.client_tls(None), "sip.example.net");
    assert!(heard.is_empty() && !failed.is_empty(), "{heard:?} {failed:?}");
}

#[test]
fn a_client_without_the_wanted_certificate_is_turned_away() {
    let office = Office::new();
    office.issue("server", "sip.example.net");
    let (heard, failed) =
        call(&office, &office.server_tls("server", true), &office.client_tls(None), "sip.example.net");
    assert!(heard.is_empty() && failed.iter().any(|i| matches!(i, NetInput::Failed { .. })), "{heard:?} {failed:?}");
}

#[test]
fn a_slow_handshake_ends_and_is_counted() {
    let office = Office::new();
    office.issue("server", "sip.example.net");
    let executor = Arc::new(Executor::new());
    let limits = Limits { handshake_timeout: Duration::from_millis(50), handshakes_max: 1, ..Limits::default() };
    let (mut ours, at) = sockets(&executor, limits);
    ours.serve_tls(Some(super::server(&office.dir, &office.server_tls("server", false)).unwrap().config));
    let mut silent = TcpStream::connect(at).unwrap();
    // The beginning of a ClientHello, and no more.
    silent.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    let one_too_many = TcpStream::connect(at).unwrap();
    let counted = async {
        while ours.counters().handshakes_failed == 0 || ours.counters().handshakes_refused == 0 {
            smol::Timer::after(Duration::from_millis(5)).await;
        }
    };
    smol::block_on(executor.run(counted));
    assert_eq!((ours.counters().handshakes_failed, ours.counters().handshakes_refused), (1, 1));
    drop((silent, one_too_many));
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    let office = Office::new();
    office.issue("server", "old.example.net");
    let first = super::server(&office.dir, &office.server_tls("server", false)).unwrap();
    office.issue("server", "new.example.net");
    let second = super::server(&office.dir, &office.server_tls("server", false)).unwrap();
    assert_eq!(first.certificate.domains, ["old.example.net"]);
    assert_eq!(second.certificate.domains, ["new.example.net"]);
}

#[test]
fn files_that_will_not_do_are_named() {
    let office = Office::new();
    office.issue("server", "sip.example.net");
    office.issue("other", "sip.example.net");
    let refused = |settings: &ServerTls| super::server(&office.dir, settings).err().map(|e| e.to_string()).unwrap();
    let good = office.server_tls("server", false);
    let text = refused(&ServerTls { key: "other.key".into(), ..good.clone() });
    assert!(text.contains("server.pem"), "{text}");
    let text = refused(&ServerTls { key: "ca.pem".into(), ..good.clone() });
    assert!(text.contains("others may read this private key"), "{text}");
    let text = refused(&ServerTls { certificate: "gone.pem".into(), ..good.clone() });
    assert!(text.contains("gone.pem"), "{text}");
    let text = refused(&ServerTls { certificate: "server.key".into(), ..good.clone() });
    assert!(text.contains("no certificate"), "{text}");
}
