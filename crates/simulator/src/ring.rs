//! A log with a limit, which drops its oldest entries.

use std::collections::VecDeque;

/// Keeps the newest entries within a number and a total size.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    entries: VecDeque<(T, usize)>,
    bytes: usize,
    count_max: usize,
    bytes_max: usize,
}

impl<T: Clone> Ring<T> {
    pub(crate) fn new(count_max: usize, bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, count_max, bytes_max }
    }

    /// Adds an entry of about `bytes` and drops the oldest until all fit.
    pub(crate) fn push(&mut self, entry: T, bytes: usize) {
        self.entries.push_back((entry, bytes));
        self.bytes += bytes;
        while self.entries.len() > self.count_max || self.bytes > self.bytes_max {
            let Some((_, bytes)) = self.entries.pop_front() else { return };
            self.bytes -= bytes;
        }
    }

    /// The entries, oldest first.
    pub(crate) fn all(&self) -> Vec<T> {
        self.entries.iter().map(|(entry, _)| entry.clone()).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_go_first_by_number_and_by_size() {
        let mut ring = Ring::new(3, 10);
        (1..=4).for_each(|entry| ring.push(entry, 1));
        assert_eq!(ring.all(), [2, 3, 4]);
        ring.push(5, 9);
        assert_eq!(ring.all(), [4, 5]);
        ring.push(6, 11);
        assert!(ring.all().is_empty(), "an entry that never fits is not kept");
        ring.push(7, 10);
        assert_eq!(ring.all(), [7]);
    }
}
