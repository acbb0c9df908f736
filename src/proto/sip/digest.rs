//! Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760), both ways.
//!
//! Our nonces need no table: each carries its time and a keyed hash. Only nonces that someone has used with success
//! are remembered, for their life, so that a nonce count is taken once (RFC 7616 section 3.3).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use sip_codec::auth::{self, Algorithm, Challenge};
use sip_codec::{HeaderName, Headers, Uri};

use crate::base::{Bound, Instant, Redacted, Source};

use super::accounts::Accounts;
use super::message::{parameter, split_top, text, user_of};
use super::types::{Credentials, Event, User};
use super::wire::Wire;

/// Life of a nonce; after it, the answer is a new one with `stale=true`.
const NONCE_LIFE: Duration = Duration::from_secs(60);
/// Used nonces that are remembered: a login with a new one each, 4,000 times a second.
const USED_MAX: usize = 262_144;

// ---- as a client ----

/// Credentials, and the challenge that they answer (RFC 3261 section 22.3: later requests answer it beforehand).
#[derive(Debug, Default)]
pub(super) struct Login {
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    count: u32,
    /// Challenges to the request under way.
    tries: u8,
}

impl Login {
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, ..Self::default() }
    }

    /// The header line for a request; empty where nobody has asked for one.
    pub fn header(&mut self, wire: &mut Wire, method: &str, uri: &[u8]) -> String {
        let (Some(credentials), Some(challenge)) = (&self.credentials, &self.challenge) else { return String::new() };
        self.count += 1;
        let name = if challenge.from_proxy { "Proxy-Authorization" } else { "Authorization" };
        let known = auth::Credentials::new(&credentials.user, credentials.password.expose());
        let cnonce = wire.token();
        let answer = auth::respond(challenge, &known, method, &String::from_utf8_lossy(uri), self.count, &cnonce);
        // The challenge came from outside: it must not bring line ends of its own.
        let answer: String = answer.chars().filter(|c| !c.is_control()).collect();
        format!("{name}: {answer}\r\n")
    }

    /// Takes the challenge of a 401 or 407. `true` when the request is worth sending again.
    pub fn challenged(&mut self, headers: &Headers, status: u16) -> bool {
        if self.credentials.is_none() || self.tries >= 2 {
            return false;
        }
        let Some(challenge) = challenge(headers, status) else { return false };
        // A second challenge means that the password is wrong, unless only the nonce is too old.
        if self.tries > 0 && !challenge.stale {
            return false;
        }
        self.tries += 1;
        self.count = 0;
        self.challenge = Some(challenge);
        true
    }

    /// The same for a request beside the one under way, such as PRACK, whose tries are counted by whoever sent it.
    pub fn challenged_beside(&mut self, headers: &Headers, status: u16) -> bool {
        let Some(challenge) = challenge(headers, status).filter(|_| self.credentials.is_some()) else { return false };
        self.count = 0;
        self.challenge = Some(challenge);
        true
    }

    /// The request under way came to its end.
    pub fn settled(&mut self) {
        self.tries = 0;
    }
}

/// The challenge of a 401 or 407 that is to be answered: the strongest that we know.
fn challenge(headers: &Headers, status: u16) -> Option<Challenge> {
    let proxy = status == 407;
    let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
    auth::strongest(headers.get_all(&name).filter_map(|h| Challenge::parse(&h.value(), proxy)).collect())
}

// ---- as a server ----

/// What a request's credentials are worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// None for our realm.
    Absent,
    /// This user's.
    Valid(String),
    /// Right, or perhaps so, but the nonce is too old or used: challenge again.
    Stale,
    /// Wrong.
    Invalid,
    /// Not looked at: the source is refused.
    Blocked,
}

/// Checks credentials.
#[derive(Debug)]
pub(super) struct Guard {
    users: HashMap<String, User>,
    secret: Redacted<String>,
    used: Used,
    accounts: Accounts,
    /// Whose credentials are not looked at.
    unheard: HashSet<Source>,
    sha256: bool,
    nonces_refused: u64,
}

