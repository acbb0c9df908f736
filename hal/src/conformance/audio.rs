//! Checks of bearers: order, silence, buffers, loops, echo cancellers.

use std::time::Duration;

use super::{
    BUFFER_OCTETS_MAX, End, FRAME, FRAME_OCTETS, Failure, Rig, Verdict, drain, open, pattern, require, start,
    without_silence,
};
use crate::{Bearer, ErrorKind, Loopback};

/// Sends `octets` frame by frame and returns what the other bearer took meanwhile and for 200 ms more.
fn carry(rig: &mut dyn Rig, from: &mut dyn Bearer, to: &mut dyn Bearer, mut octets: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut got = Vec::new();
    drain(to)?;
    // One frame ahead, as the media plane works: a writer that comes late by less than a frame leaves no gap.
    let (ahead, rest) = octets.split_at(octets.len().min(FRAME_OCTETS));
    require(from.write(ahead)? == ahead.len(), "an idle bearer takes a frame of 20 ms", ahead.len())?;
    octets = rest;
    while !octets.is_empty() {
        let frame = &octets[..octets.len().min(FRAME_OCTETS)];
        let taken = from.write(frame)?;
        require(taken <= frame.len(), "a write takes no more than was given", taken)?;
        octets = &octets[taken..];
        rig.advance(FRAME);
        got.extend(drain(to)?);
    }
    for _ in 0..10 {
        rig.advance(FRAME);
        got.extend(drain(to)?);
    }
    Ok(got)
}

fn require_carried(rig: &dyn Rig, sent: &[u8], got: &[u8], bearer: &dyn Bearer) -> Result<(), Failure> {
    let mask = if rig.clear_channel() { 0xff } else { 0xfe };
    let got = without_silence(got, bearer.law());
    require(got.len() == sent.len(), "as many octets arrive as were sent", (sent.len(), got.len()))?;
    let wrong = sent.iter().zip(got).position(|(s, g)| s & mask != g & mask);
    require(wrong.is_none(), "octets arrive in order and unchanged", wrong)
}

pub(super) fn octets_arrive_in_order_and_unchanged(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let (_a_channel, mut a_bearer) = open(rig, a)?;
    let (_b_channel, mut b_bearer) = open(rig, b)?;
    rig.advance(FRAME);
    let sent = pattern(1, 40 * FRAME_OCTETS, a_bearer.law());
    let got = carry(rig, &mut *a_bearer, &mut *b_bearer, &sent)?;
    require_carried(rig, &sent, &got, &*b_bearer)?;
    let sent = pattern(2, 40 * FRAME_OCTETS, b_bearer.law());
    let got = carry(rig, &mut *b_bearer, &mut *a_bearer, &sent)?;
    require_carried(rig, &sent, &got, &*a_bearer)?;
    Ok(None)
}

pub(super) fn an_idle_timeslot_is_silent(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let law = rig.card().spans().iter().find(|s| s.number == b.span).map(|s| s.kind.law());
    // Twice: nobody has the far timeslot, then somebody has it and writes nothing.
    let mut _far = None;
    let (_channel, mut bearer) = open(rig, b)?;
    require(Some(bearer.law()) == law, "a bearer has its line's usual law", bearer.law())?;
    for open_far in [false, true] {
        if open_far {
            _far = Some(open(rig, a)?);
        }
        rig.advance(FRAME * 10);
        drain(&mut *bearer)?;
        let mut got = Vec::new();
        for _ in 0..10 {
            rig.advance(FRAME);
            got.extend(drain(&mut *bearer)?);
        }
        let loud = without_silence(&got, bearer.law());
        require(loud.is_empty(), "an idle timeslot carries silence", loud.len())?;
        let expected = 10 * FRAME_OCTETS;
        require(
            got.len() + 2 * FRAME_OCTETS >= expected && got.len() <= expected + 2 * FRAME_OCTETS,
            "8 octets come each millisecond",
            got.len(),
        )?;
    }
    Ok(None)
}

