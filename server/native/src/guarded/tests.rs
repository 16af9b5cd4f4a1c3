use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::frames::{ACK, END_STREAM, PREFACE};

const LIMITS: Limits =
    Limits { max_ping_strikes: 2, least_ping_interval: Duration::from_secs(300), pings_without_calls: false };
const ROOM: usize = 1 << 16;

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn pair(room: usize) -> (DuplexStream, Guarded<DuplexStream>, Arc<Watch>) {
    let (client, server) = duplex(room);
    let watch = Arc::new(Watch::default());
    (client, Guarded::new(server, LIMITS, watch.clone(), Arc::default()), watch)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = Frame { kind, flags, length: payload.len() as u32, stream };
    [&head.to_bytes()[..], payload].concat()
}

fn ping() -> Vec<u8> {
    frame(kind::PING, 0, 0, &[7; 8])
}

fn hello() -> Vec<u8> {
    [PREFACE.to_vec(), frame(kind::SETTINGS, 0, 0, &[])].concat()
}

/// What the client gets until the server closes.
async fn all(mut client: DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.expect("the end");
    bytes
}

#[test]
fn bytes_pass_as_they_are() {
    run(async {
        let (mut client, mut server, _) = pair(ROOM);
        let (question, answer) = ([hello(), ping()].concat(), frame(kind::DATA, 0, 1, b"answer"));
        client.write_all(&question).await.unwrap();
        let mut received = vec![0; question.len()];
        server.read_exact(&mut received).await.unwrap();
        server.write_all(&answer).await.unwrap();
        drop(server);
        assert_eq!((received, all(client).await), (question, answer));
    });
}

#[test]
fn hands_are_shaken_with_the_last_byte_of_the_first_settings() {
    run(async {
        let (mut client, mut server, watch) = pair(ROOM);
        let hello = hello();
        let (most, last) = hello.split_at(hello.len() - 1);
        let mut buffer = [0; 64];
        client.write_all(most).await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), most.len());
        assert!(!watch.handshaken());
        client.write_all(last).await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
        assert!(watch.handshaken());
    });
}

#[test]
fn a_client_that_pings_too_often_hears_why_it_is_sent_away() {
    run(async {
        let (mut client, mut server, _) = pair(ROOM);
        let call = frame(kind::HEADERS, 4, 5, b"not looked at");
        client.write_all(&[hello(), call, ping(), ping(), ping()].concat()).await.unwrap();
        let mut buffer = vec![0; ROOM];
        assert!(server.read(&mut buffer).await.is_ok());
        client.write_all(&ping()).await.unwrap();
        let error = server.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.to_string(), "the client was sent away: too_many_pings");
        let good_bye = [&[0, 0, 0, 5, 0, 0, 0, 0xb][..], b"too_many_pings"].concat();
        assert_eq!(all(client).await, frame(kind::GOAWAY, 0, 0, &good_bye));
    });
}

