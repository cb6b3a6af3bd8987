//! The servers that are measured: ours whole, our engine alone, and others.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use greenlight::clock::Clock;
use greenlight::config::meant;
use greenlight::servers::files::Files;
use greenlight::servers::tftp;
use greenlight::service::serving::{Artifact, Ask, Refusal};
use tokio::sync::watch;

use crate::client::reader_address;

/// Servers run here, the readers on [`READERS_CORE`].
pub const SERVER_CORE: &str = "0";
pub const READERS_CORE: &str = "1";

/// Names that every server has; `network-confg` is the one that devices ask for.
pub const SMALL: &str = "network-confg";
pub const MEDIUM: &str = "medium.img";
pub const LARGE: &str = "large.img";

pub const SMALL_BYTES: usize = 8_000;
pub const MEDIUM_BYTES: usize = 4 << 20;
pub const LARGE_BYTES: usize = 64 << 20;

/// Devices in the inventory of the whole server.
pub const DEVICES: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Whole,
    Engine,
    Dnsmasq,
    TftpdHpa,
    Atftpd,
    RsTftpd,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Whole, Self::Engine, Self::Dnsmasq, Self::TftpdHpa, Self::Atftpd, Self::RsTftpd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "greenlight",
            Self::Engine => "greenlight, engine alone",
            Self::Dnsmasq => "dnsmasq",
            Self::TftpdHpa => "tftpd-hpa",
            Self::Atftpd => "atftpd",
            Self::RsTftpd => "rs-tftpd",
        }
    }

    /// The program, where it can be found.
    fn program(self) -> Option<PathBuf> {
        let peers = PathBuf::from(std::env::var_os("PEERS").unwrap_or_else(|| "/".into()));
        let names: &[&str] = match self {
            Self::Whole => &["target/release/greenlight"],
            Self::Engine => return std::env::current_exe().ok(),
            Self::Dnsmasq => &["usr/sbin/dnsmasq", "/usr/sbin/dnsmasq"],
            Self::TftpdHpa => &["usr/sbin/in.tftpd", "/usr/sbin/in.tftpd"],
            Self::Atftpd => &["usr/sbin/atftpd", "/usr/sbin/atftpd"],
            Self::RsTftpd => &["bin/tftpd"],
        };
        let mut places = names.iter().flat_map(|name| [peers.join(name), PathBuf::from(name)]);
        places.find(|place| place.is_file())
    }

    fn arguments(self, port: u16, directory: &Path) -> Vec<String> {
        let files = directory.join("files").display().to_string();
        let line = match self {
            Self::Whole => format!("serve --config {}/greenlight.yaml", directory.display()),
            Self::Engine => format!("engine {port}"),
            // dnsmasq knows no other port than 69.
            Self::Dnsmasq => format!(
                "-k -C /dev/null --port=0 --enable-tftp --tftp-root={files} --tftp-max=1000 \
                 --listen-address=127.0.0.1 --bind-interfaces --user=root \
                 --log-facility=/dev/null --pid-file="
            ),
            Self::TftpdHpa => format!("-L -a 127.0.0.1:{port} -u root -s {files}"),
            Self::Atftpd => format!(
                "--daemon --no-fork --port {port} --bind-address 127.0.0.1 --user root.root \
                 --maxthread 1000 --logfile /dev/null {files}"
            ),
            Self::RsTftpd => format!("-i 127.0.0.1 -p {port} -d {files} -r -q"),
        };
        line.split_whitespace().map(str::to_owned).collect()
    }
}

