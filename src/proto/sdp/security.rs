//! Protection of media in session descriptions: transport profiles, keys in the description (`a=crypto`, RFC 4568), keys
//! by a DTLS handshake (`a=fingerprint` and `a=setup`, RFC 5763), and offers that leave it to the answerer (RFC 8643).
//!
//! Keys and fingerprints come in as data and go out as data; nothing here draws or stores any.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

use base64ct::{Base64, Base64Unpadded, Encoding};
use sdp_types::{Attribute, Media, Session};
use zeroize::Zeroizing;

use super::{Agreed, Audio, SdpError};
use crate::proto::srtp::{MKI_MAX, MasterKey, Suite};

/// Most `a=crypto` lines of one stream that are looked at.
const CRYPTO_MAX: usize = 32;

/// Transport profile of an audio stream: RTP over UDP as it is, over SRTP, or over SRTP with keys from DTLS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Profile {
    /// `RTP/AVP` (RFC 3551).
    Avp,
    /// `RTP/AVPF` (RFC 4585).
    Avpf,
    /// `RTP/SAVP` (RFC 3711).
    Savp,
    /// `RTP/SAVPF` (RFC 5124).
    Savpf,
    /// `UDP/TLS/RTP/SAVP` (RFC 5764).
    TlsSavp,
    /// `UDP/TLS/RTP/SAVPF` (RFC 5764).
    TlsSavpf,
}

impl Profile {
    const ALL: [Self; 6] = [Self::Avp, Self::Avpf, Self::Savp, Self::Savpf, Self::TlsSavp, Self::TlsSavpf];

    /// As an `m=` line has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
            Self::TlsSavp => "UDP/TLS/RTP/SAVP",
            Self::TlsSavpf => "UDP/TLS/RTP/SAVPF",
        }
    }

    /// The profile of an `m=` line, if it is one of these.
    pub fn from_name(name: &str) -> Option<Profile> {
        Self::ALL.into_iter().find(|profile| profile.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether media must be protected.
    const fn is_secure(self) -> bool {
        !matches!(self, Self::Avp | Self::Avpf)
    }
}

/// SHA-256 of a certificate (RFC 8122 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint in an attribute's value: `sha-256 AB:CD:...`; `None` for other hashes.
    fn parse(value: &str) -> Option<Fingerprint> {
        let (hash, octets) = value.trim().split_once(' ')?;
        if !hash.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let mut fingerprint = [0; 32];
        let mut pairs = octets.trim().split(':');
        for octet in &mut fingerprint {
            let pair = pairs.next().filter(|pair| pair.len() == 2)?;
            *octet = u8::from_str_radix(pair, 16).ok()?;
        }
        pairs.next().is_none().then_some(Fingerprint(fingerprint))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256 ")?;
        for (n, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02X}", if n == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// Who begins the DTLS handshake, as a side describes itself (RFC 4145 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Setup {
    /// It begins.
    Active,
    /// It waits.
    Passive,
    /// The answerer chooses.
    ActPass,
    /// Not now.
    HoldConn,
}

impl Setup {
    fn parse(value: &str) -> Option<Setup> {
        match value.trim() {
            "active" => Some(Self::Active),
            "passive" => Some(Self::Passive),
            "actpass" => Some(Self::ActPass),
            "holdconn" => Some(Self::HoldConn),
            _ => None,
        }
    }
}

/// What a peer calls its DTLS association (`a=tls-id`, RFC 8842 section 4), as a number that stands for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TlsId(u64);

impl TlsId {
    fn parse(value: &str) -> Option<TlsId> {
        let value = value.trim();
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"+/-_".contains(&octet);
        if !(20..=255).contains(&value.len()) || !value.bytes().all(fits) {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(value.as_bytes());
        Some(TlsId(hasher.finish()))
    }
}

/// A DTLS association as both sides agreed on it: a change of any part of it means a new one (RFC 8842 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Association {
    /// Whether we begin the handshake.
    pub active: bool,
    /// The other side's certificate.
    pub fingerprint: Fingerprint,
    /// The other side's name for it; of who gives none, nothing but the rest tells.
    pub tls_id: Option<TlsId>,
}

/// A line of `a=crypto` (RFC 4568 section 4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crypto {
    /// Names the line within its description.
    pub tag: u32,
    /// What its sender protects with.
    pub key: MasterKey,
    /// The identifier that its packets carry; empty for none.
    pub mki: Vec<u8>,
}

