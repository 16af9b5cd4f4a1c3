//! Locks that outlive a panic: what they guard is consistent between any two statements.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lock a mutex, also after a thread has panicked while it held it.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
