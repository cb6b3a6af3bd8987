//! The TFTP driver: sockets, time and tasks around the tables of transfers.
//!
//! Each core has a worker with sockets and a table of its own; the kernel gives every peer to one
//! of them. Beside a listening socket stand a few transfer ports that all transfers of the worker
//! share: a thousand devices cost no thousand sockets. Packets come and go in batches, and only
//! questions to the service and reports run as tasks, so that a slow answer holds up nobody else.

mod area;
mod post;
mod table;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::area::Area;
use self::table::Bounds;
use self::worker::Worker;
use crate::clock::Clock;
use crate::config::meant;
use crate::error::{Code, Error};
use crate::proto::tftp::negotiate::Limits;
use crate::servers::files::Files;
use crate::servers::socket::tftp::Port;

/// Transfer ports beside each listening socket. More than one, so that a peer that asks anew from
/// its old port meets another one of ours; few, because packets of one port share a batch.
const TRANSFER_PORTS: usize = 4;

/// Workers at most: one of them fills a 10 Gbit/s line, and each holds its own sockets.
const WORKERS_MAX: usize = 16;

/// A block is never repeated earlier. Switches pause for longer while they write to flash; each
/// vain repetition doubles the wait, so that a pause costs them a few packets at most.
const TIMEOUT_MIN: Duration = Duration::from_millis(50);

/// A client's `timeout` above this is not agreed; RFC 2349 allows 255 s.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// For one transfer: an image of 1 GB at 300 kB/s.
const TOTAL_MAX: Duration = Duration::from_secs(3600);

/// The sockets of the server, bound.
#[derive(Debug)]
pub struct Sockets {
    workers: Vec<Ports>,
}

/// The sockets of one worker.
#[derive(Debug)]
struct Ports {
    /// The listening ones first.
    ports: Vec<Port>,
    listening: usize,
}

impl Sockets {
    /// The addresses at which requests are taken, in the order of the configuration.
    pub fn listening(&self) -> Vec<SocketAddr> {
        let Some(Ports { ports, listening }) = self.workers.first() else { return Vec::new() };
        ports[..*listening].iter().map(Port::local).collect()
    }
}

