//! What an operator should know, told once in a while: whoever has something to say is in no place to log it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::locked;

/// How long an operator is not told the same again.
const SILENCE: Duration = Duration::from_secs(60);

/// A text for the log.
#[derive(Debug, Default)]
pub struct Complaint(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    text: Option<String>,
    told: Option<Instant>,
}

impl Complaint {
    /// Say something, unless something was said lately; whether there is now something to take.
    pub fn make(&self, text: impl FnOnce() -> String, now: Instant) -> bool {
        let mut state = locked(&self.0);
        let due = state.told.is_none_or(|told| now.saturating_duration_since(told) >= SILENCE);
        if due {
            state.told = Some(now);
            state.text = Some(text());
        }
        due
    }

    /// What is to be told.
    pub fn take(&self) -> Option<String> {
        locked(&self.0).text.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_again_after_a_while_only() {
        let (complaint, now) = (Complaint::default(), Instant::now());
        assert!(complaint.make(|| "first".to_owned(), now));
        assert!(!complaint.make(|| "second".to_owned(), now + SILENCE / 2));
        assert_eq!(complaint.take().as_deref(), Some("first"));
        assert_eq!(complaint.take(), None);
        assert!(complaint.make(|| "third".to_owned(), now + SILENCE));
        assert_eq!(complaint.take().as_deref(), Some("third"));
    }
}
