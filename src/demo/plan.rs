//! What the demo's operator has written: configuration, inventory, templates and secrets, as files
//! in a directory of its own. The formats are those of the shipped files.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::demo::site::{self, ADMIN, Corner, NTP, SSH_PORT};
use crate::demo::stories::{Story, Twist};
use crate::sim::device::Pace;

/// What the files are made of.
pub struct Written<'a> {
    pub stories: &'a [Story],
    pub corner: Corner,
    pub pace: Pace,
    pub dhcp: SocketAddr,
    pub tftp: SocketAddr,
    pub http: SocketAddr,
    /// Where chat and hook listen.
    pub doubles: SocketAddr,
    pub password: &'a str,
}

const TEMPLATES: [(&str, &str); 3] = [
    ("cisco_ios.j2", include_str!("templates/cisco_ios.j2")),
    ("arista_eos.j2", include_str!("templates/arista_eos.j2")),
    ("frr.j2", include_str!("templates/frr.j2")),
];

/// Writes everything below `directory` and returns the path of `greenlight.yaml`.
pub fn write(directory: &Path, written: &Written<'_>) -> io::Result<PathBuf> {
    let templates = directory.join("templates");
    std::fs::create_dir_all(&templates)?;
    for (name, text) in TEMPLATES {
        std::fs::write(templates.join(name), text)?;
    }
    std::fs::write(directory.join("password"), written.password)?;
    std::fs::write(directory.join("token"), "xoxb-demo-0000-nothing-behind-it")?;
    std::fs::write(directory.join("inventory.yaml"), inventory(directory, written))?;
    let config = directory.join("greenlight.yaml");
    std::fs::write(&config, configuration(directory, written))?;
    Ok(config)
}

/// Two seconds here are two seconds of the demo, whatever its pace.
fn span(seconds: u64, pace: Pace) -> String {
    let span = Duration::from_secs(seconds).div_f64(pace.0);
    format!("{}ms", span.as_millis().max(1))
}

fn configuration(directory: &Path, written: &Written<'_>) -> String {
    let Written { dhcp, tftp, http, doubles, pace, .. } = written;
    let span = |seconds| span(seconds, *pace);
    let file = |name: &str| format!("{:?}", directory.join(name).display().to_string());
    format!(
        "inventory: inventory.yaml\n\
         templates: templates\n\
         data: data\n\
         dhcp:\n  listen: [\"{dhcp}\"]\n  server_address: 127.0.0.1\n  lease: 1h\n  \
         unknown: refuse\n  pools:\n    - subnet: {subnet}\n\
         tftp:\n  listen: [\"{tftp}\"]\n\
         http:\n  listen: [\"{http}\"]\n\
         runs:\n  window: 10m\n  file_patience: {file_patience}\n  settle: {settle}\n  \
         back_deadline: {back}\n  recheck: {recheck}\n  neighbour_patience: {patience}\n  \
         login_patience: {login}\n  still_waiting: 10m\n\
         ssh:\n  connect_timeout: 2s\n  visit_timeout: 20s\n\
         slack:\n  bot_token: {{ file: {token} }}\n  channel: \"#rollout\"\n  \
         api_url: \"http://{doubles}/api/\"\n\
         hooks:\n  - name: handover\n    required: true\n    http:\n      \
         url: \"http://{doubles}/handover\"\n    timeout: 5s\n    retries: [1s, 2s]\n",
        subnet = written.corner.subnet(),
        file_patience = span(30),
        settle = span(2),
        back = span(14),
        recheck = span(1),
        patience = span(5),
        login = span(20),
        token = file("token"),
    )
}

fn inventory(directory: &Path, written: &Written<'_>) -> String {
    let password = format!("{:?}", directory.join("password").display().to_string());
    let mut text = format!(
        "defaults:\n  ssh_port: {SSH_PORT}\n  credentials:\n    - username: {ADMIN}\n      \
         password: {{ file: {password} }}\n  variables:\n    admin: {ADMIN}\n    \
         domain: demo.example\n    ntp: {NTP}\n    vlans:\n      \
         - {{ id: 10, name: staff }}\n      - {{ id: 20, name: guests }}\n  \
         secrets:\n    password: {{ file: {password} }}\n\
         sites:\n  warehouse-3:\n    title: Warehouse 3\n\
         groups:\n"
    );
    for kind in crate::sim::chassis::Kind::ALL {
        let id = kind.id();
        let _ = writeln!(text, "  {id}:\n    platform: {id}\n    template: {id}.j2");
    }
    text.push_str("devices:\n");
    for (number, rack) in [(1, "rack 1, top"), (2, "rack 1, below dist-1")] {
        let _ = writeln!(
            text,
            "  - name: dist-{number}\n    site: warehouse-3\n    platform: cisco_ios\n    \
             managed: false\n    location: {rack}"
        );
    }
    for story in written.stories {
        text.push_str(&device(story, written.corner));
    }
    text
}

fn device(story: &Story, corner: Corner) -> String {
    let chassis = site::planned_chassis(story);
    let mut text = format!(
        "  - name: {name}\n    site: warehouse-3\n    group: {group}\n    serial: {serial}\n    \
         address: {address}\n    software: \"{software}\"\n    location: rack {rack}\n",
        name = story.device,
        group = story.kind.id(),
        serial = chassis.serial,
        address = corner.planned(story),
        software = chassis.software,
        rack = 2 + (story.number - 1) / 4,
    );
    match (site::position(story), story.twist) {
        (Some((circuit, remote)), _) => {
            let _ = writeln!(
                text,
                "    position: {{ circuit_id: \"{circuit}\", remote_id: \"{remote}\" }}"
            );
        }
        // A box whose request tells the serial needs no MAC in the plan.
        (None, Twist::Nothing) => {}
        (None, _) => {
            let _ = writeln!(text, "    mac: \"{}\"", chassis.mac);
        }
    }
    text.push_str("    neighbours:\n");
    let port = site::distribution_port(story);
    for (uplink, switch) in site::uplinks(story.kind).iter().zip(["dist-1", "dist-2"]) {
        let _ = writeln!(text, "      - {uplink} -> {switch}, {port}");
    }
    text
}
