//! baresip as an agent's phone, with audio that is recognised at both ends; the client comes on a simulated T1 card, so
//! this appliance runs within the test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cordboard::appliance::{Appliance, Options};
use cordboard::base::Cause;
use cordboard::core::control::{Command as Order, Query, Reply, Status};
use cordboard::core::journal::Cdr;
use cordboard::core::tenant;
use cordboard::dsp::reference::{Recognizer, ReferenceSignal};
use cordboard::edge::console::Request;
use cordboard::edge::store::{CdrFilter, Reader};
use cordboard_hal_sim::{FarEventKind, SimControl};
use rustix::process::Signal;

use crate::harness::{Peer, Place, flow, have, wait_for};

const LONG: Duration = Duration::from_secs(30);
/// What the agent says, what the client says, and what neither says.
const AGENT: u64 = 11;
const CLIENT: u64 = 22;
const NOBODY: u64 = 33;
/// How long each has something to say, in seconds.
const SPEECH_S: usize = 50;

const WORLD: &str = "
[[card]]
name = 't1'
driver = 'sim-t1'
[[span]]
name = 't1-1'
card = 't1'
signalling = 'em-wink'
trunk = 'office'
[[trunk]]
name = 'office'
kind = 'tdm'
[[agent]]
tenant = 'acme'
name = 'ana'
user = 'ana'
password = 'ana-secret'
skills = { talk = 1.0 }
signed_in = true
SRTP
[[agent]]
tenant = 'acme'
name = 'bob'
contact = 'sip:bob@NET.5:5060'
";
/// Takes one key; the right one is 5.
const KEY: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n\
                   [step.b]\ndo = 'menu'\nprompt = { beep = true }\nkeys = { 5 = 'c' }\ntimeout_s = 10\nretries = 0\n\
                   on_timeout = 'wrong'\non_invalid = 'wrong'\n\
                   [step.c]\ndo = 'hangup'\n[step.wrong]\ndo = 'hangup'\ncause = 'rejected'\n";
const QUEUE: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'enqueue'\nqueue = 'desk'\n";

/// Debian's package plays from files, but has no player that needs no device; `sndfile` keeps what is decoded.
const CONFIG: &str = "\
poll_method epoll
sip_listen NET.3:5060
net_interface NET.3
call_local_timeout 120
audio_source aufile,DIR/agent.wav
audio_player aubridge,sink
audio_alert aubridge,alert
rtp_ports 30000-30100
rtcp_mux yes
ctrl_tcp_listen NET.3:4444
snd_path DIR
module_path MODULES
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
";
/// Where baresip's modules may be: Debian's package, and one built from source.
const MODULES: [&str; 3] = ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules", "/usr/lib64/baresip/modules"];
const ACCOUNT: &str = "<sip:ana@NET.1;transport=TRANSPORT>;auth_user=ana;auth_pass=ana-secret;answermode=auto;regint=60;\
     audio_codecs=CODEC;mediaenc=MEDIAENC\n";

fn speech(seed: u64) -> Vec<i16> {
    let mut pcm = vec![0; SPEECH_S * 8000];
    ReferenceSignal::new(seed).fill(&mut pcm);
    pcm
}

fn write_wav(path: &Path, pcm: &[i16]) {
    let format =
        hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut wav = hound::WavWriter::create(path, format).unwrap();
    pcm.iter().for_each(|&sample| wav.write_sample(sample).unwrap());
    wav.finalize().unwrap();
}

/// Whether the phone heard the client, by what it decoded and kept.
fn phone_heard(dir: &Path) -> bool {
    let dumps = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut decoded = dumps.filter(|path| path.to_string_lossy().ends_with("-dec.wav"));
    decoded.any(|path| {
        let mut wav = hound::WavReader::open(path).unwrap();
        assert_eq!(wav.spec().sample_rate, 8000);
        let pcm: Vec<i16> = wav.samples().map_while(Result::ok).collect();
        let mut ear = Recognizer::new();
        pcm.chunks(800).any(|chunk| {
            ear.push(chunk);
            ear.recognise([AGENT, CLIENT, NOBODY]).is_some_and(|heard| heard.seed == CLIENT)
        })
    })
}