impl Guard {
    pub fn new(wire: &mut Wire) -> Self {
        Self {
            users: HashMap::new(),
            secret: Redacted::new(wire.call_id()),
            used: Used::default(),
            accounts: Accounts::default(),
            unheard: HashSet::new(),
            sha256: false,
            nonces_refused: 0,
        }
    }

    pub fn offer_sha256(&mut self, on: bool) {
        self.sha256 = on;
    }

    pub fn set_unheard(&mut self, source: Source, unheard: bool) {
        if unheard {
            self.unheard.insert(source);
        } else {
            self.unheard.remove(&source);
        }
    }

    pub fn set_users(&mut self, users: Vec<User>) {
        self.users = users.into_iter().map(|user| (user.name.clone(), user)).collect();
    }

    /// What is remembered of users that are no more goes with them.
    pub fn keep_accounts(&mut self, wire: &mut Wire) {
        self.accounts.keep(wire, |user| self.users.contains_key(user));
    }

    /// A user is known to be there from an earlier run.
    pub fn is_at(&mut self, now: Instant, user: &str, source: IpAddr) {
        self.accounts.right(now, user, Source::of(source).address());
    }

    /// Ends what is over of users' locks.
    pub fn wake_accounts(&mut self, now: Instant, wire: &mut Wire) {
        self.accounts.wake(now, wire);
    }

