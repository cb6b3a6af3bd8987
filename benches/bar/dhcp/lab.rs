//! Two network namespaces with a cable between them, and the servers of DHCP in one of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::inventory::PASSWORD;
use crate::machine::{LOAD_CORE, SERVER_CORE};
use crate::process::Process;
use crate::servers::{Place, libraries, write_settings};

/// Ends of the cable. The other end speaks as a relay.
pub const SERVER: &str = "10.0.0.1";
pub const RELAY: &str = "10.0.0.2";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Greenlight,
    Kea,
    Dnsmasq,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Greenlight => "greenlight",
            Self::Kea => "Kea, memfile",
            Self::Dnsmasq => "dnsmasq",
        }
    }

    fn command(self, lab: &Lab, place: &Place) -> std::io::Result<Command> {
        let directory = &place.directory;
        let at = directory.display().to_string();
        let write = |name: &str, text: &str| {
            let file = directory.join(name);
            fs::write(&file, text.replace("{place}", &at)).map(|()| file)
        };
        let sbin = place.peers.join("debian/usr/sbin");
        let mut command;
        match self {
            Self::Greenlight => {
                write_settings(include_str!("../../settings/dhcp.yaml"), 67, directory)?;
                command = lab.server(&place.greenlight, place);
                command.arg("serve").arg("--config").arg(directory.join("greenlight.yaml"));
            }
            Self::Kea => {
                let _ = fs::remove_file(directory.join("kea-leases.csv"));
                let file = write("kea.json", include_str!("../../settings/kea.json"))?;
                command = lab.server(&sbin.join("kea-dhcp4"), place);
                command.arg("-c").arg(file);
                command.env("KEA_PIDFILE_DIR", directory).env("KEA_LOCKFILE_DIR", "none");
            }
            Self::Dnsmasq => {
                let _ = fs::remove_file(directory.join("dnsmasq.leases"));
                let file = write("dnsmasq.conf", include_str!("../../settings/dnsmasq.conf"))?;
                command = lab.server(&sbin.join("dnsmasq"), place);
                command.arg("-k").arg("-C").arg(file);
            }
        }
        Ok(command)
    }
}

/// The namespaces, which end with this value.
pub struct Lab {
    servers: String,
    readers: String,
}

impl Lab {
    pub fn set_up() -> Result<Self, String> {
        let number = std::process::id();
        let lab = Self { servers: format!("bench-s{number}"), readers: format!("bench-c{number}") };
        let (servers, readers) = (&lab.servers, &lab.readers);
        for line in [
            format!("netns add {servers}"),
            format!("netns add {readers}"),
            format!("link add veth netns {servers} type veth peer name veth netns {readers}"),
            format!("-n {servers} addr add {SERVER}/8 dev veth"),
            format!("-n {readers} addr add {RELAY}/8 dev veth"),
            format!("-n {servers} link set lo up"),
            format!("-n {readers} link set lo up"),
            format!("-n {servers} link set veth up"),
            format!("-n {readers} link set veth up"),
        ] {
            let output = Command::new("ip").args(line.split_whitespace()).output();
            let output = output.map_err(|error| format!("ip (iproute2): {error}"))?;
            if !output.status.success() {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(format!("network namespaces need root: {why}"));
            }
        }
        Ok(lab)
    }

    fn inside(&self, namespace: &str, core: &str, program: &Path, place: &Place) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL"]);
        command.args(["taskset", "-c", core]).arg(program);
        if program.starts_with(&place.peers) {
            command.env("LD_LIBRARY_PATH", libraries(&place.peers));
        }
        command.env(PASSWORD, "unused");
        command
    }

    fn server(&self, program: &Path, place: &Place) -> Command {
        self.inside(&self.servers, SERVER_CORE, program, place)
    }

    /// On the core of the load, at the other end of the cable.
    pub fn beside_readers(&self, program: &Path, place: &Place) -> Command {
        self.inside(&self.readers, LOAD_CORE, program, place)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.servers, &self.readers] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

/// Starts a server in its namespace. An error is the reason why it cannot be measured.
pub fn start(kind: Kind, lab: &Lab, place: &Place) -> Result<Process, String> {
    let missing = match kind {
        Kind::Greenlight => None,
        Kind::Kea => Some("kea-dhcp4"),
        Kind::Dnsmasq => Some("dnsmasq"),
    };
    if let Some(name) = missing
        && !place.peers.join("debian/usr/sbin").join(name).is_file()
    {
        return Err(format!("{name} is not installed"));
    }
    let command = kind.command(lab, place).map_err(|error| error.to_string())?;
    Process::start(command, kind.name(), &place.directory)
}
