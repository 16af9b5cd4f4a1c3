//! The life of a connection: from its first byte, which must come in time, over its calls, to its good-bye.
//!
//! A connection that is too old, or has had no call for too long, is told to go: its calls may end, for the grace. All
//! that can happen to a connection happens in its own task, and a panic there ends this connection only.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::counters::Counted;
use crate::guarded::{Guarded, Limits, Watch};
use crate::options::Options;
use crate::request;
use crate::wire::{Phase, Wire};

/// The largest frame that clients may send: of 600 KB in frames of 16 KB, reading costs twice as much.
const MAX_FRAME_SIZE: u32 = 1 << 20;
/// HTTP's own refusal of long headers is no status of gRPC: up to so many times the limit they are read, and refused
/// by us.
const METADATA_READ: u32 = 4;
/// Bytes of one stream that are framed before the socket takes them.
const MAX_SEND_BUFFER: usize = 1 << 20;
/// Streams that we may have reset for what the peer did wrong.
const LOCAL_RESETS: usize = 1024;

/// What a connection without calls gets to read our good-bye and go.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Longer than any connection lasts.
const NEVER: Duration = Duration::from_secs(365 * 86400);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub enum Peer {
    /// Of a TCP connection.
    Address(SocketAddr),
    /// Of a Unix socket, which has no name.
    Unix,
}

impl std::fmt::Display for Peer {
    /// As gRPC writes it.
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Address(address @ SocketAddr::V4(_)) => write!(to, "ipv4:{address}"),
            Peer::Address(address @ SocketAddr::V6(_)) => write!(to, "ipv6:{address}"),
            Peer::Unix => write!(to, "unix:"),
        }
    }
}

/// What its calls know of a connection.
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    /// The client's certificate, in DER, if it was asked for one.
    pub certificate: Option<Vec<u8>>,
}

/// Serve a connection, in TLS where the server has a certificate.
pub async fn serve<I>(wire: Arc<Wire>, stream: I, peer: Peer)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _counted = Counted::connection(&wire);
    let until = Instant::now() + wire.options.handshake_timeout;
    let Some(tls) = wire.tls() else {
        return speak(wire, stream, Connection { peer, certificate: None }, until).await;
    };
    let handshake = timeout(wire.options.handshake_timeout, TlsAcceptor::from(tls).accept(stream));
    let mut phase = wire.phase.subscribe();
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
    };
    if let Ok(Ok(stream)) = shaken {
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.map(|certificate| certificate.to_vec());
        speak(wire, stream, Connection { peer, certificate }, until).await;
    }
}

async fn speak<I>(wire: Arc<Wire>, stream: I, connection: Connection, handshake_until: Instant)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut phase = wire.phase.subscribe();
    if *phase.borrow_and_update() != Phase::Serving {
        return;
    }
    let (connection, watch) = (Arc::new(connection), Arc::new(Watch::default()));
    let window = wire.budget.window();
    let guarded = Guarded::new(stream, limits(&wire.options), watch.clone(), wire.counters.endings.clone());
    let service = service_fn(|request| {
        let (wire, connection) = (wire.clone(), connection.clone());
        async move { Ok::<_, std::convert::Infallible>(request::answer(wire, connection, request).await) }
    });
    let mut http = pin!(
        builder(&wire.options, window.connection(), window.stream()).serve_connection(TokioIo::new(guarded), service)
    );
    let mut life = Life::new(&wire.options, &watch, handshake_until);
    loop {
        tokio::select! {
            biased;
            _ = http.as_mut() => return,
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow() == Phase::Cut {
                    return;
                }
                if !watch.handshaken() {
                    return;
                }
                http.as_mut().graceful_shutdown();
            }
            () = sleep_until(life.next) => match life.look() {
                Verdict::Live => {}
                Verdict::Leave => http.as_mut().graceful_shutdown(),
                Verdict::Cut => return,
            },
        }
    }
}

fn limits(options: &Options) -> Limits {
    Limits {
        max_ping_strikes: options.max_ping_strikes,
        least_ping_interval: options.least_ping_interval,
        pings_without_calls: options.keepalive_without_calls,
    }
}

fn builder(options: &Options, connection_window: u32, stream_window: u32) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_connection_window_size(connection_window)
        .initial_stream_window_size(stream_window)
        .max_frame_size(MAX_FRAME_SIZE)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_header_list_size(METADATA_READ * options.max_metadata_size)
        .max_concurrent_streams(options.max_concurrent_streams)
        .max_pending_accept_reset_streams(options.max_concurrent_streams as usize)
        .max_local_error_reset_streams(LOCAL_RESETS)
        .keep_alive_interval(options.keepalive_time)
        .keep_alive_timeout(options.keepalive_timeout);
    builder
}

/// What becomes of a connection when it is looked at.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Live,
    Leave,
    Cut,
}

/// When a connection is looked at next, and why.
struct Life<'a> {
    watch: &'a Watch,
    next: Instant,
    handshake_until: Option<Instant>,
    leave_at: Option<Instant>,
    left_at: Option<Instant>,
    idle: Option<Duration>,
    grace: Duration,
}

impl<'a> Life<'a> {
    fn new(options: &Options, watch: &'a Watch, handshake_until: Instant) -> Self {
        let mut life = Life {
            watch,
            next: handshake_until,
            handshake_until: Some(handshake_until),
            leave_at: options.max_connection_age.map(|age| Instant::now() + spread(age)),
            left_at: None,
            idle: options.max_connection_idle,
            grace: options.max_connection_age_grace,
        };
        life.plan(Instant::now());
        life
    }

    fn look(&mut self) -> Verdict {
        let now = Instant::now();
        let verdict = self.judge(now);
        self.plan(now);
        verdict
    }

    fn judge(&mut self, now: Instant) -> Verdict {
        if self.handshake_until.is_some_and(|until| now >= until) {
            self.handshake_until = None;
            if !self.watch.handshaken() {
                return Verdict::Cut;
            }
        }
        let quiet_since = self.watch.quiet_since();
        if let Some(left) = self.left_at {
            let said = quiet_since.is_some_and(|since| now >= since.max(left) + LAST_WORDS);
            return if said || now >= left + self.grace { Verdict::Cut } else { Verdict::Live };
        }
        let idle = quiet_since.zip(self.idle).is_some_and(|(since, idle)| now >= since + idle);
        if idle || self.leave_at.is_some_and(|leave| now >= leave) {
            self.left_at = Some(now);
            return Verdict::Leave;
        }
        Verdict::Live
    }

    fn plan(&mut self, now: Instant) {
        let idle = self.idle.map(|idle| self.watch.quiet_since().unwrap_or(now) + idle);
        let next = match self.left_at {
            Some(left) => Some((left + self.grace).min(now + LAST_WORDS)),
            None => [self.handshake_until, self.leave_at, idle].into_iter().flatten().min(),
        };
        self.next = next.unwrap_or(now + NEVER);
    }
}

/// An age, more or less a tenth, so that connections made together do not all end together.
fn spread(age: Duration) -> Duration {
    let mut byte = [0; 1];
    let random = if getrandom::fill(&mut byte).is_ok() { f64::from(byte[0]) / 255.0 } else { 0.5 };
    age.mul_f64(0.9 + 0.2 * random)
}