impl Crypto {
    /// Reads an attribute's value. `None`: a suite that we do not know, a key of another length, or a session parameter
    /// that we must obey and cannot (RFC 4568 section 6.3): the line counts as not there.
    fn parse(value: &str) -> Option<Crypto> {
        let mut words = value.split_ascii_whitespace();
        let tag: u32 = words.next().filter(|tag| tag.len() <= 9)?.parse().ok()?;
        let suite = Suite::from_name(words.next()?)?;
        // Of several keys the first is the one to begin with.
        let inline = words.next()?.split(';').next()?;
        let mut parts =
            inline.get(..7).filter(|method| method.eq_ignore_ascii_case("inline:")).and(inline.get(7..))?.split('|');
        let key = decode(suite, parts.next()?)?;
        let mut mki = Vec::new();
        for part in parts {
            // A lifetime has no colon. Keys live far longer than calls.
            if let Some((id, len)) = part.split_once(':') {
                mki = identifier(id, len)?;
            }
        }
        let obeyed = |parameter: &str| {
            parameter.starts_with('-') || parameter.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("WSH="))
        };
        words.all(obeyed).then_some(Crypto { tag, key, mki })
    }
}

/// `key || salt` in base64; some phones leave out the padding.
fn decode(suite: Suite, text: &str) -> Option<MasterKey> {
    let mut octets = Zeroizing::new([0; 64]);
    let decoded = Base64Unpadded::decode(text.trim_end_matches('='), octets.as_mut_slice()).ok()?;
    MasterKey::new(suite, decoded)
}

/// A master key identifier and its length in octets (RFC 4568 section 6.1): both decimal.
fn identifier(id: &str, len: &str) -> Option<Vec<u8>> {
    let len = len.parse::<usize>().ok().filter(|len| (1..=MKI_MAX).contains(len))?;
    let octets = id.parse::<u128>().ok()?.to_be_bytes();
    let (front, back) = octets.split_at_checked(octets.len() - len)?;
    front.iter().all(|octet| *octet == 0).then(|| back.to_vec())
}

/// What a description says about the protection of its stream.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Offered {
    /// Keys in the description, preferred first.
    pub crypto: Vec<Crypto>,
    /// Certificate of its DTLS endpoint.
    pub fingerprint: Option<Fingerprint>,
    /// Its part in the handshake.
    pub setup: Option<Setup>,
    /// Its name for the association.
    pub tls_id: Option<TlsId>,
    /// RTCP comes and goes on the port of RTP, if both sides say so (RFC 5761).
    pub rtcp_mux: bool,
}

impl Offered {
    pub(super) fn read(session: &Session, media: &Media) -> Offered {
        let own = |name| values(&media.attributes, name);
        let either = |name| own(name).chain(values(&session.attributes, name));
        Offered {
            crypto: own("crypto").take(CRYPTO_MAX).filter_map(Crypto::parse).collect(),
            fingerprint: either("fingerprint").find_map(Fingerprint::parse),
            setup: either("setup").find_map(Setup::parse),
            tls_id: own("tls-id").find_map(TlsId::parse),
            rtcp_mux: media.attributes.iter().any(|a| a.attribute == "rtcp-mux"),
        }
    }
}

fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    attributes.iter().filter(move |a| a.attribute == name).filter_map(|a| a.value.as_deref())
}

/// Whether media of a leg is to be protected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Need {
    /// Never.
    #[default]
    Off,
    /// Where the other side can.
    Optional,
    /// Always: nothing goes out or comes in otherwise.
    Required,
}

/// Where keys come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Keying {
    /// The description (RFC 4568).
    Sdes,
    /// A DTLS handshake (RFC 5763).
    #[default]
    Dtls,
}

/// What we want and can do for the protection of our stream.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Security {
    /// Whether.
    pub need: Need,
    /// What we offer, and prefer where the other side offers both.
    pub keying: Keying,
    /// Our keys, one for each suite that may be used, preferred first; none where keys must not be in descriptions.
    pub keys: Vec<MasterKey>,
    /// Our certificate; `None` where there is no DTLS.
    pub fingerprint: Option<Fingerprint>,
    /// Whether we began the handshake whose keys are in use; who has a part keeps it (RFC 8842 section 5.3).
    pub active: Option<bool>,
    /// Our name for the association; another one for each that is new (RFC 8842 section 5.2).
    pub tls_id: u128,
    /// The other side's name for the one that is agreed on. A description without any changes nothing.
    pub peer_tls_id: Option<TlsId>,
    /// How the stream is protected now. Offers of ours within the dialog repeat it, and nothing less is taken in answer.
    pub held: Option<(Profile, Keying)>,
}

