use std::io::{Read, Write};
use std::net::TcpStream;

use smol::future;

use super::*;

fn executor() -> Arc<Executor<'static>> {
    Arc::new(Executor::new())
}

fn sockets(executor: &Arc<Executor<'static>>, limits: Limits) -> SipSockets {
    let listen = ["udp:127.0.0.1:0".to_owned(), "tcp:127.0.0.1:0".to_owned()];
    SipSockets::bind(&listen, limits, Arc::clone(executor)).unwrap()
}

fn address(sockets: &SipSockets, transport: Transport) -> SocketAddr {
    sockets.listeners().find(|(t, _)| *t == transport).unwrap().1
}

/// Waits until `count` inputs have come.
async fn take(sockets: &mut SipSockets, count: usize) -> Vec<NetInput> {
    let mut inputs = Vec::new();
    while inputs.len() < count {
        sockets.wait().await;
        sockets.drain(64, &mut inputs);
    }
    inputs
}

#[test]
fn datagrams_go_both_ways_whole_and_in_order() {
    let executor = executor();
    let mut ours = sockets(&executor, Limits::default());
    let local = address(&ours, Transport::Udp);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..40_usize {
        peer.send_to(&vec![n as u8; 400 + n * 50], local).unwrap();
    }
    let inputs = smol::block_on(executor.run(take(&mut ours, 40)));
    for (n, input) in inputs.iter().enumerate() {
        let NetInput::Datagram { path, bytes } = input else { panic!("{input:?}") };
        assert_eq!((path.local, path.remote), (local, peer.local_addr().unwrap()));
        assert_eq!(bytes.as_ref(), vec![n as u8; 400 + n * 50]);
    }
    let path = Path::new(Transport::Udp, local, peer.local_addr().unwrap());
    ours.send(Transmit { path, bytes: Bytes::from_static(b"pong") });
    let mut buffer = [0; 16];
    assert_eq!(peer.recv(&mut buffer).unwrap(), 4);
    assert_eq!(ours.counters().datagrams_sent, 1);
    assert_eq!(ours.counters().datagrams_received, 40);
}

#[test]
fn draining_stops_at_the_given_number() {
    let executor = executor();
    let mut ours = sockets(&executor, Limits::default());
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..5 {
        peer.send_to(b"x", address(&ours, Transport::Udp)).unwrap();
    }
    smol::block_on(ours.wait());
    let mut inputs = Vec::new();
    assert_eq!(ours.drain(2, &mut inputs), 2);
    assert_eq!(ours.drain(64, &mut inputs), 3);
    assert_eq!(ours.drain(64, &mut inputs), 0);
}

#[test]
fn streams_and_datagrams_share_a_batch() {
    let executor = executor();
    let mut ours = sockets(&executor, Limits::default());
    let (udp, tcp) = (address(&ours, Transport::Udp), address(&ours, Transport::Tcp));
    let mut flood = TcpStream::connect(tcp).unwrap();
    flood.write_all(&vec![b'x'; 40 * 4096]).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    smol::block_on(executor.run(async {
        while ours.ready.len() < 20 {
            ours.wait().await;
            smol::future::yield_now().await;
        }
    }));
    for _ in 0..20 {
        peer.send_to(b"x", udp).unwrap();
    }
    std::thread::sleep(Duration::from_millis(5));
    let mut chunks = |most| {
        let mut inputs = Vec::new();
        assert_eq!(ours.drain(most, &mut inputs), most);
        inputs.iter().filter(|input| matches!(input, NetInput::Chunk { .. })).count()
    };
    assert_eq!(chunks(16), 8, "half of each");
    assert_eq!(chunks(16), 8);
    assert_eq!(chunks(8), 4, "the last four datagrams");
    assert!(ours.take_waited().is_some_and(|waited| waited >= Duration::from_millis(5)), "of a chunk, too");
    // What a connection brought before it was closed must not come after its end.
    let mut inputs = Vec::new();
    ours.drain(1, &mut inputs);
    let [NetInput::Chunk { path, .. }] = inputs.as_slice() else { panic!("{inputs:?}") };
    let connection = path.connection;
    (0..2).for_each(|_| ours.close(connection));
    while ours.drain(64, &mut inputs) > 0 {}
    assert_eq!(inputs.iter().position(|input| *input == NetInput::Closed { connection }), Some(inputs.len() - 1));
}

#[test]
fn a_datagram_for_a_listener_that_is_not_there_fails() {
    let executor = executor();
    let mut ours = sockets(&executor, Limits::default());
    let path = Path {
        transport: Transport::Udp,
        local: "127.0.0.9:5060".parse().unwrap(),
        remote: "127.0.0.1:5060".parse().unwrap(),
        connection: 0,
        profile: 0,
    };
    ours.send(Transmit { path, bytes: Bytes::from_static(b"x") });
    assert_eq!(smol::block_on(take(&mut ours, 1)), [NetInput::Failed { path }]);
}

