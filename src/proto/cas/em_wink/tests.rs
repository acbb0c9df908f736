use super::*;

/// A machine with a clock, and what it put out.
struct Bench {
    machine: EmWink,
    now: Instant,
    outputs: Vec<Output>,
}

const ON: Bits = Bits::ON_HOOK;
const OFF: Bits = Bits::OFF_HOOK;

fn dial(text: &str) -> DialString {
    DialString::new(text).unwrap()
}

fn seize(digits: &str) -> Input {
    Input::Seize { digits: dial(digits) }
}

fn event(event: Event) -> Output {
    Output::Event(event)
}

impl Bench {
    fn new(glare_role: GlareRole) -> Self {
        let machine = EmWink::new(Config { glare_role, ..Config::default() });
        Self { machine, now: Instant::from_micros(1), outputs: Vec::new() }
    }

    fn input(&mut self, input: Input) -> &mut Self {
        self.machine.handle(self.now, input);
        self.drain();
        self
    }

    fn bits(&mut self, bits: Bits) -> &mut Self {
        self.input(Input::Bits(bits))
    }

    /// Lets time pass, firing each timer at its time.
    fn pass(&mut self, ms: u64) -> &mut Self {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.machine.poll_timeout().filter(|&at| at <= end) {
            self.now = at;
            self.machine.handle_timeout(at);
            self.drain();
        }
        self.now = end;
        self
    }

    fn drain(&mut self) {
        self.outputs.extend(std::iter::from_fn(|| self.machine.poll_output()));
    }

    #[track_caller]
    fn expect(&mut self, outputs: &[Output]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.outputs), outputs);
        self
    }

    /// Up to digits out, not answered.
    fn called(&mut self) -> &mut Self {
        self.input(seize("5551234")).pass(200).bits(OFF).pass(200).bits(ON).pass(100).input(Input::DigitsSent);
        self.outputs.clear();
        self
    }

    /// Up to a complete address of an incoming call, not answered.
    fn offered(&mut self) -> &mut Self {
        self.bits(OFF).pass(400);
        "100".chars().for_each(|digit| {
            self.input(Input::Digit(digit));
        });
        self.input(Input::AddressComplete);
        self.outputs.clear();
        self
    }
}

#[test]
fn an_outgoing_call() {
    let mut b = Bench::new(GlareRole::Yield);
    b.input(seize("5551234")).expect(&[Output::SetBits(OFF)]);
    b.pass(150).bits(OFF).pass(200).bits(ON).expect(&[event(Event::Winked)]);
    b.pass(99).expect(&[]).pass(1).expect(&[Output::SendDigits(dial("5551234"))]);
    b.pass(700).input(Input::DigitsSent).expect(&[event(Event::Proceeding)]);
    b.pass(5_000).bits(OFF).pass(99).expect(&[]).pass(1).expect(&[event(Event::Answered)]);
    b.pass(60_000).input(Input::Release(Cause::Normal));
    b.expect(&[Output::SetBits(ON), event(Event::Released(Cause::Normal))]);
    // The circuit stays taken until the far end is on-hook too, and for the guard time.
    b.pass(5_000).expect(&[]).bits(ON).pass(999).expect(&[]);
    assert!(!b.machine.is_idle());
    b.pass(1).expect(&[event(Event::Idle)]);
    assert!(b.machine.is_idle());
}

#[test]
fn an_incoming_call() {
    let mut b = Bench::new(GlareRole::Yield);
    b.bits(OFF).pass(49).expect(&[]).pass(1).expect(&[event(Event::Seized)]);
    b.pass(150).expect(&[Output::SetBits(OFF)]).pass(199).expect(&[]);
    b.pass(1).expect(&[Output::StartDigits, Output::SetBits(ON)]);
    b.pass(300).input(Input::Digit('1')).expect(&[event(Event::AddressDigit(dial("1")))]);
    b.pass(300).input(Input::Digit('0')).expect(&[event(Event::AddressDigit(dial("10")))]);
    b.pass(3_999).expect(&[]).pass(1).expect(&[Output::StopDigits, event(Event::Address(dial("10")))]);
    b.input(Input::Digit('7')).expect(&[]);
    b.input(Input::Answer).expect(&[Output::SetBits(OFF)]);
    b.pass(10_000).bits(ON).pass(299).expect(&[]);
    b.pass(1).expect(&[Output::SetBits(ON), event(Event::Released(Cause::Normal))]);
    b.pass(1_000).expect(&[event(Event::Idle)]);
}

