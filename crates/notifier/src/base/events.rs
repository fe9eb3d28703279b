//! One stream of events with several listeners. Listeners never slow the sender: a slow listener misses events, and
//! receives their number.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Default limit of events that wait for a listener.
pub const WAITING_MAX: usize = 16_384;

/// The sending side of the events. Cloning it is cheap; the default drops them.
pub struct Events<T> {
    observers: Vec<Observer<T>>,
    listeners: Vec<Arc<Sender<T>>>,
}

/// Is called for every event.
type Observer<T> = Arc<dyn Fn(&T) + Send + Sync>;

/// The sending side of a listener.
struct Sender<T> {
    events: mpsc::Sender<Message<T>>,
    missed: Arc<AtomicU64>,
    missed_ever: AtomicU64,
}

impl<T> Clone for Events<T> {
    fn clone(&self) -> Self {
        Self { observers: self.observers.clone(), listeners: self.listeners.clone() }
    }
}

impl<T> Default for Events<T> {
    fn default() -> Self {
        Self { observers: Vec::new(), listeners: Vec::new() }
    }
}

enum Message<T> {
    Event(Arc<T>),
    Flush(oneshot::Sender<()>),
}

impl<T> Events<T> {
    /// Calls `observer` for every event on the sender's thread: it must be fast, and never wait.
    #[must_use]
    pub fn observed_by(mut self, observer: impl Fn(&T) + Send + Sync + 'static) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Adds a listener, for which up to `waiting_max` events wait.
    pub fn listen(&mut self, waiting_max: usize) -> Listener<T> {
        let (events, receiver) = mpsc::channel(waiting_max.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        self.listeners.push(Arc::new(Sender {
            events,
            missed: Arc::clone(&missed),
            missed_ever: AtomicU64::new(0),
        }));
        Listener { events: receiver, missed }
    }

    /// Sends an event to every observer and listener. Never waits.
    pub fn emit(&self, event: T) {
        for observer in &self.observers {
            observer(&event);
        }
        if self.listeners.is_empty() {
            return;
        }
        let event = Arc::new(event);
        for listener in &self.listeners {
            if listener.events.try_send(Message::Event(Arc::clone(&event))).is_err() {
                listener.missed.fetch_add(1, Ordering::Relaxed);
                listener.missed_ever.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Number of events that listeners have missed, of all listeners together.
    pub fn missed(&self) -> u64 {
        self.listeners.iter().map(|listener| listener.missed_ever.load(Ordering::Relaxed)).sum()
    }

    /// Waits until every listener has handled the events so far, up to `limit`. Call it before a process is frozen or ends.
    pub async fn flush(&self, limit: Duration) {
        let flush = async |listener: &Arc<Sender<T>>| {
            let (done, is_done) = oneshot::channel();
            if listener.events.send(Message::Flush(done)).await.is_ok() {
                // An error means that the listener has ended.
                let _ = is_done.await;
            }
        };
        let all = futures_util::future::join_all(self.listeners.iter().map(flush));
        // A listener that is too slow loses the rest.
        let _ = timeout(limit, all).await;
    }
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("observers", &self.observers.len())
            .field("listeners", &self.listeners.len())
            .finish()
    }
}

/// The receiving side of the events.
#[derive(Debug)]
pub struct Listener<T> {
    events: mpsc::Receiver<Message<T>>,
    missed: Arc<AtomicU64>,
}

/// What a listener receives.
#[derive(Clone, Debug)]
pub enum Heard<T> {
    /// An event.
    Event(Arc<T>),
    /// This number of events was dropped, because too many were waiting.
    Missed(u64),
}

impl<T: Send + Sync + 'static> Listener<T> {
    /// Hands every event to `handle` on a thread of its own, which ends with the events: for what may block, as a write
    /// to a terminal or a pipe does.
    pub fn on_thread(
        mut self,
        name: &str,
        mut handle: impl FnMut(Heard<T>) + Send + 'static,
    ) -> io::Result<()> {
        let listen = move || {
            loop {
                let message = self.events.blocking_recv();
                let missed = self.missed.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    handle(Heard::Missed(missed));
                }
                match message {
                    Some(Message::Event(event)) => handle(Heard::Event(event)),
                    // Its sender may have given up.
                    Some(Message::Flush(done)) => drop(done.send(())),
                    None => break,
                }
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(listen).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    /// What a listener hears, event by event.
    fn heard(listener: Listener<u32>) -> Receiver<String> {
        let (heard, all) = std::sync::mpsc::channel();
        let hear = move |event: Heard<u32>| {
            let text = match event {
                Heard::Event(event) => event.to_string(),
                Heard::Missed(events) => format!("missed {events}"),
            };
            heard.send(text).unwrap();
        };
        listener.on_thread("listener", hear).unwrap();
        all
    }

    #[test]
    fn a_listener_that_does_not_listen_delays_nobody_and_knows_how_much_it_missed() {
        let mut events = Events::default();
        let (slow, fast) = (events.listen(2), events.listen(100));
        (0..5).for_each(|number| events.emit(number));
        assert_eq!(events.missed(), 3);
        drop(events);
        assert_eq!(heard(fast).iter().collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
        assert_eq!(heard(slow).iter().collect::<Vec<_>>(), ["missed 3", "0", "1"]);
    }

    #[tokio::test]
    async fn a_flush_waits_for_every_listener_but_not_for_one_that_hangs() {
        let mut events = Events::default();
        let heard = heard(events.listen(100));
        events.emit(1);
        events.flush(Duration::from_secs(60)).await;
        assert_eq!(heard.try_recv().as_deref(), Ok("1"));
        let hanging = events.listen(100);
        let started = tokio::time::Instant::now();
        events.flush(Duration::from_millis(50)).await;
        assert!(started.elapsed() >= Duration::from_millis(50));
        drop((events, hanging));
        assert!(heard.recv().is_err(), "the thread ends with the events");
    }
}