#[test]
fn an_accepted_connection_carries_chunks_answers_and_its_end() {
    let executor = executor();
    let mut ours = sockets(&executor, Limits::default());
    let local = address(&ours, Transport::Tcp);
    let mut peer = TcpStream::connect(local).unwrap();
    peer.write_all(b"hello").unwrap();
    let inputs = smol::block_on(executor.run(take(&mut ours, 1)));
    let [NetInput::Chunk { path, bytes }] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!((bytes.as_ref(), path.local, path.remote), (&b"hello"[..], local, peer.local_addr().unwrap()));
    // Without its number the connection is found by the peer's address.
    ours.send(Transmit { path: *path, bytes: Bytes::from_static(b"one ") });
    ours.send(Transmit { path: Path { connection: 0, ..*path }, bytes: Bytes::from_static(b"two") });
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 7];
        peer.read_exact(&mut buffer).map(|()| buffer)
    });
    let inputs = smol::block_on(executor.run(take(&mut ours, 1)));
    assert_eq!(inputs, [NetInput::Closed { connection: path.connection }]);
    assert_eq!(&reader.join().unwrap().unwrap(), b"one two");
    assert_eq!(ours.connections_len(), 0);
}

#[test]
fn a_connection_is_made_on_demand_and_reused() {
    let executor = executor();
    let mut ours = sockets(&executor, Limits::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = address(&ours, Transport::Tcp);
    let path = Path::new(Transport::Tcp, local, listener.local_addr().unwrap());
    ours.send(Transmit { path, bytes: Bytes::from_static(b"one") });
    ours.send(Transmit { path, bytes: Bytes::from_static(b"two") });
    assert_eq!(ours.connections_len(), 1);
    let peer = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept()?;
        let mut buffer = [0; 6];
        stream.read_exact(&mut buffer)?;
        stream.write_all(b"ack")?;
        io::Result::Ok((buffer, from))
    });
    let inputs = smol::block_on(executor.run(take(&mut ours, 1)));
    let [NetInput::Chunk { path: received, bytes }, ..] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!((bytes.as_ref(), received.local, received.remote), (&b"ack"[..], local, path.remote));
    let (buffer, from) = peer.join().unwrap().unwrap();
    assert_eq!((&buffer, from.ip()), (b"onetwo", local.ip()));
}

#[test]
fn a_refused_connection_fails_with_the_path_that_asked() {
    let executor = executor();
    let mut ours = sockets(&executor, Limits::default());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let local = address(&ours, Transport::Tcp);
    let path = Path::new(Transport::Tcp, local, nobody);
    ours.send(Transmit { path, bytes: Bytes::from_static(b"x") });
    let inputs = smol::block_on(executor.run(take(&mut ours, 2)));
    assert!(matches!(inputs[0], NetInput::Closed { .. }), "{inputs:?}");
    assert_eq!(inputs[1], NetInput::Failed { path });
    assert_eq!((ours.connections_len(), ours.counters().connections_failed), (0, 1));
}

#[test]
fn connections_and_backlogs_are_bounded() {
    let executor = executor();
    let limits = Limits { connections_max: 1, backlog_octets_max: 8, ..Limits::default() };
    let mut ours = sockets(&executor, limits);
    let local = address(&ours, Transport::Tcp);
    let mut first = TcpStream::connect(local).unwrap();
    first.write_all(b"a").unwrap();
    let inputs = smol::block_on(executor.run(take(&mut ours, 1)));
    let NetInput::Chunk { path, .. } = inputs[0] else { panic!("{inputs:?}") };
    let mut second = TcpStream::connect(local).unwrap();
    let closed = smol::block_on(executor.run(future::or(
        async {
            ours.wait().await;
            false
        },
        smol::unblock(move || second.read(&mut [0; 1]).is_ok_and(|n| n == 0)),
    )));
    assert!(closed, "the second connection is refused");
    assert_eq!(ours.counters().connections_refused, 1);
    ours.send(Transmit { path, bytes: Bytes::from_static(b"nine octs") });
    let inputs = smol::block_on(take(&mut ours, 2));
    assert_eq!(inputs, [NetInput::Closed { connection: path.connection }, NetInput::Failed { path }]);
    assert_eq!(ours.counters().backlogs_overflown, 1);
}

#[test]
fn a_silent_newcomer_is_closed() {
    let executor = executor();
    let limits = Limits { first_octet_timeout: Duration::ZERO, ..Limits::default() };
    let mut ours = sockets(&executor, limits);
    let _silent = TcpStream::connect(address(&ours, Transport::Tcp)).unwrap();
    let inputs = smol::block_on(executor.run(take(&mut ours, 1)));
    assert!(matches!(inputs[0], NetInput::Closed { .. }), "{inputs:?}");
}

#[test]
fn a_listener_on_all_addresses_names_a_real_one() {
    let executor = executor();
    let listen = ["udp:0.0.0.0:0".to_owned()];
    let mut ours = SipSockets::bind(&listen, Limits::default(), executor).unwrap();
    let port = address(&ours, Transport::Udp).port();
    let local = ours.local_for(Transport::Udp, "127.0.0.1".parse().unwrap()).unwrap();
    assert_eq!(local, SocketAddr::new("127.0.0.1".parse().unwrap(), port));
    assert_eq!(ours.local_for(Transport::Tcp, "127.0.0.1".parse().unwrap()), None);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let path = Path::new(Transport::Udp, local, peer.local_addr().unwrap());
    ours.send(Transmit { path, bytes: Bytes::from_static(b"x") });
    let mut buffer = [0; 4];
    assert_eq!(peer.recv_from(&mut buffer).unwrap().1, local);
}
