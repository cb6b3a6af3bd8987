//! The HTTP boot driver: the files of TFTP over HTTP/1.1, GET and HEAD. A path is only a name:
//! which file it means, if any, is decided where TFTP's names are.

mod answer;
mod crowd;
mod flight;

pub use answer::name as file_name;

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::answer::Part;
use self::crowd::{Crowd, Seat};
use self::flight::{Content, Watch, Watched};
use crate::config::meant;
use crate::error::{Code, Error};
use crate::servers::files::{self, Files, Report, Served};
use crate::servers::socket::http::listen;
use crate::service::serving::{Ask, Refusal, Transferred};

/// How long a connection may keep us waiting.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// From the first to the last byte of a request's head, and between two requests.
    head: Duration,
    /// A connection on which nothing moves for so long is closed. More than [`ARTIFACT_PATIENCE`].
    stall: Duration,
}

const PATIENCE: Patience =
    Patience { head: Duration::from_secs(15), stall: Duration::from_secs(60) };

/// For the answer of the service.
const ARTIFACT_PATIENCE: Duration = Duration::from_secs(30);

/// The head of a request; the largest of a known client is below 2 KiB.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// For connections and reports that are still under way when the server ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// After a failed accept (too many open files, mostly): others may end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\
    Content-Length: 16\r\nConnection: close\r\n\r\nbusy, ask again\n";

/// The sockets of the server, listening.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Listeners {
    /// The addresses at which requests are taken, in the order of the configuration.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|cx| {
            let accepted = self.listeners.iter().map(|listener| listener.poll_accept(cx));
            accepted.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }
}

/// Listens at every address of the configuration. Must be called within a tokio runtime.
pub fn bind(config: &meant::Http) -> Result<Listeners, Error> {
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for at in &config.listen {
        let listener = listen(at).map_err(|error| cannot_listen(at, &error))?;
        addresses.push(listener.local_addr().map_err(|error| cannot_listen(at, &error))?);
        listeners.push(listener);
    }
    Ok(Listeners { listeners, addresses })
}

fn cannot_listen(at: &meant::Listen, error: &io::Error) -> Error {
    let interface = at.interface.as_deref().map(|i| format!(" on {i}")).unwrap_or_default();
    let message = format!("cannot listen for HTTP at {}{interface}: {error}", at.address);
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE, \
             interfaces CAP_NET_RAW"
        }
        io::ErrorKind::AddrInUse => "another server has the port: `ss -ltnp` names it",
        _ => "",
    };
    Error::new(Code::Listen, message).hint(hint)
}

/// Serves until `shutdown` turns true (or its sender is gone), then lets running responses end.
pub async fn serve(
    listeners: Listeners,
    config: meant::Http,
    files: impl Into<Files>,
    shutdown: watch::Receiver<bool>,
) {
    serve_within(PATIENCE, listeners, config, files.into(), shutdown).await;
}

async fn serve_within(
    patience: Patience,
    listeners: Listeners,
    config: meant::Http,
    files: Files,
    mut shutdown: watch::Receiver<bool>,
) {
    for at in listeners.listening() {
        tracing::info!(%at, "listening for HTTP");
    }
    let crowd = Crowd::new(config.connections_max);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_end(&mut shutdown) => break,
            accepted = listeners.accept() => match accepted {
                Ok((stream, peer)) => {
                    let watch = Arc::new(Watch::default());
                    let Some(seat) = crowd.admit(files::canonical(peer).ip(), &watch) else {
                        tell_busy(stream);
                        continue;
                    };
                    let number = seat.number();
                    let (files, shutdown) = (files.clone(), shutdown.clone());
                    let guest = Guest { stream, peer, watch, _seat: seat };
                    let task = connections.spawn(converse(patience, guest, files, shutdown));
                    crowd.serves(number, task);
                }
                Err(error) => {
                    tracing::debug!(%error, "http accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended && !error.is_cancelled() {
                    tracing::error!(%error, "a connection of the HTTP server broke");
                }
            }
        }
    }
    drop(listeners);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::warn!("connections were cut at the end of the HTTP server");
    }
}

/// Somebody who is connected.
struct Guest {
    stream: TcpStream,
    peer: SocketAddr,
    watch: Arc<Watch>,
    _seat: Seat,
}

