//! Which device goes through what, and whether it went as it must. No socket and no time is here.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::fault::Fault;
use crate::sim::chassis::Kind;
use crate::sim::device::{Asking, BAD_CABLE, Behaviour};

/// One device of the demo and what is to happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// From 1: the last byte of its addresses, and its port on both distribution switches.
    pub number: u8,
    pub device: String,
    pub kind: Kind,
    /// For people: what is special about it.
    pub title: &'static str,
    pub twist: Twist,
}

/// What is special about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    Nothing,
    /// Boots slowly, which is no fault.
    Slow,
    /// Reads `network-confg` twice, from two UDP ports within a second.
    TwoReads,
    /// Reads its file twelve times in six seconds, as IOS-XE 17.6 does.
    TwelveReads,
    /// Its two uplinks are exchanged.
    SwappedUplinks,
    /// The far end of its first uplink is in another port of the right switch.
    WrongPort,
    /// The far end of its first uplink is in the other switch.
    WrongSwitch,
    /// Its second uplink has no cable.
    NoCable,
    /// Another box than planned stands in its place.
    OtherBox,
    /// One line of its configuration does not take.
    LostLine,
    /// Its downloads break off until its cable is replaced.
    BadCable,
    /// It takes its configuration and hangs until its power is cycled.
    Hangs,
}

/// What was seen of one device, by the feed of the server and by the doubles of chat and hook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub runs: BTreeSet<String>,
    pub started: u32,
    pub done: u32,
    /// Faults in the order in which they were said aloud.
    pub said: Vec<Fault>,
    pub cleared: u32,
    pub repeats: u32,
    pub complete_transfers: u32,
    pub hand_offs: u32,
    /// Messages that begin a thread.
    pub parents: u32,
    /// The name of its last phase.
    pub phase: String,
    pub last_headline: String,
}

impl Twist {
    /// The one fault that people must be told of.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Twist::Nothing | Twist::Slow | Twist::TwoReads | Twist::TwelveReads => None,
            Twist::SwappedUplinks => Some(Fault::SwappedPair),
            Twist::WrongPort => Some(Fault::WrongPort),
            Twist::WrongSwitch => Some(Fault::WrongDevice),
            Twist::NoCable => Some(Fault::NeighbourDown),
            Twist::OtherBox => Some(Fault::OtherBox),
            Twist::LostLine => Some(Fault::ConfigurationDiffers),
            Twist::BadCable => Some(Fault::TransferBroken),
            Twist::Hangs => Some(Fault::NotBack),
        }
    }

    /// Complete transfers that must have been counted at least.
    pub fn transfers_min(self) -> u32 {
        match self {
            Twist::TwoReads => 2,
            Twist::TwelveReads => 12,
            // The second box, or the second boot, reads the file again.
            Twist::OtherBox | Twist::Hangs => 2,
            Twist::Nothing
            | Twist::Slow
            | Twist::SwappedUplinks
            | Twist::WrongPort
            | Twist::WrongSwitch
            | Twist::NoCable
            | Twist::LostLine
            | Twist::BadCable => 1,
        }
    }

    /// Requests beyond the first that must have been joined instead of opening a run of their own.
    pub fn repeats_min(self) -> u32 {
        match self {
            Twist::TwoReads => 1,
            Twist::TwelveReads => 11,
            Twist::Nothing
            | Twist::Slow
            | Twist::SwappedUplinks
            | Twist::WrongPort
            | Twist::WrongSwitch
            | Twist::NoCable
            | Twist::OtherBox
            | Twist::LostLine
            | Twist::BadCable
            | Twist::Hangs => 0,
        }
    }

    pub fn behaviour(self) -> Behaviour {
        let plain = Behaviour::default();
        match self {
            Twist::Nothing
            | Twist::SwappedUplinks
            | Twist::WrongPort
            | Twist::WrongSwitch
            | Twist::NoCable
            | Twist::OtherBox => plain,
            Twist::Slow => Behaviour { boot: Duration::from_secs(6), ..plain },
            Twist::TwoReads => {
                let asking = Asking::FromTwoPorts { apart: Duration::from_millis(400) };
                Behaviour { asking, ..plain }
            }
            Twist::TwelveReads => {
                let asking = Asking::Repeatedly { times: 12, within: Duration::from_secs(6) };
                Behaviour { asking, ..plain }
            }
            Twist::LostLine => Behaviour { loses: Some(LOST_LINE.to_owned()), ..plain },
            Twist::BadCable => Behaviour { breaks_off: BAD_CABLE, ..plain },
            Twist::Hangs => Behaviour { hangs_once: true, ..plain },
        }
    }
}

/// How the line begins that [`Twist::LostLine`] loses.
pub const LOST_LINE: &str = "ntp server";

