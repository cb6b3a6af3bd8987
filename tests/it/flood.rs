//! While others send rubbish as fast as they can, every device gets its file.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenlight::clock::Clock;
use greenlight::entropy::Entropy;
use greenlight::proto::tftp::Output;
use greenlight::proto::tftp::download::{Download, Outcome, Wish};

use crate::crash::{corner, free_tcp, free_udp};

const DEVICES: u8 = 200;

/// How many devices fetch at a time, each on a thread.
const AT_A_TIME: u8 = 50;

/// For all devices together, each of which asks again and again, as devices do. A few seconds are
/// enough where the machine has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(140);

/// A sender takes breath after so many packets: it shares the processors with the server.
const BURST: u32 = 500;

/// So many packets each of the two senders sends as fast as it can, more than enough for a machine
/// that has nothing else to do. From there on it is a trickle, so that a machine that is busy
/// with other tests comes to an end as well.
const TORRENT: u32 = 150_000;
const TRICKLE: u32 = 10;

/// What the server may grow by under the flood. Its tables are bounded; 2000 transfers of a
/// kilobyte, the rendered files and the buffers of its sockets are far below.
const GROWTH_KIB_MAX: u64 = 128 << 10;

struct Site {
    folder: tempfile::TempDir,
    corner: (u8, u8),
    dhcp: SocketAddr,
    tftp: SocketAddr,
    http: SocketAddr,
    server: Child,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A file of several windows, different for each device.
fn write_plan(folder: &Path, (x, y): (u8, u8), ports: [SocketAddr; 3]) -> PathBuf {
    let [dhcp, tftp, http] = ports;
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    let template = "hostname {{ device.name }}\n\
        {% for port in range(1, 300) %}interface swp{{ port }}\n \
        description {{ device.name }} port {{ port }}\n{% endfor %}end\n";
    std::fs::write(folder.join("templates/frr.j2"), template).unwrap();
    std::fs::write(folder.join("password"), "correct horse").unwrap();
    let mut inventory = String::from(
        "sites:\n  bma: {}\ndefaults:\n  credentials:\n    \
         - username: netops\n      password: { file: password }\ndevices:\n",
    );
    for number in 1..=DEVICES {
        inventory.push_str(&format!(
            "  - {{ name: acc-{number}, site: bma, platform: frr, template: frr.j2, \
             serial: EB77{number:04}, address: 127.{x}.{y}.{number} }}\n"
        ));
    }
    std::fs::write(folder.join("inventory.yaml"), inventory).unwrap();
    let config = format!(
        "inventory: inventory.yaml\ntemplates: templates\ndata: data\n\
         dhcp:\n  listen: [\"{dhcp}\"]\n  server_address: 127.0.0.1\n  pools:\n    \
         - subnet: 127.{x}.{y}.0/24\n\
         tftp:\n  listen: [\"{tftp}\"]\nhttp:\n  listen: [\"{http}\"]\n\
         runs:\n  settle: 600s\n  back_deadline: 1200s\n"
    );
    let path = folder.join("greenlight.yaml");
    std::fs::write(&path, config).unwrap();
    path
}

fn expected(number: u8) -> String {
    let mut text = format!("hostname acc-{number}\n");
    for port in 1..300 {
        text.push_str(&format!("interface swp{port}\n description acc-{number} port {port}\n"));
    }
    text.push_str("end\n");
    text
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let (corner, dhcp, tftp, http) = (corner(), free_udp(), free_udp(), free_tcp());
    let config = write_plan(folder.path(), corner, [dhcp, tftp, http]);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let server = Command::new(env!("CARGO_BIN_EXE_greenlight"))
        .args(["serve", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let site = Site { folder, corner, dhcp, tftp, http, server };
    for _ in 0..1200 {
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

    fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.server.id());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.expect("the kernel tells the resident memory")
    }

    /// Fetches like a device: asks anew until it has its file whole. The result says how often it
    /// asked.
    fn fetch(&self, number: u8, until: Instant) -> Result<(Vec<u8>, u32), String> {
        let (x, y) = self.corner;
        let clock = Clock::System;
        let mut asked = 0;
        let mut last = String::new();
        while clock.instant() < until {
            asked += 1;
            let socket = UdpSocket::bind((Ipv4Addr::new(127, x, y, number), 0)).unwrap();
            let download = download(&socket, self.tftp, &clock);
            match download.outcome() {
                Some(Outcome::Complete) => return Ok((download.into_bytes(), asked)),
                other => last = format!("{other:?}"),
            }
        }
        Err(format!("acc-{number} asked {asked} times, at last {last}"))
    }
}

fn download(socket: &UdpSocket, server: SocketAddr, clock: &Clock) -> Download {
    let wish = Wish {
        block_bytes: Some(1024),
        window_blocks: Some(4),
        patience: Duration::from_millis(500),
        ..Wish::plain("network-confg")
    };
    let mut out = Output::default();
    let mut download = Download::start(server, wish, clock.instant(), &mut out);
    let mut buffer = [0; 2048];
    loop {
        for (to, bytes) in out.datagrams() {
            let _ = socket.send_to(bytes, to);
        }
        out.clear();
        let Some(deadline) = download.deadline() else { return download };
        let wait = deadline.saturating_duration_since(clock.instant());
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                download.on_packet(&buffer[..length], from, clock.instant(), &mut out);
            }
            Err(_) => download.on_time(clock.instant(), &mut out),
        }
    }
}

