//! What DNS has said: answers as long as they hold, questions that are out, and what stands in while DNS is silent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::base::Instant;
use crate::proto::dns::{Answer, Question, Record};

/// Most answers that are kept.
pub(crate) const NAMES_MAX: usize = 8_192;
/// Most questions that are out at once.
pub(crate) const QUESTIONS_MAX: usize = 256;

/// Least and longest life of an answer, whatever it says: a life of nothing would mean questions for each call.
const LIFE_MIN: Duration = Duration::from_secs(5);
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// Longest life of an absence (RFC 2308 section 5 allows up to three hours; a provider's new record should not wait so long).
const ABSENCE_MAX: Duration = Duration::from_secs(300);
/// When DNS is asked again after it did not answer (RFC 8767 section 5: no more often than every 30 s).
const FAILED_FOR: Duration = Duration::from_secs(30);
/// For how long an answer that has run out stands in while DNS does not answer (RFC 8767 section 4).
const STALE_MAX: Duration = Duration::from_secs(86_400);

/// What is known about a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Known<'n> {
    /// The records (none: they are decidedly not there), and until when.
    Records(&'n [Record], Instant),
    /// Nothing: DNS did not answer, and is asked again then.
    Failed(Instant),
    /// Nothing yet: it was asked, or is to be.
    Missing,
}

#[derive(Debug)]
struct Entry {
    records: Vec<Record>,
    /// DNS did not answer, the last time.
    failed: bool,
    expires: Instant,
    /// Until when the records stand in; the time of their end where there are none.
    stale: Instant,
}

/// The cache.
#[derive(Default, Debug)]
pub(crate) struct Names {
    entries: HashMap<Question, Entry>,
    asked: HashSet<Question>,
    ask: VecDeque<Question>,
    refused: u64,
    evicted: u64,
}

impl Names {
    /// What is known now; asks for nothing.
    pub fn look(&self, now: Instant, question: &Question) -> Known<'_> {
        match self.entries.get(question) {
            Some(entry) if now < entry.expires && !(entry.failed && entry.records.is_empty()) => {
                Known::Records(&entry.records, entry.expires)
            }
            Some(entry) if now < entry.expires => Known::Failed(entry.expires),
            _ => Known::Missing,
        }
    }

    /// Asks, unless that is under way.
    pub fn ask(&mut self, question: Question) {
        if self.asked.contains(&question) {
            return;
        }
        if self.asked.len() >= QUESTIONS_MAX {
            self.refused += 1;
            return;
        }
        self.asked.insert(question.clone());
        self.ask.push_back(question);
    }

    /// The next question to send.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.ask.pop_front()
    }

    /// DNS answered, or did not. `false`: that was not asked.
    pub fn answered(&mut self, now: Instant, question: Question, answer: Option<Answer>) -> bool {
        if !self.asked.remove(&question) {
            return false;
        }
        if !self.entries.contains_key(&question) && self.entries.len() >= NAMES_MAX {
            self.evict(now);
        }
        match answer {
            Some(answer) => {
                let most = if answer.records.is_empty() { ABSENCE_MAX } else { LIFE_MAX };
                let expires = now + Duration::from_secs(answer.ttl_s.into()).clamp(LIFE_MIN, most);
                let stale = if answer.records.is_empty() { expires } else { expires + STALE_MAX };
                self.entries.insert(question, Entry { records: answer.records, failed: false, expires, stale });
            }
            None => {
                let blank = Entry { records: Vec::new(), failed: true, expires: now, stale: now };
                let entry = self.entries.entry(question).or_insert(blank);
                entry.failed = true;
                entry.expires = now + FAILED_FOR;
                if entry.stale < now {
                    entry.records.clear();
                }
            }
        }
        true
    }

    /// Makes room: all that has run out goes, or else what runs out first.
    fn evict(&mut self, now: Instant) {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.stale > now);
        if self.entries.len() == before {
            let first = self.entries.iter().min_by(|a, b| (a.1.expires, a.0).cmp(&(b.1.expires, b.0)));
            if let Some(question) = first.map(|(question, _)| question.clone()) {
                self.entries.remove(&question);
            }
        }
        self.evicted += (before - self.entries.len()) as u64;
    }

    /// Answers kept, questions out, and what found no room of each.
    pub fn usage(&self) -> [(usize, u64); 2] {
        [(self.entries.len(), self.evicted), (self.asked.len(), self.refused)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::Kind;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn question(name: &str) -> Question {
        Question { name: name.into(), kind: Kind::A }
    }

    fn answer(ttl_s: u32) -> Option<Answer> {
        Some(Answer { records: vec![Record::Address("192.0.2.1".parse().unwrap())], ttl_s })
    }

    fn told(names: &mut Names, seconds: u64, name: &str, answer: Option<Answer>) -> bool {
        names.ask(question(name));
        names.poll_question();
        names.answered(at(seconds), question(name), answer)
    }

    #[test]
    fn an_answer_holds_as_long_as_it_says_within_bounds() {
        let mut names = Names::default();
        assert_eq!(names.look(at(0), &question("a")), Known::Missing);
        for (said, held) in [(60, 60), (0, 5), (9_999_999, 86_400)] {
            assert!(told(&mut names, 0, "a", answer(said)));
            assert!(
                matches!(names.look(at(held - 1), &question("a")), Known::Records([_], until) if until == at(held))
            );
            assert_eq!(names.look(at(held), &question("a")), Known::Missing);
        }
        assert!(told(&mut names, 0, "b", Some(Answer { records: vec![], ttl_s: 9_999 })));
        assert_eq!(names.look(at(299), &question("b")), Known::Records(&[], at(300)));
        assert_eq!(names.look(at(300), &question("b")), Known::Missing);
    }

    #[test]
    fn what_ran_out_stands_in_while_dns_is_silent() {
        let mut names = Names::default();
        told(&mut names, 0, "a", answer(60));
        told(&mut names, 61, "a", None);
        assert!(matches!(names.look(at(62), &question("a")), Known::Records([_], _)));
        assert_eq!(names.look(at(91), &question("a")), Known::Missing, "asked again");
        told(&mut names, 90_000, "a", None);
        assert_eq!(names.look(at(90_001), &question("a")), Known::Failed(at(90_030)), "too old");
        told(&mut names, 0, "b", None);
        assert_eq!(names.look(at(1), &question("b")), Known::Failed(at(30)));
    }

    #[test]
    fn nothing_is_asked_twice_and_nothing_believed_unasked() {
        let mut names = Names::default();
        assert!(!names.answered(at(0), question("a"), answer(60)));
        names.ask(question("a"));
        names.ask(question("a"));
        assert_eq!(names.poll_question(), Some(question("a")));
        assert_eq!(names.poll_question(), None);
        for n in 0..2 * QUESTIONS_MAX {
            names.ask(question(&format!("n{n}")));
        }
        let [_, (out, refused)] = names.usage();
        assert_eq!((out, refused), (QUESTIONS_MAX, QUESTIONS_MAX as u64 + 1));
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut names = Names::default();
        for n in 0..NAMES_MAX + 10 {
            told(&mut names, 0, &format!("n{n}"), answer(60 + n as u32));
        }
        assert_eq!(names.usage()[0], (NAMES_MAX, 10));
        assert_eq!(names.look(at(1), &question("n3")), Known::Missing);
        assert!(matches!(names.look(at(1), &question("n11")), Known::Records(..)));
    }
}
