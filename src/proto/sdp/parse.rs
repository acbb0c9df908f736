//! A body to what it says about audio.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media, ParserError, Session};

use super::{
    Audio, BODY_MAX, COMFORT_NOISE, Direction, LINES_MAX, MediaLine, Offered, PTIME_DEFAULT_MS, Profile, Remote,
    SdpError,
};
use crate::base::Codec;

/// Most formats of one media line that are looked at; payload types have seven bits.
const FORMATS_MAX: usize = 128;

/// Reads a session description. A missing `s=`, `t=` or `o=` line is tolerated, text that is not UTF-8 is read as
/// Latin-1, lines may end in LF alone.
///
/// # Errors
///
/// [`SdpError::TooLarge`], [`SdpError::Syntax`], and [`SdpError::Address`] when the audio stream has no usable address.
/// A description without audio is not an error here: it has [`Remote::audio`] `None`.
pub fn parse(body: &[u8]) -> Result<Remote, SdpError> {
    if body.len() > BODY_MAX {
        return Err(SdpError::TooLarge);
    }
    let session = Session::parse(&as_utf8(body)).map_err(|e| SdpError::Syntax { line: line_of(&e) })?;
    if session.medias.len() > LINES_MAX {
        return Err(SdpError::TooLarge);
    }
    let streams = session.medias.iter().enumerate().filter(|(_, m)| m.port != 0);
    let mut streams = streams.filter_map(|(line, m)| Some(audio(&session, line, m, profile(m)?)));
    let audio = streams.next().transpose()?;
    let alternatives = streams.filter_map(Result::ok).collect();
    let lines = session.medias.into_iter().map(media_line).collect();
    Ok(Remote { audio, alternatives, lines })
}

/// The profile of a line that is audio over RTP or SRTP.
fn profile(media: &Media) -> Option<Profile> {
    Profile::from_name(&media.proto).filter(|_| media.media.eq_ignore_ascii_case("audio"))
}

fn media_line(media: Media) -> MediaLine {
    MediaLine { media: media.media, port: media.port, protocol: media.proto, formats: media.fmt }
}

/// RFC 8866 says UTF-8 unless `a=charset` differs; old equipment writes Latin-1 into `s=` without saying so. Only the
/// free text can hold such octets, and none of it is used.
fn as_utf8(body: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(body).is_ok() {
        return Cow::Borrowed(body);
    }
    Cow::Owned(body.iter().map(|&b| char::from(b)).collect::<String>().into_bytes())
}

fn audio(session: &Session, line: usize, media: &Media, profile: Profile) -> Result<Audio, SdpError> {
    let connection = media.connections.first().or(session.connection.as_ref()).ok_or(SdpError::Address)?;
    let address = unicast(connection)?;
    let rtp = SocketAddr::new(address, media.port);
    let Formats { codecs, telephone_event, comfort_noise } = formats(media);
    let stated = direction(&media.attributes).or_else(|| direction(&session.attributes)).unwrap_or_default();
    // RFC 3264 section 8.4: the address 0.0.0.0 asks that nothing be sent, whatever the direction attribute says.
    let direction = Direction::new(stated.sends(), stated.receives() && !address.is_unspecified());
    let security = Offered::read(session, media);
    Ok(Audio {
        line,
        profile,
        rtp,
        rtcp: if security.rtcp_mux { rtp } else { rtcp(&media.attributes, rtp) },
        security,
        codecs,
        telephone_event,
        comfort_noise,
        ptime_ms: ptime_ms(&media.attributes),
        direction,
    })
}

fn unicast(connection: &Connection) -> Result<IpAddr, SdpError> {
    let address = connection.try_address().map_err(|_| SdpError::Address)?.ip;
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_multicast() || broadcast { Err(SdpError::Address) } else { Ok(address) }
}

/// The codecs that we know in the order of the `m=` line, and the payload types of what is not sound.
#[derive(Default)]
struct Formats {
    codecs: Vec<(u8, Codec)>,
    telephone_event: Option<u8>,
    comfort_noise: Option<u8>,
}

