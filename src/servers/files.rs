//! What TFTP and HTTP ask of whoever has the files: a few functions, so that a server can be driven
//! without a service behind it.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use crate::platform::recognition::HeaderClues;
use crate::platform::software::{Digests, Hasher};
use crate::servers::images::{Image, Images, Missing, Reading};
use crate::service::serving::{Artifact, Ask, Refusal, Serving, Transferred, Uploaded};

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What many askers get, in their order.
type Answers = Answer<Vec<Result<Artifact, Refusal>>>;

type Sender = dyn Fn(&Ask) -> Result<String, Refusal> + Send + Sync;

type Fetcher = dyn Fn(&Ask) -> Option<String> + Send + Sync;

type Identity = dyn Fn(&[(String, String)]) -> HeaderClues + Send + Sync;

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Served {
    pub device: String,
    pub content: Content,
    /// Lower-case hex. Empty for an image, whose digest is known at its end.
    pub sha256: String,
    /// It is an image or tells of one, and not the device's configuration.
    pub image: bool,
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
        Self { device, content: Content::Here(content), sha256, image: false }
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

/// Hears of a device and the name of an image.
type Begun = dyn Fn(&str, &str) + Send + Sync;

/// The functions. Clones share them.
#[derive(Clone)]
pub struct Files {
    artifacts: Arc<dyn Fn(Vec<Ask>) -> Answers + Send + Sync>,
    transferred: Arc<dyn Fn(Vec<Transferred>) -> Answer<()> + Send + Sync>,
    sender: Arc<Sender>,
    uploaded: Arc<dyn Fn(Uploaded) -> Answer<()> + Send + Sync>,
    identity: Arc<Identity>,
    /// The images, and who may fetch one by the name it asks for.
    images: Option<(Images, Arc<Fetcher>)>,
    /// Hears of each image that a device begins to fetch: device and name.
    begun: Arc<Begun>,
}

impl Files {
    /// Files that are asked for one by one.
    pub fn new<A, T>(
        artifact: impl Fn(Ask) -> A + Send + Sync + 'static,
        transferred: impl Fn(Transferred) -> T + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = Result<Artifact, Refusal>> + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let artifacts = move |asks: Vec<Ask>| -> Answer<_> {
            let under_way: Vec<_> =
                asks.into_iter().map(|ask| tokio::spawn(artifact(ask))).collect();
            let broken = || Refusal::Unavailable { why: "ask again".to_owned() };
            Box::pin(async move {
                let mut answers = Vec::with_capacity(under_way.len());
                for answer in under_way {
                    answers.push(answer.await.unwrap_or_else(|_| Err(broken())));
                }
                answers
            })
        };
        let transferred = move |ends: Vec<Transferred>| -> Answer<()> {
            let under_way: Vec<_> = ends.into_iter().map(&transferred).collect();
            Box::pin(async move {
                for report in under_way {
                    report.await;
                }
            })
        };
        Self::of_many(artifacts, transferred)
    }

    /// Files that are asked for as they come: one answer waits for the others.
    fn of_many(
        artifacts: impl Fn(Vec<Ask>) -> Answers + Send + Sync + 'static,
        transferred: impl Fn(Vec<Transferred>) -> Answer<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            artifacts: Arc::new(artifacts),
            transferred: Arc::new(transferred),
            sender: Arc::new(|_| {
                Err(Refusal::Forbidden { why: "uploads are not taken here".to_owned() })
            }),
            uploaded: Arc::new(|_| Box::pin(std::future::ready(()))),
            identity: Arc::new(|_| HeaderClues::default()),
            images: None,
            begun: Arc::new(|_, _| {}),
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

    /// In which headers of HTTP a device says who it is.
    pub fn with_identity(
        self,
        identity: impl Fn(&[(String, String)]) -> HeaderClues + Send + Sync + 'static,
    ) -> Self {
        Self { identity: Arc::new(identity), ..self }
    }

    /// Who a request says it is.
    pub fn header_clues(&self, headers: &[(String, String)]) -> HeaderClues {
        (self.identity)(headers)
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
        let hears = serving.clone();
        let begun = move |device: &str, name: &str| hears.image_asked(device, name);
        let files = Self { begun: Arc::new(begun), ..files };
        match images {
            Some(images) => files.with_images(images, move |ask| serving.may_fetch_image(ask)),
            None => files,
        }
    }

    /// What this asker gets.
    pub async fn artifact(&self, ask: Ask) -> Result<Served, Refusal> {
        let answer = self.artifacts(vec![ask]).await.pop();
        answer.unwrap_or_else(|| Err(Refusal::Unavailable { why: "ask again".to_owned() }))
    }

    /// What each of these askers gets, in their order.
    pub async fn artifacts(&self, asks: Vec<Ask>) -> Vec<Result<Served, Refusal>> {
        if self.images.is_none() {
            return self.configurations(asks).await;
        }
        let mut rest = Vec::with_capacity(asks.len());
        let mut images = Vec::with_capacity(asks.len());
        for ask in asks {
            let image = self.image(&ask).await;
            if matches!(image, Ok(None)) {
                rest.push(ask);
            }
            images.push(image);
        }
        let mut others = match rest.is_empty() {
            true => Vec::new().into_iter(),
            false => (self.artifacts)(rest).await.into_iter(),
        };
        let lost = || Err(Refusal::Unavailable { why: "ask again".to_owned() });
        let answer = |image: Result<Option<Served>, Refusal>| match image? {
            Some(served) => Ok(served),
            None => others.next().unwrap_or_else(lost).map(Served::from),
        };
        images.into_iter().map(answer).collect()
    }

    /// The same for askers who concern no images.
    pub async fn configurations(&self, asks: Vec<Ask>) -> Vec<Result<Served, Refusal>> {
        let answers = (self.artifacts)(asks).await;
        answers.into_iter().map(|answer| answer.map(Served::from)).collect()
    }

    /// Whether the disk with the images has to be asked, which may take long.
    pub fn concerns_images(&self, ask: &Ask) -> bool {
        self.images.as_ref().is_some_and(|(_, fetcher)| fetcher(ask).is_some())
    }

    async fn image(&self, ask: &Ask) -> Result<Option<Served>, Refusal> {
        let Some((images, fetcher)) = &self.images else { return Ok(None) };
        let Some(device) = fetcher(ask) else { return Ok(None) };
        let found = find(images, &ask.name, &device).await;
        match found {
            Ok(reading) => {
                (self.begun)(&device, &ask.name);
                let content = Content::Image(reading);
                Ok(Some(Served { device, content, sha256: String::new(), image: true }))
            }
            Err(Missing::NotThere) => Ok(beside(images, &device, &ask.name).await),
            Err(Missing::Busy | Missing::Unreadable) => {
                Err(Refusal::Unavailable { why: "busy, ask again".to_owned() })
            }
        }
    }

    /// Reports how transfers ended. The digest of an image is computed first, once for all who
    /// fetch it; whatever is no image does not wait for that.
    pub async fn transferred(&self, reports: Vec<Report>) {
        let (images, rest): (Vec<Report>, Vec<Report>) =
            reports.into_iter().partition(|report| report.image.is_some());
        if !rest.is_empty() {
            (self.transferred)(rest.into_iter().map(|report| report.end).collect()).await;
        }
        for Report { mut end, image } in images {
            if let Some(image) = image {
                end.sha256 = image.sha256().await;
            }
            (self.transferred)(vec![end]).await;
        }
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
        let identity = serving.clone();
        let files = Self::of_many(
            move |asks| {
                let serving = serving.clone();
                Box::pin(async move { serving.artifacts(asks).await })
            },
            move |ends| {
                let reports = reports.clone();
                Box::pin(async move { reports.transferred(ends).await })
            },
        );
        let files = files.with_identity(move |headers| identity.header_clues(headers));
        files.with_uploads(
            move |ask| senders.sender(ask),
            move |end| {
                let uploads = uploads.clone();
                async move { uploads.uploaded(end).await }
            },
        )
    }
}

async fn find(images: &Images, name: &str, device: &str) -> Result<Arc<Reading>, Missing> {
    let (images, name, reader) = (images.clone(), name.to_owned(), device.to_owned());
    let found = tokio::task::spawn_blocking(move || images.find(&name, &reader)).await;
    found.unwrap_or(Err(Missing::NotThere))
}

/// The digest of an image, as a file of its own beside it: `NAME.sha256` and `NAME.md5`, in the
/// form of `sha256sum`.
async fn beside(images: &Images, device: &str, name: &str) -> Option<Served> {
    let (image, ending) = name.rsplit_once('.')?;
    let pick = match ending {
        "sha256" => |digests: Digests| digests.sha256,
        "md5" => |digests: Digests| digests.md5,
        _ => return None,
    };
    let reading = find(images, image, device).await.ok()?;
    let digest = pick(reading.image().digests().await?);
    let file = image.rsplit('/').next().unwrap_or(image);
    let text = format!("{digest}  {file}\n");
    let mut hasher = Hasher::default();
    hasher.update(text.as_bytes());
    let sha256 = hasher.finish().sha256;
    let content = Content::Here(text.into_bytes().into());
    Some(Served { device: device.to_owned(), content, sha256, image: true })
}

/// The address without `::ffff:`, which dual-stack sockets put before IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
