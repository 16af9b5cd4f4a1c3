//! One turn of the wheel: the runtime, driven by the thread that asks for events.
//!
//! The future that `drive` runs hands replies to their calls first, lets all tasks run, and ends with the events of all
//! of them: the first event wakes it, but the runtime comes back to it only when no task is left, or after many. So a
//! bulk of requests that arrives together is told together. tokio's own timers count milliseconds; a wait is ended by a
//! timer of the system's, because batches are delayed by less than that.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

use crate::wire::{Event, Turn, Wire};

/// Tasks that run before the driver of input and output is asked again: more than one bulk has.
const EVENT_INTERVAL: u32 = 512;

/// The runtime and the timer of its waits.
pub struct Driver {
    wire: Arc<Wire>,
    runtime: Runtime,
    timer: AsyncFd<OwnedFd>,
}

impl Driver {
    /// A runtime without a thread.
    pub fn new(wire: Arc<Wire>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build()?;
        #[expect(deprecated, reason = "sound for a descriptor that it owns, and its successor is unsafe")]
        let timer = {
            let _inside = runtime.enter();
            AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)?
        };
        Ok(Driver { wire, runtime, timer })
    }

    /// The runtime, for what is to run in it.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Drive until there are events, a kick, or the timeout is over. One thread at a time.
    pub fn drive(&self, timeout: Option<Duration>) -> Vec<Event> {
        self.wire.begin_turn();
        match timeout {
            None => self.runtime.block_on(poll_fn(|context| self.turn(context))),
            Some(Duration::ZERO) => self.runtime.block_on(self.look()),
            Some(timeout) => self.runtime.block_on(self.wait(timeout)),
        }
        self.wire.end_turn()
    }

    fn turn(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.wire.turn(context.waker()) {
            Turn::Over => Poll::Ready(()),
            Turn::Quiet => Poll::Pending,
            Turn::Replies(replies) => {
                for (call, reply) in replies {
                    call.deliver(reply);
                }
                Poll::Pending // their tasks run first
            }
        }
    }

    /// Write what there is to write and read what there is to read.
    async fn look(&self) {
        let mut turns = 0;
        poll_fn(|context| {
            if turns == 0 {
                let _ = self.turn(context);
            }
            turns += 1;
            if turns == 3 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    async fn wait(&self, timeout: Duration) {
        let armed = self.arm(timeout);
        let mut over = pin!(async {
            if armed.is_err() {
                return tokio::time::sleep(timeout).await;
            }
            if let Ok(mut ready) = self.timer.readable().await {
                ready.clear_ready();
            }
        });
        poll_fn(|context| match over.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.turn(context),
        })
        .await;
    }

    fn arm(&self, timeout: Duration) -> io::Result<()> {
        let value = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}
