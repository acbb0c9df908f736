//! How far the DTMF detector goes, and what it costs, beside a peer where there is one.
//!
//! ```text
//! cargo bench --bench dtmf                     margins beside what is asked, as a table
//! cargo bench --bench dtmf -- speed            channels a core on real speech, as a row of README's table
//! cargo bench --bench dtmf -- talk-off         digits that real speech imitates
//! cargo bench --bench dtmf -- svg FILE         what is accepted: level by twist, and offset by offset
//! bash tests/bench/dtmf.sh [speed|talk-off]    the same beside spandsp's detector
//! ```
//!
//! `DTMF_PEER` names a program that speaks as `tests/bench/peer/dtmf_spandsp.c` does.

#[allow(dead_code, reason = "shared with tests/detection")]
#[path = "../detection/signal.rs"]
mod signal;
#[allow(dead_code, reason = "shared with tests/detection")]
#[path = "../detection/speech.rs"]
mod speech;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use cordboard::base::Law;
use cordboard::dsp::dtmf::{Detector, DtmfEvent};
use rustix::time::{ClockId, clock_gettime};

use signal::{DIGITS, Digits, Noise, PLAIN, add, line, sine};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut peer = Peer::start();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => margins(peer.as_mut()),
        ["speed"] => speed(peer.as_mut()),
        ["talk-off"] => talk_off(peer.as_mut()),
        ["svg", file] => std::fs::write(file, svg()).expect("the file can be written"),
        _ => panic!("speed, talk-off, svg FILE, or nothing"),
    }
}

fn heard(detector: &mut Detector, pcm: &[i16], digits: &mut String) {
    for frame in pcm.chunks(160) {
        digits.extend(detector.process(frame).filter_map(|event| match event {
            DtmfEvent::Down(digit) => Some(digit),
            DtmfEvent::Up { .. } => None,
        }));
    }
}

fn ours(pcm: &[i16]) -> String {
    let mut digits = String::new();
    heard(&mut Detector::new(), pcm, &mut digits);
    digits
}

/// Another detector, as a child process.
struct Peer {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Peer {
    fn start() -> Option<Peer> {
        let program = std::env::var_os("DTMF_PEER")?;
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the peer");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Peer { child, answers })
    }

