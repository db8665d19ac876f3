//! The thread that writes the access log.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::settings::Target;
use super::waiting::Waiting;
use crate::mutex;

/// Time between two warnings of dropped lines.
pub(super) const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// Time between two rounds through the lines that wait, unless a block is there sooner.
const ROUND_INTERVAL: Duration = Duration::from_millis(50);

/// Memory for lines that is kept between two rounds.
const KEPT_BYTES: usize = 256 << 10;

/// What the thread and the workers tell each other.
#[derive(Default)]
pub(super) struct State {
    /// The lines of all workers.
    pub(super) waiting: Mutex<Vec<Arc<Waiting>>>,
    /// True if the thread is to be woken for the next line.
    pub(super) is_idle: AtomicBool,
    /// True if later lines belong to a new file.
    pub(super) reopen: AtomicBool,
    pub(super) ending: AtomicBool,
    /// Lines that it and the workers dropped.
    pub(super) dropped: AtomicU64,
}

/// Writes the lines of the workers.
pub(crate) struct Writer<F = File> {
    target: Target,
    file: F,
    state: Arc<State>,
    /// Lines that are not written yet.
    text: Vec<u8>,
    /// True if the last write ended within a line.
    is_incomplete: bool,
    warned: Option<Instant>,
}

impl Writer {
    pub(crate) fn open(target: Target, state: Arc<State>) -> io::Result<Writer> {
        let file = open(&target)?;
        Ok(Writer { target, file, state, text: Vec::new(), is_incomplete: false, warned: None })
    }

    /// Writes what comes until it is told to end and nothing more is there.
    pub(crate) fn run(mut self) {
        loop {
            // Before the lines are taken: they are all that were there.
            let is_ending = self.state.ending.load(Ordering::Acquire);
            let is_to_reopen = self.state.reopen.swap(false, Ordering::AcqRel);
            let had_lines = self.write_waiting();
            if is_to_reopen {
                self.reopen();
            }
            match (had_lines, is_ending) {
                (true, true) => {}
                (true, false) => {
                    self.state.is_idle.store(false, Ordering::Release);
                    std::thread::park_timeout(ROUND_INTERVAL);
                }
                (false, true) => return,
                (false, false) => {
                    // There is another round in between: a line that it does not find finds this thread idle.
                    if self.state.is_idle.swap(true, Ordering::AcqRel) {
                        std::thread::park();
                    }
                }
            }
        }
    }

    /// Writes the lines that wait. True if there were some.
    fn write_waiting(&mut self) -> bool {
        let workers = mutex::lock(&self.state.waiting).clone();
        let mut had_lines = false;
        for waiting in workers {
            waiting.take(&mut self.text);
            had_lines |= !self.text.is_empty();
            self.write();
            self.text.shrink_to(KEPT_BYTES);
        }
        had_lines
    }

    fn reopen(&mut self) {
        let Target::File(path) = &self.target else { return };
        match open(&self.target) {
            Ok(file) => {
                self.file = file;
                self.is_incomplete = false;
                tracing::info!(file = %path.display(), "access log opened again");
            }
            Err(error) => {
                let file = path.display();
                tracing::warn!(%error, %file, "cannot open the access log again; lines go on to the file it was");
            }
        }
    }
}

impl<F: Write> Writer<F> {
    /// Writes the lines that are there; those that the system refuses are dropped.
    fn write(&mut self) {
        let text = std::mem::take(&mut self.text);
        let mut rest = &text[..];
        if let Err(error) = self.write_on(&mut rest) {
            if let Some(last) = text[..text.len() - rest.len()].last() {
                self.is_incomplete = *last != b'\n';
            }
            let lines = memchr::memchr_iter(b'\n', rest).count() as u64;
            self.state.dropped.fetch_add(lines, Ordering::Relaxed);
            if self.warned.is_none_or(|warned| warned.elapsed() >= WARNING_INTERVAL) {
                self.warned = Some(Instant::now());
                tracing::warn!(%error, lines, "cannot write the access log; lines are dropped");
            }
        }
        self.text = text;
        self.text.clear();
    }

    /// Writes lines until there are no more or there is an error; `rest` is what was not written.
    fn write_on(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            // An incomplete line is ended first.
            let next: &[u8] = if self.is_incomplete { b"\n" } else { rest };
            match self.file.write(next) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) if self.is_incomplete => self.is_incomplete = false,
                Ok(bytes) => *rest = &rest[bytes..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open(target: &Target) -> io::Result<File> {
    let Target::File(path) = target else { return io::stdout().as_fd().try_clone_to_owned().map(File::from) };
    // Opening a pipe for writing alone would wait for a reader.
    let is_pipe = path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
    OpenOptions::new().create(true).append(true).read(is_pipe).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes between one refusal and the next.
    struct Disk {
        takes: Vec<usize>,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Some(left) = self.takes.last_mut() else {
                self.text.extend_from_slice(bytes);
                return Ok(bytes.len());
            };
            let taken = bytes.len().min(*left);
            *left -= taken;
            self.text.extend_from_slice(&bytes[..taken]);
            if taken == 0 {
                self.takes.pop();
                return Err(ErrorKind::StorageFull.into());
            }
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_refused_is_counted_and_lines_begin_anew_after_an_incomplete_one() {
        let state = Arc::<State>::default();
        let disk = Disk { takes: vec![7, 0, 6], text: Vec::new() };
        let (target, text) = (Target::Stdout, Vec::new());
        let mut writer =
            Writer { target, file: disk, state: Arc::clone(&state), text, is_incomplete: false, warned: None };
        let mut write = |text: &[u8]| {
            writer.text.extend_from_slice(text);
            writer.write();
            assert!(writer.text.is_empty());
            (state.dropped.load(Ordering::Relaxed), String::from_utf8(writer.file.text.clone()).unwrap())
        };
        assert_eq!(write(b""), (0, String::new()));
        // 6 bytes, nothing, 7 bytes, then all.
        assert_eq!(write(b"one\ntwo\nthree\n"), (2, "one\ntw".to_owned()));
        assert_eq!(write(b"four\n"), (3, "one\ntw".to_owned()));
        assert_eq!(write(b"five\nsix\n"), (4, "one\ntw\nfive\ns".to_owned()));
        assert_eq!(write(b"seven\n"), (4, "one\ntw\nfive\ns\nseven\n".to_owned()));
    }
}
