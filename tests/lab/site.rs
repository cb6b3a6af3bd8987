//! A small site: one switch to be provisioned, two in service, Greenlight, and the installer's
//! chat.

use std::path::Path;

use serde_json::Value;

use crate::device::{Client, Device, Label};
use crate::net::Net;
use crate::server::Greenlight;
use crate::slack::Slack;
use crate::until;

/// The end of a cable: device and port.
pub type End = (&'static str, &'static str);

/// The two uplinks as planned.
pub const PLANNED: [(End, End); 2] =
    [(("acc-1", "swp49"), ("dist-1", "swp47")), (("acc-1", "swp50"), ("dist-2", "swp47"))];

/// Four uplinks as planned, two to each of the switches in service.
pub const FOUR: [(End, End); 4] = [
    (("acc-1", "swp47"), ("dist-1", "swp47")),
    (("acc-1", "swp48"), ("dist-1", "swp48")),
    (("acc-1", "swp49"), ("dist-2", "swp47")),
    (("acc-1", "swp50"), ("dist-2", "swp48")),
];

/// Nine uplinks as planned, enough for three rounds of three.
pub const NINE: [(End, End); 9] = [
    (("acc-1", "swp42"), ("dist-1", "swp45")),
    (("acc-1", "swp43"), ("dist-1", "swp46")),
    (("acc-1", "swp44"), ("dist-1", "swp47")),
    (("acc-1", "swp45"), ("dist-1", "swp48")),
    (("acc-1", "swp46"), ("dist-1", "swp49")),
    (("acc-1", "swp47"), ("dist-2", "swp46")),
    (("acc-1", "swp48"), ("dist-2", "swp47")),
    (("acc-1", "swp49"), ("dist-2", "swp48")),
    (("acc-1", "swp50"), ("dist-2", "swp49")),
];

/// Where a plug fits, beside what is planned. `core-9` is in service and in no plan.
const PORTS: [End; 12] = [
    ("acc-1", "swp47"),
    ("acc-1", "swp48"),
    ("acc-1", "swp49"),
    ("acc-1", "swp50"),
    ("acc-1", "swp51"),
    ("dist-1", "swp47"),
    ("dist-1", "swp48"),
    ("dist-1", "swp49"),
    ("dist-2", "swp47"),
    ("dist-2", "swp48"),
    ("dist-2", "swp49"),
    ("core-9", "swp1"),
];

/// In service before the story begins.
const IN_SERVICE: [&str; 3] = ["dist-1", "dist-2", "core-9"];

/// Where their SSH is, for those who are told so.
const ADDRESSES: [(&str, &str); 2] = [("dist-1", "10.77.0.21"), ("dist-2", "10.77.0.22")];

/// What is planned whatever the cables are; those follow below `acc-1`.
const INVENTORY: &str = "\
defaults:
  platform: frr
  credentials:
    - { username: netops, password: { env: LAB_PASSWORD } }
sites:
  lab: { title: The lab }
devices:
  - { name: dist-1, site: lab, managed: false }
  - { name: dist-2, site: lab, managed: false }
  - name: acc-1
    site: lab
    serial: LAB0001
    address: 10.77.0.11
    template: switch.j2
    location: Rack 2
";

const TEMPLATE: &str = "\
hostname {{ device.name }}
!
{% for uplink in uplinks %}
interface {{ uplink.port }}
 description to {{ uplink.to }}
exit
!
{% endfor %}
ip route 198.51.100.0/24 10.77.0.1
!
";

/// A site with everything under power. Dropping it ends all of it.
pub struct Site {
    // Fields are dropped in this order: processes first, namespaces last.
    greenlight: Greenlight,
    slack: Slack,
    pub access: Device,
    /// `dist-1`, `dist-2` and `core-9`.
    pub distribution: [Device; 3],
    pub net: Net,
    /// Where a plug fits.
    ports: Vec<End>,
    home: tempfile::TempDir,
}

/// What is planned for the switch.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub cables: &'a [(End, End)],
    /// What is made of neighbours that nobody planned: `ignore`, `remark` or `fail`.
    pub others: &'a str,
}

impl<'a> Plan<'a> {
    /// These cables; others are remarked.
    pub fn of(cables: &'a [(End, End)]) -> Self {
        Self { cables, others: "remark" }
    }
}