/// How both sides agreed to protect a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Protection {
    /// By keys in the descriptions.
    Sdes {
        /// Names the line of the offer that was taken.
        tag: u32,
        /// What we protect with.
        send: MasterKey,
        /// What the other side protects with.
        receive: MasterKey,
        /// The identifier that its packets carry; empty for none.
        mki: Vec<u8>,
    },
    /// By keys that a handshake is to bring.
    Dtls(Association),
}

impl Security {
    /// Notes what was agreed on.
    pub fn hold(&mut self, agreed: &Agreed) {
        self.held = agreed.protection.as_ref().map(|protection| match protection {
            Protection::Sdes { .. } => (agreed.profile, Keying::Sdes),
            Protection::Dtls(_) => (agreed.profile, Keying::Dtls),
        });
        self.peer_tls_id = match &agreed.protection {
            Some(Protection::Dtls(association)) => association.tls_id,
            Some(Protection::Sdes { .. }) | None => None,
        };
    }

    /// How an audio stream that is offered to us would be protected; `None`: not at all.
    ///
    /// # Errors
    /// The stream cannot be taken as it is offered.
    pub(super) fn answer(&self, audio: &Audio) -> Result<Option<Protection>, SdpError> {
        let secure = audio.profile.is_secure();
        if self.need == Need::Off {
            return if secure { Err(SdpError::SrtpOff) } else { Ok(None) };
        }
        let sdes = || self.answer_sdes(audio);
        let dtls = || self.answer_dtls(audio);
        let protection = match self.keying {
            Keying::Sdes => sdes().or_else(dtls),
            Keying::Dtls => dtls().or_else(sdes),
        };
        match protection {
            Some(protection) => Ok(Some(protection)),
            None if self.keys.is_empty()
                && !audio.security.crypto.is_empty()
                && (secure || self.need == Need::Required) =>
            {
                Err(SdpError::KeysInClear)
            }
            None if secure => Err(SdpError::NoCommonKeys),
            None if self.need == Need::Required => Err(SdpError::SrtpRequired),
            None => Ok(None),
        }
    }

    /// The first line of the offer whose suite we have a key for (RFC 4568 section 5.1.2).
    fn answer_sdes(&self, audio: &Audio) -> Option<Protection> {
        if matches!(audio.profile, Profile::TlsSavp | Profile::TlsSavpf) {
            return None;
        }
        audio.security.crypto.iter().find_map(|crypto| self.take(crypto))
    }

    fn take(&self, crypto: &Crypto) -> Option<Protection> {
        let send = self.keys.iter().find(|key| key.suite() == crypto.key.suite())?.clone();
        Some(Protection::Sdes { tag: crypto.tag, send, receive: crypto.key.clone(), mki: crypto.mki.clone() })
    }

    /// RFC 5763 section 5 leaves it to us who begins. Phones behind a NAT can be reached only after they sent something,
    /// so they begin wherever they can.
    fn answer_dtls(&self, audio: &Audio) -> Option<Protection> {
        self.fingerprint?;
        let active = match audio.security.setup? {
            Setup::Active => false,
            Setup::Passive => true,
            Setup::ActPass => self.active.unwrap_or(false),
            Setup::HoldConn => return None,
        };
        self.associate(active, &audio.security)
    }

    fn associate(&self, active: bool, said: &Offered) -> Option<Protection> {
        let tls_id = said.tls_id.or(self.peer_tls_id);
        Some(Protection::Dtls(Association { active, fingerprint: said.fingerprint?, tls_id }))
    }