#[test]
fn an_address_ends_by_hash_by_length_or_by_word() {
    let mut b = Bench::new(GlareRole::Yield);
    b.bits(OFF).pass(400);
    b.outputs.clear();
    b.input(Input::Digit('#')).input(Input::Digit('x')).expect(&[]);
    b.input(Input::Digit('*')).input(Input::Digit('#'));
    b.expect(&[event(Event::AddressDigit(dial("*"))), Output::StopDigits, event(Event::Address(dial("*")))]);

    let mut b = Bench::new(GlareRole::Yield);
    b.bits(OFF).pass(400);
    (0..ADDRESS_DIGITS_MAX).for_each(|_| {
        b.input(Input::Digit('9'));
    });
    assert_eq!(b.outputs.last(), Some(&event(Event::Address(dial(&"9".repeat(ADDRESS_DIGITS_MAX))))));

    let mut b = Bench::new(GlareRole::Yield);
    b.bits(OFF).pass(400);
    b.outputs.clear();
    b.input(Input::AddressComplete).expect(&[Output::StopDigits, event(Event::Address(dial("")))]);
}

#[test]
fn noise_is_neither_seizure_nor_wink_nor_answer_nor_release() {
    let mut b = Bench::new(GlareRole::Yield);
    b.bits(OFF).pass(49).bits(ON).pass(1_000).expect(&[]);
    assert!(b.machine.is_idle());
    b.input(seize("1")).bits(OFF).pass(99).bits(ON).pass(500).expect(&[Output::SetBits(OFF)]);
    b.bits(OFF).pass(100).bits(ON).expect(&[event(Event::Winked)]);
    b.pass(100).input(Input::DigitsSent);
    b.outputs.clear();
    b.bits(OFF).pass(99).bits(ON).pass(1_000).expect(&[]);
    b.bits(OFF).pass(100).expect(&[event(Event::Answered)]);
    b.bits(ON).pass(299).bits(OFF).pass(1_000).expect(&[]);
    // B, C and D are not looked at.
    b.bits(Bits::new(0b1000)).pass(1_000).expect(&[]);
}

#[test]
fn a_chattering_line_cannot_prolong_the_wait_for_a_wink() {
    let mut b = Bench::new(GlareRole::Yield);
    b.input(seize("1"));
    for _ in 0..60 {
        b.bits(OFF).pass(50).bits(ON).pass(50);
    }
    let ended = b.outputs.iter().filter(|o| **o == event(Event::Released(Cause::ChannelUnavailable))).count();
    assert_eq!(ended, 1, "{:?}", b.outputs);
}

#[test]
fn what_never_comes_ends_the_call() {
    let released = |cause| event(Event::Released(cause));
    let mut b = Bench::new(GlareRole::Yield);
    b.input(seize("1")).pass(5_000);
    b.expect(&[Output::SetBits(OFF), Output::SetBits(ON), released(Cause::ChannelUnavailable)]);

    let mut b = Bench::new(GlareRole::Yield);
    b.called().pass(180_000).expect(&[Output::SetBits(ON), released(Cause::NoAnswer)]);

    let mut b = Bench::new(GlareRole::Yield);
    b.bits(OFF).pass(400);
    b.outputs.clear();
    b.pass(10_000).expect(&[Output::StopDigits, released(Cause::InvalidNumber)]);
    // The far end still holds the circuit: no new call until it lets go.
    b.pass(100_000).expect(&[]);
    b.input(seize("1")).expect(&[event(Event::Refused(Cause::ChannelUnavailable))]);
    b.bits(ON).pass(1_000).expect(&[event(Event::Idle)]);

    let mut b = Bench::new(GlareRole::Yield);
    b.input(seize("1")).pass(200).bits(OFF).pass(200).bits(ON).pass(100);
    b.outputs.clear();
    b.pass(20_000).expect(&[Output::SetBits(ON), released(Cause::TemporaryFailure)]);
}

