//! Runs the binary on a pseudo-terminal, and records the screen.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZeroU16;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Notifier, signal};

/// The end of a frame in DEC private mode 2026. Until then a terminal shows the previous frame.
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";
/// The start of a frame.
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";

/// A terminal of this size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    pub columns: u16,
    pub rows: u16,
}

/// The streams on the terminal; the others are pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Both,
    Stdout,
    Stderr,
}

/// A run as seen on the terminal.
#[derive(Debug)]
pub(crate) struct Watched {
    pub code: i32,
    /// The screen after each change.
    pub screens: Vec<String>,
    /// All bytes for the terminal.
    pub written: String,
    /// The output through a pipe.
    pub piped: String,
}

impl Watched {
    /// The final screen.
    pub(crate) fn last(&self) -> &str {
        self.screens.last().map_or("", String::as_str)
    }
}

impl Terminal {
    /// Runs it to its end.
    pub(crate) fn watch(self, run: Notifier, shown: Shown) -> Watched {
        self.watch_and_interrupt(run, shown, None)
    }

    /// Runs it, and presses Ctrl-C when this text is on the screen.
    pub(crate) fn interrupt(self, run: Notifier, shown: Shown, at: &str) -> Watched {
        self.watch_and_interrupt(run, shown, Some(at))
    }

    fn watch_and_interrupt(self, run: Notifier, shown: Shown, at: Option<&str>) -> Watched {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let size = Winsize { ws_row: self.rows, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).unwrap();
        let line = || {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            Stdio::from(ioctl_tiocgptpeer(&keyboard, flags).unwrap())
        };
        let mut command = run.command();
        command.stdin(Stdio::null());
        command.stdout(if shown == Shown::Stderr { Stdio::piped() } else { line() });
        command.stderr(if shown == Shown::Stdout { Stdio::piped() } else { line() });
        let mut child = command.spawn().unwrap();
        // Closes its copies, so that the run has the last ones.
        drop(command);
        let piped = match shown {
            Shown::Both => None,
            Shown::Stdout => child.stderr.take().map(read_all),
            Shown::Stderr => child.stdout.take().map(read_all),
        };
        let (mut at, process) = (at, child.id());
        let (screens, written) = self.look(File::from(keyboard), |screen| {
            if at.is_some_and(|at| screen.contains(at)) {
                at = None;
                signal(process, "INT");
            }
        });
        assert_eq!(at, None, "it was never seen: {screens:#?}");
        let code = child.wait().unwrap().code().expect("the run was killed");
        let piped = piped.map(|reader| reader.join().unwrap()).unwrap_or_default();
        Watched { code, screens, written, piped }
    }

    /// Follows the screen until the last writer has closed it.
    fn look(self, mut line: File, mut seen: impl FnMut(&str)) -> (Vec<String>, String) {
        let size = |number| NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(size(self.rows), size(self.columns), 0);
        let (mut screens, mut written) = (Vec::<String>::new(), Vec::new());
        let (mut some, mut shown) = ([0; 4096], 0);
        loop {
            match line.read(&mut some) {
                Ok(0) => break,
                Ok(length) => {
                    written.extend_from_slice(&some[..length]);
                    while let Some(end) = frame(&written[shown..]) {
                        parser.process(&written[shown..shown + end]);
                        shown += end;
                        let screen = parser.screen().contents();
                        seen(&screen);
                        if screens.last() != Some(&screen) {
                            screens.push(screen);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Linux reports this error when the last writer has closed its end.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => break,
                Err(error) => panic!("{error}"),
            }
        }
        (screens, String::from_utf8(written).unwrap())
    }
}

/// The length of output that a terminal shows at once: one frame, or everything outside a frame; `None` for an incomplete
/// frame.
fn frame(came: &[u8]) -> Option<usize> {
    let find = |mark: &[u8]| came.windows(mark.len()).position(|bytes| bytes == mark);
    match find(FRAME_BEGINS) {
        _ if came.is_empty() => None,
        None => Some(came.len()),
        Some(0) => find(FRAME_ENDS).map(|end| end + FRAME_ENDS.len()),
        Some(begin) => Some(begin),
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}
