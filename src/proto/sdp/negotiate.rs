//! The moves of offer/answer (RFC 3264).

use bytes::Bytes;
use sdp_types::{Attribute, Connection, Media, Origin, Session, Time};

use super::{
    Agreed, Audio, COMFORT_NOISE, Direction, Local, MediaLine, Others, PTIME_DEFAULT_MS, Profile, Protection, Remote,
    SdpError, Security, TELEPHONE_EVENT,
};

/// Our offer: one audio stream with our codecs and telephone events (RFC 3264 section 5).
pub fn offer(local: &Local) -> Bytes {
    write(local, vec![offered(local)])
}

/// Our offer within a dialog whose last description from the other side is `previous`: its streams that are not ours
/// stay in their places, refused, for a description never loses a media line (RFC 3264 section 8).
pub fn reoffer(local: &Local, previous: &Remote) -> Bytes {
    let chosen = choose(previous, &local.security).ok().map(|(audio, _)| audio).or(previous.audio.as_ref());
    let ours = chosen.map_or(0, |audio| audio.line);
    let mut medias: Vec<Media> = previous.lines.iter().map(refused).collect();
    match medias.get_mut(ours) {
        Some(media) => *media = offered(local),
        None => medias.push(offered(local)),
    }
    write(local, medias)
}

