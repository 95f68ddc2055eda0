//! The bodies of answers, which are read while they are sent, so that a large file needs little memory.

use super::answer::Content;
use super::toolchains::Toolchains;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The size of a part of a file in memory, in bytes. One answer has at most two of them.
const PART: usize = 256 << 10;

/// The number of parts of a toolchain that wait for the client.
const WAITING_PARTS: usize = 2;

/// The body of an answer.
pub(super) struct AnswerBody {
    source: Source,
    /// The number of bytes that are still to be sent.
    left: u64,
}

enum Source {
    Bytes(Bytes),
    File {
        file: Arc<File>,
        at: u64,
        reading: Option<JoinHandle<io::Result<Bytes>>>,
    },
    Parts(mpsc::Receiver<Bytes>),
}

impl AnswerBody {
    /// Creates a body with some text.
    pub fn text(text: &str) -> Self {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Self {
            left: bytes.len() as u64,
            source: Source::Bytes(bytes),
        }
    }

    /// Creates a body with the content of an answer. To be called on a thread of the runtime.
    pub fn of(content: Content) -> Self {
        let left = content.size();
        let source = match content {
            Content::Bytes(bytes) => Source::Bytes(Bytes::from_owner(bytes)),
            Content::File(file, _) => Source::File {
                file,
                at: 0,
                reading: None,
            },
            Content::Toolchain {
                toolchains,
                version,
                ..
            } => Source::Parts(parts(toolchains, version)),
        };
        Self { source, left }
    }
}

impl AnswerBody {
    /// Returns the number of bytes that are still to be sent.
    pub const fn size(&self) -> u64 {
        self.left
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let left = self.left;
        let part = match &mut self.source {
            Source::Bytes(bytes) => Ok(std::mem::take(bytes)),
            Source::Parts(receiver) => {
                ready!(receiver.poll_recv(context)).ok_or(io::ErrorKind::UnexpectedEof.into())
            }
            Source::File { file, at, reading } => {
                let task = reading.get_or_insert_with(|| read_at(file.clone(), *at, left));
                let read = ready!(Pin::new(task).poll(context));
                *reading = None;
                let part = read.unwrap_or_else(|error| Err(io::Error::other(error)));
                part.inspect(|part| *at += part.len() as u64)
            }
        };
        let part = part.and_then(|part| match part.len() as u64 {
            // The header has the size already: an answer that is too short must not look complete.
            length if length == 0 || length > left => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.left -= length;
                Ok(Frame::data(part))
            }
        });
        Poll::Ready(Some(part))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn read_at(file: Arc<File>, at: u64, left: u64) -> JoinHandle<io::Result<Bytes>> {
    tokio::task::spawn_blocking(move || {
        let length = usize::try_from(left).unwrap_or(PART).min(PART);
        let mut part = vec![0; length];
        let read = file.read_at(&mut part, at)?;
        part.truncate(read);
        Ok(part.into())
    })
}

/// Writes the zip file of a toolchain on a thread, and returns its parts.
fn parts(toolchains: Arc<Toolchains>, version: Arc<str>) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(WAITING_PARTS);
    tokio::task::spawn_blocking(move || {
        let mut writer = Writer {
            sender,
            part: Vec::with_capacity(PART),
        };
        // After an error the body is too short, and the connection is closed.
        if let Ok(Some(zip)) = toolchains.zip(&version)
            && zip.write_to(&mut writer).is_ok()
        {
            let _ = writer.flush();
        }
    });
    receiver
}

/// A writer whose output another task receives.
struct Writer {
    sender: mpsc::Sender<Bytes>,
    part: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() == PART {
            self.flush()?;
        }
        let length = bytes.len().min(PART - self.part.len());
        self.part.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART));
        let sent = self.sender.blocking_send(part.into());
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