#[test]
fn the_far_end_may_abandon_at_any_time() {
    // On-hook during wink delay, wink, digits and ringing.
    for at_ms in [60, 250, 500] {
        let mut b = Bench::new(GlareRole::Yield);
        b.bits(OFF).pass(at_ms).bits(ON).pass(10_000);
        let released = event(Event::Released(Cause::Normal));
        assert_eq!(b.outputs.iter().filter(|o| **o == released).count(), 1, "{at_ms}: {:?}", b.outputs);
        assert!(b.machine.is_idle(), "{at_ms}");
    }
    let mut b = Bench::new(GlareRole::Yield);
    b.offered().bits(ON).pass(300).expect(&[event(Event::Released(Cause::Normal))]);
}

#[test]
fn a_refused_call_keeps_the_circuit_until_the_caller_hangs_up() {
    let mut b = Bench::new(GlareRole::Yield);
    b.offered().input(Input::Release(Cause::Busy)).expect(&[event(Event::Released(Cause::Busy))]);
    b.input(Input::Answer).pass(60_000).expect(&[]);
    b.bits(ON).pass(1_000).expect(&[event(Event::Idle)]);
}

#[test]
fn bad_orders_are_refused() {
    let mut b = Bench::new(GlareRole::Yield);
    for digits in ["", "12a", "+15551234", &"1".repeat(ADDRESS_DIGITS_MAX + 1)] {
        b.input(seize(digits)).expect(&[event(Event::Refused(Cause::InvalidNumber))]);
    }
    b.input(Input::Release(Cause::Normal)).input(Input::Answer).input(Input::AddressComplete);
    b.input(Input::DigitsSent).input(Input::Digit('1')).input(Input::Alarm(false)).expect(&[]);
    assert!(b.machine.is_idle());
    // A call in progress is not disturbed.
    b.called().input(seize("1")).expect(&[event(Event::Refused(Cause::ChannelUnavailable))]);
    b.bits(OFF).pass(100).expect(&[event(Event::Answered)]);
}

#[test]
fn an_alarm_ends_the_call_and_blocks_the_circuit() {
    let mut b = Bench::new(GlareRole::Yield);
    b.called().input(Input::Alarm(true));
    b.expect(&[Output::SetBits(ON), event(Event::Released(Cause::NetworkOutOfOrder))]);
    b.bits(OFF).pass(1_000).input(Input::Alarm(true)).input(seize("1"));
    b.expect(&[event(Event::Refused(Cause::ChannelUnavailable))]);
    // Back in service, the far end's call from before the alarm must end first.
    b.input(Input::Alarm(false)).pass(10_000).expect(&[]);
    b.bits(ON).pass(1_000).expect(&[event(Event::Idle)]);
    b.input(Input::Alarm(true)).input(Input::Alarm(false)).pass(1_000).expect(&[event(Event::Idle)]);
}

#[test]
fn a_seizure_within_the_guard_time_is_taken_after_it() {
    let mut b = Bench::new(GlareRole::Yield);
    b.called().input(Input::Release(Cause::Normal)).pass(500).bits(OFF);
    b.outputs.clear();
    b.pass(549).expect(&[event(Event::Idle)]).pass(1).expect(&[event(Event::Seized)]);
}

#[test]
fn an_early_answer_is_seen_after_the_digits() {
    let mut b = Bench::new(GlareRole::Yield);
    b.input(seize("1")).pass(200).bits(OFF).pass(200).bits(ON).pass(110).bits(OFF).pass(400);
    b.outputs.clear();
    b.input(Input::DigitsSent).pass(100).expect(&[event(Event::Proceeding), event(Event::Answered)]);
}

/// Two machines back to back; what one sends the other receives, digits arrive when they are sent.
struct Pair {
    ends: [Bench; 2],
}

impl Pair {
    fn new() -> Self {
        Self { ends: [Bench::new(GlareRole::Yield), Bench::new(GlareRole::Hold)] }
    }

