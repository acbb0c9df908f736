//! SIP over TLS with OpenSSL at the other end: both versions, certificates of clients, a certificate changed while it runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Appliance, Place, flow, have, trunk, wait_for};

const LONG: Duration = Duration::from_secs(20);

/// Answers, and hangs up.
const HELLO: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'hangup'\n";

fn openssl(dir: &Path, args: &[&str]) {
    let made = Command::new("openssl").current_dir(dir).args(args).output().unwrap();
    assert!(made.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&made.stderr));
}

/// `NAME.pem` and `NAME.key`, signed by `ca.pem`.
fn issue(dir: &Path, file: &str, name: &str) {
    let (key, request, certificate) = (format!("{file}.key"), format!("{file}.csr"), format!("{file}.pem"));
    let subject = format!("/CN={name}");
    let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &key];
    openssl(dir, &[&new[..], &["-out", &request, "-subj", &subject]].concat());
    let extension = format!("{file}.ext");
    std::fs::write(dir.join(&extension), format!("subjectAltName=DNS:{name}\n")).unwrap();
    let sign =
        ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "400"];
    openssl(dir, &[&sign[..], &["-out", &certificate, "-extfile", &extension]].concat());
    Command::new("chmod").arg("600").arg(dir.join(&key)).status().unwrap();
}

fn authority(dir: &Path) {
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "400"];
    openssl(dir, &[&new[..], &["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"]].concat());
}

/// Sends `message` by `openssl s_client`, and says what came back, with what OpenSSL tells of the connection.
fn ask(place: &Place, args: &[&str], message: &str) -> String {
    listen(place, 3, args, message)
}