/// The twelve.
pub fn all() -> Vec<Story> {
    use Kind::{AristaEos, CiscoIos, Frr};
    let table = [
        (CiscoIos, Twist::TwoReads, "reads network-confg twice at once"),
        (CiscoIos, Twist::SwappedUplinks, "its uplinks are swapped"),
        (CiscoIos, Twist::WrongPort, "a cable is on a wrong port"),
        (CiscoIos, Twist::TwelveReads, "asks twelve times"),
        (CiscoIos, Twist::OtherBox, "is another box than planned"),
        (CiscoIos, Twist::LostLine, "loses a configuration line"),
        (AristaEos, Twist::Nothing, "has no fault"),
        (AristaEos, Twist::NoCable, "lacks a cable"),
        (AristaEos, Twist::Slow, "boots slowly"),
        (Frr, Twist::BadCable, "breaks its downloads off"),
        (Frr, Twist::Hangs, "never comes back"),
        (Frr, Twist::WrongSwitch, "a cable is on the wrong switch"),
    ];
    (1..)
        .zip(table)
        .map(|(number, (kind, twist, title))| Story {
            number,
            device: format!("acc-sw-{number:02}"),
            kind,
            title,
            twist,
        })
        .collect()
}

/// Whether the story ended as it must; else everything that is not as it must be.
pub fn verdict(story: &Story, seen: &Observed) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    let mut once = |what: &str, count: u32| {
        if count != 1 {
            wrong.push(format!("{what} {count} times instead of once"));
        }
    };
    once("opened a run", u32::try_from(seen.runs.len()).unwrap_or(u32::MAX));
    once("said that it started", seen.started);
    once("said that it is done", seen.done);
    once("handed over", seen.hand_offs);
    once("began a thread", seen.parents);
    let expected: Vec<Fault> = story.twist.fault().into_iter().collect();
    if seen.said != expected {
        let codes = |faults: &[Fault]| match faults {
            [] => "nothing".to_owned(),
            faults => faults.iter().map(|fault| fault.code()).collect::<Vec<_>>().join(", "),
        };
        wrong.push(format!("said {} instead of {}", codes(&seen.said), codes(&expected)));
    }
    if seen.phase != "ready" {
        let phase = if seen.phase.is_empty() { "nothing heard" } else { &seen.phase };
        wrong.push(format!("ended as {phase} instead of ready"));
    }
    let mut at_least = |what: &str, count: u32, least: u32| {
        if count < least {
            wrong.push(format!("counted {count} {what}, expected {least} or more"));
        }
    };
    at_least("repeats", seen.repeats, story.twist.repeats_min());
    at_least("complete transfers", seen.complete_transfers, story.twist.transfers_min());
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_it_must(story: &Story) -> Observed {
        Observed {
            runs: BTreeSet::from(["r1".to_owned()]),
            started: 1,
            done: 1,
            said: story.twist.fault().into_iter().collect(),
            cleared: 1,
            repeats: story.twist.repeats_min(),
            complete_transfers: story.twist.transfers_min(),
            hand_offs: 1,
            parents: 1,
            phase: "ready".to_owned(),
            last_headline: String::new(),
        }
    }

    #[test]
    fn twelve_devices_of_three_platforms_with_every_fault_of_the_promise() {
        let stories = all();
        assert_eq!(stories.len(), 12);
        for kind in Kind::ALL {
            assert!(stories.iter().filter(|story| story.kind == kind).count() >= 3, "{kind:?}");
        }
        let faults: BTreeSet<Fault> =
            stories.iter().filter_map(|story| story.twist.fault()).collect();
        assert_eq!(faults.len(), 8);
        assert_eq!(stories[1].device, "acc-sw-02");
        for story in &stories {
            assert_eq!(verdict(story, &as_it_must(story)), Ok(()), "{}", story.device);
        }
    }

    #[test]
    fn every_deviation_is_told_and_none_is_forgiven() {
        let story = &all()[1];
        let check = |change: fn(&mut Observed), told: &str| {
            let mut seen = as_it_must(story);
            change(&mut seen);
            assert_eq!(verdict(story, &seen), Err(vec![told.to_owned()]));
        };
        check(
            |seen| {
                seen.runs.insert("r2".to_owned());
            },
            "opened a run 2 times instead of once",
        );
        check(|seen| seen.started = 0, "said that it started 0 times instead of once");
        check(|seen| seen.done = 2, "said that it is done 2 times instead of once");
        check(|seen| seen.hand_offs = 2, "handed over 2 times instead of once");
        check(|seen| seen.parents = 3, "began a thread 3 times instead of once");
        check(|seen| seen.said.clear(), "said nothing instead of G12");
        check(|seen| seen.said.push(Fault::SwappedPair), "said G12, G12 instead of G12");
        check(|seen| seen.said = vec![Fault::WrongPort], "said G10 instead of G12");
        check(|seen| seen.phase = "verifying".into(), "ended as verifying instead of ready");
        check(
            |seen| seen.complete_transfers = 0,
            "counted 0 complete transfers, expected 1 or more",
        );
        let twelve = &all()[3];
        let seen = Observed { repeats: 10, ..as_it_must(twelve) };
        assert_eq!(
            verdict(twelve, &seen),
            Err(vec!["counted 10 repeats, expected 11 or more".to_owned()])
        );
    }
}