#[test]
fn what_comes_with_an_offence_is_not_handed_on_and_nothing_passes_after_it() {
    run(async {
        let (mut client, mut server, _) = pair(ROOM);
        client.write_all(&[hello(), ping().repeat(4)].concat()).await.unwrap();
        let mut buffer = Vec::with_capacity(ROOM);
        assert!(server.read_buf(&mut buffer).await.is_err());
        assert!(buffer.is_empty());
        client.write_all(&ping()).await.unwrap();
        assert_eq!(server.read_buf(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(server.write(b"more").await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(server.flush().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    });
}

#[test]
fn a_good_bye_is_never_said_in_the_middle_of_a_frame() {
    run(async {
        let (mut client, mut server, _) = pair(ROOM);
        let answer = frame(kind::DATA, 0, 1, b"answer");
        let half = &answer[..answer.len() - 1];
        server.write_all(half).await.unwrap();
        client.write_all(&[hello(), ping().repeat(4)].concat()).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_err());
        drop(server);
        assert_eq!(all(client).await, half);
    });
}

#[test]
fn a_client_that_reads_nothing_is_sent_away_without_a_word() {
    run(async {
        let (mut client, mut server, _) = pair(90);
        let answer = frame(kind::PING, ACK, 0, &[0; 8]);
        server.write_all(&answer.repeat(5)).await.unwrap();
        client.write_all(&[hello(), ping(), ping(), ping()].concat()).await.unwrap();
        server.read_exact(&mut [0; 84]).await.unwrap();
        client.write_all(&ping()).await.unwrap();
        assert!(server.read(&mut [0; 64]).await.is_err());
        drop(server);
        assert_eq!(&all(client).await[..5 * 17], answer.repeat(5));
    });
}

#[test]
fn replies_are_counted_when_they_are_written() {
    run(async {
        let (mut client, mut server, _) = pair(30);
        let endings = server.endings.clone();
        let written = || endings.replies_written.load(Relaxed);
        let reply = frame(kind::HEADERS, 4 | END_STREAM, 1, &[0; 11]);
        assert_eq!(server.write(&reply.repeat(2)).await.unwrap(), 30);
        assert_eq!(written(), 1);
        client.read_exact(&mut [0; 30]).await.unwrap();
        server.write_all(&reply[10..]).await.unwrap();
        assert_eq!(written(), 2);
        client.read_exact(&mut [0; 10]).await.unwrap();
        server.write_all(&frame(kind::HEADERS, 4, 3, &[0; 5])).await.unwrap();
        assert_eq!(written(), 2);
    });
}

#[test]
fn writes_of_several_slices_pass_as_such() {
    run(async {
        let (client, mut server, _) = pair(ROOM);
        assert!(server.is_write_vectored());
        let reply = frame(kind::HEADERS, 4 | END_STREAM, 1, &[0; 11]);
        let (head, tail) = reply.split_at(5);
        let slices = [head, &[], tail, &reply, head].map(IoSlice::new);
        assert_eq!(server.write_vectored(&slices).await.unwrap(), 45);
        assert_eq!(server.endings.replies_written.load(Relaxed), 2);
        drop(server);
        assert_eq!(all(client).await, [&reply, &reply, head].concat());
    });
}

#[test]
fn resets_are_counted_in_both_directions() {
    run(async {
        let (mut client, mut server, _) = pair(ROOM);
        let reset = frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8]);
        client.write_all(&[hello(), reset.repeat(3)].concat()).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_ok());
        server.write_all(&reset.repeat(2)).await.unwrap();
        let Endings { resets_received, resets_sent, .. } = &*server.endings;
        assert_eq!((resets_received.load(Relaxed), resets_sent.load(Relaxed)), (3, 2));
    });
}

#[test]
fn strikes_are_forgotten_when_a_reply_is_written() {
    run(async {
        let (mut client, mut server, _) = pair(ROOM);
        client.write_all(&[hello(), frame(kind::HEADERS, 4, 1, &[])].concat()).await.unwrap();
        let mut buffer = [0; ROOM];
        for _ in 0..10 {
            client.write_all(&ping().repeat(3)).await.unwrap();
            assert!(server.read(&mut buffer).await.is_ok());
            server.write_all(&frame(kind::DATA, 0, 1, b"answer")).await.unwrap();
        }
    });
}

#[test]
fn calls_are_not_judged() {
    run(async {
        let (mut client, mut server, _) = pair(1 << 20);
        let call = [frame(kind::HEADERS, 4, 1, &[0; 20]), frame(kind::DATA, END_STREAM, 1, b"question")].concat();
        client.write_all(&[hello(), call.repeat(12_000)].concat()).await.unwrap();
        assert!(server.read(&mut vec![0; 1 << 20]).await.is_ok());
    });
}

#[test]
fn a_ping_that_comes_with_a_call_comes_not_without_calls() {
    run(async {
        let (client, server) = duplex(ROOM);
        let limits = Limits { least_ping_interval: Duration::ZERO, ..LIMITS };
        let (mut client, mut server) = (client, Guarded::new(server, limits, Arc::default(), Arc::default()));
        let call = frame(kind::HEADERS, 4, 1, &[]);
        client.write_all(&[hello(), call, ping().repeat(20)].concat()).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_ok());
    });
}

