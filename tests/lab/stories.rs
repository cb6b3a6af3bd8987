//! From power on to green, with the faults that an installer can make and mend.

use crate::device::Client;
use crate::site::{End, PLANNED, Site};

const A: End = ("acc-1", "swp49");
const B: End = ("acc-1", "swp50");
const DONE: &str = "acc-1 is ready. You can close the rack and leave.";

/// The light is green, and everybody heard it once.
#[track_caller]
pub fn is_green(site: &mut Site) {
    site.wait_for("ready");
    site.wait_for_reply(DONE);
    let done = site.replies().iter().filter(|reply| reply.contains(DONE)).count();
    assert_eq!(done, 1, "{}", site.all());
    let handed = site.handed_over();
    assert_eq!(handed.len(), 1, "{handed:#?}");
    let event: serde_json::Value = serde_json::from_str(&handed[0]).expect("a hook is handed JSON");
    assert!(event.to_string().contains("acc-1"), "{event}");
    let saved = site.access.inside(&["cat", "/etc/frr/frr.conf"]);
    assert!(saved.contains(" description to dist-1 port swp47"), "not saved:\n{saved}");
    assert!(saved.contains("ip route 198.51.100.0/24 10.77.0.1"), "not saved:\n{saved}");
}

/// A fault is told with its code and its sentence, and the light is not green.
#[track_caller]
pub fn is_told(site: &mut Site, code: &str, sentence: &str) {
    site.wait_for("action_needed");
    site.wait_for_reply(sentence);
    let status = site.status().to_string();
    assert!(status.contains(&format!("\"{code}\"")), "{code} is missing in {status}");
    let log = site.greenlight(&["log", "acc-1", "--json"]);
    assert!(log.contains("action_needed"), "{log}");
    let replies = site.replies();
    let told = replies.iter().filter(|reply| reply.contains(sentence)).count();
    assert_eq!(told, 1, "told {told} times: {replies:#?}");
    assert!(replies.iter().all(|reply| !reply.contains(DONE)), "{replies:#?}");
    assert!(site.handed_over().is_empty(), "handed over although {code}");
}

/// The reply about the fault says that it is over, and is no second message.
#[track_caller]
fn is_mended(site: &mut Site, sentence: &str) {
    is_green(site);
    site.wait_for_reply("acc-1: fixed, thank you.");
    let replies = site.replies();
    assert!(replies.iter().all(|reply| !reply.contains(sentence)), "{replies:#?}");
    assert_eq!(replies.len(), 2, "one about the fault, one about the end: {replies:#?}");
}

#[track_caller]
fn goes_green(client: Client, address: &str, options: &[&str]) {
    let mut site = Site::with(client, &PLANNED);
    is_green(&mut site);
    let lease = site.access.lease();
    for expected in options.iter().chain([&address]) {
        assert!(lease.iter().any(|line| line == expected), "{expected} is not in {lease:#?}");
    }
    let fetched = std::fs::read_to_string(site.access.flash.join("as-fetched")).unwrap();
    assert_eq!(fetched, site.greenlight(&["render", "acc-1"]));
    assert!(fetched.contains("hostname acc-1"), "{fetched}");
    let log = site.greenlight(&["log", "acc-1", "--json"]);
    for phase in ["addressed", "verifying", "ready"] {
        assert!(log.contains(phase), "{phase} is not in {log}");
    }
    assert_eq!(site.replies().len(), 1, "a good run says one thing: {:#?}", site.replies());
    assert!(site.parent().contains("acc-1"), "{}", site.parent());
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_switch_with_udhcpc_goes_green() {
    let options = ["opt150=0a4d0001", "router=10.77.0.1", "mask=24", "serverid=10.77.0.1"];
    goes_green(Client::Udhcpc, "ip=10.77.0.11", &options);
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_switch_with_dhclient_goes_green() {
    let options = ["new_tftp_servers=10.77.0.1", "new_routers=10.77.0.1"];
    goes_green(Client::Dhclient, "new_ip_address=10.77.0.11", &options);
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_cable_in_the_wrong_port_is_one_plug_to_move() {
    let far: End = ("dist-1", "swp48");
    let mut site = Site::with(Client::Udhcpc, &[(A, far), PLANNED[1]]);
    let sentence = "Move one plug: at dist-1, from port swp48 to port swp47.";
    is_told(&mut site, "G10", sentence);
    site.net.unplug(far);
    site.net.plug(PLANNED[0].0, PLANNED[0].1);
    is_mended(&mut site, sentence);
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn two_swapped_uplinks_are_one_mistake() {
    let mut site = Site::with(Client::Udhcpc, &[(A, PLANNED[1].1), (B, PLANNED[0].1)]);
    let sentence =
        "acc-1: the two uplinks are swapped. Exchange the plugs in ports swp49 and swp50.";
    is_told(&mut site, "G12", sentence);
    site.net.unplug(A);
    site.net.unplug(B);
    for (one, other) in PLANNED {
        site.net.plug(one, other);
    }
    is_mended(&mut site, sentence);
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_missing_cable_is_asked_for() {
    let mut site = Site::with(Client::Udhcpc, &PLANNED[..1]);
    let sentence = "acc-1: port swp50 has no light. Plug a cable from it to dist-2 port swp47.";
    is_told(&mut site, "G9", sentence);
    site.net.plug(PLANNED[1].0, PLANNED[1].1);
    is_mended(&mut site, sentence);
}