/// One connection to its end. Each transfer is reported before the next request is looked at.
async fn converse(
    patience: Patience,
    guest: Guest,
    files: Files,
    mut shutdown: watch::Receiver<bool>,
) {
    let Guest { stream, peer, watch, _seat } = guest;
    let Ok(local) = stream.local_addr() else { return };
    let io = Watched { inner: TokioIo::new(stream), watch: watch.clone() };
    let service = service_fn(|request| {
        let (files, watch) = (files.clone(), watch.clone());
        async move {
            let _asking = watch.asking();
            Ok::<_, Infallible>(respond(request, (peer, local), &files, watch).await)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience.head);
    builder.max_buf_size(HEAD_BYTES_MAX);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let (mut moved, mut ending) = (0, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "http connection");
                }
                break;
            }
            () = watch.ended() => report(&watch, &files).await,
            () = told_to_end(&mut shutdown), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(patience.stall) => {
                if watch.moved() == moved {
                    tracing::debug!(%peer, "http connection stalled");
                    break;
                }
            }
        }
        moved = watch.moved();
    }
    watch.end_flight();
    report(&watch, &files).await;
}

/// Into the empty buffer of a new connection, without waiting; whoever has gone does not hear it.
fn tell_busy(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(BUSY);
    }
}

async fn told_to_end(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = shutdown.wait_for(|end| *end).await;
}

async fn report(watch: &Arc<Watch>, files: &Files) {
    let _asking = watch.asking();
    let reports = watch.take_reports();
    if !reports.is_empty() {
        files.transferred(reports).await;
    }
}

async fn respond(
    request: Request<Incoming>,
    (peer, local): (SocketAddr, SocketAddr),
    files: &Files,
    watch: Arc<Watch>,
) -> Response<Content> {
    if let Some(refused) = answer::refuse(&request) {
        return refused.map(Content::text);
    }
    let ask = answer::ask(&request, (peer, local), |headers| files.header_clues(headers));
    let answered = tokio::time::timeout(ARTIFACT_PATIENCE, files.artifact(ask.clone())).await;
    let late = || Refusal::Unavailable { why: "no answer in time, ask again".to_owned() };
    let served = match answered.unwrap_or_else(|_| Err(late())) {
        Ok(served) => served,
        Err(refusal) => return answer::refusal(&refusal).map(Content::text),
    };
    let part = answer::part(request.headers(), &served);
    let head = answer::head(&served, &part);
    let whole = answer::length(&served);
    let range = match part {
        Part::Whole => 0..whole,
        Part::Range(range) => range,
        Part::Nothing => return head.map(|()| Content::text(Bytes::new())),
    };
    if request.method() == Method::HEAD {
        return head.map(|()| Content::text(Bytes::new()));
    }
    let mut report = begun(&ask, &served);
    report.first_byte = range.start as u64;
    if range.end < whole {
        report.complete = false;
        let (first, last) = (range.start, range.end - 1);
        report.why = format!("only bytes {first} to {last} of {whole} were asked for");
    }
    let image = served.content.image();
    watch.begin(Report { end: report, image }, range.len() as u64);
    let content = match served.content {
        files::Content::Here(bytes) => Content::file(Bytes::from_owner(bytes).slice(range), watch),
        files::Content::Image(reading) => Content::image(reading, range, watch),
    };
    head.map(|()| content)
}

