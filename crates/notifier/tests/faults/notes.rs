//! All output of a process, kept to be searched: its logs, progress, `Debug` texts, and the texts of its
//! panics.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use notifier::model::Progress;
use tracing_subscriber::fmt::MakeWriter;

/// The observer panics at every step with a number divisible by this.
const PANIC_EVERY: usize = 40;

/// What was said so far. Clones are the same notes.
#[derive(Clone, Default)]
pub(crate) struct Notes {
    text: Arc<Mutex<String>>,
    steps: Arc<AtomicUsize>,
}

impl Notes {
    pub(crate) fn add(&self, text: &str) {
        let mut all = self.text.lock().unwrap();
        all.push_str(text);
        all.push('\n');
    }

    /// The notes since the last call.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.text.lock().unwrap())
    }

    /// Notes every step, and panics with one now and then.
    pub(crate) fn progress(&self) -> Progress {
        let notes = self.clone();
        Progress::default().observed_by(move |event| {
            let text = format!("{event:?}");
            notes.add(&text);
            let number = notes.steps.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(!number.is_multiple_of(PANIC_EVERY), "{text}");
        })
    }

    /// From now on notes what our crates log at any level, and every panic of this process instead of showing it.
    pub(crate) fn listen(&self) {
        tracing_subscriber::fmt()
            .with_env_filter("off,notifier=trace,wire=trace,simulator=trace")
            .with_ansi(false)
            .with_writer(self.clone())
            .init();
        let notes = self.clone();
        std::panic::set_hook(Box::new(move |panic| notes.add(&format!("panic: {panic}\n{panic:?}"))));
    }
}

impl<'a> MakeWriter<'a> for Notes {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
