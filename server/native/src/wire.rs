//! What the connections' tasks and Python share: events one way, replies the other, and who is to be woken.
//!
//! Tasks run only while somebody drives the runtime (driver.rs). The first event wakes the driver, which has its turn
//! when all tasks that can run have run: so it tells about all of them at once. Replies that come while nobody drives
//! wait for the next who does; while somebody does, the first of them wakes it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use crate::budget::Counter;
use crate::call::CallState;
use crate::complaint::Complaint;
use crate::counters::Counters;
use crate::options::Options;
use crate::reply::{Reply, Trailers};
use crate::sync::locked;

/// What happened to a call, as the numbers of Python's `Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Message = 0,
    Cancel = 1,
    Open = 2,
    HalfClose = 3,
    Writable = 4,
    TooLarge = 5,
    Overloaded = 6,
}

/// One thing that happened.
pub struct Event {
    /// What.
    pub kind: Kind,
    /// To whom.
    pub call: Arc<CallState>,
    /// A message, or the text that stands for one.
    pub message: Bytes,
}

/// An RPC method that is accepted.
#[derive(Debug)]
pub struct Method {
    /// "/package.Service/Method".
    pub path: String,
    /// Whether messages stream both ways.
    pub streaming: bool,
    /// How many messages of a stream may wait for their credit.
    pub window: usize,
}

/// How often whoever waits for the end looks at what nobody tells: whether all is written.
const LOOK: Duration = Duration::from_millis(20);

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connections are taken.
    Serving,
    /// No connection is taken, and those that there are end with their calls.
    Closing,
    /// All connections end at once.
    Cut,
}

#[derive(Default)]
struct Shared {
    events: Vec<Event>,
    outbox: Vec<(Arc<CallState>, Reply)>,
    kicked: bool,
    driver: Option<Waker>,
    driven: bool,
}

/// One server.
pub struct Wire {
    /// What it puts up with.
    pub options: Options,
    /// Bytes in flight.
    pub budget: Arc<Counter>,
    /// Counters.
    pub counters: Counters,
    /// Methods by path; set before anything listens.
    pub methods: OnceLock<HashMap<String, Arc<Method>>>,
    /// How far the end has come.
    pub phase: watch::Sender<Phase>,
    shared: Mutex<Shared>,
    changed: Condvar,
    refusing: AtomicBool,
    refusal: Mutex<Option<Arc<Trailers>>>,
    ending: Mutex<Option<Arc<Trailers>>>,
    streams: Mutex<HashMap<usize, Weak<CallState>>>,
    tls: Mutex<Option<Arc<rustls::ServerConfig>>>,
    /// What an operator should know.
    pub complaint: Complaint,
}

impl Wire {
    /// A server that has no method and listens nowhere yet.
    pub fn new(options: Options, budget: Arc<Counter>) -> Self {
        Wire {
            options,
            budget,
            counters: Counters::default(),
            methods: OnceLock::new(),
            phase: watch::Sender::new(Phase::Serving),
            shared: Mutex::default(),
            changed: Condvar::new(),
            refusing: AtomicBool::new(false),
            refusal: Mutex::new(None),
            ending: Mutex::new(None),
            streams: Mutex::default(),
            tls: Mutex::new(None),
            complaint: Complaint::default(),
        }
    }