    pub fn knows(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// The WWW-Authenticate lines of a 401, the preferred algorithm first (RFC 8760 section 2.3).
    pub fn challenge(&self, now: Instant, wire: &mut Wire, source: IpAddr, stale: bool) -> String {
        let seed = format!("{:x}.{:016x}", now.as_micros() / 1000, wire.random());
        let nonce = format!("{seed}.{}", self.seal(&seed, Source::of(source).address()));
        let algorithms: &[&str] = if self.sha256 { &["SHA-256", "MD5"] } else { &["MD5"] };
        let stale = if stale { ", stale=true" } else { "" };
        let mut out = String::with_capacity(256);
        for algorithm in algorithms {
            let realm = &wire.realm;
            let _ = write!(
                out,
                "WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}\r\n"
            );
        }
        out
    }

    /// Nonces in use. One that finds no room is challenged anew.
    pub fn bound(&self) -> Bound {
        Bound::new("digest-nonces", self.used.len, USED_MAX, self.nonces_refused)
    }

    /// Judges the Authorization headers of a request to `uri`.
    pub fn verify(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        source: IpAddr,
        (method, uri): (&str, &Uri),
        headers: &Headers,
    ) -> Verdict {
        let answers = headers.get_all(&HeaderName::Authorization);
        let Some(answer) = answers.filter_map(|h| DigestAnswer::parse(&h.value())).find(|a| a.realm == wire.realm)
        else {
            return Verdict::Absent;
        };
        let address = source;
        if self.unheard.contains(&Source::of(address)) {
            wire.count("digest-blocked");
            return Verdict::Blocked;
        }
        let source = Source::of(address).address();
        let verdict = self.judge(now, source, (method, uri), &answer);
        if matches!(verdict, Verdict::Valid(_)) {
            self.accounts.right(now, &answer.user, source);
        }
        if verdict == Verdict::Invalid {
            if self.users.get(&answer.user).is_some_and(|user| user.guarded) {
                self.accounts.wrong(now, wire, &answer.user, source);
            }
            wire.count("digest-failed");
            wire.event(Event::Misbehaved { source: address, connection: 0, credentials: true });
        }
        verdict
    }

    fn judge(&mut self, now: Instant, source: IpAddr, request: (&str, &Uri), answer: &DigestAnswer) -> Verdict {
        let Some(made) = self.nonce_time(&answer.nonce, source) else { return Verdict::Stale };
        if now.since(made) > NONCE_LIFE {
            return Verdict::Stale;
        }
        // An unknown user costs the same work as a wrong password, so that the two cannot be told apart by time.
        let known = self.users.get(&answer.user);
        let password = known.map_or("", |user| user.password.expose().as_str());
        let matches = answer.matches(password, request.0) & answer.is_for(request.1);
        if known.is_none() || !matches {
            return Verdict::Invalid;
        }
        // A guesser must not see that it was right, nor that there is such a user: not by a count that is used up either.
        if self.accounts.is_locked(now, &answer.user, source) {
            return Verdict::Invalid;
        }
        // RFC 7616 section 3.4.6: a count that is not new is a replay.
        match self.used.take(now, made, key(&answer.nonce), answer.count) {
            Taken::New => Verdict::Valid(answer.user.clone()),
            Taken::Before => Verdict::Stale,
            Taken::Full => {
                self.nonces_refused += 1;
                Verdict::Stale
            }
        }
    }

    /// When a nonce of ours for this source was made; `None` for one that is not. Who forges a source cannot have one, so
    /// nobody's attempts count against another.
    fn nonce_time(&self, nonce: &str, source: IpAddr) -> Option<Instant> {
        let (seed, seal) = nonce.rsplit_once('.')?;
        if !same(seal.as_bytes(), self.seal(seed, source).as_bytes()) {
            return None;
        }
        let ms = u64::from_str_radix(seed.split_once('.')?.0, 16).ok()?;
        Some(Instant::from_micros(ms.checked_mul(1000)?))
    }

    /// A hash of `seed` and source that only we can make: the digest function itself, with our secret as the password.
    fn seal(&self, seed: &str, source: IpAddr) -> String {
        let source = source.to_string();
        let mut seal = respond(Algorithm::Sha256, "", seed, ("", self.secret.expose()), ("", &source), None);
        seal.truncate(32);
        seal
    }
}

/// A nonce by the first half of its seal, which is ours and by chance (see [`Guard::seal`]).
fn key(nonce: &str) -> u64 {
    let seal = nonce.rsplit_once('.').and_then(|(_, seal)| seal.get(..16));
    seal.and_then(|seal| u64::from_str_radix(seal, 16).ok()).unwrap_or_default()
}

/// What became of a nonce count.
enum Taken {
    New,
    Before,
    Full,
}

/// Nonces in use with their counts, by the second in which they were made: what is too old goes by seconds, unsearched.
#[derive(Debug, Default)]
struct Used {
    by_second: BTreeMap<u64, HashMap<u64, u32>>,
    len: usize,
}

impl Used {
    fn take(&mut self, now: Instant, made: Instant, nonce: u64, count: u32) -> Taken {
        let second = |at: Instant| at.as_micros() / 1_000_000;
        while let Some(oldest) = self.by_second.first_entry().filter(|s| s.key() + NONCE_LIFE.as_secs() < second(now)) {
            self.len -= oldest.remove().len();
        }
        let nonces = self.by_second.entry(second(made)).or_default();
        match nonces.get_mut(&nonce) {
            Some(last) if count <= *last => Taken::Before,
            Some(last) => {
                *last = count;
                Taken::New
            }
            None if self.len >= USED_MAX => Taken::Full,
            None => {
                nonces.insert(nonce, count);
                self.len += 1;
                Taken::New
            }
        }
    }
}

/// An Authorization header (RFC 7616 section 3.4).
struct DigestAnswer {
    user: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Algorithm,
    /// `qop=auth`: cnonce. Without (RFC 2069) the nonce is good for one request.
    cnonce: Option<String>,
    count: u32,
}

impl DigestAnswer {
    fn parse(value: &[u8]) -> Option<Self> {
        let scheme = value.get(..7)?;
        if !scheme.eq_ignore_ascii_case(b"Digest ") {
            return None;
        }
        let params: Vec<&[u8]> = split_top(value.get(7..)?, b',').collect();
        let get = |name: &str| params.iter().find_map(|p| parameter(p, name.as_bytes())).map(|v| text(&v));
        let algorithm = match get("algorithm") {
            None => Algorithm::Md5,
            Some(name) => Algorithm::parse(&name)?,
        };
        let (cnonce, count) = match get("qop") {
            None => (None, u32::MAX),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                (Some(get("cnonce")?), u32::from_str_radix(&get("nc")?, 16).ok()?)
            }
            Some(_) => return None,
        };
        Some(Self {
            user: get("username")?,
            realm: get("realm")?,
            nonce: get("nonce")?,
            uri: get("uri")?,
            response: get("response")?,
            algorithm,
            cnonce,
            count,
        })
    }