    /// One millisecond.
    fn step(&mut self, log: &mut [Vec<Event>; 2]) {
        for (at, log) in log.iter_mut().enumerate() {
            self.ends[at].pass(1);
            for output in std::mem::take(&mut self.ends[at].outputs) {
                match output {
                    Output::SetBits(bits) => {
                        self.ends[1 - at].bits(bits);
                    }
                    Output::SendDigits(digits) => {
                        for digit in digits.as_str().chars() {
                            self.ends[1 - at].input(Input::Digit(digit));
                        }
                        self.ends[at].input(Input::DigitsSent);
                    }
                    Output::Event(event) => log.push(event),
                    Output::StartDigits | Output::StopDigits => {}
                }
            }
        }
    }

    fn pass(&mut self, ms: u64) -> [Vec<Event>; 2] {
        let mut log = [Vec::new(), Vec::new()];
        for _ in 0..ms {
            self.step(&mut log);
        }
        log
    }
}

#[test]
fn glare_is_resolved_for_the_holding_end() {
    for skew_ms in [0, 30, 200] {
        let mut pair = Pair::new();
        pair.ends[1].input(seize("222"));
        pair.pass(skew_ms);
        pair.ends[0].input(seize("111"));
        let [yielding, holding] = pair.pass(10_000);
        let accepted = !yielding.contains(&Event::Refused(Cause::ChannelUnavailable));
        assert_eq!(yielding.contains(&Event::Glare), accepted, "{skew_ms}");
        assert!(yielding.contains(&Event::Address(dial("222"))), "{skew_ms}: {yielding:?}");
        assert_eq!(holding, [Event::Winked, Event::Proceeding], "{skew_ms}");
        pair.ends[0].input(Input::Answer);
        assert_eq!(pair.pass(1_000)[1], [Event::Answered], "{skew_ms}");
        pair.ends[1].input(Input::Release(Cause::Normal));
        pair.pass(10_000);
        assert!(pair.ends.iter().all(|end| end.machine.is_idle()), "{skew_ms}");
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

fn any_input(random: &mut Random) -> Input {
    match random.below(10) {
        0..=2 => Input::Bits(OFF),
        3..=4 => Input::Bits(ON),
        5 => Input::Digit(['1', '#', '*', 'x'][random.below(4) as usize]),
        6 => [Input::DigitsSent, Input::AddressComplete, Input::Answer][random.below(3) as usize].clone(),
        7 => seize(["42", "", "oops"][random.below(3) as usize]),
        8 => Input::Release(Cause::Normal),
        _ => Input::Alarm(random.below(4) == 0),
    }
}

#[test]
fn any_walk_comes_home() {
    for seed in 1..=400u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let role = if seed % 2 == 0 { GlareRole::Yield } else { GlareRole::Hold };
        let mut b = Bench::new(role);
        let mut begun = 0;
        for _ in 0..400 {
            let input = any_input(&mut random);
            let valid = input == seize("42");
            let was_idle = b.machine.is_idle();
            b.input(input);
            begun += i32::from(valid && was_idle);
            b.pass([0, 20, 60, 150, 400, 3_000, 30_000][random.below(7) as usize]);
        }
        b.input(Input::Alarm(false)).input(Input::Release(Cause::Normal)).bits(ON).pass(1_000_000);
        assert!(b.machine.is_idle(), "seed {seed}: {:?}", b.machine);
        let mut bits = ON;
        let mut collecting = false;
        for output in &b.outputs {
            match output {
                Output::SetBits(new) => {
                    assert_ne!(*new, bits, "seed {seed}: bits set twice");
                    bits = *new;
                }
                Output::StartDigits | Output::StopDigits => {
                    assert_eq!(collecting, *output == Output::StopDigits, "seed {seed}");
                    collecting = !collecting;
                }
                Output::Event(Event::Seized) => begun += 1,
                Output::Event(Event::Released(_) | Event::Glare) => begun -= 1,
                _ => {}
            }
        }
        assert_eq!((begun, bits, collecting), (0, ON, false), "seed {seed}: calls that never ended, line, collector");
    }
}

#[test]
fn debug_output_does_not_show_numbers() {
    let mut b = Bench::new(GlareRole::Yield);
    b.input(seize("5551234"));
    let shown = format!("{:?} {:?}", b.machine, Output::SendDigits(dial("5551234")));
    assert!(!shown.contains("5551"), "{shown}");
}
