//! The messages of a request: reserved before they are read, decompressed within bounds, refused unread if too large.
//!
//! What is not asked for is not read, so that a peer gets no further window for it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;

use crate::budget::Reservation;
use crate::compression::{Encoding, Inflater, Progress};
use crate::framing::{Deframer, Step};
use crate::reply::{Code, Trailers};
use crate::wire::Wire;

/// How long a message may stand still in the middle.
const STALLED: Duration = Duration::from_secs(30);
const NO_MORE: &str = "of a message that has begun nothing more came for 30 s";

/// What there is to read.
pub enum Read {
    /// A message, uncompressed, and its place in the budget.
    Message(Bytes, Reservation),
    /// A message that is not read: above the limit; what says so.
    TooLarge(String),
    /// A message that is not read: beyond the budget; what says so.
    Overloaded(String),
    /// The peer has sent all it had to send.
    End,
    /// What came is no message.
    Malformed(Arc<Trailers>),
    /// The stream was reset, or its connection broke.
    Gone,
}

/// Reads the messages of one request.
pub struct Reader {
    wire: Arc<Wire>,
    body: Incoming,
    deframer: Deframer,
    encoding: Encoding,
}

impl Reader {
    /// A reader of messages that are compressed like this, where they are.
    pub fn new(wire: &Arc<Wire>, body: Incoming, encoding: Encoding) -> Self {
        Reader { wire: wire.clone(), body, deframer: Deframer::new(), encoding }
    }

    /// The next message.
    pub async fn next(&mut self) -> Read {
        let mut header = None;
        loop {
            match self.deframer.next() {
                Step::Header { compressed, length } => match self.admit(compressed, length) {
                    Ok(reservation) => {
                        header = Some((compressed, reservation));
                        self.deframer.accept();
                    }
                    Err(refused) => return refused,
                },
                Step::Message(message) => {
                    let Some((compressed, reservation)) = header.take() else {
                        return malformed("a message came before its header");
                    };
                    if compressed {
                        return self.inflate(message, reservation).await;
                    }
                    return Read::Message(message, reservation);
                }
                Step::Malformed => return malformed("a message begins with neither 0 nor 1"),
                Step::NeedMore => match self.more_in_time(header.is_some()).await {
                    More::Data(data) => self.deframer.push(data),
                    More::End => {
                        return match self.deframer.finish() {
                            Ok(()) => Read::End,
                            Err(_) => malformed("the stream ended within a message"),
                        };
                    }
                    More::Gone => return Read::Gone,
                    More::Stalled => return Read::Malformed(Trailers::of(Code::Unavailable, NO_MORE)),
                },
            }
        }
    }

    fn admit(&self, compressed: bool, length: u32) -> Result<Reservation, Read> {
        let length = u64::from(length);
        if compressed && self.encoding == Encoding::Identity {
            return Err(malformed("a message is marked as compressed, and grpc-encoding does not say how"));
        }
        if length > self.wire.options.max_message_size as u64 {
            return Err(self.too_large(length));
        }
        Reservation::take(&self.wire.budget, length).ok_or_else(|| self.overloaded(length))
    }

    async fn inflate(&self, message: Bytes, mut reservation: Reservation) -> Read {
        let mut inflater = Inflater::new(self.encoding, message, self.wire.options.max_message_size);
        loop {
            match inflater.step() {
                Progress::More => {}
                Progress::Done(message) => {
                    let nbytes = message.len() as u64;
                    if !reservation.grow(nbytes) {
                        return self.overloaded(nbytes);
                    }
                    reservation.shrink(nbytes);
                    return Read::Message(message, reservation);
                }
                Progress::TooLarge { at_least } => return self.too_large(at_least),
                Progress::Malformed(why) => {
                    return malformed(&format!("a message cannot be decompressed: {why}"));
                }
            }
            let nbytes = inflater.produced();
            if !reservation.grow(nbytes) {
                return self.overloaded(nbytes);
            }
            tokio::task::yield_now().await;
        }
    }

    /// A message that has begun takes its place in the budget: it must go on.
    async fn more_in_time(&mut self, begun: bool) -> More {
        if !begun {
            return self.more().await;
        }
        tokio::time::timeout(STALLED, self.more()).await.unwrap_or(More::Stalled)
    }

    async fn more(&mut self) -> More {
        loop {
            match poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await {
                None => return More::End,
                Some(Err(_)) => return More::Gone,
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return More::Data(data);
                    }
                }
            }
        }
    }

    fn too_large(&self, size: u64) -> Read {
        let limit = self.wire.options.max_message_size;
        Read::TooLarge(format!(
            "received message of {size} bytes is larger than the limit of {limit} bytes (--grpc-max-message-size)"
        ))
    }

    fn overloaded(&self, size: u64) -> Read {
        let budget = &self.wire.budget;
        let (used, limit, windows) = (budget.used(), budget.limit(), budget.windows());
        let all = limit + windows;
        Read::Overloaded(format!(
            "Exceeds maximum bytes in flight: {used} of {limit} bytes are taken, the request has {size}. The limit is \
             set by --max-bytes-in-flight. Of its {all} bytes connections have {windows}."
        ))
    }
}

enum More {
    Data(Bytes),
    End,
    Gone,
    Stalled,
}

fn malformed(why: &str) -> Read {
    Read::Malformed(Trailers::of(Code::Internal, why))
}
