//! What is known by looking at frames: of one connection, and of all together.
//!
//! The connections' tasks write it; anybody may read it. The numbers stand for themselves, so none waits for another.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// One connection.
#[derive(Debug, Default)]
pub struct Watch {
    /// Calls that are open: counted by whoever takes the calls.
    pub open_calls: AtomicUsize,
    handshaken: AtomicBool,
}

impl Watch {
    /// Whether the client has sent its preface and its first SETTINGS.
    pub fn handshaken(&self) -> bool {
        self.handshaken.load(Relaxed)
    }

    pub(crate) fn shake_hands(&self) {
        self.handshaken.store(true, Relaxed);
    }
}

/// How calls ended, on all connections of a server.
#[derive(Debug, Default)]
pub struct Endings {
    /// HEADERS frames with END_STREAM that sockets have taken; one ends each reply.
    pub replies_written: AtomicU64,
    /// RST_STREAM frames of clients.
    pub resets_received: AtomicU64,
    /// RST_STREAM frames that sockets have taken.
    pub resets_sent: AtomicU64,
}
