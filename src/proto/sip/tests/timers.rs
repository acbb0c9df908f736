//! How long each transaction lives: the second half of RFC 3261 table 4 (and RFC 6026 section 7 for L and M), in virtual
//! time. The retransmissions of timers A, E and G are in `transactions`. The link takes one millisecond each way.

use super::*;

/// Asserts that `side` forgets its last transaction `ms` milliseconds from now, and not before.
fn assert_lives(mut w: World, side: Side, ms: u64) {
    w.run(ms - 1);
    assert_eq!(w.at(side).transactions_len(), 1, "{side:?} forgot too early");
    w.run(1);
    assert_eq!(w.at(side).transactions_len(), 0, "{side:?} did not forget");
}

const TRANSPORTS: [fn() -> World; 2] = [World::new, World::tcp];

#[test]
fn timers_b_and_f_end_what_nobody_answers() {
    for world in TRANSPORTS {
        let mut w = world();
        w.deaf = Some(Side::B);
        w.invite();
        assert_lives(w, Side::A, 32_000);
        let mut w = world();
        w.deaf = Some(Side::B);
        let (now, path) = (w.now, w.path(Side::A));
        w.a.probe(now, path, "sip:127.0.0.2".into());
        assert_lives(w, Side::A, 32_000);
    }
}

fn refused(world: fn() -> World) -> World {
    let mut w = world();
    let (_, b) = w.ring();
    let now = w.now;
    w.b.reject(now, b, 486, None, None);
    w
}

#[test]
fn timers_d_and_i_absorb_what_a_refused_invite_leaves() {
    // The refusal takes 1 ms to A, whose ACK takes 1 ms to B.
    assert_lives(refused(World::new), Side::A, 1 + 32_000);
    assert_lives(refused(World::tcp), Side::A, 1);
    assert_lives(refused(World::new), Side::B, 2 + 5000);
    assert_lives(refused(World::tcp), Side::B, 2);
}

#[test]
fn timer_h_ends_a_refusal_that_nobody_acknowledges() {
    for world in TRANSPORTS {
        let mut w = refused(world);
        w.deaf = Some(Side::A);
        assert_lives(w, Side::B, 32_000);
    }
}

fn probed(world: fn() -> World) -> World {
    let mut w = world();
    let (now, path) = (w.now, w.path(Side::A));
    w.a.probe(now, path, "sip:127.0.0.2".into());
    w
}

#[test]
fn timers_j_and_k_absorb_what_another_request_leaves() {
    // The request takes 1 ms to B, the response 1 ms back.
    assert_lives(probed(World::new), Side::A, 2 + 5000);
    assert_lives(probed(World::tcp), Side::A, 2);
    let mut w = probed(World::new);
    w.run(1);
    assert_lives(w, Side::B, 32_000);
    let mut w = probed(World::tcp);
    w.run(1);
    assert_eq!(w.b.transactions_len(), 0, "timer J is 0 on a stream");
}

#[test]
fn timers_l_and_m_wait_for_late_copies_on_any_transport() {
    for world in TRANSPORTS {
        let accepted = || {
            let mut w = world();
            let (_, b) = w.ring();
            let now = w.now;
            w.b.accept(now, b, answer());
            w
        };
        assert_lives(accepted(), Side::A, 1 + 32_000);
        assert_lives(accepted(), Side::B, 32_000);
    }
}

#[test]
fn an_invite_that_rings_is_kept_for_longer_than_timer_c() {
    let mut w = World::new();
    w.ring();
    w.deaf = Some(Side::A);
    // RFC 3261 section 16.6 step 11: more than three minutes.
    w.run(180_001);
    assert_eq!(w.a.transactions_len(), 1);
    w.run(220_000);
    assert_eq!(w.a.transactions_len(), 0);
}
