//! The server is killed again and again while devices boot: whatever the instant, each device has
//! one run, every check is made, and whoever takes over hears of it under one key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::Clock;
use greenlight::entropy::Entropy;
use greenlight::service::memory::Query;
use greenlight::sim::cabling::{LldpTiming, Plant, Socket};
use greenlight::sim::chassis::{Chassis, Login};
use greenlight::sim::device::{Behaviour, Device, Fitting, Pace, Surroundings};
use greenlight::sim::diary::Diary;
use greenlight::sim::inside::Inside;
use greenlight::store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub const DEVICES: u8 = 4;
const KILLS: u32 = 15;

/// Two bytes of 127.x.y.0/24 that no other test of this process uses.
pub fn corner() -> (u8, u8) {
    let [x, y, ..] = Entropy::System.next_u64().to_be_bytes();
    (x % 250 + 3, y % 250 + 3)
}

pub fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn free_tcp() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn name(number: u8) -> String {
    format!("acc-{number}")
}

fn serial(number: u8) -> String {
    format!("EB77000{number}")
}

/// What the operator wrote. The hook is this test.
pub fn write_plan(folder: &Path, (x, y): (u8, u8), ports: [SocketAddr; 4]) -> PathBuf {
    let [dhcp, tftp, http, hook] = ports;
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    let template = "frr defaults traditional\nhostname {{ device.name }}\n!\n\
                    interface swp1\n description to dist-1\nexit\n!\n\
                    enable password {{ secrets.login }}\nend\n";
    std::fs::write(folder.join("templates/frr.j2"), template).unwrap();
    std::fs::write(folder.join("password"), "correct horse").unwrap();
    let mut inventory = String::from(
        "sites:\n  bma: {}\ndefaults:\n  ssh_port: 2222\n  credentials:\n    \
         - username: netops\n      password: { file: password }\n  \
         secrets:\n    login: { file: password }\ndevices:\n  \
         - { name: dist-1, site: bma, platform: cisco_ios, managed: false }\n",
    );
    for number in 1..=DEVICES {
        inventory.push_str(&format!(
            "  - name: {}\n    site: bma\n    platform: frr\n    template: frr.j2\n    serial: {}\n    \
             address: 127.{x}.{y}.{}\n    neighbours:\n      \
             - swp1 -> dist-1, GigabitEthernet1/0/{number}\n",
            name(number),
            serial(number),
            100 + number,
        ));
    }
    std::fs::write(folder.join("inventory.yaml"), inventory).unwrap();
    let config = format!(
        "inventory: inventory.yaml\ntemplates: templates\ndata: data\n\
         dhcp:\n  listen: [\"{dhcp}\"]\n  server_address: 127.0.0.1\n  pools:\n    \
         - subnet: 127.{x}.{y}.0/24\n\
         tftp:\n  listen: [\"{tftp}\"]\n\
         http:\n  listen: [\"{http}\"]\n\
         runs:\n  settle: 1s\n  back_deadline: 30s\n  recheck: 300ms\n  \
         neighbour_patience: 4s\n  file_patience: 60s\n\
         hooks:\n  - name: next\n    required: true\n    http:\n      url: \"http://{hook}/ready\"\n    \
         retries: [200ms, 200ms, 500ms, 1s, 2s, 5s]\n"
    );
    let path = folder.join("greenlight.yaml");
    std::fs::write(&path, config).unwrap();
    path
}

/// A process that dies with the value, and never gently.
pub struct Server(Child);

impl Server {
    pub fn start(config: &Path) -> Self {
        let log = config.with_file_name("log");
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_greenlight"))
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL: nothing of it gets a chance to tidy up.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Heard = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

/// Takes over: writes down the idempotency key and the device of each call, and accepts.
async fn take_over(listener: TcpListener, heard: Heard) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let heard = heard.clone();
        tokio::spawn(async move {
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while let Ok(count) = stream.read(&mut buffer).await {
                if count == 0 {
                    return;
                }
                text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let header = |wanted: &str| {
                    head.lines().find_map(|line| {
                        let (name, value) = line.split_once(':')?;
                        name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
                    })
                };
                let length: usize = header("content-length").unwrap().parse().unwrap();
                if body.len() < length {
                    continue;
                }
                let event: serde_json::Value = serde_json::from_str(body).unwrap();
                let device = event.pointer("/data/device/name").unwrap().as_str().unwrap();
                let key = header("idempotency-key").unwrap();
                heard.lock().unwrap().entry(device.to_owned()).or_default().insert(key);
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                let _ = stream.write_all(answer.as_bytes()).await;
                return;
            }
        });
    }
}

