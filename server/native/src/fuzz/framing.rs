//! Messages out of a stream: the same as a simple reader finds that has all of the stream at once.

use bytes::Bytes;

use super::Target;
use crate::dice::Dice;
use crate::framing::{Deframer, Step, Truncated};

pub const TARGET: Target = Target { name: "framing", samples, check };

fn samples() -> Vec<Vec<u8>> {
    let framed = |flag: u8, size: usize| [&[flag], &(size as u32).to_be_bytes()[..], &vec![flag; size]].concat();
    vec![
        framed(0, 3),
        [framed(0, 0), framed(1, 10), framed(0, 300)].concat(),
        [framed(1, 5000), framed(0, 5)].concat(),
        b"\0\xff\xff\xff\xffabc".to_vec(),
    ]
}

fn check(input: &[u8], dice: &mut Dice) {
    let mut deframer = Deframer::new();
    let mut messages = Vec::new();
    let mut last = Step::NeedMore;
    for chunk in dice.cut(input) {
        deframer.push(Bytes::copy_from_slice(chunk));
        last = drain(&mut deframer, &mut messages);
    }
    let (expected, rest) = messages_of(input);
    assert_eq!(messages, expected);
    assert_eq!(last == Step::Malformed, matches!(rest, [(2..), _, _, _, _, ..]));
    if last != Step::Malformed {
        assert_eq!(deframer.finish(), ended(rest));
    }
}

type Message = (bool, Vec<u8>);

fn drain(deframer: &mut Deframer, messages: &mut Vec<Message>) -> Step {
    loop {
        match deframer.next() {
            Step::Header { compressed, .. } => {
                messages.push((compressed, Vec::new()));
                deframer.accept();
            }
            Step::Message(message) => messages.last_mut().unwrap().1 = message.to_vec(),
            end => return end,
        }
    }
}

/// All messages, and what comes after the last that is whole. One that has only begun is there, and empty.
fn messages_of(mut stream: &[u8]) -> (Vec<Message>, &[u8]) {
    let mut messages = Vec::new();
    while let [flag @ (0 | 1), a, b, c, d, rest @ ..] = stream {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let message = rest.get(..length);
        messages.push((*flag == 1, message.unwrap_or_default().to_vec()));
        if message.is_none() {
            break;
        }
        stream = &rest[length..];
    }
    (messages, stream)
}

fn ended(rest: &[u8]) -> Result<(), Truncated> {
    let expected = match rest {
        [] => return Ok(()),
        [_, a, b, c, d, ..] => 5 + u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => 5,
    };
    Err(Truncated { came: rest.len(), expected })
}