impl Site {
    /// Builds the site of two uplinks with these cables, and powers the switch on.
    pub fn with(client: Client, cables: &[(End, End)]) -> Self {
        Self::planned(client, Plan::of(&PLANNED), cables)
    }

    /// The same with this plan.
    pub fn planned(client: Client, plan: Plan<'_>, cables: &[(End, End)]) -> Self {
        Self::built(client, plan, cables, INVENTORY)
    }

    /// The site of two uplinks whose switches in service can be asked: they have an address.
    pub fn upstream(client: Client, cables: &[(End, End)]) -> Self {
        let mut inventory = INVENTORY.to_owned();
        for (name, address) in ADDRESSES {
            let line = format!("{{ name: {name}, site: lab, managed: false");
            inventory = inventory.replace(&line, &format!("{line}, address: {address}"));
        }
        Self::built(client, Plan::of(&PLANNED), cables, &inventory)
    }

    fn built(client: Client, plan: Plan<'_>, cables: &[(End, End)], inventory: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut net = Net::new();
        net.space("srv");
        net.join_management("srv", "eth0");
        net.ip("-n srv addr add 10.77.0.1/24 dev eth0");
        for space in ["acc-1"].into_iter().chain(IN_SERVICE) {
            net.space(space);
            net.join_management(space, "mgmt0");
        }
        for (space, address) in ADDRESSES {
            net.ip(&format!("-n {space} addr add {address}/24 dev mgmt0"));
        }
        let planned = plan.cables.iter().flat_map(|(one, other)| [*one, *other]);
        let further = planned.filter(|end| !PORTS.contains(end));
        let ports: Vec<End> = PORTS.into_iter().chain(further).collect();
        for (space, port) in &ports {
            net.port(space, port);
        }
        for (one, other) in cables {
            net.plug(*one, *other);
        }
        let slack = Slack::start(&net, "srv", home.path());
        let settings = write_plan(home.path(), (plan, inventory), &slack);
        let greenlight = Greenlight::start(&net, "srv", home.path(), &settings);
        let distribution = IN_SERVICE.map(|name| {
            let label = Label { name, serial: name, client };
            Device::power_on(&net, home.path(), &label, Some(&format!("hostname {name}\n")))
        });
        for device in &distribution {
            device.wait_for_door();
        }
        let label = Label { name: "acc-1", serial: "LAB0001", client };
        let access = Device::power_on(&net, home.path(), &label, None);
        Self { greenlight, slack, access, distribution, net, ports, home }
    }

    /// Pulls every plug and lays the cables like this. The switch forgets at once whom it heard, as
    /// switches do of a port that goes dark; lldpd alone would keep an old neighbour for seconds
    /// beside a new one, and old and new together could look like the plan.
    pub fn lay(&mut self, cables: &[(End, End)]) {
        for port in &self.ports {
            self.net.unplug(*port);
        }
        self.access.forget_neighbours();
        for (one, other) in cables {
            self.net.plug(*one, *other);
        }
    }

    /// Runs a command of Greenlight's and gives back what it prints.
    #[track_caller]
    pub fn greenlight(&self, words: &[&str]) -> String {
        match self.greenlight.order(&self.net, words) {
            Ok(printed) => printed,
            Err(complaint) => panic!("greenlight {}: {complaint}\n{}", words.join(" "), self.all()),
        }
    }

    /// What `greenlight status` says of the switch.
    pub fn status(&self) -> Value {
        let text = self.greenlight(&["status", "--json"]);
        let lines: Vec<Value> = serde_json::Deserializer::from_str(&text)
            .into_iter()
            .map(|value| value.unwrap_or_else(|e| panic!("{e}: {text}")))
            .collect();
        find(&Value::Array(lines), "acc-1").cloned().unwrap_or_default()
    }

    /// Waits for a phase; says everything that is known when it does not come.
    #[track_caller]
    pub fn wait_for(&mut self, phase: &str) {
        until(&format!("the phase `{phase}`"), 60, || {
            assert!(self.greenlight.is_running(), "{}", self.all());
            if self.status()["phase"] == phase { Ok(()) } else { Err(self.all()) }
        });
    }

    /// Waits for a reply in the switch's one thread that holds this text.
    #[track_caller]
    pub fn wait_for_reply(&self, text: &str) {
        until(&format!("the reply `{text}`"), 30, || {
            let replies = self.replies();
            replies.iter().any(|reply| reply.contains(text)).then_some(()).ok_or_else(|| self.all())
        });
    }

