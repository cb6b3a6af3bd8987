//! The command line of IOS-XE on a Catalyst, as far as a provisioning visit asks it.

use std::fmt::Write as _;

use crate::sim::cabling::Heard;
use crate::sim::chassis::Kind;
use crate::sim::cli::{Answer, dotted, images, squeezed};
use crate::sim::inside::View;

/// What IOS answers to this line.
pub fn answer(view: &View, privileged: bool, command: &str) -> Answer {
    let command = squeezed(command);
    if let Some(answer) = images::answer(view, &command).filter(|_| privileged) {
        return answer;
    }
    let privileged_only = Answer::Unknown { at: command.find(' ').map_or(0, |space| space + 1) };
    match command.as_str() {
        "" | "terminal width 0" | "terminal width 511" => Answer::Text(String::new()),
        "enable" => Answer::Enable,
        "disable" => Answer::Disable,
        "exit" | "logout" | "quit" => Answer::Logout,
        "show version" => Answer::Text(version(view)),
        "show inventory" => Answer::Text(inventory(view)),
        "show lldp neighbors detail" if view.deaf => Answer::Text("% LLDP is not enabled\n".into()),
        "show lldp neighbors detail" => Answer::Text(lldp(view)),
        "show cdp neighbors detail" if view.deaf => Answer::Text("% CDP is not enabled\n".into()),
        "show cdp neighbors detail" => Answer::Text(cdp(view)),
        "show interfaces status" => Answer::Text(status(view)),
        "show ip interface brief" => Answer::Text(brief(view)),
        "show running-config" if privileged => Answer::Text(running(view)),
        "show startup-config" if privileged => Answer::Text(startup(view)),
        "write memory" | "write" | "copy running-config startup-config" if privileged => {
            Answer::Save("Building configuration...\n[OK]\n".into())
        }
        "show running-config" | "show startup-config" => privileged_only,
        other => match other.strip_prefix("terminal length ").map(str::parse) {
            Some(Ok(lines)) => Answer::PageLength(lines),
            Some(Err(_)) => Answer::Unknown { at: "terminal length ".len() },
            None => Answer::Unknown { at: first_stranger(other) },
        },
    }
}

/// Where the parser stops: at the first word that continues no command it has.
fn first_stranger(command: &str) -> usize {
    const WORDS: [&str; 12] = [
        "show",
        "terminal",
        "version",
        "lldp",
        "cdp",
        "neighbors",
        "interfaces",
        "ip",
        "length",
        "width",
        "write",
        "running-config",
    ];
    let mut at = 0;
    for word in command.split(' ') {
        if !WORDS.contains(&word) {
            break;
        }
        at += word.len() + 1;
    }
    at.min(command.len())
}

fn version(view: &View) -> String {
    let software = &view.chassis.software;
    let name = &view.hostname;
    let minutes = view.uptime.as_secs() / 60;
    let model = &view.chassis.model;
    let serial = &view.chassis.serial;
    let mac = view.chassis.mac;
    format!(
        "Cisco IOS XE Software, Version {padded}\n\
         Cisco IOS Software [Cupertino], Catalyst L3 Switch Software (CAT9K_IOSXE), \
         Version {software}, RELEASE SOFTWARE (fc3)\n\
         Technical Support: http://www.cisco.com/techsupport\n\
         Copyright (c) 1986-2023 by Cisco Systems, Inc.\n\
         Compiled Fri 20-Oct-23 10:44 by mcpre\n\n\n\
         ROM: IOS-XE ROMMON\n\
         BOOTLDR: System Bootstrap, Version 17.10.1r, RELEASE SOFTWARE (P)\n\n\
         {name} uptime is {minutes} minutes\n\
         Uptime for this control processor is {minutes} minutes\n\
         System returned to ROM by Power Failure\n\
         System image file is \"flash:packages.conf\"\n\
         Last reload reason: Power Failure\n\n\n\
         cisco {model} (X86) processor with 1331521K/6147K bytes of memory.\n\
         Processor board ID {serial}\n\
         1 Virtual Ethernet interface\n\
         {ports} Gigabit Ethernet interfaces\n\
         2048K bytes of non-volatile configuration memory.\n\
         8388608K bytes of physical memory.\n\n\
         Base Ethernet MAC Address          : {mac}\n\
         Motherboard Assembly Number        : 73-18270-03\n\
         Motherboard Serial Number          : {serial}M\n\
         Model Revision Number              : A0\n\
         Motherboard Revision Number        : A0\n\
         Model Number                       : {model}\n\
         System Serial Number               : {serial}\n\
         CLEI Code Number                   : INM3A10ARA\n\n\n\
         Switch Ports Model              SW Version        SW Image              Mode   \n\
         ------ ----- -----              ----------        ----------            ----   \n\
         *    1 {ports:<5} {model:<18} {software:<17} CAT9K_IOSXE           INSTALL\n\n\
         Configuration register is 0x102\n\n",
        padded = padded_version(software),
        ports = view.chassis.ports.len(),
    )
}

/// IOS XE names one release in two ways: `17.9.4a` is `17.09.04a` in the first line.
fn padded_version(software: &str) -> String {
    let parts = software.split('.').enumerate().map(|(place, part)| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        if place > 0 && digits == 1 { format!("0{part}") } else { part.to_owned() }
    });
    parts.collect::<Vec<_>>().join(".")
}

fn inventory(view: &View) -> String {
    let (model, serial) = (&view.chassis.model, &view.chassis.serial);
    format!(
        "NAME: \"c93xx Stack\", DESCR: \"c93xx Stack\"\n\
         PID: {model:<18}, VID: V02  , SN: {serial}\n\n\
         NAME: \"Switch 1\", DESCR: \"{model}\"\n\
         PID: {model:<18}, VID: V02  , SN: {serial}\n\n\n"
    )
}