/// Sends rubbish until it is told to stop; every third packet looks like one of the protocol.
fn flood(site: &Site, seed: u64, stop: &AtomicBool, sent: &AtomicU64) {
    let chance = Entropy::seeded(seed);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut packet: Vec<u8> = (0..1500).map(|_| chance.next_u64() as u8).collect();
    let request = b"\0\x01network-confg\0octet\0blksize\x001428\0";
    let mut count = 0u32;
    while !stop.load(Ordering::Relaxed) {
        count = count.wrapping_add(1);
        if count.is_multiple_of(if count < TORRENT { BURST } else { TRICKLE }) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let number = chance.next_u64();
        let length = usize::try_from(number % 1500).unwrap();
        let at = usize::try_from((number >> 16) % 1500).unwrap();
        packet[at] = (number >> 32) as u8;
        let looks_right = number.is_multiple_of(3);
        let to_dhcp = number & 1 << 40 == 0;
        if looks_right && to_dhcp {
            packet[..4].copy_from_slice(&[1, 1, 6, 0]);
            packet[236..240].copy_from_slice(&[99, 130, 83, 99]);
        } else if looks_right {
            packet[..request.len()].copy_from_slice(request);
        }
        let to = if to_dhcp { site.dhcp } else { site.tftp };
        if socket.send_to(&packet[..length], to).is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Connects and talks rubbish, or says nothing at all.
fn pester(http: SocketAddr, stop: &AtomicBool, talked: &AtomicU64) {
    use std::io::{Read, Write};
    let mut idle = std::collections::VecDeque::new();
    let texts: [&[u8]; 4] = [b"", b"GET", b"\x16\x03\x01\x02\0\x01\0", b"POST / HTTP/1.1\r\nhost"];
    for text in texts.into_iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut stream) = TcpStream::connect_timeout(&http, Duration::from_secs(1)) else {
            continue;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
        let _ = stream.write_all(text);
        let _ = stream.read(&mut [0; 64]);
        talked.fetch_add(1, Ordering::Relaxed);
        idle.push_back(stream);
        if idle.len() > 100 {
            idle.pop_front();
        }
    }
}

/// All devices fetch, so many at a time; complaints of those that were not served.
fn all_fetch(site: &Arc<Site>, until: Instant) -> (Vec<String>, u32) {
    let next = Arc::new(AtomicU64::new(1));
    let threads: Vec<_> = (0..AT_A_TIME)
        .map(|_| {
            let (site, next) = (site.clone(), next.clone());
            std::thread::spawn(move || {
                let (mut wrong, mut asked) = (Vec::new(), 0);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(number) = u8::try_from(number).ok().filter(|n| *n <= DEVICES) else {
                        return (wrong, asked);
                    };
                    match site.fetch(number, until) {
                        Ok((file, times)) if file == expected(number).as_bytes() => asked += times,
                        Ok((file, _)) => {
                            wrong.push(format!("acc-{number} got {} other bytes", file.len()));
                        }
                        Err(why) => wrong.push(why),
                    }
                }
            })
        })
        .collect();
    let mut all = (Vec::new(), 0);
    for thread in threads {
        let (wrong, asked) = thread.join().unwrap();
        all.0.extend(wrong);
        all.1 += asked;
    }
    all
}

#[test]
fn two_hundred_devices_are_served_in_a_flood() {
    let site = Arc::new(site());
    let clock = Clock::System;
    let until = clock.instant() + PATIENCE;
    // The first request brings up whatever is made once.
    site.fetch(1, until).unwrap();
    let before = site.resident_kib();
    let stop = Arc::new(AtomicBool::new(false));
    let (sent, talked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let others: Vec<_> = (0..3)
        .map(|seed| {
            let (site, stop) = (site.clone(), stop.clone());
            let (sent, talked) = (sent.clone(), talked.clone());
            std::thread::spawn(move || match seed {
                0 => pester(site.http, &stop, &talked),
                _ => flood(&site, seed, &stop, &sent),
            })
        })
        .collect();
    let (wrong, asked) = all_fetch(&site, until);
    let during = site.resident_kib();
    stop.store(true, Ordering::Relaxed);
    for other in others {
        other.join().unwrap();
    }
    let (sent, talked) = (sent.load(Ordering::Relaxed), talked.load(Ordering::Relaxed));
    println!(
        "{sent} packets and {talked} connections of rubbish; {DEVICES} devices asked {asked} \
         times; {} s left; resident {before} KiB before, {during} KiB during",
        until.saturating_duration_since(clock.instant()).as_secs()
    );
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", site.log());
    assert!(sent > 10_000 && talked > 10, "{sent} packets, {talked} connections: that is no flood");
    assert!(during < before + GROWTH_KIB_MAX, "{during} KiB, {before} KiB before");
    // As if nothing had been.
    let (file, _) = site.fetch(7, clock.instant() + PATIENCE).unwrap();
    assert_eq!(file, expected(7).as_bytes());
    assert!(!site.log().contains("panicked"), "{}", site.log());
}
