//! What TFTP and HTTP ask of whoever has the files: a few functions, so that a server can be driven
//! without a service behind it.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use crate::service::serving::{Artifact, Ask, Refusal, Serving, Transferred, Uploaded};

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Sender = dyn Fn(&Ask) -> Result<String, Refusal> + Send + Sync;

/// The functions. Clones share them.
#[derive(Clone)]
pub struct Files {
    artifact: Arc<dyn Fn(Ask) -> Answer<Result<Artifact, Refusal>> + Send + Sync>,
    transferred: Arc<dyn Fn(Transferred) -> Answer<()> + Send + Sync>,
    sender: Arc<Sender>,
    uploaded: Arc<dyn Fn(Uploaded) -> Answer<()> + Send + Sync>,
}

impl Files {
    pub fn new<A, T>(
        artifact: impl Fn(Ask) -> A + Send + Sync + 'static,
        transferred: impl Fn(Transferred) -> T + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = Result<Artifact, Refusal>> + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Self {
            artifact: Arc::new(move |ask| Box::pin(artifact(ask))),
            transferred: Arc::new(move |end| Box::pin(transferred(end))),
            sender: Arc::new(|_| {
                Err(Refusal::Forbidden { why: "uploads are not taken here".to_owned() })
            }),
            uploaded: Arc::new(|_| Box::pin(std::future::ready(()))),
        }
    }

    /// Whose uploads are taken, and who hears of them.
    pub fn with_uploads<T>(
        self,
        sender: impl Fn(&Ask) -> Result<String, Refusal> + Send + Sync + 'static,
        uploaded: impl Fn(Uploaded) -> T + Send + Sync + 'static,
    ) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let uploaded = Arc::new(move |end| -> Answer<()> { Box::pin(uploaded(end)) });
        Self { sender: Arc::new(sender), uploaded, ..self }
    }

    /// What this asker gets.
    pub fn artifact(&self, ask: Ask) -> Answer<Result<Artifact, Refusal>> {
        (self.artifact)(ask)
    }

    /// Reports how a transfer ended.
    pub fn transferred(&self, end: Transferred) -> Answer<()> {
        (self.transferred)(end)
    }

    /// The device that may send us this file.
    pub fn sender(&self, ask: &Ask) -> Result<String, Refusal> {
        (self.sender)(ask)
    }

    /// Reports how an upload ended.
    pub fn uploaded(&self, end: Uploaded) -> Answer<()> {
        (self.uploaded)(end)
    }
}

impl From<Serving> for Files {
    fn from(serving: Serving) -> Self {
        let reports = serving.clone();
        let (senders, uploads) = (serving.clone(), serving.clone());
        let files = Self::new(
            move |ask| {
                let serving = serving.clone();
                async move { serving.artifact(ask).await }
            },
            move |end| {
                let reports = reports.clone();
                async move { reports.transferred(end).await }
            },
        );
        files.with_uploads(
            move |ask| senders.sender(ask),
            move |end| {
                let uploads = uploads.clone();
                async move { uploads.uploaded(end).await }
            },
        )
    }
}

/// The address without `::ffff:`, which dual-stack sockets put before IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