    /// The replies of the switch's thread, of which there is exactly one.
    #[track_caller]
    pub fn replies(&self) -> Vec<String> {
        let threads = self.slack.threads(&self.net, "srv");
        let about: Vec<_> =
            threads.iter().filter(|one| one.parent.to_string().contains("acc-1")).collect();
        assert!(about.len() <= 1, "one device, {} parent messages", about.len());
        about.iter().flat_map(|thread| thread.replies.iter().map(Value::to_string)).collect()
    }

    /// The parent message of the switch's thread.
    pub fn parent(&self) -> String {
        let threads = self.slack.threads(&self.net, "srv");
        threads.iter().map(|thread| thread.parent.to_string()).collect()
    }

    /// What the hook was handed, one text per call.
    pub fn handed_over(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path().join("handed")).expect("it was made");
        entries
            .map(|entry| std::fs::read_to_string(entry.expect("it can be read").path()))
            .map(|text| text.expect("a hook is handed text"))
            .collect()
    }

    /// The whole story, for a failure.
    pub fn all(&self) -> String {
        let run = self.greenlight.order(&self.net, &["log", "acc-1"]).unwrap_or_else(|why| why);
        let console = self.access.console();
        let devices = [&self.access].into_iter().chain(&self.distribution);
        let lldp = devices.map(|device| {
            let said = device.inside(&["tail", "-n", "12", "/run/lldpd.log"]);
            let hears = device.inside(&["lldpcli", "show", "neighbors", "summary"]);
            format!("LLDP of {}:\n{said}{hears}\n", device.name)
        });
        let cables = self.net.run("panel", &["bridge", "link"]);
        format!(
            "the switch:\n{console}\nits run:\n{run}\nGreenlight:\n{}\n{}the panel:\n{cables}",
            self.greenlight.log(),
            lldp.collect::<String>()
        )
    }
}

/// The object about this device, wherever it stands in an answer.
fn find<'a>(json: &'a Value, device: &str) -> Option<&'a Value> {
    match json {
        Value::Array(list) => list.iter().find_map(|value| find(value, device)),
        Value::Object(fields) => {
            let named = ["device", "name"].iter().any(|key| json[*key] == device);
            let inner = || fields.values().find_map(|value| find(value, device));
            if named { Some(json) } else { inner() }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Writes the plan down and gives back the settings.
fn write_plan(home: &Path, (plan, inventory): (Plan<'_>, &str), slack: &Slack) -> String {
    let write = |name: &str, text: &str| {
        std::fs::write(home.join(name), text).expect("the lab's directory can be written");
    };
    for directory in ["templates", "handed"] {
        std::fs::create_dir(home.join(directory)).expect("the lab's directory can be written");
    }
    let list =
        |line: &dyn Fn(&(End, End)) -> String| plan.cables.iter().map(line).collect::<String>();
    let uplinks = list(&|((_, port), (device, far))| {
        format!("        - {{ port: {port}, to: {device} port {far} }}\n")
    });
    let neighbours =
        list(&|((_, port), (device, far))| format!("      - {port} -> {device}, {far}\n"));
    let inventory = format!(
        "{inventory}    unplanned_neighbours: {}\n    variables:\n      uplinks:\n{uplinks}    \
         neighbours:\n{neighbours}",
        plan.others
    );
    write("inventory.yaml", &inventory);
    write("templates/switch.j2", TEMPLATE);
    format!(
        "\
data: data
dhcp:
  listen: [{{ address: '0.0.0.0:67', interface: eth0 }}]
  server_address: 10.77.0.1
  pools:
    - {{ subnet: 10.77.0.0/24, range: 10.77.0.100 - 10.77.0.150, router: 10.77.0.1 }}
tftp: {{ listen: ['10.77.0.1:69'] }}
http: {{ listen: ['10.77.0.1:80'] }}
runs:
  settle: 1s
  recheck: 1s
  neighbour_patience: 5s
  back_deadline: 60s
slack:
  bot_token: {{ env: LAB_SLACK_TOKEN }}
  channel: {channel}
  api_url: {api}
hooks:
  - {{ name: notebook, exec: [sh, -c, 'cat >\"$0/$$\"', {handed}] }}
",
        channel = slack.channel,
        api = Slack::API,
        handed = home.join("handed").display(),
    )
}
