//! Every way to plug a few uplinks in wrongly: what the installer reads each time, and that the
//! light turns green once the plugs are where the plan says. FRR, lldpd and OpenSSH are real, and
//! so is what they hear of each other.

use crate::device::Client;
use crate::site::{End, FOUR, NINE, PLANNED, Plan, Site};
use crate::stories::{is_green, is_told};
use crate::until;

/// The plan of four with some cables laid elsewhere: by the port of ours, where the far end is. No
/// far end: the cable is not there.
fn laid(other: &[(End, Option<End>)]) -> Vec<(End, End)> {
    elsewhere(&FOUR, other)
}

fn elsewhere(plan: &[(End, End)], other: &[(End, Option<End>)]) -> Vec<(End, End)> {
    plan.iter()
        .filter_map(|(ours, planned)| match other.iter().find(|(port, _)| port == ours) {
            Some((_, far)) => far.map(|far| (*ours, far)),
            None => Some((*ours, *planned)),
        })
        .collect()
}

/// A mistake and what is read then.
struct Mistake {
    cables: Vec<(End, End)>,
    code: &'static str,
    sentence: &'static str,
}

/// One mistake after the other at the same switch; each is told once, and the last one mended.
#[track_caller]
fn are_told_one_by_one(plan: &[(End, End)], mistakes: &[Mistake]) {
    let mut site = Site::planned(Client::Udhcpc, Plan::of(plan), &mistakes[0].cables);
    for (number, mistake) in mistakes.iter().enumerate() {
        if number > 0 {
            site.lay(&mistake.cables);
        }
        is_told(&mut site, mistake.code, mistake.sentence);
    }
    site.lay(plan);
    is_green(&mut site);
    site.wait_for_reply("acc-1: fixed, thank you.");
    let replies = site.replies();
    for mistake in mistakes {
        let open = replies.iter().filter(|reply| reply.contains(mistake.sentence)).count();
        assert_eq!(open, 0, "still open: {replies:#?}");
    }
    assert_eq!(replies.len(), mistakes.len() + 1, "one each, and the end: {replies:#?}");
}