fn formats(media: &Media) -> Formats {
    let mut found = Formats::default();
    for format in media.fmt.split_ascii_whitespace().take(FORMATS_MAX) {
        let Some(payload_type) = format.parse::<u8>().ok().filter(|&pt| pt < 128) else { continue };
        match encoding(payload_type, &media.attributes) {
            Some(Encoding::Codec(codec)) if found.codecs.iter().all(|&(pt, _)| pt != payload_type) => {
                found.codecs.push((payload_type, codec));
            }
            Some(Encoding::TelephoneEvent) => {
                found.telephone_event = found.telephone_event.or(Some(payload_type));
            }
            Some(Encoding::ComfortNoise) => found.comfort_noise = found.comfort_noise.or(Some(payload_type)),
            Some(Encoding::Codec(_)) | None => {}
        }
    }
    found
}

enum Encoding {
    Codec(Codec),
    TelephoneEvent,
    ComfortNoise,
}

/// What a payload type stands for: its `a=rtpmap`, else the static table of RFC 3551 section 6.
fn encoding(payload_type: u8, attributes: &[Attribute]) -> Option<Encoding> {
    let Some(map) = values(attributes, "rtpmap").find_map(|v| {
        let (pt, encoding) = v.trim().split_once(' ')?;
        (pt.parse::<u8>().ok()? == payload_type).then(|| encoding.trim())
    }) else {
        let noise = (payload_type == COMFORT_NOISE).then_some(Encoding::ComfortNoise);
        let known = Codec::ALL.into_iter().find(|c| c.payload_type() == payload_type).map(Encoding::Codec);
        return known.or(noise);
    };
    let mut parts = map.split('/');
    let (name, rate, channels) = (parts.next()?, parts.next()?, parts.next().unwrap_or("1"));
    if rate != "8000" || channels != "1" {
        return None;
    }
    // RFC 4855 section 3: encoding names are compared without regard to case.
    if name.eq_ignore_ascii_case("telephone-event") {
        return Some(Encoding::TelephoneEvent);
    }
    if name.eq_ignore_ascii_case("CN") {
        return Some(Encoding::ComfortNoise);
    }
    Codec::from_name(name).map(Encoding::Codec)
}

/// `a=rtcp:PORT [IN IP4|IP6 ADDRESS]` (RFC 3605 section 2.1), else the port above RTP (RFC 3550 section 11).
fn rtcp(attributes: &[Attribute], rtp: SocketAddr) -> SocketAddr {
    let stated = values(attributes, "rtcp").find_map(|v| {
        let mut parts = v.split_ascii_whitespace();
        let port = parts.next()?.parse::<u16>().ok().filter(|&port| port != 0)?;
        let address = match (parts.next(), parts.next(), parts.next()) {
            (Some("IN"), Some("IP4" | "IP6"), Some(address)) => address.parse().ok()?,
            _ => rtp.ip(),
        };
        Some(SocketAddr::new(address, port))
    });
    stated.unwrap_or_else(|| SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)))
}

/// `a=ptime`, capped by `a=maxptime` (RFC 8866 sections 6.4 and 6.5), as a multiple of 10 within 10..=60.
fn ptime_ms(attributes: &[Attribute]) -> u8 {
    let number = |name| values(attributes, name).find_map(|v| v.trim().parse::<f32>().ok().filter(|n| *n > 0.0));
    let wanted = number("ptime").unwrap_or(f32::from(PTIME_DEFAULT_MS));
    let capped = number("maxptime").map_or(wanted, |most| wanted.min(most));
    // The clamp makes the conversion exact: 10..=60.
    let ms = capped.clamp(10.0, 60.0) as u8;
    ms - ms % 10
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|a| Direction::from_name(&a.attribute))
}

fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    attributes.iter().filter(move |a| a.attribute == name).filter_map(|a| a.value.as_deref())
}

fn line_of(error: &ParserError) -> usize {
    match error {
        ParserError::InvalidLineFormat(n, _)
        | ParserError::InvalidFieldEncoding(n, _)
        | ParserError::InvalidFieldFormat(n, _)
        | ParserError::MissingField(n, _)
        | ParserError::FieldTrailingData(n, _)
        | ParserError::InvalidVersion(n, _)
        | ParserError::MultipleVersions(n)
        | ParserError::MultipleOrigins(n)
        | ParserError::MultipleSessionNames(n)
        | ParserError::MultipleSessionDescription(n)
        | ParserError::MultipleUris(n)
        | ParserError::MultipleConnections(n)
        | ParserError::MultipleTimeZones(n)
        | ParserError::MultipleMediaTitles(n)
        | ParserError::MultipleKeys(n)
        | ParserError::RepeatWithoutTime(n) => *n,
        _ => 0,
    }
}
