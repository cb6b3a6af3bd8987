//! Network namespaces that are gone when their story ends, and the patch panel between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// All begin with this and the number of the process that made them.
const PREFIX: &str = "greenlight-lab-";

/// A program under way. Dropping it kills it.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A set of namespaces with a management network and a patch panel.
pub struct Net {
    prefix: String,
    spaces: Vec<String>,
    /// The panel's end of each port of each device.
    sockets: BTreeMap<(String, String), String>,
    cables: u32,
}

impl Net {
    pub fn new() -> Self {
        sweep();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{count}-", std::process::id());
        let mut net = Self { prefix, spaces: Vec::new(), sockets: BTreeMap::new(), cables: 0 };
        net.space("panel");
        net.space("mgmt");
        net.ip("-n mgmt link add br0 type bridge");
        net.ip("-n mgmt link set br0 up");
        net
    }

    /// The same with Greenlight's own namespace `srv`, its interface and addresses.
    pub fn with_server() -> Self {
        let mut net = Self::new();
        net.space("srv");
        net.join_management("srv", "eth0");
        net.ip("-n srv addr add 10.77.0.1/24 dev eth0");
        net.ip("-n srv addr add fd00:77::1/64 dev eth0");
        net
    }

    /// A box on the management network: its `eth0` has this MAC, and an address where one is named.
    pub fn box_with(&mut self, name: &str, mac: &str, address: Option<&str>) {
        self.space(name);
        self.join_management(name, "eth0");
        // Down and up again: its link-local address is made of the MAC.
        self.ip(&format!("-n {name} link set eth0 down address {mac}"));
        self.ip(&format!("-n {name} link set eth0 up"));
        if let Some(address) = address {
            self.ip(&format!("-n {name} addr add {address} dev eth0"));
        }
    }

    /// Forwards packets between the interfaces of a namespace.
    pub fn forward(&self, space: &str) {
        self.run(space, &["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
        self.run(space, &["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"]);
    }

    /// Gives a namespace these rules of nftables.
    pub fn rules(&self, space: &str, rules: &str) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), rules).expect("it can be written");
        self.run(space, &["nft", "-f", &file.path().to_string_lossy()]);
    }

    /// Runs a command inside a namespace, which must succeed; what it printed.
    #[track_caller]
    pub fn run(&self, space: &str, words: &[&str]) -> String {
        let mut command = self.command(space, words[0]);
        let done = command.args(&words[1..]).output().expect("iproute2 is installed");
        let complaint = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}: {complaint}", words.join(" "));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// A new namespace. `-n NAME` and `netns NAME` in [`Net::ip`] mean it.
    pub fn space(&mut self, name: &str) {
        ip(&["netns", "add", &format!("{}{name}", self.prefix)]);
        self.spaces.push(name.to_owned());
        self.ip(&format!("-n {name} link set lo up"));
        // Nobody has the address of another one here: looking for one would cost a second each.
        self.run(name, &["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
    }

    /// Runs `ip` with our names of namespaces made unique.
    pub fn ip(&self, words: &str) {
        let mut names_space = false;
        let mut full = Vec::new();
        for word in words.split_whitespace() {
            let word = if names_space { format!("{}{word}", self.prefix) } else { word.to_owned() };
            names_space = word == "-n" || word == "netns";
            full.push(word);
        }
        ip(&full.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Connects an interface of this namespace to the management network.
    pub fn join_management(&self, space: &str, interface: &str) {
        self.ip(&format!(
            "link add {interface} netns {space} type veth peer name to-{space} netns mgmt"
        ));
        self.ip(&format!("-n mgmt link set to-{space} master br0 up"));
        self.ip(&format!("-n {space} link set {interface} up"));
    }

    /// Gives a device a port with an empty socket behind it: no light until a cable is plugged in.
    pub fn port(&mut self, space: &str, interface: &str) {
        let socket = format!("socket{}", self.sockets.len());
        self.ip(&format!(
            "link add {interface} netns {space} type veth peer name {socket} netns panel"
        ));
        self.sockets.insert((space.to_owned(), interface.to_owned()), socket);
    }

    /// Puts a cable between two ports. A bridge per cable lets LLDP through (bit 14 of the mask).
    pub fn plug(&mut self, one: (&str, &str), other: (&str, &str)) {
        self.cables += 1;
        let cable = format!("cable{}", self.cables);
        self.ip(&format!("-n panel link add {cable} type bridge group_fwd_mask 0x4000"));
        self.ip(&format!("-n panel link set {cable} up"));
        for end in [one, other] {
            let socket = self.socket(end);
            self.ip(&format!("-n panel link set {socket} master {cable} up"));
        }
    }

    /// Pulls the plug out of this port; both ends go dark when both plugs are out.
    pub fn unplug(&self, end: (&str, &str)) {
        let socket = self.socket(end);
        self.ip(&format!("-n panel link set {socket} nomaster down"));
    }

    fn socket(&self, (space, interface): (&str, &str)) -> &str {
        let key = (space.to_owned(), interface.to_owned());
        self.sockets.get(&key).unwrap_or_else(|| panic!("{space} has no port {interface}"))
    }

    /// A command that will run inside a namespace, and no longer than whoever started it.
    pub fn command(&self, space: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{space}", self.prefix)]);
        command.args(["setpriv", "--pdeathsig", "KILL"]).arg(program);
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in &self.spaces {
            remove(&format!("{}{space}", self.prefix));
        }
    }
}

fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).output().expect("iproute2 is installed");
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {}: {complaint}", words.join(" "));
}

/// Ends every process of a namespace, then the namespace.
fn remove(name: &str) {
    let pids = Command::new("ip").args(["netns", "pids", name]).output();
    for pid in String::from_utf8_lossy(&pids.map(|done| done.stdout).unwrap_or_default()).lines() {
        let _ = Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status();
    }
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
}

/// Removes what a killed process left behind.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let pid = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            remove(&name);
        }
    }
}