    /// The digits that it hears, and the CPU time that it took in seconds.
    fn detect(&mut self, pcm: &[i16]) -> (String, f64) {
        let mut octets = u32::try_from(pcm.len()).expect("not hours").to_ne_bytes().to_vec();
        octets.extend(pcm.iter().flat_map(|x| x.to_ne_bytes()));
        self.child.stdin.as_mut().expect("it is piped").write_all(&octets).expect("the peer reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the peer answers");
        let (digits, ns) = answer.trim_end().rsplit_once(' ').expect("digits and a time");
        (digits.to_owned(), ns.parse::<f64>().expect("a number") / 1e9)
    }
}

/// A quantity whose bound is looked for.
struct Margin {
    what: &'static str,
    asked: &'static str,
    unit: &'static str,
    /// Where all is heard, and where nothing is.
    good: f64,
    bad: f64,
    /// The signals at a value.
    make: fn(f64, &mut Noise) -> Vec<f64>,
    digits: &'static str,
}

const ALL: &str = DIGITS;

fn margin_list() -> Vec<Margin> {
    vec![
        Margin {
            what: "least level of each tone",
            asked: "AT&T -25",
            unit: "dBm0",
            good: -20.0,
            bad: -50.0,
            digits: ALL,
            make: |x, _| Digits { low: x as f32, high: x as f32, ..PLAIN }.send(ALL),
        },
        Margin {
            what: "high tone stronger",
            asked: "AT&T 4, NTT 5",
            unit: "dB",
            good: 0.0,
            bad: 20.0,
            digits: ALL,
            make: |x, _| Digits { low: -20.0, high: x as f32 - 20.0, ..PLAIN }.send(ALL),
        },
        Margin {
            what: "high tone weaker",
            asked: "AT&T 8, NTT 5",
            unit: "dB",
            good: 0.0,
            bad: 20.0,
            digits: ALL,
            make: |x, _| Digits { low: -6.0, high: -6.0 - x as f32, ..PLAIN }.send(ALL),
        },
        Margin {
            what: "both tones too high",
            asked: "AT&T 1.5, NTT 1.8",
            unit: "%",
            good: 0.0,
            bad: 5.0,
            digits: ALL,
            make: |x, _| Digits { low_offset: x / 100.0, high_offset: x / 100.0, ..PLAIN }.send(ALL),
        },
        Margin {
            what: "both tones too low",
            asked: "AT&T 1.5, NTT 1.8",
            unit: "%",
            good: 0.0,
            bad: 5.0,
            digits: ALL,
            make: |x, _| Digits { low_offset: -x / 100.0, high_offset: -x / 100.0, ..PLAIN }.send(ALL),
        },
        Margin {
            what: "shortest signal",
            asked: "40",
            unit: "ms",
            good: 60.0,
            bad: 5.0,
            digits: ALL,
            make: |x, _| Digits { on: (x * 8.0) as usize, off: 480, ..PLAIN }.send(ALL),
        },
        Margin {
            what: "shortest pause in a repeated digit",
            asked: "AT&T 40, NTT 30",
            unit: "ms",
            good: 60.0,
            bad: 2.0,
            digits: "5555",
            make: |x, _| Digits { on: 480, off: (x * 8.0) as usize, ..PLAIN }.send("5555"),
        },
        Margin {
            what: "longest interruption that does not split",
            asked: "10",
            unit: "ms",
            good: 2.0,
            bad: 60.0,
            digits: "5",
            make: |x, _| {
                let mut signal = Digits { on: 2400, ..PLAIN }.send("5");
                signal[800..800 + (x * 8.0) as usize].fill(0.0);
                signal
            },
        },
        Margin {
            what: "least distance of white noise",
            asked: "15",
            unit: "dB",
            good: 25.0,
            bad: 0.0,
            digits: ALL,
            make: |x, noise| {
                let mut signal = Digits { low: -12.0, high: -12.0, ..PLAIN }.send(ALL);
                let noise = noise.white(-9.0 - x as f32, signal.len());
                add(&mut signal, noise);
                signal
            },
        },
        Margin {
            what: "least distance of 350 + 440 Hz",
            asked: "field 10",
            unit: "dB",
            good: 25.0,
            bad: -10.0,
            digits: ALL,
            make: |x, _| {
                let mut signal = Digits { low: -12.0, high: -12.0, on: 400, off: 400, ..PLAIN }.send(ALL);
                let (len, level) = (signal.len(), -12.0 - x as f32);
                add(&mut signal, sine(350.0, level, len).zip(sine(440.0, level, len)).map(|(a, b)| a + b));
                signal
            },
        },
        Margin {
            what: "least distance of an echo 20 ms late",
            asked: "AT&T 10",
            unit: "dB",
            good: 25.0,
            bad: 0.0,
            digits: ALL,
            make: |x, _| {
                let mut signal = Digits { on: 400, off: 480, ..PLAIN }.send(ALL);
                let gain = 10f64.powf(-x / 20.0);
                let echo: Vec<f64> = std::iter::repeat_n(0.0, 160).chain(signal.iter().map(|s| s * gain)).collect();
                add(&mut signal, echo);
                signal
            },
        },
    ]
}

impl Margin {
    /// Whether `detect` hears all digits at this value, whatever the alignment.
    fn holds(&self, value: f64, detect: &mut dyn FnMut(&[i16]) -> String) -> bool {
        let mut noise = Noise::new(0x5eed);
        (0..64).step_by(7).all(|lead| {
            let mut signal = vec![0.0; lead];
            signal.extend((self.make)(value, &mut noise));
            detect(&line(&signal, Law::Mu)) == self.digits
        })
    }

    /// The last value at which all is heard, by halving.
    fn measure(&self, detect: &mut dyn FnMut(&[i16]) -> String) -> Option<f64> {
        let (mut good, mut bad) = (self.good, self.bad);
        if !self.holds(good, detect) {
            return None;
        }
        while (good - bad).abs() > 0.1 {
            let middle = f64::midpoint(good, bad);
            *(if self.holds(middle, detect) { &mut good } else { &mut bad }) = middle;
        }
        Some(good)
    }
}

fn margins(mut peer: Option<&mut Peer>) {
    println!("| all digits heard, 40 ms on and off, mu-law, ten alignments | asked (Q.24) | ours | spandsp |");
    println!("| --- | --- | --- | --- |");
    for margin in margin_list() {
        let text = |value: Option<f64>| value.map_or("not at all".into(), |v| format!("{v:.1} {}", margin.unit));
        let measured = text(margin.measure(&mut ours));
        let theirs = match peer.as_deref_mut() {
            Some(peer) => text(margin.measure(&mut |pcm| peer.detect(pcm).0)),
            None => "-".into(),
        };
        println!("| {} | {} | {measured} | {theirs} |", margin.what, margin.asked);
    }
}

/// Seconds of CPU time of this process.
fn cpu_s() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// All speech in one piece, through mu-law.
fn all_speech() -> Vec<i16> {
    let mut all = Vec::new();
    for recording in speech::recordings() {
        all.extend(line(&recording.pcm.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), Law::Mu));
    }
    all
}

fn speed(mut peer: Option<&mut Peer>) {
    let pcm = all_speech();
    if pcm.is_empty() {
        return;
    }
    // In turns, and the best of each: what else the machine does disturbs one turn, not all.
    let (mut best, mut peer_best) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..5 {
        let began = cpu_s();
        heard(&mut Detector::new(), &pcm, &mut String::new());
        best = best.min(cpu_s() - began);
        if let Some(peer) = peer.as_deref_mut() {
            peer_best = peer_best.min(peer.detect(&pcm).1);
        }
    }
    let seconds = pcm.len() as f64 / 8000.0;
    let (channels, theirs) = (seconds / best, seconds / peer_best);
    let against = match peer {
        Some(_) => format!("{channels:.0}, {:.2} x spandsp's {theirs:.0}", channels / theirs),
        None => format!("{channels:.0} (spandsp is not installed)"),
    };
    println!("| DTMF detector channels per core, on speech | {against} | `bash tests/bench/dtmf.sh speed` |");
}