impl Ports {
    /// A port with a datagram, once there is one. The search begins behind `last`, so that no busy
    /// port holds up the others.
    async fn readable(&self, last: usize) -> usize {
        let count = self.ports.len();
        std::future::poll_fn(|cx| {
            let mut order = (1..=count).map(|step| (last + step) % count);
            let ready = order.find(|index| self.ports[*index].poll_readable(cx).is_ready());
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Binds every listening address once for each core that this process may use, and the transfer
/// ports beside. Must be called within a tokio runtime.
pub fn bind(config: &meant::Tftp) -> Result<Sockets, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    bind_for(config, cores.min(WORKERS_MAX))
}

fn bind_for(config: &meant::Tftp, workers: usize) -> Result<Sockets, Error> {
    let listening = config.listen.len();
    let mut all: Vec<Ports> =
        (0..workers).map(|_| Ports { ports: Vec::new(), listening }).collect();
    for listen in &config.listen {
        let bound = Port::bind_listening(listen, workers);
        let bound = bound.map_err(|error| cannot_listen(listen, &error))?;
        all.iter_mut().zip(bound).for_each(|(worker, port)| worker.ports.push(port));
    }
    for worker in &mut all {
        for (index, listen) in config.listen.iter().enumerate() {
            for _ in 0..TRANSFER_PORTS {
                let port = worker.ports[index].bind_beside();
                worker.ports.push(port.map_err(|error| cannot_listen(listen, &error))?);
            }
        }
    }
    Ok(Sockets { workers: all })
}

fn cannot_listen(listen: &meant::Listen, error: &io::Error) -> Error {
    let interface = listen.interface.as_deref().map(|i| format!(" on {i}")).unwrap_or_default();
    let message = format!("cannot listen for TFTP at {}{interface}: {error}", listen.address);
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE, \
             interfaces CAP_NET_RAW"
        }
        io::ErrorKind::AddrInUse => "another TFTP server is running: `ss -lunp` names it",
        _ => "",
    };
    Error::new(Code::Listen, message).hint(hint)
}

/// Serves until `shutdown` turns true (or its sender is gone), then tells every reader and reports
/// every transfer.
pub async fn serve(
    sockets: Sockets,
    config: meant::Tftp,
    files: impl Into<Files>,
    clock: Clock,
    shutdown: watch::Receiver<bool>,
) {
    for at in sockets.listening() {
        tracing::info!(%at, "listening for TFTP");
    }
    let limits = Limits {
        block_bytes_max: config.block_bytes_max,
        window_blocks_max: config.window_blocks_max,
        timeout: config.timeout,
        timeout_min: TIMEOUT_MIN.min(config.timeout),
        timeout_max: TIMEOUT_MAX.max(config.timeout),
        retries_max: config.retries_max,
        total_max: TOTAL_MAX,
    };
    let bounds = Bounds {
        transfers_max: config.transfers_max,
        held: Arc::new(AtomicUsize::new(0)),
        workers: sockets.workers.len().max(1),
        single_port: config.single_port,
        upload_bytes_max: config.uploads.as_ref().map(|uploads| uploads.bytes_max),
        limits,
    };
    let files = files.into();
    let area = match config.uploads {
        // It sweeps, which may take the disk a while.
        Some(uploads) => tokio::task::spawn_blocking(move || Area::new(uploads)).await.ok(),
        None => None,
    };
    let mut workers = JoinSet::new();
    for (index, ports) in sockets.workers.into_iter().enumerate() {
        let worker = Worker::new(
            (index, ports),
            bounds.clone(),
            (files.clone(), area.clone()),
            clock.clone(),
        );
        workers.spawn(worker.serve(shutdown.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a worker of the TFTP server broke");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Output as Ended;
    use std::sync::Mutex;

    use tokio::net::UdpSocket;
    use tokio::process::Command;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::config::meant::Listen;
    use crate::proto::tftp::Output;
    use crate::proto::tftp::download::{Download, Outcome, Stop, Wish};
    use crate::proto::tftp::packet::{ErrorCode, Mode, Packet};
    use crate::proto::tftp::writer::{self, Offer, Writer};
    use crate::servers::images::Images;
    use crate::service::serving::{Artifact, Ask, Refusal, Transferred, Uploaded};

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Room {
        server: SocketAddr,
        asks: Arc<Mutex<Vec<Ask>>>,
        reports: watch::Receiver<Vec<Transferred>>,
        uploads: watch::Receiver<Vec<Uploaded>>,
        /// Where uploads go; `sw1` is whoever is not 127.0.0.66.
        area: tempfile::TempDir,
        shutdown: watch::Sender<bool>,
        task: JoinHandle<()>,
    }

    fn config(listen: &str) -> meant::Tftp {
        meant::Tftp {
            listen: vec![Listen { address: listen.parse().unwrap(), interface: None }],
            transfers_max: 2000,
            block_bytes_max: 1468,
            window_blocks_max: 16,
            timeout: Duration::from_millis(500),
            retries_max: 5,
            single_port: false,
            uploads: None,
        }
    }

    fn content() -> Arc<[u8]> {
        (0..100_000u32).map(|i| if i % 40 == 39 { b'\n' } else { b'a' + (i % 23) as u8 }).collect()
    }

    /// More than a few pieces, and no multiple of anything.
    fn image() -> Vec<u8> {
        (0..1_234_567u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    /// `network-confg` is there, `slow` after a while, `down` never, and nothing else.
    fn room_at(listen: &str) -> Room {
        room_with(config(listen))
    }

    fn room_with(config: meant::Tftp) -> Room {
        // More than one worker, also on a machine with one core.
        let sockets = bind_for(&config, 3).unwrap();
        let server = sockets.listening()[0];
        let asks = Arc::new(Mutex::new(Vec::new()));
        let (told, reports) = watch::channel(Vec::new());
        let heard = asks.clone();
        let artifact = move |ask: Ask| {
            heard.lock().unwrap().push(ask.clone());
            async move {
                match ask.name.as_str() {
                    "network-confg" => {}
                    "slow" => tokio::time::sleep(Duration::from_millis(300)).await,
                    "down" => return Err(Refusal::Unavailable { why: "the store is down".into() }),
                    _ => return Err(Refusal::NotFound { why: "no such file for you".into() }),
                }
                let sha256 = "ab".to_owned();
                Ok(Artifact { device: "sw1".to_owned(), content: content(), sha256 })
            }
        };
        let files = Files::new(artifact, move |end| {
            told.send_modify(|reports: &mut Vec<Transferred>| reports.push(end));
            std::future::ready(())
        });
        let area = tempfile::tempdir().unwrap();
        let mut config = config;
        if let Some(uploads) = &mut config.uploads {
            uploads.directory = area.path().to_owned();
        }
        let (told, uploads) = watch::channel(Vec::new());
        let stored = area.path().to_owned();
        let files = files.with_uploads(
            |ask| match ask.peer.ip().to_string().as_str() {
                "127.0.0.66" => Err(Refusal::Forbidden { why: "not known".into() }),
                _ => Ok(device_at(ask.peer)),
            },
            move |end: Uploaded| {
                assert!(!end.complete || stored.join(&end.device).join(&end.name).exists());
                told.send_modify(|uploads: &mut Vec<Uploaded>| uploads.push(end));
                std::future::ready(())
            },
        );
        // Images: `img/big`, for all but 127.0.0.66.
        std::fs::create_dir_all(area.path().join(".images/img")).unwrap();
        std::fs::write(area.path().join(".images/img/big"), image()).unwrap();
        let images = Images::new(area.path().join(".images"));
        let known = |ask: &Ask| ask.peer.ip().to_string() != "127.0.0.66";
        let files = files.with_images(images, move |ask| known(ask).then(|| device_at(ask.peer)));
        let (shutdown, end) = watch::channel(false);
        let task = tokio::spawn(serve(sockets, config, files, Clock::System, end));
        Room { server, asks, reports, uploads, area, shutdown, task }
    }

    /// `sw1`, but `sw-7` at 127.0.1.7.
    fn device_at(peer: SocketAddr) -> String {
        match peer.ip().to_canonical() {
            std::net::IpAddr::V4(ip) if ip.octets()[..3] == [127, 0, 1] => {
                format!("sw-{}", ip.octets()[3])
            }
            std::net::IpAddr::V4(_) | std::net::IpAddr::V6(_) => "sw1".to_owned(),
        }
    }

    fn room() -> Room {
        room_at("127.0.0.1:0")
    }

    impl Room {
        async fn reported(&mut self, count: usize) -> Vec<Transferred> {
            let enough = self.reports.wait_for(|reports| reports.len() >= count);
            let reports = tokio::time::timeout(PATIENCE, enough).await.expect("reported in time");
            reports.unwrap().clone()
        }

        /// Runs a client somebody else wrote; `{port}` and `{to}` stand for the server and a new
        /// file.
        async fn client(&self, line: &str) -> (Ended, Option<Vec<u8>>) {
            let folder = tempfile::tempdir().unwrap();
            let (to, from) = (folder.path().join("file"), folder.path().join("backup"));
            std::fs::write(&from, content()).unwrap();
            let words: Vec<String> = line
                .split_whitespace()
                .map(|word| word.replace("{port}", &self.server.port().to_string()))
                .map(|word| word.replace("{to}", to.to_str().unwrap()))
                .map(|word| word.replace("{from}", from.to_str().unwrap()))
                .map(|word| word.replace('_', " "))
                .collect();
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).kill_on_drop(true);
            let ended = tokio::time::timeout(PATIENCE, command.output()).await;
            let ended = ended.expect("the client ends in time");
            let ended = ended.unwrap_or_else(|error| {
                panic!("{} cannot be run ({error}): install it as ./test does", words[0])
            });
            (ended, std::fs::read(&to).ok())
        }

        async fn download(&self, wish: Wish) -> (Outcome, Vec<u8>, Option<u64>) {
            download(self.server, wish).await
        }
    }

    async fn download(server: SocketAddr, wish: Wish) -> (Outcome, Vec<u8>, Option<u64>) {
        download_from("127.0.0.1".to_owned(), server, wish).await
    }

    async fn download_from(
        source: String,
        server: SocketAddr,
        wish: Wish,
    ) -> (Outcome, Vec<u8>, Option<u64>) {
        let socket = UdpSocket::bind((source, 0)).await.unwrap();
        let mut out = Output::default();
        let now = || Clock::System.instant();
        let mut download = Download::start(server, wish, now(), &mut out);
        let mut buffer = vec![0; 65536];
        loop {
            for (to, bytes) in out.datagrams() {
                socket.send_to(bytes, to).await.unwrap();
            }
            out.clear();
            let Some(deadline) = download.deadline() else { break };
            let wait = deadline.saturating_duration_since(now());
            match tokio::time::timeout(wait, socket.recv_from(&mut buffer)).await {
                Ok(heard) => {
                    let (length, from) = heard.unwrap();
                    download.on_packet(&buffer[..length], from, now(), &mut out);
                }
                Err(_) => download.on_time(now(), &mut out),
            }
        }
        let (outcome, tsize) = (download.outcome().unwrap().clone(), download.tsize());
        (outcome, download.into_bytes(), tsize)
    }

    #[tokio::test]
    async fn curl_reads_the_file_with_options_and_without() {
        let mut room = room();
        for line in [
            "curl -s -o {to} tftp://127.0.0.1:{port}/network-confg",
            "curl -s -o {to} --tftp-blksize 1400 tftp://127.0.0.1:{port}/network-confg",
            "curl -s -o {to} --tftp-no-options tftp://127.0.0.1:{port}/network-confg",
        ] {
            let (ended, file) = room.client(line).await;
            assert!(ended.status.success(), "{line}: {ended:?}");
            assert!(file.unwrap() == *content(), "{line}");
        }
        for report in room.reported(3).await {
            let expected = (true, content().len() as u64, 0, "");
            let found = (report.complete, report.bytes, report.repeats, report.why.as_str());
            assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn tftp_hpa_reads_the_file_in_both_modes() {
        let mut room = room();
        for mode in ["binary", "ascii"] {
            let line = format!("tftp -m {mode} 127.0.0.1 {{port}} -c get network-confg {{to}}");
            let (ended, file) = room.client(&line).await;
            assert!(file.is_some_and(|file| file == *content()), "{mode}: {ended:?}");
        }
        assert!(room.reported(2).await.iter().all(|report| report.complete));
    }

    #[tokio::test]
    async fn atftp_reads_the_file_in_windows() {
        let mut room = room();
        let line = "atftp --option blksize_1428 --option windowsize_16 --option tsize_0 \
                    --get -r network-confg -l {to} 127.0.0.1 {port}";
        let (ended, file) = room.client(line).await;
        assert!(file.is_some_and(|file| file == *content()), "{ended:?}");
        assert!(room.reported(1).await[0].complete);
    }

    #[tokio::test]
    async fn busybox_reads_the_file() {
        let mut room = room();
        let line = "busybox tftp -g -b 1400 -r network-confg -l {to} 127.0.0.1 {port}";
        let (ended, file) = room.client(line).await;
        assert!(file.is_some_and(|file| file == *content()), "{ended:?}");
        assert!(room.reported(1).await[0].complete);
    }

    #[tokio::test]
    async fn names_that_are_not_there_are_refused_at_once_and_open_nothing() {
        let room = room();
        for name in ["sw9.cfg", "../../../../etc/passwd", "/etc/passwd", "", "a\u{1b}[2J"] {
            let (outcome, bytes, _) = room.download(Wish::plain(name)).await;
            let text = "no such file for you".to_owned();
            assert_eq!(outcome, Outcome::Refused { code: ErrorCode::NotFound, text });
            assert!(bytes.is_empty());
        }
        let names: Vec<String> = room.asks.lock().unwrap().iter().map(|a| a.name.clone()).collect();
        assert_eq!(names[1], "../../../../etc/passwd");
        let (outcome, ..) = room.download(Wish::plain("down")).await;
        let text = "the store is down".to_owned();
        assert_eq!(outcome, Outcome::Refused { code: ErrorCode::Undefined, text });
    }

    #[tokio::test]
    async fn uploads_are_refused_unless_they_are_configured() {
        let room = room();
        let line = "curl -sS -T {from} tftp://127.0.0.1:{port}/sw1-confg";
        let (ended, _) = room.client(line).await;
        // 69: permission problem on the TFTP server.
        assert_eq!(ended.status.code(), Some(69), "{ended:?}");
    }

    #[tokio::test]
    async fn an_image_is_read_piece_by_piece_with_options_and_without() {
        let mut room = room();
        for line in [
            "curl -s -o {to} tftp://127.0.0.1:{port}/img/big",
            "curl -s -o {to} --tftp-no-options tftp://127.0.0.1:{port}/img/big",
            "atftp --option blksize_1428 --option windowsize_16 --option tsize_0 \
             --get -r img/big -l {to} 127.0.0.1 {port}",
        ] {
            let (ended, file) = room.client(line).await;
            assert!(file.is_some_and(|file| file == image()), "{line}: {ended:?}");
        }
        let digest = <sha2::Sha256 as sha2::Digest>::digest(image());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        for report in room.reported(3).await {
            assert!(report.complete && report.image, "{report:?}");
            assert_eq!((report.bytes, &report.sha256), (1_234_567, &digest));
        }
        let (outcome, ..) =
            room.download(Wish { mode: Mode::Netascii, ..Wish::plain("img/big") }).await;
        let text = "an image goes in mode octet only".to_owned();
        assert_eq!(outcome, Outcome::Refused { code: ErrorCode::IllegalOperation, text });
        let (outcome, ..) = room.download(Wish::plain("img/../img/big")).await;
        assert!(matches!(outcome, Outcome::Refused { code: ErrorCode::NotFound, .. }));
    }

    #[tokio::test]
    async fn a_hundred_readers_of_one_image_get_it_whole() {
        let mut room = room();
        let wish = Wish {
            block_bytes: Some(1468),
            window_blocks: Some(16),
            tsize: true,
            ..Wish::plain("img/big")
        };
        let mut readers = JoinSet::new();
        for number in 0..100 {
            let source = format!("127.0.1.{}", number % 10);
            readers.spawn(download_from(source, room.server, wish.clone()));
        }
        let image = image();
        for (outcome, bytes, tsize) in readers.join_all().await {
            assert_eq!((outcome, tsize), (Outcome::Complete, Some(1_234_567)));
            assert!(bytes == image);
        }
        assert!(room.reported(100).await.iter().all(|report| report.complete));
    }

    fn taking() -> Room {
        let directory = "set by the room".into();
        let uploads = meant::Uploads { directory, bytes_max: 200_000, versions: 3, names_max: 9 };
        room_with(meant::Tftp { uploads: Some(uploads), ..config("127.0.0.1:0") })
    }

    impl Room {
        /// The client's file is stored under this name, and was reported before it ended.
        async fn puts(&mut self, line: &str, name: &str) {
            let (ended, _) = self.client(line).await;
            let report = self.uploads.borrow().last().cloned();
            let report = report.unwrap_or_else(|| panic!("{line}: {ended:?}"));
            let found = (report.complete, report.device.as_str(), report.name.as_str());
            assert_eq!(found, (true, "sw1", name), "{line}: {report:?}");
            let stored = std::fs::read(self.area.path().join("sw1").join(name)).unwrap();
            assert!(stored == *content(), "{line}: {} bytes", stored.len());
            let digest = <sha2::Sha256 as sha2::Digest>::digest(&stored);
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((report.bytes, report.sha256), (stored.len() as u64, digest));
            std::fs::remove_file(self.area.path().join("sw1").join(name)).unwrap();
        }
    }

    #[tokio::test]
    async fn curl_puts_a_file_with_options_and_without() {
        let mut room = taking();
        let to = "tftp://127.0.0.1:{port}/sw1-confg";
        for options in ["", "--tftp-blksize 1400", "--tftp-no-options"] {
            room.puts(&format!("curl -sS {options} -T {{from}} {to}"), "sw1-confg").await;
        }
    }

    #[tokio::test]
    async fn tftp_hpa_puts_a_file_in_both_modes() {
        let mut room = taking();
        for mode in ["binary", "ascii"] {
            let line = format!("tftp -m {mode} 127.0.0.1 {{port}} -c put {{from}} sw1-confg");
            room.puts(&line, "sw1-confg").await;
        }
    }

    #[tokio::test]
    async fn atftp_puts_a_file_in_windows() {
        let mut room = taking();
        let line = "atftp --option blksize_1428 --option windowsize_16 --option tsize_0 \
                    --put -l {from} -r ../../sw1-confg 127.0.0.1 {port}";
        room.puts(line, "sw1-confg").await;
    }

    #[tokio::test]
    async fn busybox_puts_a_file() {
        let mut room = taking();
        let line = "busybox tftp -p -b 1400 -l {from} -r sw1-confg 127.0.0.1 {port}";
        room.puts(line, "sw1-confg").await;
    }

    async fn put(room: &Room, (offer, from): (Offer, &str), file: &[u8]) -> writer::Outcome {
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        let mut out = Output::default();
        let now = || Clock::System.instant();
        let mut writer = Writer::start(room.server, (offer, file), now(), &mut out);
        let mut buffer = vec![0; 65536];
        loop {
            for (to, bytes) in out.datagrams() {
                socket.send_to(bytes, to).await.unwrap();
            }
            out.clear();
            let Some(deadline) = writer.deadline() else { break };
            let wait = deadline.saturating_duration_since(now());
            match tokio::time::timeout(wait, socket.recv_from(&mut buffer)).await {
                Ok(heard) => {
                    let (length, from) = heard.unwrap();
                    writer.on_packet(&buffer[..length], from, now(), &mut out);
                }
                Err(_) => writer.on_time(now(), &mut out),
            }
        }
        writer.outcome().unwrap().clone()
    }

    #[tokio::test]
    async fn whoever_is_not_known_may_put_nothing() {
        let room = taking();
        let outcome = put(&room, (Offer::plain("sw1-confg"), "127.0.0.66"), b"evil").await;
        let (code, text) = (ErrorCode::AccessViolation, "not known".to_owned());
        assert_eq!(outcome, writer::Outcome::Refused { code, text });
        assert!(!room.area.path().join("sw1").exists());
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_is_refused_at_once_or_when_it_shows() {
        let mut room = taking();
        let file = vec![7; 300_000];
        for tsize in [true, false] {
            let offer = Offer { tsize, ..Offer::plain("sw1-confg") };
            let outcome = put(&room, (offer, "127.0.0.1"), &file).await;
            let (code, text) =
                (ErrorCode::DiskFull, "more than 200000 bytes are not taken".to_owned());
            assert_eq!(outcome, writer::Outcome::Refused { code, text });
        }
        let two = room.uploads.wait_for(|uploads| uploads.len() == 2);
        let two = tokio::time::timeout(PATIENCE, two).await.unwrap().unwrap().clone();
        assert!(two.iter().all(|upload| !upload.complete));
        assert_eq!(two[0].bytes, 0);
        // What had come in is gone soon.
        let device = room.area.path().join("sw1");
        let mut tries = 0;
        while std::fs::read_dir(&device).unwrap().count() > 0 {
            tries += 1;
            assert!(tries < 200, "a broken upload stays");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_hundred_writers_at_once_have_their_files_stored() {
        let room = taking();
        let file = content();
        let offer = |number: usize| Offer {
            block_bytes: Some(1468),
            window_blocks: Some(8),
            ..Offer::plain(&format!("confg-{}", number % 9))
        };
        let sources: Vec<String> = (0..20).map(|number| format!("127.0.1.{number}")).collect();
        let puts = (0..100)
            .map(|number| put(&room, (offer(number), sources[number % 20].as_str()), &file));
        let mut puts: Vec<_> = puts.map(Box::pin).collect();
        std::future::poll_fn(|cx| {
            puts.retain_mut(|put| match put.as_mut().poll(cx) {
                Poll::Ready(outcome) => {
                    assert_eq!(outcome, writer::Outcome::Complete);
                    false
                }
                Poll::Pending => true,
            });
            if puts.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        assert_eq!(room.uploads.borrow().iter().filter(|upload| upload.complete).count(), 100);
        for number in 0..100 {
            let stored = format!("sw-{}/confg-{}", number % 20, number % 9);
            let stored = room.area.path().join(stored);
            assert!(std::fs::read(stored).unwrap() == *file);
        }
    }

    #[tokio::test]
    async fn a_slow_answer_holds_up_nobody_else() {
        let room = room();
        let slow = room.download(Wish::plain("slow"));
        let quick = async {
            room.download(Wish::plain("network-confg")).await;
            Clock::System.instant()
        };
        let slow = async {
            slow.await;
            Clock::System.instant()
        };
        let (slow, quick) = tokio::join!(slow, quick);
        assert!(quick < slow);
    }

    #[tokio::test]
    async fn a_reader_that_ignores_our_options_is_served_without_them() {
        let mut room = room();
        let patience = Duration::from_millis(50);
        let stop = Stop::IgnoresOack;
        let wish = Wish { tsize: true, stop, patience, ..Wish::plain("network-confg") };
        let (outcome, bytes, _) = room.download(wish).await;
        assert_eq!(outcome, Outcome::Complete);
        assert!(bytes == *content());
        assert!(room.reported(1).await[0].complete);
    }

    #[tokio::test]
    async fn an_aborted_transfer_is_reported_at_once_with_its_bytes() {
        let mut room = room();
        let stop = Stop::ErrorAfter { blocks: 3 };
        room.download(Wish { stop, ..Wish::plain("network-confg") }).await;
        let report = room.reported(1).await.remove(0);
        assert_eq!((report.complete, report.bytes), (false, 1024));
        assert_eq!(report.why, "the reader sent error 0: stopped by the reader");
    }

    #[tokio::test]
    async fn two_hundred_readers_at_once_get_their_file() {
        let mut room = room();
        let wish = Wish {
            block_bytes: Some(1468),
            window_blocks: Some(8),
            ..Wish::plain("network-confg")
        };
        let mut readers = JoinSet::new();
        for _ in 0..200 {
            readers.spawn(download(room.server, wish.clone()));
        }
        for (outcome, bytes, _) in readers.join_all().await {
            assert_eq!(outcome, Outcome::Complete);
            assert!(bytes == *content());
        }
        assert!(room.reported(200).await.iter().all(|report| report.complete));
    }

    #[tokio::test]
    async fn ipv4_readers_of_a_dual_stack_socket_are_ipv4_to_the_service() {
        let mut room = room_at("[::]:0");
        let line = "curl -s -o {to} tftp://127.0.0.1:{port}/network-confg";
        let (_, file) = room.client(line).await;
        assert!(file.unwrap() == *content());
        let ask = room.asks.lock().unwrap()[0].clone();
        assert_eq!(
            (ask.peer.ip().to_string(), ask.local.ip().to_string()),
            ("127.0.0.1".into(), "127.0.0.1".into())
        );
        assert_eq!(room.reported(1).await[0].peer, ask.peer);
    }

    #[tokio::test]
    async fn in_single_port_mode_every_answer_leaves_from_the_port_that_was_asked() {
        let mut room = room_with(meant::Tftp { single_port: true, ..config("127.0.0.1:0") });
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // From now on the kernel drops what comes from any other port.
        socket.connect(room.server).await.unwrap();
        let wish = Wish { window_blocks: Some(4), ..Wish::plain("network-confg") };
        let mut out = Output::default();
        let now = || Clock::System.instant();
        let mut download = Download::start(room.server, wish, now(), &mut out);
        let mut buffer = vec![0; 2000];
        while download.outcome().is_none() {
            for (_, bytes) in out.datagrams() {
                socket.send(bytes).await.unwrap();
            }
            out.clear();
            let heard = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await;
            let length = heard.expect("heard in time").unwrap();
            download.on_packet(&buffer[..length], room.server, now(), &mut out);
        }
        for (_, bytes) in out.datagrams() {
            socket.send(bytes).await.unwrap();
        }
        assert!(download.into_bytes() == *content());
        assert!(room.reported(1).await[0].complete);
    }

    #[tokio::test]
    async fn a_broadcast_is_answered_by_one_worker() {
        let room = room_at("0.0.0.0:0");
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.set_broadcast(true).unwrap();
        let mut request = Vec::new();
        Packet::Read(Wish::plain("no").request()).encode(&mut request);
        let everybody = SocketAddr::from(([127, 255, 255, 255], room.server.port()));
        socket.send_to(&request, everybody).await.unwrap();
        let mut buffer = [0; 600];
        socket.recv_from(&mut buffer).await.unwrap();
        let second =
            tokio::time::timeout(Duration::from_millis(200), socket.recv_from(&mut buffer));
        assert!(second.await.is_err(), "a second worker answered");
    }

    #[tokio::test]
    async fn rubbish_on_every_port_leaves_the_server_serving() {
        let room = room();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for length in [0, 1, 2, 3, 4, 100, 1473, 9000, 60000] {
            for opcode in 0..8 {
                let mut bytes = vec![b'x'; length];
                bytes.iter_mut().take(2).zip([0, opcode]).for_each(|(byte, value)| *byte = value);
                socket.send_to(&bytes, room.server).await.unwrap();
            }
        }
        let (outcome, bytes, _) =
            room.download(Wish { tsize: true, ..Wish::plain("network-confg") }).await;
        assert_eq!(outcome, Outcome::Complete);
        assert!(bytes == *content());
    }

    #[tokio::test]
    async fn at_its_end_the_server_tells_its_readers_and_reports_their_transfers() {
        let mut room = room();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut request = Vec::new();
        Packet::Read(Wish::plain("network-confg").request()).encode(&mut request);
        socket.send_to(&request, room.server).await.unwrap();
        let mut buffer = [0; 600];
        socket.recv_from(&mut buffer).await.unwrap();
        room.shutdown.send(true).unwrap();
        let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
        let told = Packet::decode(&buffer[..length]).unwrap();
        assert_eq!(told, Packet::error(ErrorCode::Undefined, "the server was stopped"));
        tokio::time::timeout(PATIENCE, &mut room.task).await.unwrap().unwrap();
        assert_eq!(room.reported(1).await[0].why, "the server was stopped");
    }
}
