//! What TFTP and HTTP ask of whoever has the files: a few functions, so that a server can be driven
//! without a service behind it.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use crate::servers::images::{Image, Images, Missing, Reading};
use crate::service::serving::{Artifact, Ask, Refusal, Serving, Transferred, Uploaded};

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Sender = dyn Fn(&Ask) -> Result<String, Refusal> + Send + Sync;

type Fetcher = dyn Fn(&Ask) -> Option<String> + Send + Sync;

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Served {
    pub device: String,
    pub content: Content,
    /// Lower-case hex. Empty for an image, whose digest is known at its end.
    pub sha256: String,
}

/// Where its bytes are.
#[derive(Debug, Clone)]
pub enum Content {
    Here(Arc<[u8]>),
    Image(Arc<Reading>),
}

/// How a transfer ended, and of which image.
#[derive(Debug, Clone)]
pub struct Report {
    pub end: Transferred,
    pub image: Option<Arc<Image>>,
}

impl From<Artifact> for Served {
    fn from(artifact: Artifact) -> Self {
        let Artifact { device, content, sha256 } = artifact;
        Self { device, content: Content::Here(content), sha256 }
    }
}

impl Content {
    pub fn bytes(&self) -> u64 {
        match self {
            Content::Here(bytes) => bytes.len() as u64,
            Content::Image(reading) => reading.image().bytes(),
        }
    }

    pub fn image(&self) -> Option<Arc<Image>> {
        match self {
            Content::Here(_) => None,
            Content::Image(reading) => Some(reading.image()),
        }
    }
}

/// The functions. Clones share them.
#[derive(Clone)]
pub struct Files {
    artifact: Arc<dyn Fn(Ask) -> Answer<Result<Artifact, Refusal>> + Send + Sync>,
    transferred: Arc<dyn Fn(Transferred) -> Answer<()> + Send + Sync>,
    sender: Arc<Sender>,
    uploaded: Arc<dyn Fn(Uploaded) -> Answer<()> + Send + Sync>,
    /// The images, and who may fetch one by the name it asks for.
    images: Option<(Images, Arc<Fetcher>)>,
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
            images: None,
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

    /// Which images there are, and the device that may fetch one by the name it asks for.
    pub fn with_images(
        self,
        images: Images,
        fetcher: impl Fn(&Ask) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { images: Some((images, Arc::new(fetcher))), ..self }
    }

    /// What a service serves, with the images of this directory.
    pub fn of(serving: Serving, images: Option<Images>) -> Self {
        let files = Self::from(serving.clone());
        match images {
            Some(images) => files.with_images(images, move |ask| serving.may_fetch_image(ask)),
            None => files,
        }
    }

    /// What this asker gets.
    pub fn artifact(&self, ask: Ask) -> Answer<Result<Served, Refusal>> {
        let files = self.clone();
        Box::pin(async move {
            if let Some(served) = files.image(&ask).await? {
                return Ok(served);
            }
            (files.artifact)(ask).await.map(Served::from)
        })
    }

    async fn image(&self, ask: &Ask) -> Result<Option<Served>, Refusal> {
        let Some((images, fetcher)) = &self.images else { return Ok(None) };
        let Some(device) = fetcher(ask) else { return Ok(None) };
        let (images, name) = (images.clone(), ask.name.clone());
        let found = tokio::task::spawn_blocking(move || images.find(&name)).await;
        match found.unwrap_or(Err(Missing::NotThere)) {
            Ok(reading) => {
                let content = Content::Image(reading);
                Ok(Some(Served { device, content, sha256: String::new() }))
            }
            Err(Missing::NotThere) => Ok(None),
            Err(Missing::Busy) => Err(Refusal::Unavailable { why: "busy, ask again".to_owned() }),
        }
    }

    /// Reports how a transfer ended. The digest of an image is computed first, once for all who
    /// fetch it.
    pub fn transferred(&self, report: Report) -> Answer<()> {
        let Report { mut end, image } = report;
        let Some(image) = image else { return (self.transferred)(end) };
        let transferred = Arc::clone(&self.transferred);
        Box::pin(async move {
            end.sha256 = image.sha256().await;
            transferred(end).await;
        })
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
