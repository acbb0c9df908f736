//! RTP, RTCP and telephone events, packet by packet.

use cordboard::proto::rtp::packet::{self, HEADER_LEN, Header};
use cordboard::proto::rtp::rtcp::{self, CNAME_LEN, Compound, Packet, ReportBlock, SenderInfo};
use cordboard::proto::rtp::telephone_event::{self, EventReceiver, TelephoneEvent};

use crate::chance::Chance;
use crate::fuzz;

/// RTP as phones send it: plain, with an extension, with CSRC and padding, an event; and compound RTCP.
pub fn corpus() -> Vec<Vec<u8>> {
    let header = Header { marker: true, payload_type: 0, sequence: 65_534, timestamp: 0xffff_ff00, ssrc: 0xabcd_0001 };
    let plain = [&header.to_octets()[..], &[0xff; 160]].concat();
    let mut extended = plain.clone();
    extended[0] |= 0x10;
    extended.splice(HEADER_LEN..HEADER_LEN, [0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    let mut padded = plain.clone();
    padded[0] |= 0x22;
    padded.splice(HEADER_LEN..HEADER_LEN, [7; 8]);
    padded.extend([0, 0, 0, 4]);
    let event = Header { payload_type: 101, ..header }.to_octets();
    let event = [&event[..], &TelephoneEvent { event: 5, end: false, volume: 10, duration: 160 }.to_octets()].concat();
    let sender = SenderInfo { ntp: u64::MAX, rtp: 9, packets: u32::MAX, octets: 1 };
    let block = ReportBlock {
        ssrc: 0xabcd_0001,
        fraction_lost: 255,
        cumulative_lost: -0x80_0000,
        highest_sequence: u32::MAX,
        jitter: u32::MAX,
        last_sr: 1,
        delay_since_last_sr: u32::MAX,
    };
    let name = [b'f'; CNAME_LEN];
    let sr = Compound::new(0xabcd_0001, Some(&sender), Some(&block), &name).goodbye(0xabcd_0001);
    let rr = Compound::new(0xabcd_0001, None, Some(&block), &name);
    vec![plain, extended, padded, event, sr.as_slice().to_vec(), rr.as_slice().to_vec()]
}

/// Every packet of the datagram, each within it.
pub fn read_control(datagram: &[u8]) -> usize {
    let mut packets = 0;
    for packet in rtcp::packets(datagram) {
        packets += 1;
        if let Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } = packet {
            let blocks: Vec<ReportBlock> = blocks.collect();
            assert!(blocks.len() <= 31 && blocks.len() * 24 <= datagram.len());
            for block in blocks {
                assert!((-0x80_0000..=0x7f_ffff).contains(&block.cumulative_lost));
            }
        }
    }
    assert!(packets * 4 <= datagram.len());
    packets
}

fn target(mut chance: Chance<'_>) {
    let corpus = corpus();
    let mut events = EventReceiver::default();
    while !chance.is_spent() {
        let packet = if chance.one_in(6) { chance.take(300).to_vec() } else { chance.bent(&corpus, &[]) };
        read_control(&packet);
        if let Some(header) = Header::read(&packet) {
            let mut again = packet.clone();
            header.overwrite(&mut again);
            assert_eq!(again, packet, "rewriting what was read changes nothing");
            assert_eq!(Header::read(&header.to_octets()), Some(header));
        }
        let Some(payload) = packet::payload(&packet) else { continue };
        assert!(payload.len() + HEADER_LEN <= packet.len());
        let header = Header::read(&packet).expect("who has a payload has a header");
        if let Some(event) = TelephoneEvent::read(payload) {
            assert_eq!(TelephoneEvent::read(&event.to_octets()), Some(event));
            let digit = events.receive(header.ssrc, header.timestamp, event);
            assert!(digit.is_none() || digit == telephone_event::digit(event.event));
            assert_eq!(events.receive(header.ssrc, header.timestamp, event), None, "once");
        }
    }
}

#[test]
fn packets() {
    fuzz!(4_096, target);
}
