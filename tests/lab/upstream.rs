//! What the switch in service knows of one that cannot hear or does not answer: it is asked over
//! SSH, and the installer reads the right move. FRR, lldpd and OpenSSH are real.

use crate::device::Client;
use crate::site::{End, PLANNED, Site};
use crate::stories::{is_green, is_told};
use crate::until;

const A: End = ("acc-1", "swp49");
const WRONG: End = ("dist-1", "swp48");
const SENTENCE: &str = "Move one plug: at dist-1, from port swp48 to port swp47.";

/// Its receiver at the first uplink is off, and that cable is in a wrong port: only `dist-1` can
/// know. Then its SSH is gone as well.
#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_switch_that_does_not_hear_is_told_by_the_one_upstream() {
    let mut site = Site::upstream(Client::Udhcpc, &PLANNED[1..]);
    let dark = "acc-1: port swp49 has no light. Plug a cable from it to dist-1 port swp47.";
    is_told(&mut site, "G9", dark);
    let receive = |site: &Site, status: &str| {
        let words = ["lldpcli", "configure", "ports", "swp49", "lldp", "status", status];
        site.access.inside(&words);
    };
    receive(&site, "tx-only");
    site.net.plug(A, WRONG);
    is_told(&mut site, "G10", SENTENCE);
    until("it still hears nobody itself", 5, || {
        let heard = site.access.neighbours("swp49");
        if heard.is_empty() { Ok(()) } else { Err(heard.join(", ")) }
    });
    site.net.unplug(WRONG);
    site.net.plug(PLANNED[0].0, PLANNED[0].1);
    // Proven by what the far end hears, for it still does not hear itself.
    is_green(&mut site);
    assert!(site.access.neighbours("swp49").is_empty());
    let replies = site.replies();
    assert_eq!(replies.len(), 3, "one each, and the end: {replies:#?}");
}

/// It took its configuration and its SSH does not answer: what is wrong is seen from the far end.
#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_switch_that_does_not_answer_is_told_by_the_ones_upstream() {
    let mut site = Site::upstream(Client::Udhcpc, &PLANNED[1..]);
    let dark = "acc-1: port swp49 has no light. Plug a cable from it to dist-1 port swp47.";
    is_told(&mut site, "G9", dark);
    site.access.inside(&["sh", "-c", "kill $(cat /run/sshd.pid)"]);
    site.net.plug(A, WRONG);
    is_told(&mut site, "G10", SENTENCE);
    site.net.unplug(WRONG);
    site.net.plug(PLANNED[0].0, PLANNED[0].1);
    let sshd = "/usr/sbin/sshd -f /dev/null -E /run/sshd.log -o HostKey=/flash/ssh/key \
                -o PidFile=/run/sshd.pid -o UsePAM=no -o PasswordAuthentication=yes";
    site.access.inside(&["sh", "-c", sshd]);
    is_green(&mut site);
}
