//! What a server has counted since its start, what is open now, and whether that is the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::watch::Endings;
use crate::wire::Wire;

/// What has been counted since the start, and what is open now.
#[derive(Default)]
pub struct Counters {
    pub connections: AtomicU64,
    pub calls: AtomicU64,
    pub cancelled: AtomicU64,
    pub endings: Arc<Endings>,
    pub listeners: AtomicUsize,
    pub reading: AtomicUsize,
    pub open_connections: AtomicUsize,
    pub open_calls: AtomicUsize,
}

impl Counters {
    /// Whether every call that Python has heard of is answered, and every answer written.
    pub fn all_answered(&self) -> bool {
        let unanswered = self.reading.load(Relaxed);
        self.open_calls.load(Relaxed) == 0 && self.endings.open_streams.load(Relaxed) <= unanswered
    }

    /// Whether there is nothing left to end.
    pub fn all_gone(&self) -> bool {
        [&self.listeners, &self.open_connections, &self.open_calls].iter().all(|count| count.load(Relaxed) == 0)
    }
}

/// A task that the end of the server waits for, from its first turn on.
pub struct Counted {
    wire: Arc<Wire>,
    which: fn(&Counters) -> &AtomicUsize,
}

impl Counted {
    /// A connection.
    pub fn connection(wire: &Arc<Wire>) -> Self {
        wire.counters.connections.fetch_add(1, Relaxed);
        Self::new(wire, |counters| &counters.open_connections)
    }

    /// A request that is being read, or waits for the beginning of its answer.
    pub fn reading(wire: &Arc<Wire>) -> Self {
        Self::new(wire, |counters| &counters.reading)
    }

    /// A listener.
    pub fn listener(wire: &Arc<Wire>) -> Self {
        Self::new(wire, |counters| &counters.listeners)
    }

    fn new(wire: &Arc<Wire>, which: fn(&Counters) -> &AtomicUsize) -> Self {
        which(&wire.counters).fetch_add(1, Relaxed);
        Counted { wire: wire.clone(), which }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.which)(&self.wire.counters).fetch_sub(1, Relaxed);
    }
}
