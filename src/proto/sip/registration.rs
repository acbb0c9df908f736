//! We as a client of someone else's registrar (RFC 3261 section 10.2).

use std::time::Duration;

use sip_codec::headers::Contact;
use sip_codec::{HeaderName, Response};

use crate::base::Instant;

use super::Path;
use super::dialog::{Dialog, Draft};
use super::digest::Login;
use super::message::{contact, escape_user, number};
use super::session::Io;
use super::transaction::Owner;
use super::types::{ClientRegistration, Event, RegistrationId};
use super::wire::{Wake, Wire};

/// First pause after a failure; it doubles with each more.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Longest pause.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// Shortest pause before a refresh, whatever the registrar grants.
const REFRESH_MIN: Duration = Duration::from_secs(5);
/// Longest lifetime that we follow a registrar's Min-Expires to.
const EXPIRES_MAX_S: u32 = 86_400;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// REGISTER under way.
    Asking,
    /// Waits to refresh or to try again.
    Waiting,
    /// The last REGISTER, with `Expires: 0`, is under way.
    Leaving,
}

/// A registration of ours.
#[derive(Debug)]
pub(super) struct Registration {
    id: RegistrationId,
    dialog: Dialog,
    login: Login,
    state: State,
    expires_s: u32,
    /// The registrar holds a binding of ours.
    bound: bool,
    /// To be ended as soon as the REGISTER under way is answered.
    leaving: bool,
    failures: u32,
    due: Option<Instant>,
    scheduled: Option<Instant>,
}

impl Registration {
    pub fn new(io: &mut Io<'_>, id: RegistrationId, order: ClientRegistration) -> Self {
        let clean =
            |s: &str| s.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>' | ' ')).collect::<String>();
        let (user, domain) = (escape_user(&order.aor_user), clean(&order.domain));
        let aor = format!("<sip:{user}@{domain}>");
        let local_tag = io.wire.token();
        let mut registration = Self {
            id,
            dialog: Dialog {
                contact: contact(&order.path, &order.aor_user),
                path: order.path,
                // RFC 3261 section 10.2: one Call-ID for all registrations with a registrar.
                call_id: io.wire.call_id().into_bytes(),
                local: format!("{aor};tag={local_tag}").into_bytes(),
                local_tag,
                remote: aor.into_bytes(),
                remote_tag: Vec::new(),
                target: clean(&order.registrar_uri).into_bytes(),
                routes: order.routes.iter().map(|uri| format!("<{}>", clean(uri)).into_bytes()).collect(),
                local_cseq: 0,
                remote_cseq: None,
                max_forwards: super::MAX_FORWARDS,
            },
            login: Login::new(Some(order.credentials)),
            state: State::Waiting,
            expires_s: order.expires_s.clamp(1, EXPIRES_MAX_S),
            bound: false,
            leaving: false,
            failures: 0,
            due: None,
            scheduled: None,
        };
        registration.ask(io, State::Asking);
        registration
    }

    fn ask(&mut self, io: &mut Io<'_>, state: State) {
        self.state = state;
        self.due = None;
        let expires = if state == State::Leaving { 0 } else { self.expires_s };
        let cseq = self.dialog.next_cseq();
        let mut extra = self.login.header(io.wire, "REGISTER", &self.dialog.target);
        extra.push_str(&format!("Contact: {}\r\nExpires: {expires}\r\n", self.dialog.contact));
        let branch = io.transactions.branch(io.wire);
        let draft = Draft { method: "REGISTER", cseq, extra: &extra, body: None };
        let bytes = self.dialog.request(&self.dialog.path, branch, &io.wire.user_agent, &draft);
        let owner = Owner::Registration(self.id);
        io.transactions.request(io.now.mono, io.wire, branch, self.dialog.path, owner, bytes);
    }

    /// Ends it. `true` when nothing is left to do.
    pub fn leave(&mut self, io: &mut Io<'_>) -> bool {
        match self.state {
            State::Waiting if self.bound => self.ask(io, State::Leaving),
            State::Waiting => return true,
            State::Asking | State::Leaving => {}
        }
        self.leaving = true;
        false
    }

