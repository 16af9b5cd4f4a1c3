//! Bytes in flight, for the whole process: messages, and the windows of the connections they come over.
//!
//! A message is counted as soon as its header has told its length, before its bytes are read. What a peer may send
//! before that is bounded by its connection's window, so windows count too: new connections get smaller ones the more
//! there are, down to a floor that HTTP/2 grants anyway, and half of the budget is always left for messages. Replies
//! that are being sent count as well, but are never refused: there is less room for requests instead.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pyo3::prelude::*;
use std::sync::Arc;

/// The window of a connection, in bytes, where there is plenty.
const LARGEST_WINDOW: u64 = 16 << 20;
/// The window that every connection gets; HTTP/2 begins with that many bytes anyway.
const LEAST_WINDOW: u64 = 1 << 16;
/// A new connection gets this part of what is left for windows.
const SHARE: u64 = 64;
/// So many streams that nobody reads take a connection's window.
const STREAMS: u64 = 32;

/// A counter with a limit.
#[derive(Debug)]
pub struct Counter {
    limit: u64,
    messages: AtomicU64,
    windows: AtomicU64,
}

impl Counter {
    /// A counter of nothing.
    pub fn new(limit: u64) -> Self {
        Counter { limit, messages: AtomicU64::new(0), windows: AtomicU64::new(0) }
    }

    /// Bytes of messages that are counted now.
    pub fn used(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    /// The most bytes of messages that may be counted, while there are the connections that there are.
    pub fn limit(&self) -> u64 {
        self.limit - self.windows()
    }

    /// What connections have of the whole.
    pub fn windows(&self) -> u64 {
        self.windows.load(Relaxed).min(self.limit / 2)
    }

    /// Count a message, unless it is more than is left. A message larger than the whole budget may pass alone.
    pub fn take(&self, nbytes: u64) -> bool {
        let left = self.limit();
        self.messages
            .fetch_update(Relaxed, Relaxed, |used| {
                let sum = used.saturating_add(nbytes);
                (used == 0 || sum <= left).then_some(sum)
            })
            .is_ok()
    }

    /// Count what cannot be refused.
    pub fn add(&self, nbytes: u64) {
        self.messages.fetch_add(nbytes, Relaxed);
    }

    /// Give back what was counted.
    pub fn give_back(&self, nbytes: u64) {
        self.messages.fetch_sub(nbytes, Relaxed);
    }

    /// The window of a new connection, which is counted until it is dropped.
    pub fn window(self: &Arc<Self>) -> Window {
        let left = (self.limit / 2).saturating_sub(self.windows.load(Relaxed));
        let size = (left / SHARE).clamp(LEAST_WINDOW, LARGEST_WINDOW);
        self.windows.fetch_add(size, Relaxed);
        Window { counter: self.clone(), size }
    }
}

/// A connection's share of the budget.
#[derive(Debug)]
pub struct Window {
    counter: Arc<Counter>,
    size: u64,
}

impl Window {
    /// What the connection may have sent without having been read, in bytes.
    pub fn connection(&self) -> u32 {
        self.size as u32 // at most LARGEST_WINDOW
    }

    /// The same for one of its streams: one that is not read leaves room for others.
    pub fn stream(&self) -> u32 {
        (self.size / STREAMS).max(LEAST_WINDOW) as u32
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.counter.windows.fetch_sub(self.size, Relaxed);
    }
}

/// Bytes counted for one message, until they are dropped or handed on.
#[derive(Debug)]
pub struct Reservation {
    counter: Arc<Counter>,
    nbytes: u64,
}

impl Reservation {
    /// Count a message's bytes; None if they do not fit.
    pub fn take(counter: &Arc<Counter>, nbytes: u64) -> Option<Self> {
        counter.take(nbytes).then(|| Reservation { counter: counter.clone(), nbytes })
    }

    /// Count what cannot be refused.
    pub fn forced(counter: &Arc<Counter>, nbytes: u64) -> Self {
        counter.add(nbytes);
        Self::of(counter, nbytes)
    }

    /// What was handed on comes back.
    pub fn of(counter: &Arc<Counter>, nbytes: u64) -> Self {
        Reservation { counter: counter.clone(), nbytes }
    }

    /// Count so many bytes instead; false, and nothing changes, if they do not fit.
    pub fn grow(&mut self, nbytes: u64) -> bool {
        let more = nbytes.saturating_sub(self.nbytes);
        let fits = more == 0 || self.counter.take(more);
        if fits {
            self.nbytes += more;
        }
        fits
    }

    /// Count fewer bytes, or as many.
    pub fn shrink(&mut self, nbytes: u64) {
        let nbytes = nbytes.min(self.nbytes);
        self.counter.give_back(self.nbytes - nbytes);
        self.nbytes = nbytes;
    }

    /// Hand the bytes on: whoever asks gives them back.
    pub fn into_bytes(mut self) -> u64 {
        std::mem::take(&mut self.nbytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.counter.give_back(self.nbytes);
    }
}

/// The counter as Python sees it.
#[pyclass(frozen, module = "naiad._native")]
pub struct Budget {
    /// Shared with the server.
    pub counter: Arc<Counter>,
}

#[pymethods]
impl Budget {
    #[new]
    fn new(limit: u64) -> Self {
        Budget { counter: Arc::new(Counter::new(limit)) }
    }

    #[getter]
    fn limit(&self) -> u64 {
        self.counter.limit()
    }

    #[getter]
    fn used(&self) -> u64 {
        self.counter.used()
    }

    fn take(&self, nbytes: u64) -> bool {
        self.counter.take(nbytes)
    }

    fn give_back(&self, nbytes: u64) {
        self.counter.give_back(nbytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let counter = Counter::new(100);
        assert!(counter.take(60));
        assert!(!counter.take(41));
        assert_eq!(counter.used(), 60);
        counter.give_back(60);
        assert!(counter.take(100));
    }

    #[test]
    fn a_message_larger_than_everything_may_pass_alone() {
        let counter = Counter::new(100);
        assert!(counter.take(1000));
        assert!(!counter.take(1));
        counter.give_back(1000);
        assert!(counter.take(1));
        assert!(!counter.take(1000));
    }

    #[test]
    fn windows_count_and_shrink_as_connections_come() {
        let counter = Arc::new(Counter::new(64 << 20));
        let windows: Vec<_> = (0..1000).map(|_| counter.window()).collect();
        assert_eq!(windows[0].connection(), 1 << 19);
        assert_eq!(windows[999].connection(), 1 << 16);
        assert!(counter.take(1));
        assert!(!counter.take(32 << 20));
        assert!(counter.take((32 << 20) - 1));
        drop(windows);
        assert!(counter.take(32 << 20));
    }

    #[test]
    fn windows_leave_less_for_messages() {
        let counter = Arc::new(Counter::new(32 << 20));
        let window = counter.window();
        assert!(counter.take(1));
        assert!(!counter.take(32 << 20));
        drop(window);
        assert!(counter.take((32 << 20) - 1));
    }

    #[test]
    fn a_reservation_ends_with_its_life_unless_it_is_handed_on() {
        let counter = Arc::new(Counter::new(100));
        let mut reservation = Reservation::take(&counter, 10).expect("fits");
        assert!(reservation.grow(50) && !reservation.grow(101));
        reservation.shrink(20);
        assert_eq!(counter.used(), 20);
        drop(reservation);
        assert_eq!(counter.used(), 0);
        assert_eq!(Reservation::take(&counter, 10).expect("fits").into_bytes(), 10);
        assert_eq!(counter.used(), 10);
    }
}
