//! A Linux box with FRR and lldpd: each question is one command given to the SSH server.

use serde_json::{Map, Value, json};

use crate::sim::cabling::Heard;
use crate::sim::cli::{Answer, squeezed};
use crate::sim::inside::View;

/// What the shell of the box answers to this line.
pub fn answer(view: &View, command: &str) -> Answer {
    // Redirections and fall-backs of a real shell change nothing where the command succeeds.
    let command = squeezed(command).replace('"', "'");
    let command = command.trim_end_matches(" || true").trim_end_matches(" 2>/dev/null");
    let command = command.strip_prefix("/usr/sbin/").unwrap_or(command);
    match command {
        "" => Answer::Text(String::new()),
        "exit" | "logout" => Answer::Logout,
        "cat /etc/greenlight/serial" => Answer::Text(format!("{}\n", view.chassis.serial)),
        "cat /etc/greenlight/model" => Answer::Text(format!("{}\n", view.chassis.model)),
        "hostname" => Answer::Text(format!("{}\n", view.hostname)),
        "vtysh -c 'show version'" => Answer::Text(version(view)),
        "vtysh -c 'show running-config'" | "vtysh -c 'show running-config no-header'" => {
            Answer::Text(running(view))
        }
        "cat /etc/frr/frr.conf" => match &view.saved {
            // The file holds no `end`: that is vtysh's own.
            Some(saved) => Answer::Text(saved.body().trim_end_matches("end\n").to_owned()),
            None => Answer::Text(String::new()),
        },
        "vtysh -c 'write memory'" | "vtysh -c 'write'" => Answer::Save(
            "Note: this version of vtysh never writes vtysh.conf\nBuilding Configuration...\n\
             Integrated configuration saved to /etc/frr/frr.conf\n[OK]\n"
                .into(),
        ),
        "lldpcli -f json0 show neighbors details" if view.deaf => {
            let socket = "/run/lldpd.socket";
            Answer::Text(format!("[WARN/lldpctl] unable to connect to socket {socket}\n"))
        }
        "lldpcli -f json0 show neighbors details" => as_json(lldp(view)),
        "ip -j link show" | "ip -j link" => as_json(links(view)),
        _ => Answer::Unknown { at: 0 },
    }
}

fn as_json(value: Value) -> Answer {
    Answer::Text(format!("{value:#}\n"))
}

fn version(view: &View) -> String {
    format!(
        "FRRouting {} ({}) on Linux(6.1.0-28-amd64).\n\
         Copyright 1996-2005 Kunihiro Ishiguro, et al.\n",
        view.chassis.software, view.hostname
    )
}

fn running(view: &View) -> String {
    format!("Building configuration...\n\nCurrent configuration:\n{}", view.running.body())
}

/// lldpd's `json0`: every value a list, so that nothing changes shape with the number of
/// neighbours.
fn lldp(view: &View) -> Value {
    let interfaces: Vec<Value> = view.heard.iter().map(|heard| interface(view, heard)).collect();
    json!({ "lldp": [{ "interface": interfaces }] })
}

fn interface(view: &View, heard: &Heard) -> Value {
    let (id, description) = heard.far.kind.advertised_port(&heard.far_port);
    let mut port = json!({ "id": [{ "type": "ifname", "value": id }] });
    if !description.is_empty() {
        port["descr"] = json!([{ "value": description }]);
    }
    port["ttl"] = json!([{ "value": "120" }]);
    let mut chassis = json!({
        "id": [{ "type": "mac", "value": heard.far.mac.to_string() }],
        "name": [{ "value": heard.far.name }],
        "descr": [{ "value": heard.far.description }],
        "capability": [
            { "type": "Bridge", "enabled": true },
            { "type": "Router", "enabled": true },
        ],
    });
    if let Some(address) = heard.far.address {
        chassis["mgmt-ip"] = json!([{ "value": address.to_string() }]);
    }
    json!({
        "name": heard.local_port,
        "via": "LLDP",
        "rid": "1",
        "age": age(view.now.since(heard.first).as_secs()),
        "chassis": [chassis],
        "port": [port],
    })
}

/// `0 day, 00:01:05`.
fn age(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    format!("{days} day, {hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)
}

fn links(view: &View) -> Value {
    let mut all = vec![link("lo", true, 1)];
    for (index, (port, up)) in view.links.iter().enumerate() {
        all.push(link(port, *up, index + 2));
    }
    Value::Array(all)
}

fn link(name: &str, up: bool, index: usize) -> Value {
    let mut flags = if name == "lo" { vec!["LOOPBACK"] } else { vec!["BROADCAST", "MULTICAST"] };
    flags.push("UP");
    flags.push(if up { "LOWER_UP" } else { "NO-CARRIER" });
    let mut entry = Map::new();
    entry.insert("ifindex".into(), json!(index));
    entry.insert("ifname".into(), json!(name));
    entry.insert("flags".into(), json!(flags));
    entry.insert("mtu".into(), json!(1500));
    let state = match (name, up) {
        ("lo", _) => "UNKNOWN",
        (_, true) => "UP",
        (_, false) => "DOWN",
    };
    entry.insert("operstate".into(), json!(state));
    entry.insert("link_type".into(), json!(if name == "lo" { "loopback" } else { "ether" }));
    Value::Object(entry)
}