/// The same with what comes within so many seconds.
fn listen(place: &Place, seconds: u8, args: &[&str], message: &str) -> String {
    let server = format!("{}:5061", place.host(1));
    let mut client = Command::new("timeout")
        .args([
            &seconds.to_string(),
            "openssl",
            "s_client",
            "-connect",
            &server,
            "-CAfile",
            "ca.pem",
            "-verify_return_error",
        ])
        .args(args)
        .current_dir(place.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    // The end of input would end it before the answer; `timeout` does later. One that was refused takes nothing.
    let _ = stdin.write_all(message.as_bytes());
    let _ = stdin.flush();
    let output = client.wait_with_output().unwrap();
    drop(stdin);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn request(place: &Place, method: &str, user: &str, scheme: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (us, them, n) = (place.host(1), place.host(9), NEXT.fetch_add(1, Ordering::Relaxed));
    format!(
        "{method} {scheme}:{user}@{us} SIP/2.0\r\nVia: SIP/2.0/TLS {them}:5061;branch=z9hG4bK-{n}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:caller@example.org>;tag=1\r\nTo: <{scheme}:{user}@{us}>\r\n\
         Call-ID: call-{n}\r\nCSeq: 1 {method}\r\nContact: <{scheme}:caller@{them}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn provisioning(more: &str) -> String {
    let listen = "[sip]\nlisten = [\"udp:NET.1:5060\", \"tcp:NET.1:5060\", \"tls:NET.1:5061\"]\n";
    let tls = "[sip.tls]\ncertificate = '../server.pem'\nkey = '../server.key'\n";
    format!("{listen}stop_grace_s = 2\n{tls}{more}")
}

#[test]
fn openssl_speaks_tls_1_2_and_1_3_and_sees_a_new_certificate_after_sighup() {
    if !have(&["openssl"]) {
        return;
    }
    let place = Place::new("tls");
    authority(place.dir());
    issue(place.dir(), "server", "first.example.net");
    let appliance = Appliance::start_with_sip(&place, &provisioning(""), "");
    let options = request(&place, "OPTIONS", "x", "sip");
    for (version, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let answer = ask(&place, &[version, "-verify_hostname", "first.example.net"], &options);
        assert!(answer.contains("SIP/2.0 200 OK") && answer.contains(shown), "{answer}");
    }
    let old = ask(&place, &["-tls1_1"], &options);
    assert!(!old.contains("SIP/2.0"), "{old}");
    issue(place.dir(), "server", "second.example.net");
    appliance.signal(Signal::HUP);
    wait_for("the new certificate", LONG, || {
        ask(&place, &["-verify_hostname", "second.example.net"], &options).contains("SIP/2.0 200 OK")
    });
    let refused = ask(&place, &["-verify_hostname", "first.example.net"], &options);
    assert!(!refused.contains("SIP/2.0 200 OK"), "{refused}");
    assert!(!appliance.has_alarm("certificate-unusable") && !appliance.has_alarm("certificate-expires"));
    // A key that others may read is refused, and the certificate before goes on.
    Command::new("chmod").arg("644").arg(place.dir().join("server.key")).status().unwrap();
    appliance.signal(Signal::HUP);
    wait_for("the alarm", LONG, || appliance.has_alarm("certificate-unusable"));
    let answer = ask(&place, &["-verify_hostname", "second.example.net"], &options);
    assert!(answer.contains("SIP/2.0 200 OK"), "{answer}");
    appliance.stop();
}

#[test]
fn a_trunk_is_known_by_its_certificate_and_by_nothing_else() {
    if !have(&["openssl"]) {
        return;
    }
    let place = Place::new("mutual");
    authority(place.dir());
    issue(place.dir(), "server", "pbx.example.net");
    issue(place.dir(), "carrier", "sip.carrier.example");
    issue(place.dir(), "other", "sip.other.example");
    // The caller comes from the peer's address in each case.
    let trunk = "\n[[trunk]]\nname = 'carrier'\nkind = 'sip'\ntls = { server_name = 'sip.carrier.example', identify = true }\n\
                 [[trunk.peer]]\naddress = 'NET.1'\ntransport = 'tls'\n";
    let sip = provisioning("client_ca = '../ca.pem'\n");
    let appliance = Appliance::start_with_sip(&place, &sip, &[trunk, &flow("100", HELLO)].concat());
    let bind = format!("{}:0", place.host(1));
    let call = |certificate: &[&str], scheme: &str| {
        ask(&place, &[&["-bind", &bind], certificate].concat(), &request(&place, "INVITE", "100", scheme))
    };
    let known = call(&["-cert", "carrier.pem", "-key", "carrier.key"], "sip");
    assert!(known.contains("SIP/2.0 200 OK") && known.contains(";transport=tls>"), "{known}");
    let secure = call(&["-cert", "carrier.pem", "-key", "carrier.key"], "sips");
    assert!(secure.contains("SIP/2.0 200 OK") && secure.contains("Contact: <sips:100@"), "{secure}");
    for stranger in [&["-cert", "other.pem", "-key", "other.key"][..], &[]] {
        let refused = call(stranger, "sip");
        assert!(refused.contains("SIP/2.0 401 Unauthorized"), "{refused}");
    }
    appliance.stop();
}

/// What an OpenSSL at `NET.HOST` port 5061 that shows a certificate hears, until `heard` says enough.
fn hears(place: &Place, host: u8, certificate: &str, enough: impl Fn(&str) -> bool) -> bool {
    let log = place.dir().join(format!("s_server-{host}.log"));
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("{}:5061", place.host(host))])
        .args(["-cert", &format!("{certificate}.pem"), "-key", &format!("{certificate}.key")])
        .current_dir(place.dir())
        // At the end of its input it would end.
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + LONG;
    let mut heard = false;
    while !heard && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
        heard = enough(&String::from_utf8_lossy(&std::fs::read(&log).unwrap()));
    }
    server.kill().unwrap();
    server.wait().unwrap();
    heard
}

/// RFC 5922 section 4: the certificate speaks for the domain that was called, and not for the host that DNS names, which
/// is as good as whoever answers for DNS.
#[test]
fn dns_names_the_server_and_the_certificate_its_domain() {
    if !have(&["openssl", "dnsmasq"]) {
        return;
    }
    let place = Place::new("sips");
    authority(place.dir());
    issue(place.dir(), "server", "pbx.example.net");
    issue(place.dir(), "domain", "carrier.test");
    issue(place.dir(), "host", "good.carrier.test");
    let _dns = crate::names::dns(
        &place,
        &[
            "--naptr-record=carrier.test,20,10,S,SIP+D2U,,_sip._udp.carrier.test",
            "--naptr-record=carrier.test,10,10,S,SIPS+D2T,,_sips._tcp.carrier.test",
            "--srv-host=_sips._tcp.carrier.test,good.carrier.test,5061,1,1",
            "--host-record=good.carrier.test,NET.5",
        ],
    );
    let sip = provisioning("[sip.dns]\nservers = ['NET.53:5353']\n");
    let trunk = "\n[[trunk]]\nname = 'carrier'\nkind = 'sip'\ntls = { ca = '../ca.pem' }\n\
                 [[trunk.peer]]\naddress = 'carrier.test'\noptions_s = 5\n";
    let appliance = Appliance::start_with_sip(&place, &sip, trunk);
    let asked = |heard: &str| heard.contains("OPTIONS sip:carrier.test SIP/2.0") && heard.contains("Via: SIP/2.0/TLS ");
    assert!(hears(&place, 5, "domain", asked), "the domain's certificate is good");
    assert!(!hears(&place, 5, "host", |heard| heard.contains("OPTIONS")), "the host's is not");
    let trunks = appliance.trunks().to_string();
    assert!(trunks.contains(&format!("  tls {}:5061", place.host(5))), "{trunks}");
    appliance.stop();
}