fn talk_off(mut peer: Option<&mut Peer>) {
    println!("| mean level of the speech | minutes | false digits | spandsp's |\n| --- | --- | --- | --- |");
    let recordings = speech::recordings();
    for level in [None, Some(-6.0), Some(-15.0), Some(-25.0)] {
        let mut all = Vec::new();
        for recording in &recordings {
            let pcm = level.map_or_else(|| recording.pcm.clone(), |level| speech::at_level(&recording.pcm, level));
            all.extend(line(&pcm.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), Law::Mu));
        }
        let count = ours(&all).len();
        let theirs = peer.as_deref_mut().map_or("-".into(), |peer| peer.detect(&all).0.len().to_string());
        let name = level.map_or("as recorded".into(), |level| format!("{level} dBm0"));
        println!("| {name} | {:.0} | {count} | {theirs} |", all.len() as f64 / 8000.0 / 60.0);
    }
}

/// Cells of a picture, and their size in pixels.
const CELLS: usize = 41;
const CELL: usize = 9;

fn svg() -> String {
    let width = 2 * (CELLS * CELL + 90);
    let height = CELLS * CELL + 90;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let level_twist = |x: f64, y: f64| Digits { low: (y - x / 2.0) as f32, high: (y + x / 2.0) as f32, ..PLAIN };
    let names = ["high tone over low tone, dB", "mean level of a tone, dBm0"];
    let asked = [(-8.0, -21.0), (4.0, -23.0), (4.0, -2.0), (-8.0, -4.0)];
    picture(&mut out, 60, names, (-20.0, 20.0), (-40.0, 0.0), &asked, level_twist);
    let offsets = |x: f64, y: f64| Digits { low_offset: x / 100.0, high_offset: y / 100.0, ..PLAIN };
    let names = ["low tone's offset, %", "high tone's offset, %"];
    let asked = [(-1.5, -1.5), (1.5, -1.5), (1.5, 1.5), (-1.5, 1.5)];
    picture(&mut out, 60 + width / 2, names, (-4.0, 4.0), (-4.0, 4.0), &asked, offsets);
    out.push_str("</svg>\n");
    out
}

/// One picture: each cell's blue is the share of digits that are heard; the outline is what must be.
fn picture(
    out: &mut String,
    left: usize,
    names: [&str; 2],
    (x0, x1): (f64, f64),
    (y0, y1): (f64, f64),
    asked: &[(f64, f64)],
    make: impl Fn(f64, f64) -> Digits,
) {
    let at = |i: usize, from: f64, to: f64| from + (to - from) * i as f64 / (CELLS - 1) as f64;
    let top = 30;
    for (row, column) in (0..CELLS).flat_map(|row| (0..CELLS).map(move |column| (row, column))) {
        let digits = make(at(column, x0, x1), at(CELLS - 1 - row, y0, y1));
        let share = ours(&line(&digits.send(DIGITS), Law::Mu)).len().min(16) as f64 / 16.0;
        let shade = |full: f64| (255.0 - (255.0 - full) * share) as u8;
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"rgb({},{},{})\"/>",
            left + column * CELL,
            top + row * CELL,
            shade(40.0),
            shade(90.0),
            shade(160.0)
        );
    }
    let size = (CELLS * CELL) as f64;
    let x = |v: f64| left as f64 + (v - x0) / (x1 - x0) * (size - CELL as f64) + CELL as f64 / 2.0;
    let y = |v: f64| top as f64 + (y1 - v) / (y1 - y0) * (size - CELL as f64) + CELL as f64 / 2.0;
    let points: Vec<String> = asked.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
    let _ =
        writeln!(out, "<polygon points=\"{}\" fill=\"none\" stroke=\"#e06010\" stroke-width=\"2\"/>", points.join(" "));
    let _ = writeln!(
        out,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{size}\" height=\"{size}\" fill=\"none\" stroke=\"#888\"/>"
    );
    for i in 0..=4 {
        let (vx, vy) = (x0 + (x1 - x0) * f64::from(i) / 4.0, y0 + (y1 - y0) * f64::from(i) / 4.0);
        let bottom = top + CELLS * CELL + 16;
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{bottom}\" text-anchor=\"middle\">{vx}</text>", x(vx));
        let _ = writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{vy}</text>", left - 6, y(vy) + 4.0);
    }
    let middle = left as f64 + size / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text x=\"{left}\" y=\"20\">{}; outlined: what \
         AT&amp;T asks for (Q.24)</text>",
        top + CELLS * CELL + 36,
        names[0],
        names[1]
    );
}
