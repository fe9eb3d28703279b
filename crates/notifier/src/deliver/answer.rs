//! The answer of a task to a question: the body of its 2xx response.

use std::sync::Arc;

use ::http::HeaderValue;
use hyper::body::Incoming;
use tokio::time::Instant;
use wire::Broadcast;

use super::{http, response};

/// The body of a 2xx response, without the secrets of its request. Untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Its bytes, at most the limit.
    pub bytes: usize,
    /// Whether it was longer than the limit.
    pub is_cut: bool,
}

/// What a delivery that is a question has besides.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The most bytes of an answer.
    bytes_max: usize,
    /// The event of its attempts, and the end of its time, from the first attempt on.
    pub(crate) begun: Option<(Arc<Broadcast>, Instant)>,
    /// The answer, once there is one.
    pub(crate) answer: Option<Answer>,
}

impl Asked {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, begun: None, answer: None }
    }

    /// An empty answer, to read one into.
    pub(super) fn reader(&self) -> AnswerReader {
        AnswerReader { bytes_max: self.bytes_max, body: Vec::new(), answer: Answer::default() }
    }
}

/// Reads an answer up to a limit.
#[derive(Debug)]
pub(super) struct AnswerReader {
    bytes_max: usize,
    body: Vec<u8>,
    pub(super) answer: Answer,
}

impl AnswerReader {
    /// Reads the body until it ends or is longer than the limit.
    ///
    /// # Errors
    ///
    /// If the body ends early: a part of an answer is no answer.
    pub(super) async fn read(&mut self, body: Incoming) -> hyper::Result<()> {
        self.body.clear();
        // With one byte more, a body that is as long as the limit is not cut.
        http::read(body, self.bytes_max.saturating_add(1), &mut self.body).await
    }

    /// Makes the answer from what was read.
    pub(super) fn finish(&mut self, secrets: &[HeaderValue]) {
        let is_cut = self.body.len() > self.bytes_max;
        self.body.truncate(self.bytes_max);
        let bytes = self.body.len();
        if is_cut {
            self.body.truncate(whole_characters(&self.body));
        }
        self.answer = Answer { text: response::without(&self.body, secrets), bytes, is_cut };
        self.body = Vec::new();
    }
}

/// The length of a text without the incomplete character at its end.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes_max: usize, body: &[u8]) -> Answer {
        let mut reader = Asked::new(bytes_max).reader();
        reader.body = body.to_vec();
        reader.finish(&[HeaderValue::from_static("Bearer t0ken-of-the-team")]);
        reader.answer
    }

    #[test]
    fn an_answer_is_cut_between_characters_and_has_no_secret_of_its_request() {
        for (bytes_max, body, text, bytes, is_cut) in [
            (4, &b"abcd"[..], "abcd", 4, false),
            (4, b"abcde", "abcd", 4, true),
            (4, "abcé".as_bytes(), "abc", 4, true),
            (9, b"a\xffb", "a\u{fffd}b", 3, false),
            (99, b"got t0ken-of-the-team!", "got [secret]!", 22, false),
            (0, b"a", "", 0, true),
        ] {
            assert_eq!(answer(bytes_max, body), Answer { text: text.to_owned(), bytes, is_cut });
        }
    }
}