/// A server of its own process, ended with this value.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// `None` if its program is not installed.
    pub fn start(kind: Kind, port: u16, directory: &Path) -> Option<Self> {
        let program = kind.program()?;
        let port = if kind == Kind::Dnsmasq { 69 } else { port };
        if kind == Kind::Whole {
            write_whole(port, directory);
        }
        let log = fs::File::create(directory.join(format!("{}.log", kind.name())));
        let log = log.expect("the directory can be written");
        let child = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(program)
            .args(kind.arguments(port, directory))
            .env("BENCH_PASSWORD", "unused")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("taskset is installed (util-linux)");
        Some(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time used so far, ended children included.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> =
            behind_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // utime, stime, cutime, cstime (proc(5): fields 14 to 17), in ticks of 10 ms.
        let ticks: u64 = fields.iter().skip(11).take(4).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The most memory it ever had, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files that other servers read from the disk.
pub fn write_files(directory: &Path) {
    let files = directory.join("files");
    fs::create_dir_all(&files).expect("the directory can be written");
    for (name, bytes) in [(SMALL, SMALL_BYTES), (MEDIUM, MEDIUM_BYTES), (LARGE, LARGE_BYTES)] {
        fs::write(files.join(name), content(bytes)).expect("the disk has room");
    }
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| b'a' + (place % 23) as u8).collect()
}

/// An inventory whose devices are the readers, and a template that gives each one its own 8,000
/// bytes.
fn write_whole(port: u16, directory: &Path) {
    let place = directory.display();
    let _ = fs::remove_dir_all(directory.join("data"));
    fs::create_dir_all(directory.join("templates")).expect("the directory can be written");
    let write = |name: &str, text: &str| {
        fs::write(directory.join(name), text).expect("the directory can be written");
    };
    write(
        "greenlight.yaml",
        &format!(
            "data: {place}/data\nsocket: {place}/socket\ninventory: inventory.yaml\n\
             templates: templates\ntftp: {{ listen: ['127.0.0.1:{port}'] }}\n"
        ),
    );
    let head = "hostname {{ device.name }}\n";
    // The name takes eight places in the file.
    let rest = SMALL_BYTES - "hostname 12345678\n".len() - "end\n".len();
    let line = "! a line of a configuration that stands for forty others\n";
    let mut body: String = line.chars().cycle().take(rest - 1).collect();
    body.push('\n');
    write("templates/device.j2", &format!("{head}{body}end\n"));
    let file = fs::File::create(directory.join("inventory.yaml")).expect("it can be written");
    let mut file = std::io::BufWriter::new(file);
    let groups = "defaults:\n  credentials: [{ username: g, password: { env: BENCH_PASSWORD } }]\n\
                  groups:\n  g: { platform: cisco_ios, template: device.j2 }\n\
                  sites:\n  s: { title: Bench }\ndevices:\n";
    file.write_all(groups.as_bytes()).expect("the disk has room");
    for number in 0..DEVICES {
        let address = reader_address(number);
        writeln!(
            file,
            "  - {{ name: d{number:07}, site: s, group: g, serial: FOC{number:08}, \
             address: {address} }}"
        )
        .expect("the disk has room");
    }
}

/// Serves the files from memory, without a service behind: the engine alone.
pub async fn engine(port: u16) {
    let config = meant::Tftp {
        listen: vec![meant::Listen {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            interface: None,
        }],
        transfers_max: 4096,
        block_bytes_max: 1468,
        window_blocks_max: 16,
        timeout: Duration::from_secs(2),
        retries_max: 6,
        single_port: false,
        uploads: None,
    };
    let files: [(&str, Arc<[u8]>); 3] = [
        (SMALL, content(SMALL_BYTES).into()),
        (MEDIUM, content(MEDIUM_BYTES).into()),
        (LARGE, content(LARGE_BYTES).into()),
    ];
    let artifact = move |ask: Ask| {
        let file = files.iter().find(|(name, _)| *name == ask.name);
        let content = file.map(|(_, content)| content.clone());
        let refusal = Refusal::NotFound { why: "no such file".to_owned() };
        let answer = content.ok_or(refusal).map(|content| Artifact {
            device: "d".to_owned(),
            content,
            sha256: String::new(),
        });
        std::future::ready(answer)
    };
    let files = Files::new(artifact, |_| std::future::ready(()));
    let sockets = tftp::bind(&config).expect("the port is free");
    let (_stay, shutdown) = watch::channel(false);
    tftp::serve(sockets, config, files, Clock::System, shutdown).await;
}