    /// How the stream is protected after an answer to our offer; `None`: not at all.
    ///
    /// # Errors
    /// The answer does not protect what must be protected, or not as it was offered.
    pub(super) fn conclude(&self, audio: &Audio) -> Result<Option<Protection>, SdpError> {
        let said = &audio.security;
        let protection = if self.offers_sdes() {
            said.crypto.first().and_then(|crypto| {
                // RFC 4568 section 5.1.3: tag and suite of one line of the offer.
                let offered = (self.keys.iter().zip(1..)).find(|(_, tag)| *tag == crypto.tag)?;
                (offered.0.suite() == crypto.key.suite()).then(|| self.take(crypto)).flatten()
            })
        } else if self.offers_dtls() {
            // Who does not say is taken to begin, as an answerer should.
            let active = match said.setup.unwrap_or(Setup::Active) {
                Setup::Active => Some(false),
                Setup::Passive => Some(true),
                Setup::ActPass | Setup::HoldConn => None,
            };
            active.and_then(|active| self.associate(active, said))
        } else {
            None
        };
        match protection {
            Some(protection) => Ok(Some(protection)),
            None if self.need == Need::Required || self.held.is_some() => Err(SdpError::SrtpRequired),
            None if audio.profile.is_secure() => Err(SdpError::NoCommonKeys),
            None => Ok(None),
        }
    }

    fn offers_sdes(&self) -> bool {
        let sdes = match self.held {
            Some((_, keying)) => keying == Keying::Sdes,
            None => self.keying == Keying::Sdes || self.fingerprint.is_none(),
        };
        self.need != Need::Off && !self.keys.is_empty() && sdes
    }

    fn offers_dtls(&self) -> bool {
        self.need != Need::Off && self.fingerprint.is_some() && !self.offers_sdes()
    }

    /// Profile and attributes of our offers. What is optional is offered as RTP/AVP with keys beside it, so that who
    /// knows nothing of it answers as ever (RFC 8643 section 3).
    pub(super) fn offer(&self) -> (Profile, Vec<Attribute>) {
        let (profile, lines) = self.first_offer();
        // RFC 3264 section 8: a stream keeps its profile.
        (self.held.map_or(profile, |(held, _)| held), lines)
    }

    fn first_offer(&self) -> (Profile, Vec<Attribute>) {
        let required = self.need == Need::Required;
        if self.offers_sdes() {
            let lines = self.keys.iter().zip(1..).map(|(key, tag)| crypto_line(tag, key)).collect();
            return (if required { Profile::Savp } else { Profile::Avp }, lines);
        }
        match self.fingerprint.filter(|_| self.offers_dtls()) {
            Some(fingerprint) => {
                let profile = if required { Profile::TlsSavp } else { Profile::Avp };
                let lines = dtls_lines(fingerprint, "actpass").chain([self.tls_id_line(), flag("rtcp-mux")]);
                (profile, lines.collect())
            }
            None if required => (Profile::Savp, Vec::new()),
            None => (Profile::Avp, Vec::new()),
        }
    }

    fn tls_id_line(&self) -> Attribute {
        Attribute { attribute: "tls-id".into(), value: Some(format!("{:032x}", self.tls_id)) }
    }

    /// Attributes of an answer to an offer that says this.
    pub(super) fn answered(&self, protection: Option<&Protection>, said: &Offered) -> Vec<Attribute> {
        let mut lines: Vec<Attribute> = match protection {
            Some(Protection::Sdes { tag, send, .. }) => vec![crypto_line(*tag, send)],
            Some(Protection::Dtls(Association { active, .. })) => {
                let setup = if *active { "active" } else { "passive" };
                // RFC 8842 section 5.3: named in an answer only where the offer names it.
                let name = said.tls_id.map(|_| self.tls_id_line());
                self.fingerprint.into_iter().flat_map(|own| dtls_lines(own, setup)).chain(name).collect()
            }
            None => Vec::new(),
        };
        // RFC 5761 section 5.1.1: said in an answer only where the offer says so.
        lines.extend(said.rtcp_mux.then(|| flag("rtcp-mux")));
        lines
    }
}

fn crypto_line(tag: u32, key: &MasterKey) -> Attribute {
    let value = format!("{tag} {} inline:{}", key.suite(), Base64::encode_string(key.octets()));
    Attribute { attribute: "crypto".into(), value: Some(value) }
}

fn dtls_lines(fingerprint: Fingerprint, setup: &str) -> impl Iterator<Item = Attribute> + use<> {
    let lines = [("fingerprint", fingerprint.to_string()), ("setup", setup.to_owned())];
    lines.into_iter().map(|(name, value)| Attribute { attribute: name.into(), value: Some(value) })
}

fn flag(name: &str) -> Attribute {
    Attribute { attribute: name.into(), value: None }
}