/// RFC 5923: who has shown its certificate may have our requests on its own connection, and nobody else.
#[test]
fn a_server_that_has_shown_itself_gets_requests_on_its_own_connection() {
    if !have(&["openssl"]) {
        return;
    }
    let place = Place::new("alias");
    authority(place.dir());
    issue(place.dir(), "server", "pbx.example.net");
    issue(place.dir(), "carrier", "sip.carrier.example");
    issue(place.dir(), "other", "sip.other.example");
    // Nobody listens there.
    let trunk = "\n[[trunk]]\nname = 'carrier'\nkind = 'sip'\ntls = { server_name = 'sip.carrier.example', identify = true }\n\
                 [[trunk.peer]]\naddress = 'NET.9'\ntransport = 'tls'\noptions_s = 5\n";
    let appliance = Appliance::start_with_sip(&place, &provisioning("client_ca = '../ca.pem'\n"), trunk);
    let bind = format!("{}:0", place.host(9));
    let heard = |certificate: &str, alias: &str| {
        let (pem, key) = (format!("{certificate}.pem"), format!("{certificate}.key"));
        let text = request(&place, "OPTIONS", "100", "sip").replace(";branch=", &format!("{alias};branch="));
        listen(&place, 8, &["-quiet", "-bind", &bind, "-cert", &pem, "-key", &key], &text)
    };
    let reused = heard("carrier", ";alias");
    assert!(reused.contains("SIP/2.0 200 OK") && reused.contains("OPTIONS sip:"), "{reused}");
    for (certificate, alias) in [("other", ";alias"), ("carrier", "")] {
        let answered = heard(certificate, alias);
        assert!(answered.contains("SIP/2.0 200 OK") && !answered.contains("OPTIONS sip:"), "{answered}");
    }
    appliance.stop();
}

/// A phone's connection: what OpenSSL at `NET.9` hears and says.
struct Line {
    client: Child,
    heard: PathBuf,
}

