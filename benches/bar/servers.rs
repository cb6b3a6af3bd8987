//! The servers of TFTP that are measured: ours whole, our engine alone, the bare loop, and others.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::inventory::{self, FILE_BYTES};
use super::machine::SERVER_CORE;
use super::process::Process;
use super::tftp::Work;

/// Names that every server has; `network-confg` is the one that devices ask for.
pub const SMALL: &str = "network-confg";
pub const MEDIUM: &str = "medium.img";
pub const LARGE: &str = "large.img";

pub const FILES: [(&str, usize); 3] = [(SMALL, FILE_BYTES), (MEDIUM, 4 << 20), (LARGE, 64 << 20)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Whole,
    Engine,
    Kernel,
    KernelCut,
    Dnsmasq,
    TftpdHpa,
    Atftpd,
    RsTftpd,
    Fbtftp,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "greenlight",
            Self::Engine => "greenlight, engine alone",
            Self::Kernel => "bare loop",
            Self::KernelCut => "bare loop, UDP GSO",
            Self::Dnsmasq => "dnsmasq",
            Self::TftpdHpa => "tftpd-hpa",
            Self::Atftpd => "atftpd",
            Self::RsTftpd => "rs-tftpd",
            Self::Fbtftp => "fbtftp",
        }
    }

    /// A server of others, that a bar can speak of.
    pub fn is_peer(self) -> bool {
        match self {
            Self::Whole | Self::Engine | Self::Kernel | Self::KernelCut => false,
            Self::Dnsmasq | Self::TftpdHpa | Self::Atftpd | Self::RsTftpd | Self::Fbtftp => true,
        }
    }

    fn program(self, place: &Place) -> PathBuf {
        let peers = &place.peers;
        match self {
            Self::Whole => place.greenlight.clone(),
            Self::Engine | Self::Kernel | Self::KernelCut => {
                std::env::current_exe().expect("a program has a path")
            }
            Self::Dnsmasq => peers.join("debian/usr/sbin/dnsmasq"),
            Self::TftpdHpa => peers.join("debian/usr/sbin/in.tftpd"),
            Self::Atftpd => peers.join("debian/usr/sbin/atftpd"),
            Self::RsTftpd => peers.join("rs/bin/tftpd"),
            Self::Fbtftp => peers.join("fbtftp/bin/python"),
        }
    }

    fn arguments(self, port: u16, work: &Work, directory: &Path) -> Vec<String> {
        let files = directory.join("files").display().to_string();
        let line = match self {
            Self::Whole => format!("serve --config {}/greenlight.yaml", directory.display()),
            Self::Engine => format!("engine {port}"),
            Self::Kernel => format!("kernel {port} {} {} plain", work.id, work.size()),
            Self::KernelCut => format!("kernel {port} {} {} cut", work.id, work.size()),
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
            Self::Fbtftp => format!("benches/fbtftp_server.py {port} {files}"),
        };
        line.split_whitespace().map(str::to_owned).collect()
    }
}

/// Where programs and files are.
#[derive(Debug, Clone)]
pub struct Place {
    pub peers: PathBuf,
    pub greenlight: PathBuf,
    /// Made for this run, on the disk that the build is on, and removed at its end.
    pub directory: PathBuf,
    /// Tables and profiles, which stay.
    pub results: PathBuf,
}

/// A server of its own process, ended with this value.
pub struct Server {
    pub process: Process,
    pub address: SocketAddrV4,
}

impl Server {
    /// An error is the reason why it cannot be measured.
    pub fn start(kind: Kind, port: u16, work: &Work, place: &Place) -> Result<Self, String> {
        let program = kind.program(place);
        if !program.is_file() {
            return Err(format!("{} is not installed", program.display()));
        }
        let port = if kind == Kind::Dnsmasq { 69 } else { port };
        let directory = &place.directory;
        if kind == Kind::Whole {
            write_whole(port, work, directory).map_err(|error| error.to_string())?;
        }
        let mut command = pinned(&program);
        if kind.is_peer() {
            command.env("LD_LIBRARY_PATH", libraries(&place.peers));
        }
        command.args(kind.arguments(port, work, directory));
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        Ok(Self { process: Process::start(command, kind.name(), directory)?, address })
    }

    /// Ours, whole, with a configuration that stands in the directory already.
    pub fn whole(port: u16, place: &Place) -> Result<Self, String> {
        let mut command = pinned(&place.greenlight);
        command.arg("serve").arg("--config").arg(place.directory.join("greenlight.yaml"));
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        Ok(Self { process: Process::start(command, "greenlight", &place.directory)?, address })
    }
}

fn pinned(program: &Path) -> Command {
    // It ends with the harness, however that ends.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", SERVER_CORE]).arg(program);
    command
}

/// The files that other servers read from the disk.
pub fn write_files(directory: &Path) -> std::io::Result<()> {
    let files = directory.join("files");
    fs::create_dir_all(&files)?;
    for (name, bytes) in FILES {
        fs::write(files.join(name), content(bytes))?;
    }
    Ok(())
}

pub fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| b'a' + (place % 23) as u8).collect()
}

/// An inventory whose devices are the readers.
fn write_whole(port: u16, work: &Work, directory: &Path) -> std::io::Result<()> {
    let settings = include_str!("../settings/tftp.yaml");
    write_settings(settings, port, directory)?;
    inventory::readers(directory, work.transfers)
}

/// Writes the settings with their places filled in, and removes the store of an earlier round.
pub fn write_settings(settings: &str, port: u16, directory: &Path) -> std::io::Result<()> {
    let _ = fs::remove_dir_all(directory.join("data"));
    let place = directory.display().to_string();
    let text = settings.replace("{place}", &place).replace("{port}", &port.to_string());
    fs::write(directory.join("greenlight.yaml"), text)
}

/// Where the packages of the peers keep their libraries.
pub fn libraries(peers: &Path) -> String {
    let mut places: Vec<PathBuf> = Vec::new();
    for above in ["debian/usr/lib", "debian/lib"] {
        let Ok(entries) = fs::read_dir(peers.join(above)) else { continue };
        let found = entries.flatten().map(|entry| entry.path());
        places.extend(found.filter(|path| path.to_string_lossy().ends_with("-linux-gnu")));
    }
    let texts: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    texts.join(":")
}
