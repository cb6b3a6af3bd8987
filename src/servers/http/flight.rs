//! One response on its way through a connection: its body, and the socket that tells when it is
//! through.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::sync::Notify;

use crate::service::serving::Transferred;

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
}

#[derive(Debug, Default)]
struct State {
    flight: Option<Flight>,
    reports: Vec<Transferred>,
}

#[derive(Debug)]
struct Flight {
    /// Filled in but for its end.
    report: Transferred,
    length: u64,
    /// Bytes of the body that the connection has taken.
    handed: u64,
    /// Bytes of the connection that were written before.
    written_before: u64,
}

impl Watch {
    /// A response of `length` bytes begins. `report` says complete and has no reason yet, unless
    /// only a part of the file was asked for.
    pub fn begin(&self, report: Transferred, length: u64) {
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
        report.bytes = handed.min(written);
        if handed < length || written < length {
            report.complete = false;
            report.why = "the reader closed the connection before the end".to_owned();
        }
        state.reports.push(report);
        self.ended.notify_one();
    }

    /// Everything that has ended since the last call.
    pub fn take_reports(&self) -> Vec<Transferred> {
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
    watch: Option<Arc<Watch>>,
}

impl Content {
    pub fn text(text: Bytes) -> Self {
        Self { rest: text, watch: None }
    }

    pub fn file(part: Bytes, watch: Arc<Watch>) -> Self {
        Self { rest: part, watch: Some(watch) }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
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
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
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
