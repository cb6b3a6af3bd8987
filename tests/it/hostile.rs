//! Whoever sends what to the ports of a running server: a clear refusal, nothing of others, and the
//! next device is served as if nothing had been.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use greenlight::entropy::Entropy;

use crate::crash::{Server, corner, free_tcp, free_udp, write_plan};

struct Site {
    folder: tempfile::TempDir,
    corner: (u8, u8),
    dhcp: SocketAddr,
    tftp: SocketAddr,
    http: SocketAddr,
    _server: Server,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let (corner, dhcp, tftp, http) = (corner(), free_udp(), free_udp(), free_tcp());
    let plan = write_plan(folder.path(), corner, [dhcp, tftp, http, free_tcp()]);
    let server = Server::start(&plan);
    let site = Site { folder, corner, dhcp, tftp, http, _server: server };
    for _ in 0..200 {
        if TcpStream::connect(http).is_ok() {
            return site;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the server never listened: {}", site.log());
}

impl Site {
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The address of the planned device number `last - 100`; others belong to nobody.
    fn socket(&self, last: u8) -> UdpSocket {
        let (x, y) = self.corner;
        let socket = UdpSocket::bind((Ipv4Addr::new(127, x, y, last), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    /// What TFTP answers first to this name from this address.
    fn read(&self, from: u8, name: &str) -> Vec<u8> {
        let socket = self.socket(from);
        let mut request = vec![0, 1];
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(b"\0octet\0");
        socket.send_to(&request, self.tftp).unwrap();
        let mut buffer = [0; 2048];
        let (length, _) = socket.recv_from(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    /// Runs a command against this server, with its files.
    fn ask(&self, command: &[&str]) -> std::process::Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_greenlight"))
            .args(command)
            .arg("--config")
            .arg(self.folder.path().join("greenlight.yaml"))
            .output()
            .unwrap()
    }

    fn get(&self, from: u8, request: &str) -> String {
        let (x, y) = self.corner;
        let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let bound = bound.unwrap();
        let local = SocketAddr::from((Ipv4Addr::new(127, x, y, from), 0));
        bound.bind(&local.into()).unwrap();
        bound.connect(&self.http.into()).unwrap();
        let mut stream = TcpStream::from(bound);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

const ERROR_1: [u8; 4] = [0, 5, 0, 1];
const DATA_1: [u8; 4] = [0, 3, 0, 1];

#[test]
fn nobody_is_served_what_is_not_theirs() {
    let site = site();
    let own = site.read(101, "network-confg");
    assert_eq!(own[..4], DATA_1);
    assert!(String::from_utf8_lossy(&own).contains("hostname acc-1\n"));
    // Whatever another device's file is called, the asker gets its own or nothing.
    let other = site.read(102, "acc-1.cfg");
    assert!(!String::from_utf8_lossy(&other).contains("acc-1\n"), "{other:?}");
    for name in ["../../../etc/passwd", "/etc/passwd", "..\\..\\inventory.yaml", "password"] {
        assert_eq!(site.read(101, name)[..4], ERROR_1, "{name}");
        let answer = site.get(101, &get(&format!("/{name}")));
        assert!(answer.starts_with("HTTP/1.1 404"), "{name}: {answer}");
        assert!(!answer.contains("correct horse") && !answer.contains("root:"));
    }
    // An address that holds no device is refused at once, whatever it claims to be.
    assert_eq!(site.read(66, "network-confg")[..4], ERROR_1);
    let claim = "GET /acc-1.cfg HTTP/1.1\r\nhost: x\r\nSERIAL-NUMBER: EB770001\r\n\
                 connection: close\r\n\r\n";
    let answer = site.get(66, claim);
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // Nor does a header make one device another.
    let answer = site.get(102, claim);
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let own = site.get(102, &get("/acc-2.cfg"));
    assert!(own.starts_with("HTTP/1.1 200") && own.contains("hostname acc-2"), "{own}");
}

#[test]
fn rubbish_on_every_port_costs_nothing_and_the_next_device_is_served() {
    let site = site();
    let chance = Entropy::seeded(20);
    let stranger = site.socket(66);
    stranger.set_nonblocking(true).unwrap();
    for round in 0..6000u64 {
        let length = usize::try_from(chance.next_u64() % 1600).unwrap();
        let mut packet: Vec<u8> = (0..length).map(|_| chance.next_u64() as u8).collect();
        if round % 3 == 0 && length > 2 {
            packet[0] = 0;
            packet[1] %= 7;
        }
        let _ = stranger.send_to(&packet, if round % 2 == 0 { site.dhcp } else { site.tftp });
    }
    let _ = stranger.send_to(&vec![1; 65_000], site.dhcp);
    let _ = stranger.send_to(&vec![0; 65_000], site.tftp);
    for request in ["\0\0\0\0\r\n\r\n", "GET", "POST / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let answer = site.get(66, &format!("{request}{}", "x".repeat(100)));
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let own = site.read(103, "network-confg");
    assert!(String::from_utf8_lossy(&own).contains("hostname acc-3\n"), "{own:?}");
    let log = site.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn no_secret_reaches_the_store_the_log_or_the_answers_about_a_run() {
    let site = site();
    assert!(String::from_utf8_lossy(&site.read(101, "network-confg")).contains("correct horse"));
    std::thread::sleep(Duration::from_millis(500));
    let ask = |command: &[&str]| {
        let output = site.ask(command);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let status = ask(&["status", "--json"]);
    assert!(status.contains("\"acc-1\"") && status.contains("fetching"), "{status}");
    let log = ask(&["log", "acc-1", "--json"]);
    assert!(log.contains("network-confg"), "{log}");
    let shown = ask(&["render", "acc-1"]);
    assert!(shown.contains("enable password"), "{shown}");
    for text in [status, log, shown, site.log()] {
        assert!(!text.contains("correct horse"), "{text}");
    }
    for entry in std::fs::read_dir(site.folder.path().join("data")).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(!holds(&bytes, b"correct horse"), "{}", entry.path().display());
        }
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_second_server_on_the_same_files_is_refused_and_the_first_goes_on() {
    let site = site();
    let second = site.ask(&["serve"]);
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another server answers"), "{told}");
    assert_eq!(site.read(101, "network-confg")[..4], DATA_1);
}

#[test]
fn a_person_watches_ends_and_begins_runs_and_is_told_what_cannot_be() {
    use std::io::BufRead;
    let site = site();
    let mut watching = std::process::Command::new(env!("CARGO_BIN_EXE_greenlight"))
        .args(["watch", "--json", "--config"])
        .arg(site.folder.path().join("greenlight.yaml"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (lines, heard) = std::sync::mpsc::channel();
    let output = std::io::BufReader::new(watching.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let phase = || {
        let status = site.ask(&["status", "--json"]).stdout;
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        let devices = status["devices"].as_array().unwrap().clone();
        let own = devices.into_iter().find(|device| device["device"] == "acc-1").unwrap();
        own["phase"].as_str().unwrap().to_owned()
    };
    // The watcher may connect a moment later than it starts: what it hears is a request of ours.
    let mut line = None;
    for _ in 0..50 {
        assert_eq!(site.read(101, "network-confg")[..4], DATA_1);
        line = heard.recv_timeout(Duration::from_millis(200)).ok();
        if line.is_some() {
            break;
        }
    }
    let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
    assert_eq!(event["device"], "acc-1");
    let told = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(site.ask(&["cancel", "acc-1"]).status.success());
    assert_eq!(phase(), "cancelled");
    let again = site.ask(&["cancel", "acc-1"]);
    assert!(!again.status.success());
    assert!(told(again).contains("has no open run"));
    assert!(site.ask(&["rerun", "acc-1"]).status.success());
    assert_eq!(phase(), "connecting");
    let unknown = site.ask(&["rerun", "nobody"]);
    assert!(!unknown.status.success());
    assert!(told(unknown).contains("no device is called nobody"));
    watching.kill().unwrap();
    watching.wait().unwrap();
}
