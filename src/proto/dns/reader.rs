//! Reading a message, octet by octet and without trust.

use super::{DnsError, JUMPS_MAX, LABEL_MAX, NAME_MAX};

/// A place in a message.
#[derive(Clone, Copy)]
pub(super) struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    pub fn new(message: &'m [u8]) -> Self {
        Self { message, at: 0 }
    }

    /// The next octets.
    pub fn take(&mut self, length: usize) -> Result<&'m [u8], DnsError> {
        let end = self.at.checked_add(length).ok_or(DnsError::Malformed)?;
        let taken = self.message.get(self.at..end).ok_or(DnsError::Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn octets<const N: usize>(&mut self) -> Result<[u8; N], DnsError> {
        self.take(N)?.try_into().map_err(|_| DnsError::Malformed)
    }

    pub fn u8(&mut self) -> Result<u8, DnsError> {
        self.octets().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, DnsError> {
        self.octets().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, DnsError> {
        self.octets().map(u32::from_be_bytes)
    }

    /// An IPv4 or IPv6 address.
    pub fn address<const N: usize>(&mut self) -> Result<std::net::IpAddr, DnsError>
    where
        std::net::IpAddr: From<[u8; N]>,
    {
        self.octets::<N>().map(Into::into)
    }

    /// A character string (RFC 1035 section 3.3); octets that are not ASCII come out as `?`.
    pub fn string(&mut self) -> Result<String, DnsError> {
        let length = self.u8()?;
        let octets = self.take(usize::from(length))?;
        Ok(octets.iter().map(|octet| if octet.is_ascii_graphic() { char::from(*octet) } else { '?' }).collect())
    }

    /// The part of the message up to `length` octets from here, which pointers may lead out of, backwards.
    pub fn part(&self, length: usize) -> Result<Reader<'m>, DnsError> {
        let end = self.at.checked_add(length).ok_or(DnsError::Malformed)?;
        Ok(Reader { message: self.message.get(..end).ok_or(DnsError::Malformed)?, at: self.at })
    }

    /// A name (RFC 1035 section 4.1.4) in lower case, without the dot at its end; empty for the root. Octets that no name of a
    /// host or service has come out as `?`, so that it equals nothing that is asked for.
    pub fn name(&mut self) -> Result<String, DnsError> {
        let mut name = String::new();
        let mut here = *self;
        let mut jumps = 0;
        loop {
            let length = here.u8()?;
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    let label = here.take(usize::from(length).min(LABEL_MAX))?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|octet| match octet {
                        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(octet.to_ascii_lowercase()),
                        _ => '?',
                    }));
                }
                3 => {
                    let low = here.u8()?;
                    if jumps == 0 {
                        self.at = here.at;
                    }
                    jumps += 1;
                    let to = usize::from(length & 0x3f) << 8 | usize::from(low);
                    // Only what was before may be pointed to, so no name goes round in a circle.
                    if jumps > JUMPS_MAX || to >= here.at - 2 {
                        return Err(DnsError::Malformed);
                    }
                    here.at = to;
                }
                // RFC 6891 section 5: extended labels are gone.
                _ => return Err(DnsError::Malformed),
            }
            if name.len() > NAME_MAX {
                return Err(DnsError::Malformed);
            }
        }
        if jumps == 0 {
            self.at = here.at;
        }
        Ok(name)
    }
}
