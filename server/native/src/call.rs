//! One call: what the tasks of its connection and Python know of it together.
//!
//! A call is *answered* once somebody has decided how it ends: the service by a reply with trailers, or the wire, which
//! then tells the service by CANCEL. It is *over* once nothing more can be written. Replies are accepted in `accept`,
//! on the thread that sends them, and become visible to the call's task in `deliver`, on the one that drives.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use pyo3::prelude::*;

use crate::budget::Reservation;
use crate::compression::Encoding;
use crate::connection::Connection;
use crate::python::Call;
use crate::reply::{Reply, Trailers};
use crate::sync::locked;
use crate::wire::{Kind, Method, Wire};

/// How many unsent replies make a stream not writable; it is told when half of them are gone.
const HIGH_WATER: usize = 16;

/// One call.
pub struct CallState {
    /// The server.
    pub wire: Arc<Wire>,
    /// What was called.
    pub method: Arc<Method>,
    /// The request's headers.
    pub headers: HeaderMap,
    /// What it came over.
    pub connection: Arc<Connection>,
    /// When nobody waits for the answer any more.
    pub deadline: Option<Instant>,
    /// How messages to the client are compressed.
    pub encoding: Encoding,
    /// The call as Python has it.
    pub object: Mutex<Object>,
    /// The bytes of a unary call's message.
    pub reserved: Mutex<Option<Reservation>>,
    adopted: AtomicU64,
    queued: AtomicUsize,
    inner: Mutex<Inner>,
}

/// What Python has of a call.
#[derive(Default)]
pub enum Object {
    /// Nothing yet.
    #[default]
    None,
    /// This, from its first event on.
    Told(Py<Call>),
    /// Nothing any more: its last event was told, or it was answered.
    Done,
}

#[derive(Default)]
struct Inner {
    outbox: VecDeque<Reply>,
    writer: Option<Waker>,
    reader: Option<Waker>,
    credits: usize,
    full: bool,
    answered: bool,
    over: bool,
    ending: Option<Arc<Trailers>>,
    unsettled: VecDeque<Reservation>,
}

impl CallState {
    /// A call that nobody has heard of yet.
    pub fn new(
        wire: &Arc<Wire>,
        method: Arc<Method>,
        headers: HeaderMap,
        connection: Arc<Connection>,
        deadline: Option<Instant>,
        encoding: Encoding,
    ) -> Arc<Self> {
        let inner = Inner { credits: method.window, ..Inner::default() };
        Arc::new(CallState {
            wire: wire.clone(),
            method,
            headers,
            connection,
            deadline,
            encoding,
            object: Mutex::default(),
            reserved: Mutex::new(None),
            adopted: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
            inner: Mutex::new(inner),
        })
    }

    // Python's side: any thread.

    /// Whether a slow reader leaves room for more.
    pub fn is_writable(&self) -> bool {
        self.queued.load(Relaxed) < HIGH_WATER
    }

    /// Whether it is decided how the call ends.
    pub fn is_answered(&self) -> bool {
        locked(&self.inner).answered
    }

    /// Take a reply, unless the call is answered already. What is taken must be posted.
    pub fn accept(&self, reply: &Reply) -> bool {
        let mut inner = locked(&self.inner);
        if inner.answered {
            return false;
        }
        inner.answered = reply.trailers.is_some();
        if reply.writes() {
            self.queued.fetch_add(1, Relaxed);
        }
        true
    }

    /// Take the bytes of the message over; false if they are not the wire's any more.
    pub fn adopt(&self) -> bool {
        match locked(&self.reserved).take() {
            Some(reservation) => {
                self.adopted.store(reservation.into_bytes(), Relaxed);
                true
            }
            None => false,
        }
    }

    /// Undo `adopt`.
    pub fn disown(&self) {
        let nbytes = self.adopted.swap(0, Relaxed);
        *locked(&self.reserved) = Some(Reservation::of(&self.wire.budget, nbytes));
    }

    // The driver's side.