fn lldp(view: &View) -> String {
    let mut out = String::new();
    for heard in &view.heard {
        let (port_id, description) = heard.far.kind.advertised_port(&heard.far_port);
        let or_not = |text: &str| {
            if text.is_empty() { "- not advertised".into() } else { format!(": {text}") }
        };
        let address = heard.far.address.map_or_else(
            || "Management Addresses - not advertised\n".to_owned(),
            |ip| format!("Management Addresses:\n    IP: {ip}\n"),
        );
        let _ = write!(
            out,
            "------------------------------------------------\n\
             Local Intf: {local}\n\
             Chassis id: {chassis}\n\
             Port id: {port_id}\n\
             Port Description{port_description}\n\
             System Name: {name}\n\n\
             System Description: \n{description}\n\n\
             Time remaining: {left} seconds\n\
             System Capabilities: B,R\n\
             Enabled Capabilities: B,R\n\
             {address}\
             Auto Negotiation - supported, enabled\n\
             Physical media capabilities:\n    1000baseT(FD)\n\
             Media Attachment Unit type: 30\n\
             Vlan ID: 1\n\n",
            local = Kind::CiscoIos.short_port(&heard.local_port),
            chassis = dotted(heard.far.mac),
            port_description = or_not(&description).replacen("- not", " - not", 1),
            name = heard.far.name,
            description = heard.far.description,
            left = time_left(view, heard),
        );
    }
    let _ = write!(out, "\nTotal entries displayed: {}\n", view.heard.len());
    out
}

/// Seconds until the entry ends: a living neighbour repeats itself every 30 s and is held for 120
/// s.
fn time_left(view: &View, heard: &Heard) -> u64 {
    let silent = match heard.gone_at {
        Some(gone) => view.now.since(gone).as_secs() + 15,
        None => view.now.since(heard.first).as_secs() % 30,
    };
    120_u64.saturating_sub(silent)
}

fn cdp(view: &View) -> String {
    let speakers: Vec<&Heard> =
        view.heard.iter().filter(|heard| heard.far.kind == Kind::CiscoIos).collect();
    let mut out = String::new();
    for heard in &speakers {
        let address =
            heard.far.address.map_or_else(String::new, |ip| format!("  IP address: {ip}\n"));
        let _ = write!(
            out,
            "-------------------------\n\
             Device ID: {name}\n\
             Entry address(es): \n{address}\
             Platform: cisco C9300-48P,  Capabilities: Router Switch IGMP \n\
             Interface: {local},  Port ID (outgoing port): {port}\n\
             Holdtime : {left} sec\n\n\
             Version :\n{description}\n\n\
             advertisement version: 2\n\
             Native VLAN: 1\n\
             Duplex: full\n\n",
            name = heard.far.name,
            local = heard.local_port,
            port = heard.far_port,
            left = time_left(view, heard),
            description = heard.far.description,
        );
    }
    let _ = write!(out, "\nTotal cdp entries displayed : {}\n", speakers.len());
    out
}

fn status(view: &View) -> String {
    let mut out = String::from(
        "\nPort         Name               Status       Vlan       Duplex  Speed Type\n",
    );
    for (port, up) in &view.links {
        let (state, duplex, speed) =
            if *up { ("connected", "a-full", "a-1000") } else { ("notconnect", "auto", "auto") };
        let _ = writeln!(
            out,
            "{:<12} {:<18} {state:<12} {:<10} {duplex:>6} {speed:>6} 10/100/1000BaseTX",
            Kind::CiscoIos.short_port(port),
            "",
            "1",
        );
    }
    out
}

fn brief(view: &View) -> String {
    let mut out = String::from(
        "Interface              IP-Address      OK? Method Status                Protocol\n",
    );
    let address = view.address.map_or_else(|| "unassigned".to_owned(), |ip| ip.to_string());
    let _ = writeln!(out, "{:<22} {address:<15} YES DHCP   {:<21} up      ", "Vlan1", "up");
    for (port, up) in &view.links {
        let state = if *up { "up" } else { "down" };
        let _ = writeln!(out, "{port:<22} {:<15} YES unset  {state:<21} {state:<8}", "unassigned");
    }
    out
}

fn running(view: &View) -> String {
    let body = head(view, "Last configuration change at") + &view.running.body();
    format!("Building configuration...\n\nCurrent configuration : {} bytes\n{body}\n", body.len())
}

fn startup(view: &View) -> String {
    match &view.saved {
        None => "startup-config is not present\n".to_owned(),
        Some(saved) => {
            let body = head(view, "NVRAM config last updated at") + &saved.body();
            format!("Using {} out of 2097152 bytes\n{body}\n", body.len())
        }
    }
}

fn head(view: &View, what: &str) -> String {
    format!("!\n! {what} {} UTC Sat Nov 21 2026 by admin\n", view.now.time_of_day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_its_padded_form_in_the_first_line() {
        assert_eq!(padded_version("17.9.4a"), "17.09.04a");
        assert_eq!(padded_version("15.2.7"), "15.02.07");
        assert_eq!(padded_version("17.12.1"), "17.12.01");
    }

    #[test]
    fn the_marker_points_at_the_first_word_that_is_not_understood() {
        assert_eq!(first_stranger("show lldp neighbours"), 10);
        assert_eq!(first_stranger("frobnicate"), 0);
        assert_eq!(first_stranger("show"), 4);
    }
}