/// Whether an offer has audio that can be protected as we want it.
///
/// # Errors
///
/// Those of [`answer`] that are about protection. An offer without audio is not refused here.
pub fn protectable(remote_offer: &Remote, security: &Security) -> Result<(), SdpError> {
    match choose(remote_offer, security) {
        Err(error @ (SdpError::SrtpRequired | SdpError::SrtpOff | SdpError::NoCommonKeys | SdpError::KeysInClear)) => {
            Err(error)
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The stream of an offer that we take: the first one that can be protected as we want it, else the first one that may go
/// unprotected.
fn choose<'a>(remote: &'a Remote, security: &Security) -> Result<(&'a Audio, Option<Protection>), SdpError> {
    let mut plain = Err(SdpError::NoAudio);
    for audio in remote.audio.iter().chain(&remote.alternatives) {
        match security.answer(audio) {
            Ok(Some(protection)) => return Ok((audio, Some(protection))),
            Ok(None) if plain.is_err() => plain = Ok((audio, None)),
            Err(error) if plain == Err(SdpError::NoAudio) => plain = Err(error),
            Ok(None) | Err(_) => {}
        }
    }
    plain
}

/// Our answer to an offer (RFC 3264 section 6), and what holds from then on. All media but the one audio stream are
/// refused. The answer names one codec only, the first in the offerer's order that we speak: with several either side
/// might change codec between packets.
///
/// # Errors
///
/// [`SdpError::NoAudio`], [`SdpError::NoCommonCodec`], and those about protection: refuse the request by
/// [`SdpError::sip_status`].
pub fn answer(remote_offer: &Remote, local: &Local) -> Result<(Bytes, Agreed), SdpError> {
    let (audio, protection) = choose(remote_offer, &local.security)?;
    // The answer names one codec, so nothing else may come.
    let agreed = Agreed { others: Others::default(), ..agree(local, audio, protection)? };
    let medias = remote_offer.lines.iter().enumerate();
    let medias = medias.map(|(n, line)| if n == audio.line { accepted(local, &agreed, audio) } else { refused(line) });
    Ok((write(local, medias.collect()), agreed))
}

/// What holds after the other side's answer to our offer (RFC 3264 section 7).
///
/// # Errors
///
/// [`SdpError::Refused`] when it refused our stream, [`SdpError::NoAudio`], [`SdpError::NoCommonCodec`] and those about
/// protection when its answer does not fit the offer.
pub fn conclude(local_offer: &Local, remote_answer: &Remote) -> Result<Agreed, SdpError> {
    match &remote_answer.audio {
        Some(audio) => agree(local_offer, audio, local_offer.security.conclude(audio)?),
        None if remote_answer.lines.iter().any(|line| line.port == 0) => Err(SdpError::Refused),
        None => Err(SdpError::NoAudio),
    }
}

fn agree(local: &Local, audio: &Audio, protection: Option<Protection>) -> Result<Agreed, SdpError> {
    let remote = audio.rtp.ip();
    // A socket sends to its own family; 0.0.0.0 is no address, but asks for hold in either.
    if remote.is_ipv4() != local.address.is_ipv4() && !remote.is_unspecified() {
        return Err(SdpError::AddressFamily);
    }
    let mut common = audio.codecs.iter().filter(|(_, codec)| local.codecs.contains(codec));
    let &(payload_type, codec) = common.next().ok_or(SdpError::NoCommonCodec)?;
    let mut others = Others::default();
    for (other, &found) in others.iter_mut().zip(common) {
        *other = Some(found);
    }
    let direction = local.direction.facing(audio.direction);
    Ok(Agreed {
        codec,
        payload_type,
        others,
        telephone_event: audio.telephone_event,
        comfort_noise: audio.comfort_noise.filter(|_| local.comfort_noise),
        ptime_ms: audio.ptime_ms,
        remote: audio.rtp,
        remote_rtcp: audio.rtcp,
        send: direction.sends(),
        receive: direction.receives(),
        profile: audio.profile,
        protection,
        rtcp_mux: audio.security.rtcp_mux,
    })
}

fn offered(local: &Local) -> Media {
    let codecs: Vec<_> = local.codecs.iter().map(|codec| (codec.payload_type(), codec.name())).collect();
    let noise = local.comfort_noise.then_some(COMFORT_NOISE);
    let (profile, lines) = local.security.offer();
    let media = audio(local.port, &codecs, noise, Some(TELEPHONE_EVENT), PTIME_DEFAULT_MS, local.direction);
    protected(media, profile, lines)
}

fn accepted(local: &Local, agreed: &Agreed, offered: &Audio) -> Media {
    let direction = Direction::new(agreed.send, agreed.receive);
    let codecs = [(agreed.payload_type, agreed.codec.name())];
    let media = audio(local.port, &codecs, agreed.comfort_noise, agreed.telephone_event, agreed.ptime_ms, direction);
    let lines = local.security.answered(agreed.protection.as_ref(), &offered.security);
    protected(media, agreed.profile, lines)
}

fn protected(mut media: Media, profile: Profile, lines: Vec<Attribute>) -> Media {
    media.proto = profile.as_str().into();
    media.attributes.extend(lines);
    media
}

/// RFC 3264 section 6: a refused stream has port 0 and otherwise the line of the offer.
fn refused(line: &MediaLine) -> Media {
    media(line.media.clone(), 0, line.protocol.clone(), line.formats.clone(), Vec::new())
}

fn audio(
    port: u16,
    codecs: &[(u8, &str)],
    noise: Option<u8>,
    event: Option<u8>,
    ptime_ms: u8,
    direction: Direction,
) -> Media {
    let audible: Vec<(u8, &str)> = codecs.iter().copied().chain(noise.map(|pt| (pt, "CN"))).collect();
    let formats: Vec<String> = audible.iter().map(|(pt, _)| pt).chain(event.iter()).map(u8::to_string).collect();
    let mut attributes: Vec<Attribute> =
        audible.iter().map(|(pt, name)| attribute("rtpmap", Some(format!("{pt} {name}/8000")))).collect();
    if let Some(pt) = event {
        attributes.push(attribute("rtpmap", Some(format!("{pt} telephone-event/8000"))));
        // RFC 4733 section 2.4.1: 0-15 are the digits, * # and A-D.
        attributes.push(attribute("fmtp", Some(format!("{pt} 0-15"))));
    }
    attributes.push(attribute("ptime", Some(ptime_ms.to_string())));
    attributes.push(attribute(direction.as_str(), None));
    media("audio".into(), port, "RTP/AVP".into(), formats.join(" "), attributes)
}

fn media(media: String, port: u16, proto: String, fmt: String, attributes: Vec<Attribute>) -> Media {
    Media {
        media,
        port,
        num_ports: None,
        proto,
        fmt,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes,
    }
}

fn attribute(name: &str, value: Option<String>) -> Attribute {
    Attribute { attribute: name.into(), value }
}

fn write(local: &Local, medias: Vec<Media>) -> Bytes {
    let mut origin = Origin::with_ip_addr(local.session_id, local.version, local.address);
    // "-" would be as good (RFC 8866 section 5.2), but SIPp's own scenario `regexp` is not alone in expecting a word.
    origin.username = Some("cordboard".into());
    let mut session = Session::new(origin, "cordboard");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.times = vec![Time { start_time: 0, stop_time: 0, repeats: Vec::new() }];
    session.medias = medias;
    let mut body = Vec::with_capacity(320);
    let written = session.write(&mut body);
    debug_assert!(written.is_ok(), "a Vec takes everything");
    body.into()
}
