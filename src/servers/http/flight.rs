//! One response on its way through a connection: its body, and the socket that tells when it is
//! through.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::proto::tftp::content::PIECE_BYTES;
use crate::servers::files::Report;
use crate::servers::images::{Image, Reading};

/// What goes to the connection in one piece.
const CHUNK_BYTES: usize = 64 << 10;

/// Follows the responses of one connection, one after the other.
#[derive(Debug, Default)]
pub struct Watch {
    state: Mutex<State>,
    ended: Notify,
    /// Bytes that came and went.
    moved: AtomicU64,
    written: AtomicU64,
    /// Requests that are being answered.
    asking: AtomicU64,
}

/// A request that is being answered, for as long as this lives.
#[derive(Debug)]
pub struct Asking(Arc<Watch>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct State {
    flight: Option<Flight>,
    reports: Vec<Report>,
}

#[derive(Debug)]
struct Flight {
    /// Filled in but for its end.
    report: Report,
    length: u64,
    /// Bytes of the body that the connection has taken.
    handed: u64,
    /// Bytes of the connection that were written before.
    written_before: u64,
}

impl Watch {
    /// A request came, or its end is being reported.
    pub fn asking(self: &Arc<Self>) -> Asking {
        self.asking.fetch_add(1, Ordering::Relaxed);
        Asking(Arc::clone(self))
    }

    /// Nothing is asked, no file is on its way, and all that ended has been taken.
    pub fn is_idle(&self) -> bool {
        let state = self.state();
        let quiet = state.flight.is_none() && state.reports.is_empty();
        quiet && self.asking.load(Ordering::Relaxed) == 0
    }

    /// A response of `length` bytes begins. `report` says complete and has no reason yet, unless
    /// only a part of the file was asked for.
    pub fn begin(&self, report: Report, length: u64) {
        self.end_flight();
        let written_before = self.written.load(Ordering::Relaxed);
        self.state().flight = Some(Flight { report, length, handed: 0, written_before });
    }

    /// Ends the response that is under way, complete or not.
    pub fn end_flight(&self) {
        let mut state = self.state();
        let Some(Flight { mut report, length, handed, written_before }) = state.flight.take()
        else {
            return;
        };
        let written = self.written.load(Ordering::Relaxed) - written_before;
        let end = &mut report.end;
        end.bytes = handed.min(written);
        if handed < length || written < length {
            end.complete = false;
            end.why = "the reader closed the connection before the end".to_owned();
        }
        state.reports.push(report);
        self.ended.notify_one();
    }

    /// Everything that has ended since the last call.
    pub fn take_reports(&self) -> Vec<Report> {
        std::mem::take(&mut self.state().reports)
    }

    /// Returns once there is a report.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The lock is never held over anything that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_handed(&self, bytes: usize) {
        if let Some(flight) = &mut self.state().flight {
            flight.handed += bytes as u64;
        }
    }

    /// Everything that hyper had is with the kernel.
    fn on_flushed(&self) {
        let through = |flight: &Flight| {
            let written = self.written.load(Ordering::Relaxed) - flight.written_before;
            flight.handed == flight.length && written > flight.length
        };
        if self.state().flight.as_ref().is_some_and(through) {
            self.end_flight();
        }
    }
}

/// The body of a response: a text of ours, or a part of a file.
#[derive(Debug)]
pub struct Content {
    rest: Bytes,
    behind: Option<Behind>,
    watch: Option<Arc<Watch>>,
}

/// The part of an image that is not in memory yet. One piece is read ahead.
#[derive(Debug)]
struct Behind {
    reading: Arc<Reading>,
    range: Range<usize>,
    fetch: Option<JoinHandle<io::Result<Arc<Vec<u8>>>>>,
}

impl Behind {
    fn fetch(&mut self) {
        let (image, index) = (self.reading.image(), self.index());
        if self.fetch.is_none() && !self.range.is_empty() {
            let read = move || Image::read(&image, index);
            self.fetch = Some(tokio::task::spawn_blocking(read));
        }
    }

    fn index(&self) -> u64 {
        (self.range.start / PIECE_BYTES) as u64
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.fetch();
        let Some(fetch) = &mut self.fetch else { return Poll::Ready(Ok(Bytes::new())) };
        let piece = match ready!(Pin::new(fetch).poll(cx)) {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return Poll::Ready(Err(error)),
            Err(broken) => return Poll::Ready(Err(io::Error::other(broken))),
        };
        self.fetch = None;
        let skipped = self.range.start % PIECE_BYTES;
        let end = piece.len().min(skipped + self.range.len());
        if end <= skipped {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.range.start += end - skipped;
        self.fetch();
        Poll::Ready(Ok(Bytes::from_owner(Piece(piece)).slice(skipped..end)))
    }
}

struct Piece(Arc<Vec<u8>>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Content {
    pub fn text(text: Bytes) -> Self {
        Self { rest: text, behind: None, watch: None }
    }

    pub fn file(part: Bytes, watch: Arc<Watch>) -> Self {
        Self { rest: part, behind: None, watch: Some(watch) }
    }

    pub fn image(reading: Arc<Reading>, range: Range<usize>, watch: Arc<Watch>) -> Self {
        let behind = Behind { reading, range, fetch: None };
        Self { rest: Bytes::new(), behind: Some(behind), watch: Some(watch) }
    }

    fn remaining(&self) -> u64 {
        let behind = self.behind.as_ref().map_or(0, |behind| behind.range.len());
        (self.rest.len() + behind) as u64
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty()
            && let Some(behind) = &mut self.behind
        {
            match ready!(behind.poll(cx)) {
                Ok(piece) => self.rest = piece,
                Err(error) => {
                    tracing::warn!(%error, "an image cannot be read");
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(length);
        if let Some(watch) = &self.watch {
            watch.on_handed(length);
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

/// A connection whose bytes are counted and whose flushes are noticed.
#[derive(Debug)]
pub struct Watched<T> {
    pub inner: T,
    pub watch: Arc<Watch>,
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if result.is_ready() {
            self.watch.moved.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

impl<T: Write + Unpin> Watched<T> {
    fn count(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &result {
            self.watch.moved.fetch_add(*bytes as u64, Ordering::Relaxed);
            self.watch.written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        result
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.count(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.count(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        if matches!(result, Poll::Ready(Ok(()))) {
            self.watch.on_flushed();
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
