//! Does the lab work without Greenlight? dnsmasq serves here; if this story fails, the others
//! accuse nobody.

use crate::device::{Client, Device, Label};
use crate::net::Net;
use crate::slack::{Slack, call};
use crate::until;

const STARTUP: &str = "hostname acc-1\ninterface swp49\n description to dist-1\nexit\n";

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn devices_boot_and_see_their_cables_move() {
    let home = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(home.path().join("boot.cfg"), STARTUP).expect("it can be written");
    let mut net = Net::new();
    for space in ["srv", "acc-1", "acc-2", "dist-1"] {
        net.space(space);
        net.join_management(space, if space == "srv" { "eth0" } else { "mgmt0" });
    }
    net.ip("-n srv addr add 10.77.0.1/24 dev eth0");
    for (space, port) in [("acc-1", "swp49"), ("dist-1", "swp47"), ("dist-1", "swp48")] {
        net.port(space, port);
    }
    net.plug(("acc-1", "swp49"), ("dist-1", "swp48"));
    let mut dnsmasq = net
        .command("srv", "dnsmasq")
        .args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", "--no-ping"])
        .args(["--interface=eth0", "--dhcp-range=10.77.0.100,10.77.0.150,1h", "--enable-tftp"])
        .args(["--dhcp-authoritative", "--dhcp-option-force=66,10.77.0.1"])
        .args(["--dhcp-option-force=67,boot.cfg", "--dhcp-option-force=150,10.77.0.1"])
        .arg(format!("--tftp-root={}", home.path().display()))
        .arg(format!("--dhcp-leasefile={}", home.path().join("leases").display()))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("dnsmasq is installed");

    let label = |name, serial, client| Label { name, serial, client };
    let one = label("acc-1", "LAB0001", Client::Udhcpc);
    let two = label("acc-2", "LAB0002", Client::Dhclient);
    let dist = label("dist-1", "LAB0021", Client::Udhcpc);
    let dist = Device::power_on(&net, home.path(), &dist, Some("hostname dist-1\n"));
    let one = Device::power_on(&net, home.path(), &one, None);
    let two = Device::power_on(&net, home.path(), &two, None);
    for device in [&one, &two, &dist] {
        device.wait_for_door();
    }
    assert!(one.lease().iter().any(|line| line == "opt150=0a4d0001"), "{:?}", one.lease());
    let told = "new_tftp_servers=10.77.0.1";
    assert!(two.lease().iter().any(|line| line == told), "{:?}", two.lease());
    let fetched = std::fs::read_to_string(one.flash.join("as-fetched")).expect("it was fetched");
    assert_eq!(fetched, STARTUP);
    let running = one.inside(&["vtysh", "-c", "show running-config"]);
    assert!(running.contains(" description to dist-1"), "{running}");

    let as_netops = |command| one.inside(&["su", "netops", "-c", command]);
    let saved = as_netops("vtysh -c 'write memory' && cat /etc/frr/frr.conf");
    assert!(saved.contains("[OK]") && saved.contains(" description to dist-1"), "{saved}");

    hears(&one, "swp49", "dist-1 swp48");
    let seen = as_netops("/usr/sbin/lldpcli -f json0 show neighbors details");
    assert!(seen.contains("dist-1"), "{seen}");
    hears(&dist, "swp48", "acc-1 swp49");
    net.unplug(("dist-1", "swp48"));
    net.unplug(("acc-1", "swp49"));
    until("the port is dark", 10, || match one.neighbours("swp49").as_slice() {
        [] => Ok(()),
        heard => Err(heard.join(", ")),
    });
    let link = one.inside(&["cat", "/sys/class/net/swp49/carrier"]);
    assert_eq!(link.trim(), "0");
    net.plug(("acc-1", "swp49"), ("dist-1", "swp47"));
    hears(&one, "swp49", "dist-1 swp47");
    let _ = dnsmasq.kill();
    let _ = dnsmasq.wait();
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn the_chat_keeps_threads() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut net = Net::new();
    net.space("srv");
    let slack = Slack::start(&net, "srv", home.path());
    let channel = ("channel", slack.channel.as_str());
    let parent = call(&net, "srv", "chat.postMessage", &[channel, ("text", "one")]);
    let ts = parent["ts"].as_str().expect("it was posted");
    call(&net, "srv", "chat.postMessage", &[channel, ("text", "two"), ("thread_ts", ts)]);
    call(&net, "srv", "chat.update", &[channel, ("text", "uno"), ("ts", ts)]);
    let threads = slack.threads(&net, "srv");
    assert_eq!(threads.len(), 1);
    assert_eq!(threads[0].parent["text"], "uno");
    assert_eq!(threads[0].replies.len(), 1);
    assert_eq!(threads[0].replies[0]["text"], "two");
}

#[track_caller]
fn hears(device: &Device, port: &str, expected: &str) {
    until(&format!("{} hears {expected} on {port}", device.name), 15, || {
        let heard = device.neighbours(port);
        if heard == [expected] { Ok(()) } else { Err(format!("heard: {heard:?}")) }
    });
}