    /// How new connections are encrypted; None: not at all.
    pub fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        locked(&self.tls).clone()
    }

    /// Encrypt new connections like this.
    pub fn use_tls(&self, config: rustls::ServerConfig) {
        *locked(&self.tls) = Some(Arc::new(config));
    }

    // The tasks' side.

    /// Gather an event. The driver tells about it when the tasks that can run have run.
    pub fn emit(&self, kind: Kind, call: &Arc<CallState>, message: Bytes) {
        let mut shared = locked(&self.shared);
        shared.events.push(Event { kind, call: call.clone(), message });
        Self::wake(shared);
    }

    /// How new calls end, once they are refused.
    pub fn refusal(&self) -> Option<Arc<Trailers>> {
        if !self.refusing.load(Relaxed) {
            return None;
        }
        locked(&self.refusal).clone()
    }

    /// Count a call that Python hears of.
    pub fn opened(&self, call: &Arc<CallState>) {
        self.counters.open_calls.fetch_add(1, Relaxed);
        if call.method.streaming {
            locked(&self.streams).insert(Arc::as_ptr(call) as usize, Arc::downgrade(call));
        }
    }

    /// End a stream that was just opened, if streams are being ended.
    pub fn end_if_ending(&self, call: &Arc<CallState>) {
        let ending = locked(&self.ending).clone();
        if let Some(trailers) = ending {
            call.deliver(Reply { when_idle: Some(trailers), ..Reply::default() });
        }
    }

    /// Count the end of a call that Python has heard of.
    pub fn ended(&self, call: &Arc<CallState>) {
        if call.method.streaming {
            locked(&self.streams).remove(&(Arc::as_ptr(call) as usize));
        }
        self.counters.open_calls.fetch_sub(1, Relaxed);
    }

    // The driver's side.

    /// Begin to drive.
    pub fn begin_turn(&self) {
        let mut shared = locked(&self.shared);
        shared.driven = true;
        if shared.events.is_empty() && *self.phase.borrow() != Phase::Serving {
            self.changed.notify_all();
        }
    }

    /// Take the replies that wait, and let `waker` know of further ones; or the events, if there are no replies.
    pub fn turn(&self, waker: &Waker) -> Turn {
        let mut shared = locked(&self.shared);
        let over = shared.kicked || !shared.events.is_empty();
        if !shared.outbox.is_empty() {
            if over {
                waker.wake_by_ref();
            } else {
                shared.driver = Some(waker.clone());
            }
            return Turn::Replies(std::mem::take(&mut shared.outbox));
        }
        if over {
            return Turn::Over;
        }
        shared.driver = Some(waker.clone());
        Turn::Quiet
    }

    /// Stop driving; gives the events.
    pub fn end_turn(&self) -> Vec<Event> {
        let mut shared = locked(&self.shared);
        shared.driven = false;
        shared.driver = None;
        shared.kicked = false;
        std::mem::take(&mut shared.events)
    }

    // Python's side: any thread.

    /// Queue replies.
    pub fn post(&self, replies: Vec<(Arc<CallState>, Reply)>) {
        let mut shared = locked(&self.shared);
        if shared.outbox.is_empty() {
            shared.outbox = replies;
        } else {
            shared.outbox.extend(replies);
        }
        Self::wake(shared);
    }

    /// End the present or the next turn.
    pub fn kick(&self) {
        let mut shared = locked(&self.shared);
        shared.kicked = true;
        Self::wake(shared);
    }

    /// Refuse new calls from now on.
    pub fn refuse(&self, trailers: Arc<Trailers>) {
        *locked(&self.refusal) = Some(trailers);
        self.refusing.store(true, Relaxed);
    }

    /// End all streams as soon as they are idle, also those to come.
    pub fn end_idle_streams(&self, trailers: Arc<Trailers>) {
        *locked(&self.ending) = Some(trailers.clone());
        let streams: Vec<_> = locked(&self.streams).values().filter_map(Weak::upgrade).collect();
        let ending = |call| (call, Reply { when_idle: Some(trailers.clone()), ..Reply::default() });
        self.post(streams.into_iter().map(ending).collect());
    }

    /// Wait until `done`, which is asked again and again; false after `timeout`.
    pub fn wait_until(&self, timeout: Duration, done: impl Fn(&Counters) -> bool) -> bool {
        let until = Instant::now() + timeout;
        let mut shared = locked(&self.shared);
        while !done(&self.counters) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            shared = self.waited(shared, left.min(LOOK));
        }
        true
    }

    /// Wait until all events have been handed over and whoever took them is back; false after `timeout`.
    pub fn wait_until_delivered(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut shared = locked(&self.shared);
        while !(shared.events.is_empty() && shared.driven) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            shared = self.waited(shared, left);
        }
        true
    }

    fn waited<'a>(
        &self,
        shared: std::sync::MutexGuard<'a, Shared>,
        timeout: Duration,
    ) -> std::sync::MutexGuard<'a, Shared> {
        self.changed.wait_timeout(shared, timeout).unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn wake(mut shared: std::sync::MutexGuard<'_, Shared>) {
        if let Some(waker) = shared.driver.take() {
            drop(shared);
            waker.wake();
        }
    }
}

/// What a driver finds.
pub enum Turn {
    /// Replies to hand to their calls, before anything else.
    Replies(Vec<(Arc<CallState>, Reply)>),
    /// There is something to tell Python.
    Over,
    /// Nothing yet.
    Quiet,
}
