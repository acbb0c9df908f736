//! Reading an answer.

use super::reader::Reader;
use super::{Answer, CLASS_IN, DnsError, Kind, Naptr, Question, RECORDS_MAX, Record, Srv};

/// Most aliases that are followed from the name that was asked for.
const ALIASES_MAX: usize = 8;
/// Types that answers have beside the one asked for.
const CNAME: u16 = 5;
const SOA: u16 = 6;

/// What a record of the answer says.
enum Said {
    Asked(Record),
    Alias(String),
}

struct Entry {
    owner: String,
    ttl_s: u32,
    said: Said,
}

/// Reads the answer to a question that was asked under a number.
///
/// # Errors
/// As [`DnsError`] says. [`DnsError::Foreign`] is not the end: the right answer may still come.
pub fn read(id: u16, question: &Question, message: &[u8]) -> Result<Answer, DnsError> {
    let mut reader = Reader::new(message);
    let answers_id = reader.u16().map_err(|_| DnsError::Foreign)?;
    let flags = reader.u16().map_err(|_| DnsError::Foreign)?;
    // RFC 1035 section 4.1.1: QR, and the operation of a standard query. RFC 5452 section 9.1: number and question must be ours.
    if answers_id != id || flags & 0xf800 != 0x8000 {
        return Err(DnsError::Foreign);
    }
    let mut counts = [0u16; 4];
    for count in &mut counts {
        *count = reader.u16()?;
    }
    let [questions, answers, authorities, _] = counts;
    let code = u8::try_from(flags & 0x0f).unwrap_or_default();
    match questions {
        1 => {
            let asked = (reader.name()?, reader.u16()?, reader.u16()?);
            if asked.0 != question.name || asked.1 != question.kind.code() || asked.2 != CLASS_IN {
                return Err(DnsError::Foreign);
            }
        }
        // A server that could not even read the question need not repeat it.
        0 if code != 0 && code != 3 => {}
        _ => return Err(DnsError::Foreign),
    }
    if flags & 0x0200 != 0 {
        return Err(DnsError::Truncated);
    }
    // RFC 2308 section 2.1: a name that is not there is an answer, too.
    if !matches!(code, 0 | 3) {
        return Err(DnsError::Server(code));
    }
    let mut entries = Vec::new();
    for _ in 0..usize::from(answers).min(RECORDS_MAX) {
        entries.extend(record(&mut reader, question.kind)?);
    }
    let (records, ttl_s) = follow(question, &entries);
    if !records.is_empty() || usize::from(answers) > RECORDS_MAX {
        return Ok(Answer { records, ttl_s: ttl_s.unwrap_or_default() });
    }
    let mut negative = None;
    for _ in 0..usize::from(authorities).min(RECORDS_MAX) {
        negative = negative.or(absence(&mut reader)?);
    }
    Ok(Answer { records, ttl_s: negative.unwrap_or_default().min(ttl_s.unwrap_or(u32::MAX)) })
}

/// The records of the name that was asked for, through its aliases (RFC 1034 section 3.6.2), and the shortest life of all
/// that were used.
fn follow(question: &Question, entries: &[Entry]) -> (Vec<Record>, Option<u32>) {
    let mut name = question.name.as_str();
    let mut ttl: Option<u32> = None;
    for _ in 0..=ALIASES_MAX {
        let mut records = Vec::new();
        let mut alias = None;
        for entry in entries.iter().filter(|entry| entry.owner == name) {
            match &entry.said {
                Said::Asked(record) => {
                    ttl = Some(ttl.map_or(entry.ttl_s, |ttl| ttl.min(entry.ttl_s)));
                    records.push(record.clone());
                }
                Said::Alias(other) => alias = Some((other, entry.ttl_s)),
            }
        }
        let Some((other, life)) = alias.filter(|_| records.is_empty()) else { return (records, ttl) };
        ttl = Some(ttl.map_or(life, |ttl| ttl.min(life)));
        name = other;
    }
    (Vec::new(), ttl)
}

/// The next record of the answers; `None` for one that says nothing about the question.
fn record(reader: &mut Reader<'_>, kind: Kind) -> Result<Option<Entry>, DnsError> {
    let (owner, code, class, ttl) = (reader.name()?, reader.u16()?, reader.u16()?, reader.u32()?);
    let length = usize::from(reader.u16()?);
    let mut data = reader.part(length)?;
    reader.take(length)?;
    if class != CLASS_IN {
        return Ok(None);
    }
    let said = if code == CNAME {
        Said::Alias(data.name()?)
    } else if code == kind.code() {
        Said::Asked(match kind {
            Kind::A => Record::Address(data.address::<4>()?),
            Kind::Aaaa => Record::Address(data.address::<16>()?),
            Kind::Srv => {
                Record::Srv(Srv { priority: data.u16()?, weight: data.u16()?, port: data.u16()?, target: data.name()? })
            }
            Kind::Naptr => Record::Naptr(Naptr {
                order: data.u16()?,
                preference: data.u16()?,
                flags: data.string()?.to_ascii_lowercase(),
                services: data.string()?.to_ascii_uppercase(),
                has_expression: !data.string()?.is_empty(),
                replacement: data.name()?,
            }),
        })
    } else {
        return Ok(None);
    };
    // RFC 2181 section 8: a life with the highest bit set counts as none.
    Ok(Some(Entry { owner, ttl_s: if ttl >> 31 == 0 { ttl } else { 0 }, said }))
}

/// For how long an absence holds (RFC 2308 section 5), if the next record is the one that says so.
fn absence(reader: &mut Reader<'_>) -> Result<Option<u32>, DnsError> {
    let (_, code, _, ttl) = (reader.name()?, reader.u16()?, reader.u16()?, reader.u32()?);
    let length = usize::from(reader.u16()?);
    let mut data = reader.part(length)?;
    reader.take(length)?;
    if code != SOA {
        return Ok(None);
    }
    data.name()?;
    data.name()?;
    // Serial, refresh, retry, expire; then the life of what is not there.
    data.take(16)?;
    Ok(Some(data.u32()?.min(ttl)))
}