/// A command by baresip's `ctrl_tcp`: JSON in a netstring.
fn tell_phone(place: &Place, command: &str, params: &str) {
    let mut stream = TcpStream::connect(format!("{}:4444", place.host(3))).unwrap();
    let text = format!("{{\"command\":\"{command}\",\"params\":\"{params}\",\"token\":\"t\"}}");
    write!(stream, "{}:{text},", text.len()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // Events of the phone may come before the answer.
    let mut answer = String::new();
    while !answer.contains("\"response\":true") {
        let mut chunk = [0; 4096];
        let len = stream.read(&mut chunk).unwrap();
        assert!(len > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&chunk[..len]));
    }
    assert!(answer.contains("\"ok\":true"), "{answer}");
}

struct Inside {
    appliance: Appliance,
    far: SimControl,
}

impl Inside {
    fn start(place: &Place, srtp: &str) -> Self {
        let world = WORLD.replace("SRTP", srtp);
        let text = place.provision(&[world, flow("100", QUEUE), flow("200", KEY)].concat());
        let provision = tenant::parse(&text, "test").unwrap();
        let options = Options { data_dir: place.data(), provision: Some(provision), ..Options::default() };
        let appliance = Appliance::start(options).unwrap();
        let far = appliance.sims[0].1.clone();
        Self { appliance, far }
    }

