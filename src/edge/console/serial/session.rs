//! A conversation on the line: what is typed, what is answered. Reads no clock and no port, so that it can be tested.

use std::collections::BTreeSet;
use std::time::Duration;

use super::editor::{Editor, Key};
use super::paper::{last_digits, print, without_numbers};
use crate::base::{Instant, Now};
use crate::core::control::{Alarm, Query, Reply, Status, WorkView};
use crate::edge::console::{Table, WatchError, render, works};

/// Between two looks for new alarms.
const ALARM_PERIOD: Duration = Duration::from_secs(5);
/// Between two pictures of `watch`, in seconds, when nobody says.
const WATCH_S: u32 = 5;
/// Longest time between two pictures, in seconds.
const WATCH_S_MAX: u32 = 3600;
/// Lines of a picture: a terminal has 24, and two are ours.
const WATCH_LINES: usize = 22;
/// Most alarms in a picture, so that the queues below them are seen, too.
const WATCH_ALARMS: usize = 5;
/// Most lines of an answer: 200 take 1.4 s at 115,200 baud.
const LINES_MAX: usize = 200;
/// Most work items on a page: folded, they fit into [`LINES_MAX`].
const WORKS_MAX: usize = 50;
/// Most alarms told at once.
const ANNOUNCED_MAX: usize = 10;

const PROMPT: &[u8] = b"cordboard> ";

const HELP: &str = "\
status           counters, bounds and alarms
calls            calls in progress; numbers by their last two digits
agents           agents and what they are doing
queues           queues and who waits
works [ID]       open work items of all media, 50 a page; those after ID
trunks           trunks and their health
circuits [TRUNK] circuits and peers one by one
sites            sites, the ways to them and their health
bans             sources of SIP messages that are kept out for a while
alarms           alarms that stand
watch [SECONDS]  a page shown again and again until a key is pressed
help             this
New alarms are told as they come. This line is for watching; orders are given by
the command `cordboard` on the machine itself.";

/// How the appliance is asked.
pub(super) type Ask<'a> = &'a mut dyn FnMut(Query) -> Result<Reply, WatchError>;

/// One conversation, from opening the port to losing it.
#[derive(Debug)]
pub(super) struct Session {
    editor: Editor,
    mode: Mode,
    /// Alarms that were told, by name and subject. The core bounds them.
    told: BTreeSet<(String, String)>,
    due: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// A line is being typed.
    Prompt,
    /// Pictures are shown until a key is pressed.
    Watch { every: Duration },
}