impl Line {
    fn open(place: &Place, name: &str) -> Self {
        let heard = place.dir().join(format!("line-{name}.log"));
        let client = Command::new("openssl")
            .args(["s_client", "-quiet", "-CAfile", "ca.pem", "-verify_return_error"])
            .args(["-connect", &format!("{}:5061", place.host(1)), "-bind", &format!("{}:0", place.host(9))])
            .current_dir(place.dir())
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&heard).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { client, heard }
    }

    fn say(&mut self, message: &str) {
        let stdin = self.client.stdin.as_mut().unwrap();
        stdin.write_all(message.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// The heads of all messages that came and begin so.
    fn heads(&self, begins: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&std::fs::read(&self.heard).unwrap()).into_owned();
        let starts = text.match_indices(begins).map(|(at, _)| at).filter(|at| *at == 0 || text[..*at].ends_with('\n'));
        starts.filter_map(|at| Some(text[at..].split_once("\r\n\r\n")?.0.to_owned())).collect()
    }

    /// The newest of them, once there are so many.
    fn hears(&self, begins: &str, count: usize) -> String {
        wait_for(begins, LONG, || self.heads(begins).len() >= count);
        self.heads(begins).pop().unwrap()
    }

    fn registers(&mut self, place: &Place, cseq: u32) {
        let us = place.host(1);
        let register = |cseq: u32, more: &str| {
            format!(
                "REGISTER sip:{us} SIP/2.0\r\nVia: SIP/2.0/TLS {them};branch=z9hG4bK-r{cseq}\r\nMax-Forwards: 70\r\n\
                 From: <sip:ana@{us}>;tag=r\r\nTo: <sip:ana@{us}>\r\nCall-ID: registration\r\nCSeq: {cseq} REGISTER\r\n\
                 Contact: <sip:ana@{them}:40000;transport=tls>;expires=600\r\n{more}Content-Length: 0\r\n\r\n",
                them = place.host(9),
            )
        };
        self.say(&register(cseq, ""));
        let challenge = self.hears("SIP/2.0 401 ", 1);
        let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let (ha1, ha2) = (md5("ana:cordboard:ana-secret"), md5(&format!("REGISTER:sip:{us}")));
        let response = md5(&format!("{ha1}:{nonce}:00000001:c:auth:{ha2}"));
        self.say(&register(
            cseq + 1,
            &format!(
                "Authorization: Digest username=\"ana\", realm=\"cordboard\", nonce=\"{nonce}\", uri=\"sip:{us}\", \
                 response=\"{response}\", algorithm=MD5, cnonce=\"c\", nc=00000001, qop=auth\r\n"
            ),
        ));
        self.hears("SIP/2.0 200 ", 1);
    }

    /// Picks up the call that comes as number `count`, and lets the other side hang up.
    fn takes_call(&mut self, place: &Place, count: usize) {
        let them = place.host(9);
        let sdp =
            format!("v=0\r\no=- 1 1 IN IP4 {them}\r\ns=-\r\nc=IN IP4 {them}\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n");
        let more = format!("Contact: <sip:ana@{them}:40000;transport=tls>\r\nContent-Type: application/sdp\r\n");
        self.say(&answer(&self.hears("INVITE sip:ana@", count), &more, &sdp));
        self.hears("ACK sip:ana@", count);
        self.say(&answer(&self.hears("BYE sip:ana@", count), "", ""));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.client.kill());
        drop(self.client.wait());
    }
}

/// 200 to a request.
fn answer(request: &str, more: &str, body: &str) -> String {
    let copied = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let tagged = |line: &str| match line.starts_with("To:") && !line.contains(";tag=") {
        true => format!("{line};tag=phone\r\n"),
        false => format!("{line}\r\n"),
    };
    let lines: String = request.lines().filter(copied).map(tagged).collect();
    format!("SIP/2.0 200 OK\r\n{lines}{more}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn md5(text: &str) -> String {
    let mut digest =
        Command::new("openssl").args(["md5", "-r"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    digest.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = digest.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// RFC 5626 section 5.3, as far as phones without `reg-id` go: a call goes down the connection by which the phone registered
/// last, while the one before still stands, and when that ends later, too.
#[test]
fn a_phone_is_called_on_the_connection_by_which_it_registered_last() {
    if !have(&["openssl", "sipp"]) {
        return;
    }
    let place = Place::new("anew");
    authority(place.dir());
    issue(place.dir(), "server", "pbx.example.net");
    let ana = "\n[[agent]]\ntenant = 'acme'\nname = 'ana'\nuser = 'ana'\npassword = 'ana-secret'\n\
               skills = { talk = 1.0 }\nsigned_in = true\n";
    let wait = flow("100", "[step.a]\ndo = 'enqueue'\nqueue = 'desk'\n");
    let more = [&trunk("carrier", 2), ana, &wait].concat();
    let appliance = Appliance::start_with_sip(&place, &provisioning(""), &more);
    let call = |line: &mut Line, count: usize| {
        let mut caller = place.sipp(2, "talk", &["-s", "100", "-m", "1", "-d", "200"]);
        line.takes_call(&place, count);
        caller.succeeds(LONG);
    };
    let mut first = Line::open(&place, "first");
    first.registers(&place, 1);
    call(&mut first, 1);
    let mut second = Line::open(&place, "second");
    second.registers(&place, 3);
    assert_eq!(appliance.count("registrations"), 1, "the same phone");
    call(&mut second, 1);
    assert_eq!(first.heads("INVITE ").len(), 1, "the old connection is left alone");
    drop(first);
    call(&mut second, 2);
    // And once more the other way round: the connection ends, and the phone comes back.
    drop(second);
    let mut third = Line::open(&place, "third");
    third.registers(&place, 5);
    call(&mut third, 1);
    let cdrs = appliance.cdrs();
    assert!(cdrs.len() == 4 && cdrs.iter().all(|cdr| cdr["agent"] == "ana"), "{cdrs:?}");
    appliance.stop();
}