pub(super) fn a_full_buffer_takes_part_of_a_write(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, _] = rig.ends();
    let (_channel, mut bearer) = open(rig, a)?;
    let octets = pattern(3, 4 * BUFFER_OCTETS_MAX, bearer.law());
    let mut taken = 0;
    // A driver may take less than it could at once, but must come to an end.
    for _ in 0..octets.len() {
        let n = bearer.write(octets.get(taken..).unwrap_or_default())?;
        if n == 0 {
            break;
        }
        taken += n;
    }
    require(taken >= FRAME_OCTETS, "a transmit buffer holds 20 ms", taken)?;
    require(taken <= BUFFER_OCTETS_MAX + FRAME_OCTETS, "a transmit buffer holds no more than 200 ms", taken)?;
    rig.advance(FRAME * 2);
    require(bearer.write(&octets[..FRAME_OCTETS])? > 0, "a transmit buffer empties as time passes", ())?;
    require(bearer.write(&[])? == 0, "nothing written is nothing taken", ())?;
    Ok(None)
}

pub(super) fn octets_not_taken_are_lost_oldest_first(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let (_a_channel, mut a_bearer) = open(rig, a)?;
    let (_b_channel, mut b_bearer) = open(rig, b)?;
    let sent = pattern(4, 6 * BUFFER_OCTETS_MAX, a_bearer.law());
    let mut rest = &sent[..];
    while !rest.is_empty() {
        let taken = a_bearer.write(&rest[..rest.len().min(FRAME_OCTETS)])?;
        rest = &rest[taken..];
        rig.advance(FRAME / 2);
    }
    // What still waits to be sent goes out, so that the newest octets are on the receiving side.
    rig.advance(Duration::from_millis(30));
    let got = drain(&mut *b_bearer)?;
    require(got.len() <= BUFFER_OCTETS_MAX, "a receive buffer holds no more than 200 ms", got.len())?;
    let mask = if rig.clear_channel() { 0xff } else { 0xfe };
    let heard: Vec<u8> = without_silence(&got, b_bearer.law()).iter().map(|o| o & mask).collect();
    let sent: Vec<u8> = sent.iter().map(|o| o & mask).collect();
    let at = sent.windows(heard.len().max(1)).rposition(|w| w == heard);
    let newest = at.map(|at| sent.len() - at - heard.len());
    require(newest.is_some_and(|n| n <= BUFFER_OCTETS_MAX), "what is kept is the newest, in order", newest)?;
    Ok(None)
}

pub(super) fn a_local_loop_returns_what_we_send(rig: &mut dyn Rig) -> Verdict {
    let [a, _] = rig.ends();
    check_loop(rig, a, Loopback::Local)
}

pub(super) fn a_remote_loop_returns_what_the_line_sends(rig: &mut dyn Rig) -> Verdict {
    let [_, b] = rig.ends();
    check_loop(rig, b, Loopback::Remote)
}

/// With a loop at `place`, what the first end sends comes back to it; without it, not.
fn check_loop(rig: &mut dyn Rig, place: End, loopback: Loopback) -> Verdict {
    start(rig)?;
    let [a, _] = rig.ends();
    match rig.card().set_loopback(place.span, loopback) {
        Err(e) if e.kind() == ErrorKind::Unsupported => return Ok(Some("the driver has no such loop")),
        other => other?,
    }
    let (_channel, mut bearer) = open(rig, a)?;
    rig.advance(FRAME);
    let sent = pattern(5, FRAME_OCTETS, bearer.law());
    for looped in [true, false] {
        drain(&mut *bearer)?;
        require(bearer.write(&sent)? == sent.len(), "an idle bearer takes a frame of 20 ms", ())?;
        let mut got = Vec::new();
        for _ in 0..10 {
            rig.advance(FRAME);
            got.extend(drain(&mut *bearer)?);
        }
        if looped {
            require_carried(rig, &sent, &got, &*bearer)?;
            rig.card().set_loopback(place.span, Loopback::Off)?;
            rig.advance(FRAME);
        } else {
            let heard = without_silence(&got, bearer.law());
            require(heard.is_empty(), "a loop that is off returns nothing", heard.len())?;
        }
    }
    Ok(None)
}

pub(super) fn echo_cancellers_switch(rig: &mut dyn Rig) -> Verdict {
    let [a, _] = rig.ends();
    let (mut channel, _bearer) = open(rig, a)?;
    match channel.set_echo_canceller(Some(Duration::from_millis(16))) {
        Err(e) if e.kind() == ErrorKind::Unsupported => return Ok(Some("the card has no echo canceller")),
        other => other?,
    }
    channel.set_echo_canceller(None)?;
    Ok(None)
}