#[test]
fn a_stream_is_open_until_its_last_frame_is_written_or_it_is_reset() {
    run(async {
        let (mut client, mut server, watch) = pair(ROOM);
        let open = server.endings.clone();
        let open = || open.open_streams.load(Relaxed);
        let calls: Vec<_> = [1, 3, 5].map(|stream| frame(kind::HEADERS, 4, stream, &[])).concat();
        client.write_all(&[hello(), calls].concat()).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_ok());
        assert_eq!((open(), watch.quiet_since()), (3, None));
        server.write_all(&frame(kind::DATA, 0, 1, b"more to come")).await.unwrap();
        server.write_all(&frame(kind::HEADERS, 4 | END_STREAM, 1, &[])).await.unwrap();
        server.write_all(&frame(kind::RST_STREAM, 0, 1, &[0; 4])).await.unwrap();
        assert_eq!(open(), 2);
        client.write_all(&frame(kind::RST_STREAM, 0, 3, &[0; 4])).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_ok());
        assert_eq!((open(), watch.quiet_since()), (1, None));
        server.write_all(&frame(kind::RST_STREAM, 0, 5, &[0; 4])).await.unwrap();
        assert!(open() == 0 && watch.quiet_since().is_some());
    });
}

#[test]
fn streams_end_with_their_connection() {
    run(async {
        let (mut client, mut server, _) = pair(ROOM);
        client.write_all(&[hello(), frame(kind::HEADERS, 4, 1, &[])].concat()).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_ok());
        let endings = server.endings.clone();
        drop(server);
        assert_eq!(endings.open_streams.load(Relaxed), 0);
    });
}

#[test]
fn a_stream_is_open_until_its_last_frame_is_written_or_one_side_resets_it() {
    run(async {
        let (mut client, mut server, watch) = pair(ROOM);
        let call = |stream| frame(kind::HEADERS, 4 | END_STREAM, stream, &[]);
        let reset = |stream| frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        client.write_all(&[hello(), call(1), call(3), call(5)].concat()).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_ok());
        let open = |server: &Guarded<DuplexStream>| server.endings.open_streams.load(Relaxed);
        assert_eq!((open(&server), watch.quiet_since()), (3, None));
        server.write_all(&frame(kind::HEADERS, 4, 1, &[])).await.unwrap();
        assert_eq!(open(&server), 3);
        server.write_all(&frame(kind::HEADERS, 4 | END_STREAM, 1, &[])).await.unwrap();
        server.write_all(&reset(3)).await.unwrap();
        client.write_all(&reset(5)).await.unwrap();
        assert!(server.read(&mut [0; ROOM]).await.is_ok());
        assert_eq!(open(&server), 0);
        assert!(watch.quiet_since().is_some());
    });
}

#[test]
fn calls_after_the_last_good_bye_are_not_open_and_bounded() {
    run(async {
        let (mut client, mut server, watch) = pair(1 << 20);
        let call = |stream| frame(kind::HEADERS, 4, stream, &[0; 20]);
        let good_bye = frame(kind::GOAWAY, 0, 0, &[0; 8]);
        let mut buffer = vec![0; 1 << 20];
        server.write_all(&good_bye).await.unwrap();
        client.write_all(&[hello(), call(1)].concat()).await.unwrap();
        assert!(server.read(&mut buffer).await.is_ok());
        assert_eq!(watch.quiet_since(), None);
        server.write_all(&[good_bye, frame(kind::HEADERS, END_STREAM, 1, &[])].concat()).await.unwrap();
        client.write_all(&(0..10_000).flat_map(|index| call(2 * index + 3)).collect::<Vec<_>>()).await.unwrap();
        assert!(server.read(&mut buffer).await.is_ok());
        assert!(watch.quiet_since().is_some());
        client.write_all(&call(30_001).repeat(20)).await.unwrap();
        let error = server.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.to_string(), "the client was sent away: too_many_late_calls");
    });
}