    fn status(&self) -> Status {
        match self.appliance.ask(Request::Query(Query::Status)) {
            Some(Reply::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the appliance and takes all records.
    fn stop(self, place: &Place) -> Vec<Cdr> {
        assert!(self.appliance.ask(Request::Command(Order::Stop)).is_some());
        self.appliance.wait().unwrap();
        let reader = Reader::open(&place.data()).unwrap();
        reader.cdrs(&CdrFilter::default()).map(Result::unwrap).collect()
    }

    /// Waits until the client hears `speaker`.
    fn client_hears(&self, speaker: u64) {
        let mut ear = Recognizer::new();
        // What lies there is from before.
        drop(self.far.take_recorded(1, 1));
        wait_for(&format!("the client to hear {speaker}"), LONG, || {
            ear.push(&self.far.take_recorded(1, 1).unwrap());
            ear.recognise([AGENT, CLIENT, NOBODY]).is_some_and(|heard| heard.seed == speaker)
        });
    }
}

#[test]
fn an_agent_on_baresip_talks_with_a_client_on_a_t1_and_hands_the_call_over() {
    talks_and_hands_over("udp", "PCMU", &PLAIN);
}

/// The T1 speaks mu-law, so this call is transcoded; and the phone can be reached by its own stream only.
#[test]
fn so_does_one_over_tcp_with_a_law() {
    talks_and_hands_over("tcp", "PCMA", &PLAIN);
}

#[test]
fn so_does_one_with_keys_in_its_descriptions() {
    talks_and_hands_over("udp", "PCMU", &SDES);
}

#[test]
fn so_does_one_that_may_choose_and_is_transcoded() {
    talks_and_hands_over("tcp", "PCMA", &OPTIONAL);
}

/// How media of the phone is protected: what is provisioned, baresip's word for it, and how the record shows it.
struct Srtp {
    provisioned: &'static str,
    mediaenc: &'static str,
    recorded: &'static str,
}

const PLAIN: Srtp = Srtp { provisioned: "", mediaenc: "", recorded: "" };
const SDES: Srtp =
    Srtp { provisioned: "srtp = 'required'\nsrtp_keys = 'sdes-in-clear'", mediaenc: "srtp-mand", recorded: "sdes AE" };
/// RFC 8643: RTP/AVP with keys beside it.
const OPTIONAL: Srtp =
    Srtp { provisioned: "srtp = 'optional'\nsrtp_keys = 'sdes-in-clear'", mediaenc: "srtp", recorded: "sdes AE" };

/// Starts baresip as ana's phone and waits until it has registered.
fn start_phone(place: &Place, inside: &Inside, transport: &str, codec: &str, srtp: &Srtp) -> Peer {
    let dir = place.dir().display().to_string();
    write_wav(&place.dir().join("agent.wav"), &speech(AGENT));
    let modules = MODULES.iter().find(|path| Path::new(path).is_dir()).expect("baresip's modules");
    let config = place.fill(CONFIG).replace("DIR", &dir).replace("MODULES", modules);
    std::fs::write(place.dir().join("config"), config).unwrap();
    let account = place.fill(ACCOUNT).replace("TRANSPORT", transport).replace("CODEC", codec);
    let account = match srtp.mediaenc {
        "" => account.replace(";mediaenc=MEDIAENC", ""),
        word => account.replace("MEDIAENC", word),
    };
    std::fs::write(place.dir().join("accounts"), account).unwrap();
    std::fs::write(place.dir().join("contacts"), "").unwrap();
    let phone = place.start("baresip", Command::new("baresip").args(["-f", &dir]));
    wait_for("baresip to register", LONG, || inside.status().registrations == 1);
    phone
}

/// Our answers to what it offers, and a key that it sends within what is protected.
#[test]
fn a_phone_with_keys_in_its_descriptions_calls_and_keys() {
    let srtp = &SDES;
    if !have(&["baresip"]) {
        return;
    }
    let place = Place::new(&format!("baresip-calls-{}", srtp.mediaenc));
    let inside = Inside::start(&place, srtp.provisioned);
    let mut phone = start_phone(&place, &inside, "udp", "PCMU", srtp);
    tell_phone(&place, "dial", &format!("sip:200@{}", place.host(1)));
    wait_for("the call", LONG, || inside.status().encrypted_legs == 1);
    std::thread::sleep(Duration::from_secs(1));
    tell_phone(&place, "sndcode", "5");
    wait_for("the end", LONG, || inside.status().calls == 0);
    phone.signal(Signal::TERM);
    phone.ends(LONG);
    let cdrs = inside.stop(&place);
    assert_eq!(cdrs.len(), 1);
    assert_eq!(cdrs[0].cause, Some(Cause::Normal), "the key was not heard\n{}", phone.log());
    assert!(cdrs[0].legs[0].encryption.starts_with(srtp.recorded), "{:?}", cdrs[0].legs[0]);
    assert!(cdrs[0].legs[0].media.is_some_and(|media| media.rx_packets > 20), "{:?}", cdrs[0].legs[0]);
}

#[test]
fn a_phone_without_keys_is_refused_where_they_are_required() {
    if !have(&["baresip"]) {
        return;
    }
    let place = Place::new("baresip-refused");
    let inside = Inside::start(&place, SDES.provisioned);
    let phone = start_phone(&place, &inside, "udp", "PCMU", &PLAIN);
    tell_phone(&place, "dial", &format!("sip:200@{}", place.host(1)));
    wait_for("the refusal", LONG, || phone.log().contains("488"));
    drop(phone);
    assert!(inside.stop(&place).is_empty());
}

fn talks_and_hands_over(transport: &str, codec: &str, srtp: &Srtp) {
    if !have(&["baresip", "sipp"]) {
        return;
    }
    let place = Place::new(&format!("baresip-{transport}-{}", srtp.mediaenc));
    let inside = Inside::start(&place, srtp.provisioned);
    let mut phone = start_phone(&place, &inside, transport, codec, srtp);

    inside.far.set_recording(1, 1, true).unwrap();
    inside.far.dial(1, 1, "100").unwrap();
    wait_for("the answer", LONG, || {
        std::iter::from_fn(|| inside.far.poll_event()).any(|event| event.kind == FarEventKind::Answered)
    });
    inside.far.play(1, 1, &speech(CLIENT)).unwrap();
    inside.client_hears(AGENT);
    // The phone gets as long to hear the client.
    std::thread::sleep(Duration::from_secs(2));

    // RFC 3515: the phone hands the client over to one that sends back what it hears.
    let _echo = place.sipp(5, "agent", &["-rtp_echo"]);
    tell_phone(&place, "transfer", &format!("sip:bob@{}", place.host(1)));
    inside.client_hears(CLIENT);
    inside.far.hang_up(1, 1).unwrap();
    wait_for("the end", LONG, || inside.status().calls == 0);
    phone.signal(Signal::TERM);
    phone.ends(LONG);
    assert!(phone_heard(place.dir()), "the phone did not hear the client\n{}", phone.log());

    let status = inside.status();
    assert_eq!((status.offered, status.answered, status.double_offers), (1, 1, 0));
    let cdrs = inside.stop(&place);
    assert_eq!(cdrs.len(), 1);
    let (phone_leg, echo_leg) = (&cdrs[0].legs[1], &cdrs[0].legs[2]);
    assert!(phone_leg.encryption.starts_with(srtp.recorded), "{phone_leg:?}");
    assert_eq!(phone_leg.encryption.is_empty(), srtp.recorded.is_empty(), "{phone_leg:?}");
    assert_eq!(echo_leg.encryption, "");
    assert_eq!(cdrs[0].legs.len(), 3, "{:?}", cdrs[0]);
    assert!(cdrs[0].ended_at.is_some());
}