impl Session {
    /// Greets whoever is there, and tells the alarms that stand.
    pub fn open(now: Now, host: &str, ask: Ask<'_>, out: &mut Vec<u8>) -> Self {
        let mut session =
            Self { editor: Editor::default(), mode: Mode::Prompt, told: BTreeSet::new(), due: now.mono + ALARM_PERIOD };
        let banner = format!("\nCordboard {} on {host}\n`help` lists the commands.", env!("CARGO_PKG_VERSION"));
        print(&banner, LINES_MAX, out);
        if let Ok(Reply::Status(status)) = ask(Query::Status) {
            session.tell(&status.alarms, out);
        }
        out.extend_from_slice(PROMPT);
        session
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Shows the next picture, or looks for new alarms.
    pub fn handle_timeout(&mut self, now: Now, ask: Ask<'_>, out: &mut Vec<u8>) {
        if now.mono < self.due {
            return;
        }
        match self.mode {
            Mode::Watch { every } => {
                self.due = now.mono + every;
                self.picture(now, ask, out);
            }
            Mode::Prompt => {
                self.due = now.mono + ALARM_PERIOD;
                self.look(ask, out);
            }
        }
    }

    /// Takes what was typed.
    pub fn input(&mut self, now: Now, octets: &[u8], ask: Ask<'_>, out: &mut Vec<u8>) {
        for octet in octets {
            let key = self.editor.key(*octet);
            match self.mode {
                Mode::Watch { .. } if key == Key::Rest => {}
                Mode::Watch { .. } => {
                    self.mode = Mode::Prompt;
                    self.due = now.mono + ALARM_PERIOD;
                    out.extend_from_slice(b"\r\n");
                    out.extend_from_slice(PROMPT);
                }
                Mode::Prompt => {
                    if let Some(line) = self.editor.edit(key, out) {
                        self.command(now, &line, ask, out);
                        if self.mode == Mode::Prompt {
                            out.extend_from_slice(PROMPT);
                        }
                    }
                }
            }
        }
    }

    fn command(&mut self, now: Now, line: &str, ask: Ask<'_>, out: &mut Vec<u8>) {
        let mut words = line.split_ascii_whitespace();
        let command = words.next().unwrap_or_default().to_ascii_lowercase();
        let argument = words.next();
        if words.next().is_some() || (argument.is_some() && !["watch", "works"].contains(&command.as_str())) {
            print("too many words; `help` lists the commands", LINES_MAX, out);
            return;
        }
        match command.as_str() {
            "" => {}
            "help" | "?" => drop(print(HELP, LINES_MAX, out)),
            "watch" => match argument.map_or(Ok(WATCH_S), str::parse) {
                Ok(seconds @ 1..=WATCH_S_MAX) => {
                    let every = Duration::from_secs(u64::from(seconds));
                    self.mode = Mode::Watch { every };
                    self.due = now.mono + every;
                    self.picture(now, ask, out);
                }
                _ => drop(print(&format!("watch: expected seconds, 1 to {WATCH_S_MAX}"), LINES_MAX, out)),
            },
            "alarms" => self.show(now, Query::Status, true, ask, out),
            "status" => self.show(now, Query::Status, false, ask, out),
            "calls" => self.show(now, Query::Calls, false, ask, out),
            "agents" => self.show(now, Query::Agents, false, ask, out),
            "queues" => self.show(now, Query::Queues, false, ask, out),
            "works" => match argument.map(str::parse).transpose() {
                Ok(after) => {
                    let query = Query::Works { tenant: None, queue: None, state: None, after, agent: None };
                    self.show(now, query, false, ask, out);
                }
                Err(_) => drop(print("works: expected the id of a work item, as the list shows it", LINES_MAX, out)),
            },
            "trunks" => self.show(now, Query::Trunks, false, ask, out),
            "sites" => self.show(now, Query::Sites, false, ask, out),
            "circuits" => {
                self.show(now, Query::Circuits { trunk: argument.map(String::from) }, false, ask, out);
            }
            "contracts" => self.show(now, Query::Contracts, false, ask, out),
            "bans" => self.show(now, Query::Bans, false, ask, out),
            unknown => drop(print(&format!("unknown command `{unknown}`; try `help`"), LINES_MAX, out)),
        }
    }

    /// Asks and prints the answer.
    fn show(&mut self, now: Now, query: Query, alarms_only: bool, ask: Ask<'_>, out: &mut Vec<u8>) {
        let mut more = 0;
        let wall = now.wall;
        let text = match ask(query) {
            Err(error) => error.to_string(),
            Ok(Reply::Status(status)) => {
                self.told = names(&status.alarms);
                match alarms_only {
                    true if status.alarms.is_empty() => "no alarms".to_owned(),
                    true => render::alarms(&status.alarms, wall).to_string(),
                    false => render::status(&status, wall),
                }
            }
            Ok(Reply::Calls { calls }) => {
                let calls = first(calls, &mut more).into_iter().map(|mut call| {
                    // Either may be the client's: `to` is, of a call that an agent dialled.
                    call.from = last_digits(&call.from);
                    call.to = last_digits(&call.to);
                    call.state = without_numbers(&call.state);
                    call
                });
                listing(&render::calls(calls.collect(), wall), "no calls")
            }
            Ok(Reply::Agents { agents }) => listing(&render::agents(first(agents, &mut more), wall), "no agents"),
            Ok(Reply::Queues { queues }) => listing(&render::queues(first(queues, &mut more)), "no queues"),
            Ok(Reply::Works { works, more }) => works_page(works, more),
            Ok(Reply::Trunks { trunks }) => listing(&render::trunks(first(trunks, &mut more)), "no trunks"),
            Ok(Reply::Sites { sites }) => listing(&render::sites(first(sites, &mut more)), "no sites"),
            Ok(Reply::Circuits { circuits }) => listing(&render::circuits(first(circuits, &mut more)), "no circuits"),
            Ok(Reply::Contracts { contracts }) => {
                listing(&render::contracts(first(contracts, &mut more)), "no contracts")
            }
            Ok(Reply::Located { servers }) => listing(&render::servers(first(servers, &mut more)), "no servers"),
            Ok(Reply::Bans { bans }) => listing(&render::bans(first(bans, &mut more), wall), "no bans"),
            Ok(Reply::Refused { reason }) => reason,
            // None of these is asked for here.
            Ok(
                Reply::Done
                | Reply::Added { .. }
                | Reply::Work(_)
                | Reply::Routes(_)
                | Reply::Restarted { .. }
                | Reply::Whoami { .. }
                | Reply::Entities { .. }
                | Reply::CallRecords { .. }
                | Reply::WorkRecords { .. }
                | Reply::Audit { .. }
                | Reply::TenantStatus(_)
                | Reply::Explained(_),
            ) => String::new(),
        };
        more += print(&text, LINES_MAX, out);
        if more > 0 {
            print(&format!("... and {more} more; the command `cordboard` shows all"), LINES_MAX, out);
        }
    }

    /// Erases the screen and shows what is up, the alarms and the queues, as far as they fit.
    fn picture(&mut self, now: Now, ask: Ask<'_>, out: &mut Vec<u8>) {
        let text = match ask(Query::Status) {
            Ok(Reply::Status(status)) => {
                self.told = names(&status.alarms);
                let queues = match ask(Query::Queues) {
                    Ok(Reply::Queues { queues }) => render::queues(first(queues, &mut 0)).to_string(),
                    _ => String::new(),
                };
                page(&status, &queues, now)
            }
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        out.extend_from_slice(render::CLEAR.as_bytes());
        print(&text, WATCH_LINES, out);
        out.extend_from_slice(b"-- any key ends this --");
    }

    /// Tells alarms that came and went since the last look, and shows the line being typed again.
    fn look(&mut self, ask: Ask<'_>, out: &mut Vec<u8>) {
        let Ok(Reply::Status(status)) = ask(Query::Status) else { return };
        let mut news = Vec::new();
        self.tell(&status.alarms, &mut news);
        if !news.is_empty() {
            out.extend_from_slice(b"\r\n");
            out.append(&mut news);
            out.extend_from_slice(PROMPT);
            out.extend_from_slice(self.editor.line().as_bytes());
        }
    }

    fn tell(&mut self, alarms: &[Alarm], out: &mut Vec<u8>) {
        let stand = names(alarms);
        let fresh = alarms.iter().filter(|a| !self.told.contains(&name(a)));
        let mut lines: Vec<String> =
            fresh.map(|a| format!("! alarm {} {} since {}", a.name, a.subject, a.since)).collect();
        lines.extend(self.told.difference(&stand).map(|(name, subject)| format!("! cleared {name} {subject}")));
        self.told = stand;
        let more = print(&lines.join("\n"), ANNOUNCED_MAX, out);
        if more > 0 {
            print(&format!("! and {more} more: `alarms` lists them"), LINES_MAX, out);
        }
    }
}

fn names(alarms: &[Alarm]) -> BTreeSet<(String, String)> {
    alarms.iter().map(name).collect()
}

/// What tells alarms apart. `others` counts those that the core has no room for: one alarm, whatever the count.
fn name(alarm: &Alarm) -> (String, String) {
    let subject = if alarm.name == "others" { "" } else { alarm.subject.as_str() };
    (alarm.name.clone(), subject.to_owned())
}

/// What fits on a screen of 24 lines.
fn page(status: &Status, queues: &str, now: Now) -> String {
    let mut text = render::summary(status, now.wall);
    if !status.alarms.is_empty() {
        let shown = status.alarms.get(..WATCH_ALARMS).unwrap_or(&status.alarms);
        text.push_str(&format!("\n{}", render::alarms(shown, now.wall)));
        if let more @ 1.. = status.alarms.len() - shown.len() {
            text.push_str(&format!("... and {more} more\n"));
        }
    }
    text + "\n" + queues
}

fn listing(table: &Table, nothing: &str) -> String {
    if table.is_empty() { nothing.to_owned() } else { table.to_string() }
}

/// A page of work items, and how the next one is asked for. It has nothing of clients.
fn works_page(mut list: Vec<WorkView>, more: bool) -> String {
    let more = more || list.len() > WORKS_MAX;
    list.truncate(WORKS_MAX);
    let mut text = listing(&works::works(&list), "no open work items");
    if let Some(last) = list.last().filter(|_| more) {
        text.push_str(&format!("there are more: `works {}` goes on\n", last.id));
    }
    text
}

/// The first [`LINES_MAX`] of a list; the others are counted.
fn first<T>(mut list: Vec<T>, more: &mut usize) -> Vec<T> {
    *more += list.len().saturating_sub(LINES_MAX);
    list.truncate(LINES_MAX);
    list
}