/// The devices, cabled as planned, without power. The distribution switch lives as long as they do.
fn build((x, y): (u8, u8), dhcp: SocketAddr, tftp_port: u16) -> (Vec<Device>, Inside) {
    let timing = LldpTiming { hello: Duration::from_millis(200), linger: Duration::from_secs(1) };
    let plant = Plant::new(Clock::System, timing);
    let mac = |last| Mac::new([2, 0x67, 0x6c, 0x77, 0, last]);
    let dist =
        Inside::new("dist-1", Chassis::cisco("FOC2000D001", mac(0)), Vec::new(), plant.clone());
    dist.power_on();
    dist.apply("hostname dist-1\n", None);
    dist.speak();
    let around = Surroundings {
        dhcp,
        tftp_port,
        ssh_port: 2222,
        clock: Clock::System,
        entropy: Entropy::System,
        pace: Pace(1.0),
        diary: Diary::default(),
    };
    let login = Login { username: "netops".into(), password: "correct horse".into(), enable: None };
    let device = |number: u8| {
        let chassis = Chassis::frr(&serial(number), mac(number));
        let inside = Inside::new(&name(number), chassis, vec![login.clone()], plant.clone());
        let (mut cabling, now) = plant.look();
        let far = Socket::new("dist-1", format!("GigabitEthernet1/0/{number}"));
        cabling.connect(Socket::new(name(number), "swp1"), far, now).unwrap();
        drop(cabling);
        let fitting = Fitting {
            from: Ipv4Addr::new(127, x, y, 200 + number),
            position: None,
            behaviour: Behaviour { boot: Duration::from_millis(100), ..Behaviour::default() },
        };
        Device::new(inside, around.clone(), fitting)
    };
    ((1..=DEVICES).map(device).collect(), dist)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_instant_every_device_has_one_run_and_one_hand_off() {
    let folder = tempfile::tempdir().unwrap();
    let corner = corner();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dhcp, tftp) = (free_udp(), free_udp());
    let hook = listener.local_addr().unwrap();
    let plan = write_plan(folder.path(), corner, [dhcp, tftp, free_tcp(), hook]);
    let heard = Heard::default();
    let taking_over = tokio::spawn(take_over(listener, heard.clone()));
    let (devices, _dist) = build(corner, dhcp, tftp.port());
    let mut server = Server::start(&plan);
    for device in &devices {
        device.power_on().await;
    }
    for _ in 0..KILLS {
        let pause = 60 + Entropy::System.next_u64() % 900;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        drop(server);
        server = Server::start(&plan);
    }
    for _ in 0..400 {
        if heard.lock().unwrap().len() == usize::from(DEVICES) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The last answers are being stored.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(server);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let newest: Vec<&str> = log.lines().rev().take(15).collect();
    assert!(log.contains("serving"), "it never served: {newest:#?}");
    let memory = store::open(&folder.path().join("data/greenlight.db")).await.unwrap();
    let runs = memory.ask(Query::LatestRuns).await.unwrap();
    let phases: Vec<(&str, &str)> =
        runs.iter().map(|run| (run.device.as_str(), run.phase.name())).collect();
    let green: Vec<String> = (1..=DEVICES).map(name).collect();
    assert_eq!(phases, green.iter().map(|device| (device.as_str(), "ready")).collect::<Vec<_>>());
    for run in &runs {
        let lines = memory
            .ask(|reply| Query::Journal { device: run.device.clone(), last: 100_000, reply })
            .await
            .unwrap();
        let ids: BTreeSet<&str> = lines.iter().map(|line| line.run.as_str()).collect();
        assert_eq!(ids.len(), 1, "{} had runs {ids:?}", run.device);
        let ready = lines.iter().filter(|line| line.topic == "ready").count();
        assert_eq!(ready, 1, "{} turned green {ready} times", run.device);
    }
    taking_over.abort();
    for device in &devices {
        device.power_off().await;
    }
    let heard = heard.lock().unwrap();
    for device in &green {
        assert_eq!(heard[device].len(), 1, "{device}: {:?}", heard[device]);
    }
}