    /// Whether the answer was made for a request to `uri` (RFC 7616 section 3.4.6): its user and host, whatever port and
    /// parameters. User agents that name the server alone (SIPp) and REGISTER, which has no user, are judged by the host.
    fn is_for(&self, uri: &Uri) -> bool {
        let Ok(answered) = Uri::parse(Bytes::copy_from_slice(self.uri.as_bytes())) else { return false };
        let host = |uri: &Uri| uri.host().map(|host| host.to_string().to_ascii_lowercase());
        let (given, wanted) = (user_of(&answered), user_of(uri));
        host(&answered) == host(uri) && (given == wanted || given.is_empty())
    }

    fn matches(&self, password: &str, method: &str) -> bool {
        if !matches!(self.algorithm, Algorithm::Md5 | Algorithm::Sha256) {
            return false;
        }
        let login = (self.user.as_str(), password);
        let request = (method, self.uri.as_str());
        let qop = self.cnonce.as_deref().map(|cnonce| (self.count, cnonce));
        let expected = respond(self.algorithm, &self.realm, &self.nonce, login, request, qop);
        same(expected.as_bytes(), self.response.to_ascii_lowercase().as_bytes())
    }
}

/// The `response` value of RFC 7616 section 3.4.1.
fn respond(
    algorithm: Algorithm,
    realm: &str,
    nonce: &str,
    (user, password): (&str, &str),
    (method, uri): (&str, &str),
    qop: Option<(u32, &str)>,
) -> String {
    let challenge = Challenge {
        realm: realm.to_owned(),
        nonce: nonce.to_owned(),
        opaque: None,
        algorithm,
        qop_auth: qop.is_some(),
        stale: false,
        from_proxy: false,
    };
    let (count, cnonce) = qop.unwrap_or((0, ""));
    let header = auth::respond(&challenge, &auth::Credentials::new(user, password), method, uri, count, cnonce);
    // Quotes within the values before it are escaped, so this is the parameter and no text of the peer's.
    header
        .split_once("\", response=\"")
        .and_then(|(_, r)| r.split_once('"'))
        .map_or_else(String::new, |(r, _)| r.into())
}

