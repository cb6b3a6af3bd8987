//! A switch of the lab: a real DHCP client, tftp-hpa or curl, FRR, lldpd and OpenSSH in namespaces
//! of their own. `device/` holds the little that is ours.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::net::Net;
use crate::until;

/// The DHCP client of a device.
#[derive(Debug, Clone, Copy)]
pub enum Client {
    Udhcpc,
    Dhclient,
}

/// A device under power. Dropping it pulls the plug.
pub struct Device {
    pub name: String,
    /// Survives power cuts; the device sees it as `/flash`.
    pub flash: PathBuf,
    power: Child,
}

/// What is printed on a box.
pub struct Label<'a> {
    pub name: &'a str,
    pub serial: &'a str,
    pub client: Client,
}

impl Device {
    /// Powers a box on. With `startup` it is in service already and asks nobody for anything.
    pub fn power_on(net: &Net, home: &Path, label: &Label<'_>, startup: Option<&str>) -> Self {
        let flash = home.join(label.name);
        std::fs::create_dir_all(&flash).expect("the lab's directory can be written");
        if let Some(startup) = startup {
            std::fs::write(flash.join("startup-config"), startup).expect("flash can be written");
        }
        let console = File::create(flash.join("console.log")).expect("flash can be written");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/device");
        let client = match label.client {
            Client::Udhcpc => "udhcpc",
            Client::Dhclient => "dhclient",
        };
        let power = net
            .command(label.name, "unshare")
            .args(["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=SIGKILL"])
            .args(["--propagation", "private", "--", "bash"])
            .arg(scripts.join("body.sh"))
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEVICE", label.name)
            .env("SERIAL", label.serial)
            .env("MODEL", "LAB-48")
            .env("CLIENT", client)
            .env("FLASH", &flash)
            .env("SCRIPTS", &scripts)
            .stdout(console.try_clone().expect("a file can be shared"))
            .stderr(console)
            .spawn()
            .expect("unshare is installed");
        Self { name: label.name.to_owned(), flash, power }
    }

    /// Everything it printed so far.
    pub fn console(&self) -> String {
        std::fs::read_to_string(self.flash.join("console.log")).unwrap_or_default()
    }

    /// What the DHCP client told its script: `ip=10.77.0.11` and so on.
    pub fn lease(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.flash.join("lease.env")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn wait_for_door(&self) {
        until(&format!("{} opens its door", self.name), 60, || {
            self.console().contains("door open").then_some(()).ok_or_else(|| self.console())
        });
    }

    /// Runs a command inside, as root: what the story knows of the device without Greenlight.
    pub fn inside(&self, words: &[&str]) -> String {
        let Some(pid) = self.process_one() else { return String::new() };
        let done = Command::new("nsenter")
            .args(["-t", &pid, "-m", "-u", "-i", "-n", "-p", "--root", "--wd=/"])
            .args(words)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("nsenter is installed");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn process_one(&self) -> Option<String> {
        let pid = self.power.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next().map(str::to_owned)
    }

    /// Lets its lldpd forget whom it heard: a port that leaves the pattern is dropped with all it
    /// knew.
    pub fn forget_neighbours(&self) {
        let listen = |pattern: &str| {
            self.inside(&["lldpcli", "configure", "system", "interface", "pattern", pattern]);
        };
        listen("nothing");
        until("lldpd forgets", 10, || {
            let heard = self.inside(&["lldpcli", "-f", "keyvalue", "show", "neighbors"]);
            if heard.contains("lldp.swp") { Err(heard) } else { Ok(()) }
        });
        listen("swp*");
    }

    /// Whom its own lldpd hears on a port, as `device port`.
    pub fn neighbours(&self, port: &str) -> Vec<String> {
        let text = self.inside(&["lldpcli", "-f", "json0", "show", "neighbors", "ports", port]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let heard = json.pointer("/lldp/0/interface").and_then(|list| list.as_array()).cloned();
        let word = |value: &serde_json::Value, path: &str| {
            value.pointer(path).and_then(|text| text.as_str()).unwrap_or("?").to_owned()
        };
        heard
            .unwrap_or_default()
            .iter()
            .map(|one| {
                let device = word(one, "/chassis/0/name/0/value");
                format!("{device} {}", word(one, "/port/0/id/0/value"))
            })
            .collect()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.power.kill();
        let _ = self.power.wait();
    }
}
