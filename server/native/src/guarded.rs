//! A connection's stream of bytes, above TLS, that watches its frames and ends with a client that asks for it.
//!
//! It stands under the HTTP/2 library, which has no ear for how often something comes. What passes is followed in both
//! directions (`frames`), noted (`watch`) and judged (`abuse`). A client that is to be sent away gets a GOAWAY with
//! the reason, unless a frame is half written or the socket takes nothing: then there is no place for it. Nothing of
//! what it sent with the offence reaches the library. From then on reading and writing fail with the `Offence`.
//!
//! A socket that is closed with bytes unread resets its connection, and the last words may be lost with it. So whatever
//! lies there is read and dropped first, up to a limit, also when the library itself says good-bye.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use crate::abuse::Limits;
use crate::abuse::{Offence, Policy, is_free};
use crate::frames::{Follower, Frame, kind};
pub use crate::watch::{Endings, Watch};

/// RFC 9113, section 7.
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// The library says good-bye twice: at first for any stream that may be on its way, then for those it has not seen.
const GOOD_BYES: u32 = 2;
/// What is read of a client's last bytes: so often, so many at a time.
const LAST_READS: usize = 64;
const LAST_READ: usize = 16 << 10;

/// A stream of bytes under guard.
#[derive(Debug)]
pub struct Guarded<I> {
    inner: I,
    watch: Arc<Watch>,
    endings: Arc<Endings>,
    policy: Policy,
    received: Follower,
    sent: Follower,
    last_stream: u32,
    good_byes: u32,
    open: Open,
    offence: Option<Offence>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Guarded<I> {
    /// Guard the server's end of a connection of which nothing has passed yet.
    pub fn new(inner: I, limits: Limits, watch: Arc<Watch>, endings: Arc<Endings>) -> Self {
        let policy = Policy::new(limits, Instant::now());
        let (received, sent) = (Follower::of_client(), Follower::of_server());
        let (last_stream, good_byes, open, offence) = (0, 0, Open::default(), None);
        Self { inner, watch, endings, policy, received, sent, last_stream, good_byes, open, offence }
    }

    fn check(&self) -> io::Result<()> {
        self.offence.map_or(Ok(()), |offence| Err(failure(offence)))
    }

    fn inspect_received(&mut self, bytes: &[u8]) -> Result<(), Offence> {
        let Self { received, policy, watch, endings, last_stream, good_byes, open, .. } = self;
        let before = open.0.len();
        let mut now = None;
        let mut verdict = Ok(());
        received.feed(bytes, |frame| {
            match frame.kind {
                kind::HEADERS if frame.stream > *last_stream && *good_byes >= GOOD_BYES => {
                    verdict = verdict.and_then(|()| policy.came_late(*now.get_or_insert_with(Instant::now)));
                }
                kind::HEADERS if frame.stream > *last_stream => {
                    *last_stream = frame.stream;
                    open.0.push(frame.stream);
                }
                kind::SETTINGS if !frame.acknowledges() => watch.shake_hands(),
                kind::RST_STREAM => {
                    endings.resets_received.fetch_add(1, Relaxed);
                    open.end(frame.stream);
                }
                _ => {}
            }
            if verdict.is_ok() && !is_free(frame) {
                verdict = policy.received(frame, open.0.len(), *now.get_or_insert_with(Instant::now));
            }
        });
        self.note_open(before);
        verdict
    }

    fn inspect_sent<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>, accepted: usize) {
        let Self { sent, policy, good_byes, open, .. } = self;
        let before = open.0.len();
        let (mut left, mut replies, mut resets) = (accepted, 0, 0);
        for slice in slices {
            let taken = left.min(slice.len());
            left -= taken;
            sent.feed(&slice[..taken], |frame| {
                policy.sent(frame);
                *good_byes += u32::from(frame.kind == kind::GOAWAY);
                if frame.kind == kind::RST_STREAM || frame.ends_stream() {
                    open.end(frame.stream);
                }
                replies += u64::from(frame.kind == kind::HEADERS && frame.ends_stream());
                resets += u64::from(frame.kind == kind::RST_STREAM);
            });
            if left == 0 {
                break;
            }
        }
        if replies > 0 {
            self.endings.replies_written.fetch_add(replies, Relaxed);
        }
        if resets > 0 {
            self.endings.resets_sent.fetch_add(resets, Relaxed);
        }
        self.note_open(before);
    }

    fn note_open(&self, before: usize) {
        let now = self.open.0.len();
        if now != before {
            // Of an unsigned number wrapping around is subtraction.
            self.endings.open_streams.fetch_add(now.wrapping_sub(before), Relaxed);
            self.watch.has_open(now);
        }
    }

    /// Say why, if that can be said now, and stop sending.
    fn send_away(&mut self, context: &mut Context<'_>, offence: Offence) {
        self.offence = Some(offence);
        if !self.sent.at_boundary() {
            return;
        }
        let frame = go_away(self.last_stream, offence);
        match Pin::new(&mut self.inner).poll_write(context, &frame) {
            Poll::Ready(Ok(written)) if written == frame.len() => {}
            _ => return,
        }
        if let Poll::Ready(Ok(())) = Pin::new(&mut self.inner).poll_flush(context) {
            let _ended = Pin::new(&mut self.inner).poll_shutdown(context);
            self.drop_last_words(context);
        }
    }

    fn drop_last_words(&mut self, context: &mut Context<'_>) {
        let mut scratch = [0; LAST_READ];
        for _ in 0..LAST_READS {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = Pin::new(&mut self.inner).poll_read(context, &mut buffer);
            if !matches!(read, Poll::Ready(Ok(()))) || buffer.filled().is_empty() {
                return;
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<I> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        if let Err(offence) = this.inspect_received(&buffer.filled()[before..]) {
            buffer.set_filled(before);
            this.send_away(context, offence);
        }
        Poll::Ready(this.check())
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let accepted = ready!(Pin::new(&mut this.inner).poll_write(context, bytes))?;
        this.inspect_sent(std::iter::once(bytes), accepted);
        Poll::Ready(Ok(accepted))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let accepted = ready!(Pin::new(&mut this.inner).poll_write_vectored(context, slices))?;
        this.inspect_sent(slices.iter().map(|slice| &**slice), accepted);
        Poll::Ready(Ok(accepted))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
        this.drop_last_words(context);
        Poll::Ready(Ok(()))
    }
}

impl<I> Drop for Guarded<I> {
    fn drop(&mut self) {
        self.endings.open_streams.fetch_sub(self.open.0.len(), Relaxed);
    }
}

/// The open streams. They end about in the order in which they began.
#[derive(Debug, Default)]
struct Open(Vec<u32>);

impl Open {
    fn end(&mut self, stream: u32) {
        if let Some(index) = self.0.iter().position(|open| *open == stream) {
            self.0.swap_remove(index);
        }
    }
}

fn failure(offence: Offence) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, offence)
}

/// last_stream: calls on later ones were not looked at.
fn go_away(last_stream: u32, offence: Offence) -> Vec<u8> {
    let text = offence.0.as_bytes();
    let head = Frame { kind: kind::GOAWAY, flags: 0, length: 8 + text.len() as u32, stream: 0 };
    let mut frame = head.to_bytes().to_vec();
    frame.extend(last_stream.to_be_bytes());
    frame.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    frame.extend(text);
    frame
}

#[cfg(test)]
mod tests;
