//! What is known by looking at frames: of one connection, and of all together.
//!
//! The connections' tasks write it; anybody may read it. The numbers stand for themselves, so none waits for another.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::time::Instant;

use crate::sync::locked;

/// One connection.
#[derive(Debug)]
pub struct Watch {
    open_streams: AtomicUsize,
    handshaken: AtomicBool,
    quiet_since: Mutex<Instant>,
}

impl Default for Watch {
    /// Of a connection that begins now.
    fn default() -> Self {
        Self {
            open_streams: AtomicUsize::new(0),
            handshaken: AtomicBool::new(false),
            quiet_since: Mutex::new(Instant::now()),
        }
    }
}

impl Watch {
    /// Whether the client has sent its preface and its first SETTINGS.
    pub fn handshaken(&self) -> bool {
        self.handshaken.load(Relaxed)
    }

    /// Since when no stream has been open; None while one is. A stream is open until its last frame is written.
    pub fn quiet_since(&self) -> Option<Instant> {
        (self.open_streams.load(Relaxed) == 0).then(|| *locked(&self.quiet_since))
    }

    pub(crate) fn shake_hands(&self) {
        self.handshaken.store(true, Relaxed);
    }

    pub(crate) fn has_open(&self, streams: usize) {
        if self.open_streams.swap(streams, Relaxed) > 0 && streams == 0 {
            *locked(&self.quiet_since) = Instant::now();
        }
    }
}

/// How calls ended, on all connections of a server.
#[derive(Debug, Default)]
pub struct Endings {
    /// Streams whose last frame, or reset, has been neither written nor received.
    pub open_streams: AtomicUsize,
    /// HEADERS frames with END_STREAM that sockets have taken; one ends each reply.
    pub replies_written: AtomicU64,
    /// RST_STREAM frames of clients.
    pub resets_received: AtomicU64,
    /// RST_STREAM frames that sockets have taken.
    pub resets_sent: AtomicU64,
}
