//! What a server puts up with.

use std::time::Duration;

/// Times that are this long, or longer, are for ever.
const FOR_EVER_SECS: f64 = 366.0 * 86400.0;

/// The settings of a transport that the wire itself honours; transport.py explains them.
#[derive(Clone, Debug)]
pub struct Options {
    pub max_message_size: usize,
    pub max_metadata_size: u32,
    pub max_concurrent_streams: u32,
    pub handshake_timeout: Duration,
    pub keepalive_time: Option<Duration>,
    pub keepalive_timeout: Duration,
    pub keepalive_without_calls: bool,
    pub max_connection_idle: Option<Duration>,
    pub max_connection_age: Option<Duration>,
    pub max_connection_age_grace: Duration,
    pub least_ping_interval: Duration,
    pub max_ping_strikes: u32,
    pub compression: u8,
}

/// A time that may be none: zero, and what nobody lives to see.
pub fn limited(seconds: f64) -> Option<Duration> {
    (seconds > 0.0 && seconds < FOR_EVER_SECS).then(|| Duration::from_secs_f64(seconds))
}

/// A time, bounded by what clocks can count.
pub fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, FOR_EVER_SECS))
}