fn begun(ask: &Ask, served: &Served) -> Transferred {
    Transferred {
        device: served.device.clone(),
        image: served.image,
        transport: "http",
        peer: ask.peer,
        name: ask.name.clone(),
        complete: true,
        first_byte: 0,
        bytes: 0,
        sha256: served.sha256.clone(),
        repeats: 0,
        why: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::process::Command;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::config::meant::Listen;
    use crate::platform::recognition::HeaderClues;
    use crate::servers::images::Images;
    use crate::service::serving::Artifact;

    const IN_TIME: Duration = Duration::from_secs(20);
    const LENGTH: usize = 20_000_000;

    struct Room {
        server: SocketAddr,
        asks: Arc<Mutex<Vec<Ask>>>,
        reports: watch::Receiver<Vec<Transferred>>,
        shutdown: watch::Sender<bool>,
        task: JoinHandle<()>,
        _images: tempfile::TempDir,
    }

    /// More than a few pieces.
    fn image() -> Vec<u8> {
        (0..1_000_003u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    /// `small`, `large`, `down`, and nothing else.
    fn room(connections_max: usize) -> Room {
        room_within(PATIENCE, connections_max)
    }

    fn room_within(patience: Patience, connections_max: usize) -> Room {
        let listen = vec![Listen { address: "127.0.0.1:0".parse().unwrap(), interface: None }];
        let config = meant::Http { listen, connections_max };
        let listeners = bind(&config).unwrap();
        let server = listeners.listening()[0];
        let asks = Arc::new(Mutex::new(Vec::new()));
        let (told, reports) = watch::channel(Vec::new());
        let heard = asks.clone();
        let artifact = move |ask: Ask| {
            heard.lock().unwrap().push(ask.clone());
            let content: Arc<[u8]> = match ask.name.as_str() {
                "small" => b"hostname sw1\n".as_slice().into(),
                "large" => vec![7; LENGTH].into(),
                "down" => {
                    let why = "the store is down".to_owned();
                    return std::future::ready(Err(Refusal::Unavailable { why }));
                }
                _ => {
                    let why = "no such file for you".to_owned();
                    return std::future::ready(Err(Refusal::NotFound { why }));
                }
            };
            let (device, sha256) = ("sw1".to_owned(), "ab".to_owned());
            std::future::ready(Ok(Artifact { device, content, sha256 }))
        };
        let files = Files::new(artifact, move |end| {
            told.send_modify(|reports: &mut Vec<Transferred>| reports.push(end));
            std::future::ready(())
        });
        let images = tempfile::tempdir().unwrap();
        std::fs::write(images.path().join("image"), image()).unwrap();
        let files = files.with_images(Images::new(images.path().to_owned()), |ask| {
            (ask.name != "small").then(|| "sw1".to_owned())
        });
        let files = files.with_identity(|headers| {
            let serial = headers.iter().find(|(name, _)| name == "x-arista-serial");
            HeaderClues { serial: serial.map(|(_, value)| value.clone()), ..HeaderClues::default() }
        });
        let (shutdown, end) = watch::channel(false);
        let task = tokio::spawn(serve_within(patience, listeners, config, files, end));
        Room { server, asks, reports, shutdown, task, _images: images }
    }

    impl Room {
        async fn reported(&mut self, count: usize) -> Vec<Transferred> {
            let enough = self.reports.wait_for(|reports| reports.len() >= count);
            let reports = tokio::time::timeout(IN_TIME, enough).await.expect("reported in time");
            reports.unwrap().clone()
        }

        /// Everything the server says to these bytes until it closes.
        async fn told(&self, bytes: &[u8]) -> String {
            let mut stream = TcpStream::connect(self.server).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut answer = Vec::new();
            let read = tokio::time::timeout(IN_TIME, stream.read_to_end(&mut answer)).await;
            read.expect("the server closes in time").unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        }

        /// The answer to one request, without its date.
        async fn asked(&self, line: &str, headers: &str) -> String {
            let request =
                format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
            let answer = self.told(request.as_bytes()).await;
            let kept = answer
                .split("\r\n")
                .filter(|line| !line.starts_with("date: ") && !line.starts_with("connection: "));
            kept.collect::<Vec<_>>().join("\n")
        }
    }

    #[tokio::test]
    async fn get_and_head_tell_the_length_and_only_get_is_a_transfer() {
        let mut room = room(10);
        let head = "HTTP/1.1 200 OK\ncontent-type: application/octet-stream\ncontent-length: 13\n\
                    accept-ranges: bytes\netag: \"ab\"\n\n";
        assert_eq!(room.asked("HEAD /small", "").await, head);
        assert_eq!(room.asked("GET /small", "").await, format!("{head}hostname sw1\n"));
        let report = room.reported(1).await.remove(0);
        assert_eq!((report.complete, report.bytes, report.why.as_str()), (true, 13, ""));
        assert_eq!((report.transport, report.name.as_str()), ("http", "small"));
    }

    #[tokio::test]
    async fn a_part_is_sent_as_asked_and_is_no_complete_transfer() {
        let mut room = room(10);
        let answer = room.asked("GET /small", "Range: bytes=9-11\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 206 Partial Content\n"), "{answer}");
        assert!(answer.contains("\ncontent-length: 3\n"), "{answer}");
        assert!(answer.contains("\ncontent-range: bytes 9-11/13\n"), "{answer}");
        assert!(answer.ends_with("\n\nsw1"), "{answer}");
        let report = room.reported(1).await.remove(0);
        assert_eq!((report.complete, report.bytes), (false, 3));
        assert_eq!(report.why, "only bytes 9 to 11 of 13 were asked for");
        let answer = room.asked("GET /small", "Range: bytes=13-\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 416 Range Not Satisfiable\n"), "{answer}");
        assert!(answer.contains("\ncontent-range: bytes */13\n"), "{answer}");
        let answer = room.asked("GET /small", "Range: bytes=9-\r\nIf-Range: \"cd\"\r\n").await;
        assert!(answer.ends_with("\n\nhostname sw1\n"), "{answer}");
        let rest = room.asked("GET /small", "Range: bytes=9-\r\nIf-Range: \"ab\"\r\n").await;
        assert!(rest.ends_with("\n\nsw1\n"), "{rest}");
        let reports = room.reported(3).await;
        assert_eq!((reports[2].complete, reports[2].bytes), (true, 4), "the end was reached");
    }

    async fn body_of(room: &Room, headers: &str) -> (String, Vec<u8>) {
        let request =
            format!("GET /image HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
        let mut stream = TcpStream::connect(room.server).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(IN_TIME, stream.read_to_end(&mut answer)).await;
        read.expect("the server closes in time").unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let body = answer.split_off(end);
        (String::from_utf8(answer).unwrap(), body)
    }

    #[tokio::test]
    async fn an_image_streams_whole_and_in_parts() {
        let mut room = room(10);
        let image = image();
        let (head, body) = body_of(&room, "").await;
        assert!(head.contains("content-length: 1000003\r\n"), "{head}");
        assert!(body == image);
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        for range in [0..1, 131_071..131_073, 131_072..400_000, 999_999..1_000_003] {
            let headers =
                format!("Range: bytes={}-{}\r\nIf-Range: {tag}\r\n", range.start, range.end - 1);
            let (head, body) = body_of(&room, &headers).await;
            assert!(head.starts_with("HTTP/1.1 206"), "{head}");
            assert!(body == image[range.clone()], "{range:?}");
        }
        let reports = room.reported(5).await;
        assert!(reports.iter().all(|report| report.image && report.sha256.len() == 64));
        assert_eq!((reports[0].complete, reports[0].bytes), (true, 1_000_003));
        assert_eq!((reports[4].complete, reports[4].first_byte), (true, 999_999));
        assert!(room.asks.lock().unwrap().is_empty(), "the service renders nothing for it");
    }

    /// The digests of `abc`, which both standards give as an example.
    #[tokio::test]
    async fn an_image_comes_with_its_digests_beside_it_and_in_its_head() {
        let room = room(10);
        std::fs::write(room._images.path().join("abc.bin"), "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (path, digest) in
            [("/abc.bin.sha256", sha256), ("/abc.bin.md5", "900150983cd24fb0d6963f7d28e17f72")]
        {
            let answer = room.asked(&format!("GET {path}"), "").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.ends_with(&format!("\n\n{digest}  abc.bin\n")), "{answer}");
        }
        let answer = room.asked("GET /abc.bin", "").await;
        let head = "\nrepr-digest: sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:\n";
        assert!(answer.contains(head), "{answer}");
        let none = room.asked("GET /nothing.bin.sha256", "").await;
        assert!(!none.starts_with("HTTP/1.1 200"), "{none}");
    }

    #[tokio::test]
    async fn refusals_have_a_status_and_a_short_text() {
        let room = room(10);
        for (line, headers, status, text) in [
            ("GET /../../etc/passwd", "", "404 Not Found", "no such file for you\n"),
            ("GET //etc/passwd", "", "404 Not Found", "no such file for you\n"),
            ("GET /down", "", "503 Service Unavailable", "the store is down\n"),
            ("PUT /small", "", "405 Method Not Allowed", "only GET and HEAD are served\n"),
            (
                "GET /small",
                "Content-Length: 5\r\n",
                "413 Payload Too Large",
                "a request may not have a body\n",
            ),
        ] {
            let answer = room.asked(line, headers).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\n")), "{line}: {answer}");
            assert!(answer.ends_with(&format!("\n\n{text}")), "{line}: {answer}");
        }
        assert!(room.reports.borrow().is_empty());
    }

    #[tokio::test]
    async fn rubbish_and_endless_heads_are_refused_and_others_served() {
        let room = room(10);
        for rubbish in [&b"\x16\x03\x01\x02\0\x01\r\n\r\n"[..], b"GET\r\n\r\n", &[b'A'; 60_000]] {
            let mut stream = TcpStream::connect(room.server).await.unwrap();
            let mut answer = Vec::new();
            // The server may close before everything was written.
            let _ = stream.write_all(rubbish).await;
            let _ = tokio::time::timeout(IN_TIME, stream.read_to_end(&mut answer)).await.unwrap();
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
        }
        let endless = format!("GET /small HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(40_000));
        let mut stream = TcpStream::connect(room.server).await.unwrap();
        let _ = stream.write_all(endless.as_bytes()).await;
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 431");
        }
        assert!(room.asked("GET /small", "").await.ends_with("hostname sw1\n"));
    }

    #[tokio::test]
    async fn a_reader_that_leaves_in_the_middle_is_no_complete_transfer() {
        let mut room = room(10);
        let mut stream = TcpStream::connect(room.server).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut some = [0; 1000];
        stream.read_exact(&mut some).await.unwrap();
        drop(stream);
        let report = room.reported(1).await.remove(0);
        assert!(!report.complete && report.bytes < LENGTH as u64, "{report:?}");
        assert_eq!(report.why, "the reader closed the connection before the end");
    }

    #[tokio::test]
    async fn the_report_does_not_wait_for_the_end_of_the_connection() {
        let mut room = room(10);
        let mut stream = TcpStream::connect(room.server).await.unwrap();
        for count in 1..=3 {
            stream.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let reports = room.reported(count).await;
            assert!(reports.iter().all(|report| report.complete));
        }
    }

    #[tokio::test]
    async fn whoever_begins_a_request_and_does_not_end_it_is_cut_off() {
        let head = Duration::from_millis(100);
        let room = room_within(Patience { head, ..PATIENCE }, 10);
        assert_eq!(room.told(b"GET /small HTTP/1.1\r\nHost: ").await, "");
        assert_eq!(room.told(b"").await, "");
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_off_and_reported() {
        let stall = Duration::from_millis(300);
        let mut room = room_within(Patience { stall, ..PATIENCE }, 10);
        let mut stream = TcpStream::connect(room.server).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let report = room.reported(1).await.remove(0);
        assert!(!report.complete && report.bytes < LENGTH as u64, "{report:?}");
        drop(stream);
    }

    #[tokio::test]
    async fn one_connection_too_many_is_told_so() {
        let room = room(2);
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(room.server).await.unwrap();
            stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            stream.read_exact(&mut [0; 15]).await.unwrap();
            held.push(stream);
        }
        assert!(room.told(b"").await.starts_with("HTTP/1.1 503 "));
    }

    #[tokio::test]
    async fn idle_connections_leave_for_whoever_asks() {
        let room = room(2);
        let mut idle = TcpStream::connect(room.server).await.unwrap();
        idle.write_all(b"HEAD /small HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        idle.read_exact(&mut [0; 15]).await.unwrap();
        let _mute = TcpStream::connect(room.server).await.unwrap();
        let ask = b"HEAD /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        for _ in 0..20 {
            assert!(room.told(ask).await.starts_with("HTTP/1.1 200 "));
        }
        let ended = tokio::time::timeout(IN_TIME, idle.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "the oldest had to leave");
    }

    #[tokio::test]
    async fn curl_reads_and_resumes() {
        let mut room = room(10);
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("file");
        std::fs::write(&to, vec![7; 1_000_000]).unwrap();
        let mut command = Command::new("curl");
        command.args(["-sS", "-C", "-", "-H", "X-Arista-Serial: JPE1", "-o"]).arg(&to);
        command.arg(format!("http://{}/large?x=y", room.server)).kill_on_drop(true);
        let ended = tokio::time::timeout(IN_TIME, command.output()).await.unwrap();
        let ended = ended.expect("curl cannot be run: install it as ./test does");
        assert!(ended.status.success(), "{ended:?}");
        assert!(std::fs::read(&to).unwrap() == vec![7; LENGTH]);
        let report = room.reported(1).await.remove(0);
        assert_eq!((report.complete, report.bytes), (true, LENGTH as u64 - 1_000_000));
        let ask = room.asks.lock().unwrap()[0].clone();
        assert_eq!((ask.serial.as_deref(), ask.name.as_str()), (Some("JPE1"), "large"));
    }

    #[tokio::test]
    async fn the_server_ends_when_told() {
        let mut room = room(10);
        let mut idle = TcpStream::connect(room.server).await.unwrap();
        idle.write_all(b"HEAD /small HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        idle.read_exact(&mut [0; 15]).await.unwrap();
        room.shutdown.send(true).unwrap();
        tokio::time::timeout(IN_TIME, &mut room.task).await.unwrap().unwrap();
        assert!(TcpStream::connect(room.server).await.is_err());
    }
}