const P47: End = ("acc-1", "swp47");
const P48: End = ("acc-1", "swp48");
const P49: End = ("acc-1", "swp49");
const P50: End = ("acc-1", "swp50");
const SPARE: End = ("acc-1", "swp51");
const D1P47: End = ("dist-1", "swp47");
const D1P48: End = ("dist-1", "swp48");
const D1P49: End = ("dist-1", "swp49");
const D2P47: End = ("dist-2", "swp47");
const D2P48: End = ("dist-2", "swp48");
const D2P49: End = ("dist-2", "swp49");

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn three_missing_cables_are_asked_for_one_by_one() {
    are_told_one_by_one(
        &FOUR,
        &[
            Mistake {
                cables: laid(&[(P47, None)]),
                code: "G9",
                sentence: "acc-1: port swp47 has no light. Plug a cable from it to dist-1 port swp47.",
            },
            Mistake {
                cables: laid(&[(P50, None)]),
                code: "G9",
                sentence: "acc-1: port swp50 has no light. Plug a cable from it to dist-2 port swp48.",
            },
            Mistake {
                cables: laid(&[(P48, None), (P49, None)]),
                code: "G9",
                sentence: "acc-1: port swp48 has no light. Plug a cable from it to dist-1 port swp48.",
            },
        ],
    );
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn three_cables_in_the_wrong_port_are_one_plug_each() {
    are_told_one_by_one(
        &FOUR,
        &[
            Mistake {
                cables: laid(&[(P48, Some(D1P49))]),
                code: "G10",
                sentence: "Move one plug: at dist-1, from port swp49 to port swp48.",
            },
            Mistake {
                cables: laid(&[(P50, Some(D2P49))]),
                code: "G10",
                sentence: "Move one plug: at dist-2, from port swp49 to port swp48.",
            },
            Mistake {
                cables: [laid(&[(P49, None)]), vec![(SPARE, D2P47)]].concat(),
                code: "G10",
                sentence: "Move one plug: at acc-1, from port swp51 to port swp49.",
            },
        ],
    );
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn three_cables_to_the_wrong_switch_are_named_with_where_they_belong() {
    are_told_one_by_one(
        &FOUR,
        &[
            Mistake {
                cables: laid(&[(P47, Some(D2P49))]),
                code: "G11",
                sentence: "acc-1: cable swp47 goes to the wrong switch. Move its far end to \
                       dist-1 port swp47.",
            },
            Mistake {
                cables: laid(&[(P50, Some(D1P49))]),
                code: "G11",
                sentence: "acc-1: cable swp50 goes to the wrong switch. Move its far end to \
                       dist-2 port swp48.",
            },
            Mistake {
                cables: laid(&[(P49, Some(("core-9", "swp1")))]),
                code: "G11",
                sentence: "acc-1: cable swp49 goes to the wrong switch. Move its far end to \
                       dist-2 port swp47.",
            },
        ],
    );
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn three_swaps_are_one_exchange_each() {
    are_told_one_by_one(
        &FOUR,
        &[
            Mistake {
                cables: laid(&[(P47, Some(D1P48)), (P48, Some(D1P47))]),
                code: "G12",
                sentence: "acc-1: the two uplinks are swapped. Exchange the plugs in \
                       ports swp47 and swp48.",
            },
            Mistake {
                cables: laid(&[(P47, Some(D2P47)), (P49, Some(D1P47))]),
                code: "G12",
                sentence: "acc-1: the two uplinks are swapped. Exchange the plugs in \
                       ports swp47 and swp49.",
            },
            Mistake {
                cables: laid(&[(P48, Some(D2P48)), (P50, Some(D1P48))]),
                code: "G12",
                sentence: "acc-1: the two uplinks are swapped. Exchange the plugs in \
                       ports swp48 and swp50.",
            },
        ],
    );
}

/// Three rounds of three at once: round a switch, round two switches, and round a port that is not
/// planned, into whose place somebody else's plug came. Each is named when the one before is done.
#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn three_rounds_of_plugs_are_one_act_each() {
    let round_one_switch = [
        (("acc-1", "swp42"), Some(("dist-1", "swp46"))),
        (("acc-1", "swp43"), Some(("dist-1", "swp47"))),
        (("acc-1", "swp44"), Some(("dist-1", "swp45"))),
    ];
    let round_two_switches = [
        (("acc-1", "swp45"), Some(("dist-2", "swp46"))),
        (("acc-1", "swp46"), Some(("dist-1", "swp48"))),
        (("acc-1", "swp47"), Some(("dist-1", "swp49"))),
    ];
    let round_a_spare_port = [(P49, Some(("core-9", "swp1"))), (P50, Some(("dist-2", "swp48")))];
    let spare = vec![(SPARE, D2P49)];
    let last = elsewhere(&NINE, &round_a_spare_port);
    let last_two = elsewhere(&last, &round_two_switches);
    let all = elsewhere(&last_two, &round_one_switch);
    are_told_one_by_one(
        &NINE,
        &[
            Mistake {
                cables: [all, spare.clone()].concat(),
                code: "G12r",
                sentence: "acc-1: 3 plugs are mixed up. Move them round: swp42 → 43, 43 → 44, 44 → 42.",
            },
            Mistake {
                cables: [last_two, spare.clone()].concat(),
                code: "G12r",
                sentence: "acc-1: 3 plugs are mixed up. Move them round: swp45 → 47, 46 → 45, 47 → 46.",
            },
            Mistake {
                cables: [last, spare].concat(),
                code: "G12r",
                sentence: "acc-1: 3 plugs are mixed up. Move them round: swp49 → 51, 50 → 49, 51 → 50.",
            },
        ],
    );
}

/// A stranger, and each of our own two switches, in a port where the plan wants nobody.
#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn three_plugs_that_nobody_planned_are_pulled_one_by_one() {
    let plan = Plan { cables: &PLANNED, others: "fail" };
    let extra = [(SPARE, ("core-9", "swp1")), (P48, D1P49), (P47, D2P49)];
    let mut site = Site::planned(Client::Udhcpc, plan, &[PLANNED[0], extra[0]]);
    let dark = "acc-1: port swp50 has no light. Plug a cable from it to dist-2 port swp47.";
    is_told(&mut site, "G9", dark);
    // Always the next plug first, so that there is no moment in which all is well.
    let mut before = None;
    for (number, (port, far)) in extra.into_iter().enumerate() {
        if number == 0 {
            is_heard(&site, port, far);
            site.net.plug(PLANNED[1].0, PLANNED[1].1);
        } else {
            site.net.plug(port, far);
            is_heard(&site, port, far);
        }
        if let Some((port, far)) = before.replace((port, far)) {
            site.net.unplug(port);
            site.net.unplug(far);
        }
        let sentence =
            format!("acc-1: port {} has a plug that is not on your sheet. Unplug it.", port.1);
        is_told(&mut site, "G15p", &sentence);
    }
    let (port, far) = extra[2];
    site.net.unplug(port);
    site.net.unplug(far);
    is_green(&mut site);
    site.wait_for_reply("acc-1: fixed, thank you.");
    let replies = site.replies();
    let open = replies.iter().filter(|reply| reply.contains("not on your sheet")).count();
    assert_eq!(open, 0, "still open: {replies:#?}");
    assert_eq!(replies.len(), 5, "one each, and the end: {replies:#?}");
}

/// Waits until the switch hears this far end on this port.
#[track_caller]
fn is_heard(site: &Site, (_, port): End, (device, far): End) {
    until(&format!("{device} is heard on {port}"), 20, || {
        let heard = site.access.neighbours(port);
        if heard == [format!("{device} {far}")] { Ok(()) } else { Err(heard.join(", ")) }
    });
}

/// Light, but nobody speaks: at one port of the far end, at the whole far end, at our own port.
/// Nobody is sent to a plug.
#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn three_far_ends_without_a_word_send_nobody_to_a_plug() {
    let mut site = Site::planned(Client::Udhcpc, Plan::of(&FOUR), &laid(&[(P47, None)]));
    let dark = "acc-1: port swp47 has no light. Plug a cable from it to dist-1 port swp47.";
    is_told(&mut site, "G9", dark);
    let mute = |port: &str| {
        format!(
            "acc-1: port {port} has light, but we can't see its far end. Nothing for you to do."
        )
    };
    let speak = |site: &Site, device: usize, port: &str, status: &str| {
        let words = ["lldpcli", "configure", "ports", port, "lldp", "status", status];
        site.distribution[device].inside(&words);
    };
    let forgotten = |site: &Site, port: &str| {
        until(&format!("nobody is heard on {port}"), 20, || {
            let heard = site.access.neighbours(port);
            if heard.is_empty() { Ok(()) } else { Err(heard.join(", ")) }
        });
    };
    speak(&site, 1, "swp48", "disabled");
    forgotten(&site, "swp50");
    site.lay(&FOUR);
    is_told(&mut site, "G9m", &mute("swp50"));
    // Always the next one first, so that there is no moment in which all is well.
    speak(&site, 0, "swp47", "disabled");
    forgotten(&site, "swp47");
    speak(&site, 1, "swp48", "rx-and-tx");
    is_told(&mut site, "G9m", &mute("swp47"));
    let ours = |site: &Site, status: &str| {
        let words = ["lldpcli", "configure", "ports", "swp49", "lldp", "status", status];
        site.access.inside(&words);
    };
    ours(&site, "tx-only");
    forgotten(&site, "swp49");
    speak(&site, 0, "swp47", "rx-and-tx");
    is_told(&mut site, "G9m", &mute("swp49"));
    ours(&site, "rx-and-tx");
    is_green(&mut site);
    let replies = site.replies();
    assert_eq!(replies.len(), 5, "one each, and the end: {replies:#?}");
}
