//! The serial console of the real binary: it shows a call, gives no order, and its device may go away meanwhile.

use std::io::{Read, Write};
use std::time::Duration;

use serialport::{SerialPort, TTYPort};

use crate::phone::Phone;
use crate::process::{Process, run};
use crate::site::{Site, flow, quiet, until};

/// Reads until `text` has come.
fn reads(terminal: &mut TTYPort, text: &str) -> String {
    let (mut heard, mut octets) = (String::new(), [0; 256]);
    until(text, || {
        if let Ok(length) = terminal.read(&mut octets) {
            heard.push_str(&String::from_utf8_lossy(&octets[..length]));
        }
        heard.contains(text)
    });
    heard
}

#[test]
fn whoever_is_at_the_line_sees_calls_and_cannot_end_them() {
    let site = Site::new();
    let file = site.file("site.toml", &site.text(1, &flow("200", "long", &quiet())));
    let (mut terminal, line) = TTYPort::pair().unwrap();
    terminal.set_timeout(Duration::from_millis(50)).unwrap();
    let address = format!("{}:9600", line.name().unwrap());
    let mut process = Process::start_with(&site, Some(&file), &["--serial", &address]);
    reads(&mut terminal, "cordboard> ");

    let mut caller = Phone::new(site.carrier(), site.server(), "15550005551", 1);
    let session = caller.call("200");
    until("the call is up", || {
        caller.step();
        caller.is_up(session)
    });
    terminal.write_all(b"calls\r").unwrap();
    let said = reads(&mut terminal, "flow\r\ncordboard> ");
    assert!(said.contains("..51") && !said.contains("555"), "{said}");
    for order in ["hangup 0", "stop", "{\"command\":\"stop\"}"] {
        terminal.write_all(format!("{order}\r\n").as_bytes()).unwrap();
        assert!(reads(&mut terminal, "\r\ncordboard> ").contains("`help`"), "{order}");
    }
    terminal.write_all(b"status\r").unwrap();
    assert!(reads(&mut terminal, "offers").contains("1 now"));

    // The other end goes away in the middle of a picture; the call and the appliance stay.
    terminal.write_all(b"watch 1\r").unwrap();
    reads(&mut terminal, "any key ends this");
    drop(terminal);
    caller.step();
    assert!(caller.is_up(session));
    process.terminate();
    until("it ends in order", || {
        caller.step();
        process.ended() == Some(0)
    });
}

#[test]
fn a_line_that_cannot_be_opened_keeps_it_from_starting() {
    let site = Site::new();
    let refused = run(&site, &["run", "--serial", "/dev/no-such-line"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("serial console /dev/no-such-line:") && said.contains("by-id"), "{said}");
    assert!(!site.data().exists(), "nothing was begun");
    let usage = run(&site, &["run", "--serial", "/dev/ttyS0:7"]);
    assert_eq!(usage.status.code(), Some(2));
}
