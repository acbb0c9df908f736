//! SIGTERM: no new calls, those in progress end within the grace, records complete, exit code 0.

use std::net::UdpSocket;
use std::time::Duration;

use cordboard::base::Cause;
use cordboard::edge::clock::Clock;

use crate::phone::Phone;
use crate::process::Process;
use crate::site::{PATIENCE, Site, flow, quiet, until};

fn provisioning(site: &Site, grace_s: u32) -> std::path::PathBuf {
    site.file("site.toml", &site.text(grace_s, &flow("200", "long", &quiet())))
}

/// A call that is up, and its phone.
fn up(site: &Site) -> (Phone, cordboard::proto::sip::SessionId) {
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 1);
    let session = caller.call("200");
    until("the call is up", || {
        caller.step();
        caller.is_up(session)
    });
    (caller, session)
}

/// The first final response to an INVITE of a new call.
fn refusal(site: &Site) -> String {
    let socket = UdpSocket::bind((site.carrier(), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (us, server) = (socket.local_addr().unwrap(), site.server());
    let invite = format!(
        "INVITE sip:200@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:x@{us}>;tag=1\r\nTo: <sip:200@{server}>\r\nCall-ID: refused-{}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:x@{us}>\r\nContent-Length: 0\r\n\r\n",
        us.port(),
        us.port()
    );
    socket.send_to(invite.as_bytes(), server).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let n = socket.recv(&mut buffer).expect("an answer");
        let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
        if !text.starts_with("SIP/2.0 1") {
            return text;
        }
    }
}

#[test]
fn sigterm_refuses_new_calls_and_ends_the_others_within_the_grace() {
    let site = Site::new();
    let mut process = Process::start(&site, Some(&provisioning(&site, 2)));
    let (mut caller, session) = up(&site);
    let clock = Clock::start();
    let start = clock.mono();
    process.terminate();
    let mut refused = String::new();
    until("new calls are refused", || {
        refused = refusal(&site);
        refused.starts_with("SIP/2.0 503") || process.ended().is_some()
    });
    assert!(refused.starts_with("SIP/2.0 503") && refused.contains("Retry-After:"), "{refused}");
    assert!(caller.is_up(session), "the call goes on meanwhile");
    until("the call is ended", || {
        caller.step();
        caller.is_over(session)
    });
    assert!(clock.mono().since(start) >= Duration::from_millis(1_500), "the grace was not kept");
    until("the process ends", || process.ended().is_some());
    assert_eq!(process.ended(), Some(0));
    let cdr = site.ended("5551");
    assert_eq!(cdr.cause, Some(Cause::Interrupted));
    assert!(cdr.answered_at.is_some() && cdr.legs.iter().all(|l| l.ended_at.is_some()), "{cdr:?}");
}

#[test]
fn a_second_sigterm_ends_calls_at_once() {
    let site = Site::new();
    let mut process = Process::start(&site, Some(&provisioning(&site, 600)));
    let (mut caller, session) = up(&site);
    process.terminate();
    until("new calls are refused", || refusal(&site).starts_with("SIP/2.0 503"));
    process.terminate();
    until("the call is ended", || {
        caller.step();
        caller.is_over(session)
    });
    until("the process ends", || process.ended().is_some());
    assert_eq!(process.ended(), Some(0));
    assert_eq!(site.ended("5551").cause, Some(Cause::Interrupted));
}
