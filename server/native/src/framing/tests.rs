use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::dice::Dice;

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn deframer(chunks: &[&[u8]]) -> Deframer {
    let mut deframer = Deframer::new();
    for chunk in chunks {
        deframer.push(Bytes::copy_from_slice(chunk));
    }
    deframer
}

/// All messages that are there, and what stopped it.
fn drain(deframer: &mut Deframer) -> (Vec<Bytes>, Step) {
    let mut messages = Vec::new();
    loop {
        match deframer.next() {
            Step::Header { .. } => deframer.accept(),
            Step::Message(message) => messages.push(message),
            end => return (messages, end),
        }
    }
}

/// Chunks whose memory is counted until it is let go.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

fn counted(bytes: &[u8], count: &Arc<AtomicUsize>) -> Bytes {
    count.fetch_add(1, Ordering::Relaxed);
    Bytes::from_owner(Counted(bytes.to_vec(), Arc::clone(count)))
}

#[test]
fn messages_come_back_whole_however_the_stream_is_cut() {
    let mut dice = Dice(1);
    for _ in 0..2000 {
        let sent: Vec<Vec<u8>> = (0..dice.below(5)).map(|_| (0..dice.size()).map(|_| dice.byte()).collect()).collect();
        let stream: Vec<u8> = sent.iter().flat_map(|message| framed(0, message)).collect();
        let (mut deframer, mut received) = (Deframer::new(), Vec::new());
        for chunk in dice.cut(&stream) {
            deframer.push(Bytes::copy_from_slice(chunk));
            if dice.below(3) > 0 {
                received.extend(drain(&mut deframer).0);
            }
        }
        received.extend(drain(&mut deframer).0);
        assert_eq!(received, sent);
        assert_eq!(deframer.finish(), Ok(()));
    }
}

#[test]
fn a_header_comes_again_until_it_is_accepted() {
    let mut deframer = deframer(&[&framed(1, b"abc")]);
    let header = Step::Header { compressed: true, length: 3 };
    assert_eq!(deframer.next(), header);
    assert_eq!(deframer.next(), header);
    deframer.accept();
    assert_eq!(deframer.next(), Step::Message(Bytes::from_static(b"abc")));
    deframer.accept();
    assert_eq!(deframer.next(), Step::NeedMore);
}

#[test]
fn empty_messages_are_messages() {
    let mut deframer = deframer(&[&framed(0, b"").repeat(2)]);
    assert_eq!(drain(&mut deframer), (vec![Bytes::new(); 2], Step::NeedMore));
}

#[test]
fn a_message_in_one_chunk_is_not_copied() {
    let chunk = Bytes::from([framed(0, b"abc"), framed(0, b"defg")].concat());
    let mut deframer = Deframer::new();
    deframer.push(chunk.clone());
    let (messages, _) = drain(&mut deframer);
    assert_eq!(messages[0].as_ptr(), chunk[5..].as_ptr());
    assert_eq!(messages[1].as_ptr(), chunk[13..].as_ptr());
}

#[test]
fn a_message_whose_header_is_in_another_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"\x03abc");
    let mut deframer = deframer(&[b"\0\0", b"\0\0"]);
    deframer.push(chunk.clone());
    let (messages, _) = drain(&mut deframer);
    assert_eq!(messages[0].as_ptr(), chunk[1..].as_ptr());
}

#[test]
fn a_chunk_is_let_go_with_its_last_byte() {
    let count = Arc::new(AtomicUsize::new(0));
    let held = || count.load(Ordering::Relaxed);
    let mut deframer = Deframer::new();
    deframer.push(counted(b"\0\0\0", &count));
    assert_eq!((deframer.next(), held()), (Step::NeedMore, 0));
    deframer.push(counted(b"\0\x04ab", &count));
    assert_eq!((drain(&mut deframer).1, held()), (Step::NeedMore, 0));
    deframer.push(counted(b"cd", &count));
    assert_eq!((deframer.next(), held()), (Step::Message(Bytes::from_static(b"abcd")), 0));
    deframer.push(counted(b"", &count));
    assert_eq!((deframer.next(), held()), (Step::NeedMore, 0));
    deframer.push(counted(&framed(0, b"abc"), &count));
    let (messages, _) = drain(&mut deframer);
    assert_eq!(held(), 1);
    drop(messages);
    assert_eq!(held(), 0);
}

#[test]
fn a_length_alone_takes_no_memory() {
    let mut deframer = deframer(&[b"\0\xff\xff\xff\xff", b"abc"]);
    assert_eq!(deframer.next(), Step::Header { compressed: false, length: u32::MAX });
    deframer.accept();
    assert_eq!(deframer.next(), Step::NeedMore);
    let State::Accepted { begun, .. } = &deframer.state else { panic!() };
    assert!(begun.capacity() <= AHEAD + 3, "{}", begun.capacity());
}

#[test]
fn memory_follows_what_has_come_and_ends_with_the_exact_size() {
    let size = 9 << 20;
    let mut deframer = deframer(&[&framed(0, &vec![7; size])[..HEADER_SIZE]]);
    assert_eq!(deframer.next(), Step::Header { compressed: false, length: size as u32 });
    deframer.accept();
    let chunk = Bytes::from(vec![7; 10_000]);
    let mut moves = 0;
    for came in (0..size - 10_000).step_by(10_000) {
        let before = capacity(&deframer);
        deframer.push(chunk.clone());
        assert_eq!(deframer.next(), Step::NeedMore);
        let came = came + 10_000;
        assert!((came..=came + came.max(AHEAD)).contains(&capacity(&deframer)));
        moves += usize::from(capacity(&deframer) != before);
    }
    assert_eq!(capacity(&deframer), size);
    assert!(moves <= 6, "{moves}");
    deframer.push(chunk);
    let Step::Message(message) = deframer.next() else { panic!() };
    assert_eq!(message, vec![7; size]);
    assert!(deframer.chunks.size() > 0);
}

fn capacity(deframer: &Deframer) -> usize {
    if let State::Accepted { begun, .. } = &deframer.state { begun.capacity() } else { 0 }
}

#[test]
fn another_flag_breaks_the_stream_for_good() {
    let mut deframer = deframer(&[&framed(0, b"abc"), &framed(2, b"def")]);
    let (messages, end) = drain(&mut deframer);
    assert_eq!((messages.len(), end), (1, Step::Malformed));
    deframer.push(Bytes::from(framed(0, b"abc")));
    deframer.accept();
    assert_eq!(deframer.next(), Step::Malformed);
}

#[test]
fn a_stream_may_end_between_messages_only() {
    let stream = framed(0, b"abc");
    for size in 0..stream.len() {
        let mut deframer = deframer(&[&stream[..size]]);
        drain(&mut deframer);
        let expected = if size < HEADER_SIZE { HEADER_SIZE } else { stream.len() };
        let truncated = Truncated { came: size, expected };
        assert_eq!(deframer.finish(), if size == 0 { Ok(()) } else { Err(truncated) });
    }
    let mut whole = deframer(&[&stream]);
    drain(&mut whole);
    assert_eq!(whole.finish(), Ok(()));
}

#[test]
fn a_truncated_stream_is_told_in_words() {
    let mut deframer = deframer(&[b"\0\0\0\0\x09abc"]);
    deframer.next();
    let truncated = deframer.finish().unwrap_err();
    assert_eq!(truncated.to_string(), "the stream ended after 8 bytes of a message of 14 bytes");
}