    /// A response. `true` when the registration is over.
    pub fn response(&mut self, io: &mut Io<'_>, path: Path, response: &Response) -> bool {
        let status = response.status.code();
        if status < 200 {
            return false;
        }
        if path.transport.is_stream() && path.transport == self.dialog.path.transport {
            self.dialog.path.connection = path.connection;
        }
        if matches!(status, 401 | 407) && self.login.challenged(&response.headers, status) {
            self.ask(io, self.state);
            return false;
        }
        if let (423, Some(least)) = (status, number(&response.headers, &HeaderName::MinExpires))
            && self.expires_s < least
            && least <= EXPIRES_MAX_S
            && self.state == State::Asking
        {
            self.expires_s = least;
            self.ask(io, State::Asking);
            return false;
        }
        let result = if status < 300 { Ok(self.granted(response)) } else { Err(status) };
        let pause = number(&response.headers, &HeaderName::RetryAfter).map(|s| Duration::from_secs(u64::from(s)));
        self.settle(io, result, pause)
    }

    /// Nobody answered (408), or the transport failed (503). `true` when the registration is over.
    pub fn failed(&mut self, io: &mut Io<'_>, status: u16) -> bool {
        self.settle(io, Err(status), None)
    }

    fn settle(&mut self, io: &mut Io<'_>, result: Result<u32, u16>, retry_after: Option<Duration>) -> bool {
        self.login.settled();
        if self.state == State::Leaving {
            return true;
        }
        self.bound = result.is_ok() || self.bound;
        self.state = State::Waiting;
        if self.leaving {
            return self.leave(io);
        }
        let pause = match result {
            Ok(granted) => {
                self.failures = 0;
                // 80 %, so that a lost refresh can be repeated in time.
                (Duration::from_secs(u64::from(granted)) * 4 / 5).max(REFRESH_MIN)
            }
            Err(_) => {
                let grown = RETRY_FIRST * 2u32.pow(self.failures.min(6));
                self.failures += 1;
                // Up to a tenth more, so that many clients do not come back at once.
                let spread =
                    Duration::from_millis(io.wire.random() % 100) * u32::try_from(grown.as_secs()).unwrap_or(1) / 10;
                retry_after.unwrap_or(grown + spread).clamp(REFRESH_MIN, RETRY_MAX)
            }
        };
        self.due = Some(io.mono() + pause);
        io.wire.event(Event::ClientRegistration { id: self.id, result });
        false
    }

    /// The lifetime of our binding (RFC 3261 section 10.2.4): of our Contact, of the answer, or as we wished.
    fn granted(&self, response: &Response) -> u32 {
        let ours = self.dialog.contact.trim_matches(['<', '>']).as_bytes();
        response
            .headers
            .typed_all::<Contact>()
            .flatten()
            .find(|c| c.uri.to_bytes() == ours)
            .and_then(|c| std::str::from_utf8(c.param("expires")?).ok()?.parse().ok())
            .or_else(|| number(&response.headers, &HeaderName::Expires))
            .unwrap_or(self.expires_s)
            .min(EXPIRES_MAX_S)
    }

    /// The registrar is to be asked elsewhere from now on: at once, or when its turn comes.
    pub fn move_to(&mut self, io: &mut Io<'_>, path: Path, at_once: bool) {
        self.dialog.path = path;
        if at_once && self.state == State::Waiting {
            self.due = Some(io.mono());
        }
    }

    pub fn connection_closed(&mut self, connection: u64) {
        if self.dialog.path.connection == connection {
            self.dialog.path.connection = 0;
        }
    }

    /// Refreshes, or tries again.
    pub fn wake(&mut self, io: &mut Io<'_>, at: Instant) {
        if self.scheduled == Some(at) {
            self.scheduled = None;
        }
        if self.due.is_some_and(|due| due <= io.mono()) {
            self.ask(io, State::Asking);
        }
    }

    pub fn schedule(&mut self, wire: &mut Wire) {
        wire.wake(Wake::Registration(self.id), self.due, &mut self.scheduled);
    }
}
