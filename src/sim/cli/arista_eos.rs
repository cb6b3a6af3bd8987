//! The command line of EOS, as far as a provisioning visit asks it. `| json` gives JSON, as it does
//! there.

use serde_json::{Map, Value, json};

use crate::sim::cabling::Heard;
use crate::sim::cli::{Answer, dotted, images, squeezed};
use crate::sim::inside::View;

/// What EOS answers to this line.
pub fn answer(view: &View, privileged: bool, command: &str) -> Answer {
    let command = squeezed(command);
    if let Some(answer) = images::answer(view, &command).filter(|_| privileged) {
        return answer;
    }
    let question = command.replace(" | json", "|json").replace("| json", "|json");
    match question.as_str() {
        "" => Answer::Text(String::new()),
        "terminal width 32767" => Answer::Text("Width set to 32767 columns.\n".into()),
        "enable" => Answer::Enable,
        "disable" => Answer::Disable,
        "exit" | "logout" | "quit" => Answer::Logout,
        "show version|json" => as_json(version(view)),
        "show hostname|json" => {
            as_json(json!({ "hostname": view.hostname, "fqdn": view.hostname }))
        }
        "show lldp neighbors detail|json" if view.deaf => {
            Answer::Text("LLDP is not enabled\n".into())
        }
        "show lldp neighbors detail|json" => as_json(lldp(view)),
        "show interfaces status|json" => as_json(status(view)),
        "show system environment power|json" => as_json(power()),
        "show version" => Answer::Text(version_text(view)),
        "show hostname" => {
            let name = &view.hostname;
            Answer::Text(format!("Hostname: {name}\nFQDN:     {name}\n"))
        }
        "show running-config" if privileged => {
            Answer::Text(head(view, "show running-config") + &view.running.body())
        }
        "show startup-config" if privileged => Answer::Text(startup(view)),
        "write memory" | "write" | "copy running-config startup-config" if privileged => {
            Answer::Save("Copy completed successfully.\n".into())
        }
        other => match other.strip_prefix("terminal length ").map(str::parse) {
            Some(Ok(lines)) => Answer::PageLength(lines),
            Some(Err(_)) | None => Answer::Unknown { at: 0 },
        },
    }
}

fn as_json(value: Value) -> Answer {
    // Values built here have text keys only, which is all that JSON asks.
    let text = serde_json::to_string_pretty(&value).expect("text keys and plain values");
    Answer::Text(text.replace("  ", "    ") + "\n")
}

fn version(view: &View) -> Value {
    json!({
        "imageFormatVersion": "3.0",
        "uptime": view.uptime.as_secs_f64(),
        "modelName": view.chassis.model,
        "internalVersion": format!("{}-38051479.4322F", view.chassis.software),
        "memTotal": 8_099_732,
        "mfgName": "Arista",
        "serialNumber": view.chassis.serial,
        "systemMacAddress": view.chassis.mac.to_string(),
        "bootupTimestamp": bootup(view),
        "memFree": 6_021_204,
        "version": view.chassis.software,
        "configMacAddress": "00:00:00:00:00:00",
        "isIntlVersion": false,
        "imageOptimization": "None",
        "internalBuildId": "f4cf4f0c-0000-4a2c-0000-9d4f4dbbeef0",
        "hardwareRevision": "11.00",
        "hwMacAddress": view.chassis.mac.to_string(),
        "architecture": "x86_64",
    })
}

/// Two supplies with power.
fn power() -> Value {
    let supply = json!({
        "modelName": "PWR-500AC-F", "capacity": 500.0, "outputPower": 80.0, "state": "ok",
        "managed": true,
    });
    json!({ "powerSupplies": { "1": supply, "2": supply } })
}

fn bootup(view: &View) -> f64 {
    let now = view.now.micros() as f64 / 1e6;
    now - view.uptime.as_secs_f64()
}

fn version_text(view: &View) -> String {
    format!(
        "Arista {}\nHardware version: 11.00\nSerial number: {}\nHardware MAC address: {}\n\
         System MAC address: {}\n\nSoftware image version: {}\nArchitecture: x86_64\n",
        view.chassis.model,
        view.chassis.serial,
        dotted(view.chassis.mac),
        dotted(view.chassis.mac),
        view.chassis.software,
    )
}

/// Grouped by local port, each port with a list: EOS lists every port it has, heard or not.
fn lldp(view: &View) -> Value {
    let mut ports = Map::new();
    for (port, _) in &view.links {
        let entries: Vec<Value> = view
            .heard
            .iter()
            .filter(|heard| heard.local_port == *port)
            .map(|heard| neighbour(view, heard))
            .collect();
        ports.insert(port.clone(), json!({ "lldpNeighborInfo": entries }));
    }
    json!({ "lldpNeighbors": ports })
}

fn neighbour(view: &View, heard: &Heard) -> Value {
    let (id, description) = heard.far.kind.advertised_port(&heard.far_port);
    let mut interface = json!({
        "interfaceIdType": "interfaceName",
        "interfaceId": format!("\"{id}\""),
        "interfaceId_v2": id,
    });
    if !description.is_empty() {
        interface["interfaceDescription"] = json!(description);
    }
    let addresses: Vec<Value> = heard
        .far
        .address
        .iter()
        .map(|ip| json!({ "address": ip.to_string(), "addressType": "ipv4", "interfaceNum": 1 }))
        .collect();
    let first = heard.first.micros() as f64 / 1e6;
    let last = heard.gone_at.unwrap_or(view.now).micros() as f64 / 1e6;
    json!({
        "chassisIdType": "macAddress",
        "chassisId": dotted(heard.far.mac),
        "systemName": heard.far.name,
        "systemDescription": heard.far.description,
        "systemCapabilities": { "bridge": true, "router": true },
        "managementAddresses": addresses,
        "ttl": 120,
        "discoveryTime": first,
        "lastChangeTime": first,
        "lastContactTime": last,
        "neighborInterfaceInfo": interface,
    })
}

fn status(view: &View) -> Value {
    let mut ports = Map::new();
    for (port, up) in &view.links {
        ports.insert(
            port.clone(),
            json!({
                "description": "",
                "linkStatus": if *up { "connected" } else { "notconnect" },
                "vlanInformation": {
                    "interfaceMode": "bridged",
                    "vlanId": 1,
                    "interfaceForwardingModel": "bridged",
                },
                "duplex": if *up { "duplexFull" } else { "duplexUnknown" },
                "autoNegotiateActive": true,
                "autoNegotigateActive": true,
                "bandwidth": if *up { 1_000_000_000_u64 } else { 0 },
                "interfaceType": "1000BASE-T",
                "lineProtocolStatus": if *up { "up" } else { "down" },
            }),
        );
    }
    json!({ "interfaceStatuses": ports })
}

fn head(view: &View, command: &str) -> String {
    format!(
        "! Command: {command}\n! device: {} ({}, EOS-{})\n!\n! boot system flash:/EOS.swi\n",
        view.hostname, view.chassis.model, view.chassis.software
    )
}

/// EOS keeps the file as it was written; it prints it with a head of its own.
fn startup(view: &View) -> String {
    match &view.saved {
        None => String::new(),
        Some(saved) => {
            let when = view.now.time_of_day();
            let body = saved.body();
            head(view, "show startup-config").replacen(
                "! device:",
                &format!(
                    "! Startup-config last modified at  Sat Nov 21 {when} 2026 by root\n! device:"
                ),
                1,
            ) + &body
        }
    }
}