/// Equality without a hint, by time, of where two texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use sip_codec::Header;

    use super::*;
    use crate::proto::sip::EndpointConfig;
    use crate::proto::sip::accounts::TRIES_MAX;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn setup(sha256: bool) -> (Wire, Guard, Login) {
        let config = EndpointConfig {
            realm: "cordboard".into(),
            user_agent: "t".into(),
            seed: 7,
            sessions_max: 1,
            bindings_max: 1,
        };
        let mut wire = Wire::new(&config);
        let mut guard = Guard::new(&mut wire);
        guard.offer_sha256(sha256);
        guard.set_users(vec![User {
            name: "anna".into(),
            password: Redacted::new("s\"ecret\\".into()),
            guarded: true,
        }]);
        let login = Login::new(Some(Credentials { user: "anna".into(), password: Redacted::new("s\"ecret\\".into()) }));
        (wire, guard, login)
    }

    fn uri() -> Uri {
        Uri::parse(Bytes::from_static(b"sip:cordboard")).expect("a URI")
    }

    fn headers(name: HeaderName, lines: &str) -> Headers {
        let mut headers = Headers::new();
        for line in lines.lines() {
            let value = line.split_once(": ").expect("a header line").1.to_owned();
            headers.push(Header::build(name.clone(), value).expect("a header"));
        }
        headers
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn log_in(wire: &mut Wire, guard: &Guard, login: &mut Login, now: Instant) -> Headers {
        let challenge = guard.challenge(now, wire, SOURCE, false);
        login.settled();
        assert!(login.challenged(&headers(HeaderName::WwwAuthenticate, &challenge), 401));
        headers(HeaderName::Authorization, &login.header(wire, "REGISTER", b"sip:cordboard"))
    }

    #[test]
    fn the_response_of_rfc_7616_section_3_9_1() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let qop = Some((1, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"));
        let of = |algorithm| {
            let login = ("Mufasa", "Circle of Life");
            respond(algorithm, "http-auth@example.org", nonce, login, ("GET", "/dir/index.html"), qop)
        };
        assert_eq!(of(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(of(Algorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn a_client_of_ours_satisfies_a_server_of_ours() {
        for sha256 in [false, true] {
            let (mut wire, mut guard, mut login) = setup(sha256);
            let answer = log_in(&mut wire, &guard, &mut login, at(0));
            let value = text(&answer.value(&HeaderName::Authorization).expect("a header"));
            assert_eq!(value.contains("algorithm=SHA-256"), sha256, "{value}");
            let verdict = guard.verify(at(10), &mut wire, SOURCE, ("REGISTER", &uri()), &answer);
            assert_eq!(verdict, Verdict::Valid("anna".into()));
            // The same again is a replay; the next count is not.
            assert_eq!(guard.verify(at(20), &mut wire, SOURCE, ("REGISTER", &uri()), &answer), Verdict::Stale);
            let next = headers(HeaderName::Authorization, &login.header(&mut wire, "REGISTER", b"sip:cordboard"));
            assert_eq!(
                guard.verify(at(30), &mut wire, SOURCE, ("REGISTER", &uri()), &next),
                Verdict::Valid("anna".into())
            );
        }
    }

    #[test]
    fn another_method_password_user_realm_or_nonce_does_not_do() {
        let (mut wire, mut guard, mut login) = setup(false);
        let answer = log_in(&mut wire, &guard, &mut login, at(0));
        assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("INVITE", &uri()), &answer), Verdict::Invalid);
        wire.realm = "other".into();
        assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("REGISTER", &uri()), &answer), Verdict::Absent);
        wire.realm = "cordboard".into();
        let value = text(&answer.value(&HeaderName::Authorization).expect("a header"));
        let forged = |from: &str, to: &str| {
            headers(HeaderName::Authorization, &format!("Authorization: {}", value.replacen(from, to, 1)))
        };
        let bob = forged("username=\"anna\"", "username=\"bob\"");
        assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("REGISTER", &uri()), &bob), Verdict::Invalid);
        let nonce = forged("nonce=\"0.", "nonce=\"1.");
        assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("REGISTER", &uri()), &nonce), Verdict::Stale);
        guard.set_users(vec![User { name: "anna".into(), password: Redacted::new("new".into()), guarded: true }]);
        assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("REGISTER", &uri()), &answer), Verdict::Invalid);
    }

    #[test]
    fn a_nonce_grows_stale() {
        let (mut wire, mut guard, mut login) = setup(false);
        let answer = log_in(&mut wire, &guard, &mut login, at(1000));
        assert_eq!(guard.verify(at(61_001), &mut wire, SOURCE, ("REGISTER", &uri()), &answer), Verdict::Stale);
        let answer = log_in(&mut wire, &guard, &mut login, at(2000));
        let verdict = guard.verify(at(62_000), &mut wire, SOURCE, ("REGISTER", &uri()), &answer);
        assert_eq!(verdict, Verdict::Valid("anna".into()));
    }

    #[test]
    fn credentials_from_a_source_that_is_not_heard_are_not_looked_at() {
        let (mut wire, mut guard, mut login) = setup(false);
        let right = log_in(&mut wire, &guard, &mut login, at(0));
        guard.set_unheard(Source::of(SOURCE), true);
        assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("INVITE", &uri()), &right), Verdict::Blocked);
        assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("REGISTER", &uri()), &right), Verdict::Blocked);
        assert_eq!(wire.poll_event(), None, "nor counted");
        guard.set_unheard(Source::of(SOURCE), false);
        assert_eq!(guard.verify(at(2), &mut wire, SOURCE, ("REGISTER", &uri()), &right), Verdict::Valid("anna".into()));
    }

    /// A password that is tried from many addresses, each of which keeps below every limit of its own.
    #[test]
    fn a_user_that_is_guessed_at_from_everywhere_is_believed_at_home_alone() {
        let (mut wire, mut guard, mut login) = setup(false);
        let home = IpAddr::from([198, 51, 100, 1]);
        let from = |n: u8| IpAddr::from([203, 0, 113, n]);
        let mut log_in = |wire: &mut Wire, guard: &mut Guard, now: Instant, source: IpAddr, right: bool| {
            let challenge = guard.challenge(now, wire, source, false);
            login.settled();
            assert!(login.challenged(&headers(HeaderName::WwwAuthenticate, &challenge), 401));
            let method = if right { "REGISTER" } else { "INVITE" };
            let answer = headers(HeaderName::Authorization, &login.header(wire, method, b"sip:cordboard"));
            let verdict = guard.verify(now, wire, source, ("REGISTER", &uri()), &answer);
            if verdict == Verdict::Invalid && right {
                let again = guard.verify(now, wire, source, ("REGISTER", &uri()), &answer);
                assert_eq!(again, Verdict::Invalid, "what comes again tells no more");
            }
            verdict
        };
        let valid = Verdict::Valid("anna".into());
        assert_eq!(log_in(&mut wire, &mut guard, at(0), home, true), valid);
        let mut locks = Vec::new();
        for n in 0..200 {
            assert_eq!(log_in(&mut wire, &mut guard, at(n), from(n as u8), false), Verdict::Invalid);
            locks.extend(std::iter::from_fn(|| wire.poll_event()).filter_map(|event| match event {
                Event::Locked { user, stands } => Some((n, user, stands)),
                _ => None,
            }));
        }
        assert_eq!(locks, [(u64::from(TRIES_MAX) - 1, "anna".to_owned(), true)], "told once");
        // The right one is not told from a wrong one, but at home; which does not open it to others.
        assert_eq!(log_in(&mut wire, &mut guard, at(300), from(250), true), Verdict::Invalid);
        assert_eq!(log_in(&mut wire, &mut guard, at(301), home, true), valid);
        assert_eq!(log_in(&mut wire, &mut guard, at(302), from(250), true), Verdict::Invalid);
        while wire.poll_event().is_some() {}
        guard.wake_accounts(at(700_000), &mut wire);
        assert_eq!(wire.poll_event(), Some(Event::Locked { user: "anna".into(), stands: false }));
        assert_eq!(log_in(&mut wire, &mut guard, at(700_000), from(250), true), valid);
        // Wrong ones at home lock nobody out.
        for n in 0..20 {
            assert_eq!(log_in(&mut wire, &mut guard, at(800_000 + n), home, false), Verdict::Invalid);
        }
        assert_eq!(log_in(&mut wire, &mut guard, at(900_000), from(251), true), valid);
    }

    /// All phones of a large site after a power cut: each a new nonce, and none is sent away.
    #[test]
    fn a_crowd_logs_in_within_a_minute() {
        let mut used = Used::default();
        for n in 0..100_000u64 {
            let now = at(n * 60 / 100);
            assert!(matches!(used.take(now, now, n, 1), Taken::New));
        }
        assert!(matches!(used.take(at(60_000), at(59_999), 99_999, 1), Taken::Before));
        assert_eq!(used.len, 100_000);
        assert!(matches!(used.take(at(200_000), at(200_000), 7, 1), Taken::New));
        assert_eq!((used.len, used.by_second.len()), (1, 1), "what is too old is gone");
    }

    /// RFC 7616 section 3.4.6.
    #[test]
    fn an_answer_is_good_for_the_user_and_host_that_it_names() {
        let (mut wire, mut guard, mut login) = setup(false);
        for (answered, requested, good) in [
            ("sip:9123@pbx", "sip:9123@PBX:5060;transport=tcp", true),
            ("sip:pbx:5060", "sip:9123@pbx", true),
            ("sip:something-else@elsewhere", "sip:9123@pbx", false),
            ("sip:9123@elsewhere", "sip:9123@pbx", false),
            ("sip:9124@pbx", "sip:9123@pbx", false),
            ("sip:9124@pbx", "sip:pbx", false),
            ("nonsense", "sip:9123@pbx", false),
        ] {
            let challenge = guard.challenge(at(0), &mut wire, SOURCE, false);
            login.settled();
            assert!(login.challenged(&headers(HeaderName::WwwAuthenticate, &challenge), 401));
            let line = login.header(&mut wire, "INVITE", answered.as_bytes());
            let answer = headers(HeaderName::Authorization, &line);
            let uri = Uri::parse(Bytes::from(requested)).expect("a URI");
            let verdict = guard.verify(at(1), &mut wire, SOURCE, ("INVITE", &uri), &answer);
            let expected = if good { Verdict::Valid("anna".into()) } else { Verdict::Invalid };
            assert_eq!(verdict, expected, "{answered} for {requested}");
        }
    }

    #[test]
    fn a_nonce_fetched_elsewhere_is_stale_and_counts_against_nobody() {
        let (mut wire, mut guard, mut login) = setup(false);
        let elsewhere = IpAddr::from([127, 0, 0, 50]);
        let challenge = guard.challenge(at(0), &mut wire, elsewhere, false);
        let value = challenge.replace("WWW-Authenticate: Digest ", "");
        let forged = format!("Authorization: Digest username=\"x\", uri=\"sip:cordboard\", response=\"0\", {value}")
            .replace(", qop=\"auth\"", "");
        let forged = headers(HeaderName::Authorization, forged.trim_end());
        assert_eq!(guard.verify(at(1), &mut wire, elsewhere, ("REGISTER", &uri()), &forged), Verdict::Invalid);
        assert_eq!(wire.poll_event(), Some(Event::Misbehaved { source: elsewhere, connection: 0, credentials: true }));
        for _ in 0..100 {
            assert_eq!(guard.verify(at(1), &mut wire, SOURCE, ("REGISTER", &uri()), &forged), Verdict::Stale);
        }
        let right = log_in(&mut wire, &guard, &mut login, at(2));
        let verdict = guard.verify(at(2), &mut wire, SOURCE, ("REGISTER", &uri()), &right);
        assert_eq!(verdict, Verdict::Valid("anna".into()));
        assert_eq!(wire.poll_event(), None);
    }

    #[test]
    fn a_client_gives_up_when_its_password_is_refused() {
        let (mut wire, guard, mut login) = setup(false);
        let fresh = headers(HeaderName::WwwAuthenticate, &guard.challenge(at(0), &mut wire, SOURCE, false));
        let stale = headers(HeaderName::WwwAuthenticate, &guard.challenge(at(0), &mut wire, SOURCE, true));
        assert!(login.challenged(&fresh, 401));
        assert!(!login.challenged(&fresh, 401));
        assert!(login.challenged(&stale, 401));
        assert!(!login.challenged(&stale, 401));
    }
}