    /// Hand a reply to the task that writes.
    pub fn deliver(self: &Arc<Self>, mut reply: Reply) {
        let mut inner = locked(&self.inner);
        if let Some(trailers) = reply.when_idle.take() {
            inner.ending = Some(trailers);
        }
        if reply.credit > 0 {
            let settled = reply.credit.min(inner.unsettled.len());
            inner.unsettled.drain(..settled);
            inner.credits += reply.credit;
            wake(&mut inner.reader);
        }
        if inner.over {
            return;
        }
        if reply.writes() {
            inner.outbox.push_back(reply);
            wake(&mut inner.writer);
        }
        if inner.unsettled.is_empty()
            && let Some(trailers) = inner.ending.take()
        {
            drop(inner);
            self.end(&trailers);
        }
    }

    /// End the call from here, unless it is answered: the service is told by CANCEL.
    pub fn end(self: &Arc<Self>, trailers: &Arc<Trailers>) {
        let mut inner = locked(&self.inner);
        if inner.answered {
            return;
        }
        inner.answered = true;
        inner.outbox.push_back(Reply::end(trailers.clone()));
        self.queued.fetch_add(1, Relaxed);
        wake(&mut inner.writer);
        wake(&mut inner.reader);
        drop(inner);
        self.cancelled();
    }

    // The reading task of a stream.

    /// Wait until a message may be read: Ready(false) when the call is answered, and there is nobody to read for.
    pub fn poll_credit(&self, context: &mut Context<'_>) -> Poll<bool> {
        let mut inner = locked(&self.inner);
        if inner.answered || inner.over {
            return Poll::Ready(false);
        }
        if inner.credits > 0 {
            return Poll::Ready(true);
        }
        inner.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Ready once the call is answered.
    pub fn poll_answered(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = locked(&self.inner);
        if inner.answered || inner.over {
            return Poll::Ready(());
        }
        inner.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Count a message that was read, with its bytes, until a reply settles it.
    pub fn spend_credit(&self, reservation: Reservation) {
        let mut inner = locked(&self.inner);
        inner.credits -= 1;
        inner.unsettled.push_back(reservation);
    }

    /// Tell Python what happened.
    pub fn emit(self: &Arc<Self>, kind: Kind, message: Bytes) {
        self.wire.emit(kind, self, message);
    }

    fn cancelled(self: &Arc<Self>) {
        self.wire.counters.cancelled.fetch_add(1, Relaxed);
        self.emit(Kind::Cancel, Bytes::new());
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// A call that Python has heard of, for as long as something can be written: whoever writes has it.
pub struct OpenCall(Arc<CallState>);

impl OpenCall {
    /// Count a call as open; its first event must follow.
    pub fn new(call: &Arc<CallState>) -> Self {
        call.wire.opened(call);
        OpenCall(call.clone())
    }

    /// Whether there may be several replies.
    pub fn is_streaming(&self) -> bool {
        self.0.method.streaming
    }

    /// The next reply.
    pub fn poll_reply(&self, context: &mut Context<'_>) -> Poll<Reply> {
        let call = &self.0;
        let mut inner = locked(&call.inner);
        let Some(reply) = inner.outbox.pop_front() else {
            inner.writer = Some(context.waker().clone());
            return Poll::Pending;
        };
        let queued = call.queued.fetch_sub(1, Relaxed);
        inner.full |= queued >= HIGH_WATER;
        if inner.full && queued - 1 <= HIGH_WATER / 2 {
            inner.full = false;
            if !inner.answered {
                call.emit(Kind::Writable, Bytes::new());
            }
        }
        if reply.trailers.is_some() {
            wake(&mut inner.reader);
        }
        Poll::Ready(reply)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let call = &self.0;
        let mut inner = locked(&call.inner);
        let cancelled = !inner.answered;
        inner.over = true;
        inner.answered = true;
        let unsent = std::mem::take(&mut inner.outbox);
        inner.unsettled.clear();
        wake(&mut inner.reader);
        drop(inner);
        drop(unsent);
        drop(locked(&call.reserved).take());
        if cancelled {
            call.cancelled();
        }
        call.wire.ended(call);
    }
}
