//! Which bytes an asker of TFTP or HTTP gets: its own, whatever generic name it asked.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::address::Mac;

/// A file request, as a server heard it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// `tftp` or `http`.
    pub transport: &'static str,
    /// With `::ffff:` removed.
    pub peer: SocketAddr,
    /// The address it asked at.
    pub local: SocketAddr,
    /// As asked, lossily decoded; hostile.
    pub name: String,
    /// From HTTP identity headers.
    pub serial: Option<String>,
    pub mac: Option<Mac>,
}

/// What is to be sent. Rendered once per device and plan, then shared.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub device: String,
    pub content: Arc<[u8]>,
    /// Lower-case hex.
    pub sha256: String,
}

/// Why there is nothing for this asker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not known, or not this name: TFTP ERROR 1, HTTP 404. The text goes to the asker: it tells nothing of others.
    NotFound { why: String },
    /// Known, and not now (template fails, store is down): TFTP ERROR 0, HTTP 503.
    Unavailable { why: String },
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    pub device: String,
    pub transport: &'static str,
    pub peer: SocketAddr,
    pub name: String,
    pub complete: bool,
    /// Bytes of content acknowledged.
    pub bytes: u64,
    pub sha256: String,
    /// Requests and blocks that came again.
    pub repeats: u32,
    /// Why it is not complete; empty otherwise.
    pub why: String,
}

/// The file service. Clones share everything.
#[derive(Clone)]
pub struct Serving {
    inner: Arc<()>,
}

impl Serving {
    /// Resolves the asker to a device and renders its file. The request is an event of the device's
    /// run; the answer waits until that event is stored.
    pub async fn artifact(&self, ask: Ask) -> Result<Artifact, Refusal> {
        let _ = (&self.inner, ask);
        unreachable!()
    }

    /// Reports the end of a transfer. Durable before this returns.
    pub async fn transferred(&self, end: Transferred) {
        let _ = end;
    }
}
