//! What the device answers to the commands of a visit.

use std::collections::BTreeMap;

use greenlight::platform::observation::{
    Duplex, Facts, LinkDetails, Observation, Part, PartKind, PartState, Reading,
};

use crate::faults::Kind;
use crate::play::{Play, RENDERED};

impl Play<'_> {
    pub(crate) fn observed(&self) -> Observation {
        let wrong = |kind| self.wrong.contains(&kind);
        let (lldp, cdp, mut links) = self.scene.world.look(self.now);
        // The first planned port runs badly, the second one comes and goes.
        links[0].details = Reading::Seen(LinkDetails {
            duplex: Some(if wrong(Kind::PoorCable) { Duplex::Half } else { Duplex::Full }),
            ..LinkDetails::default()
        });
        let changes = if wrong(Kind::FlappingPort) { self.now.unsigned_abs() / 5 } else { 0 };
        links[1].details =
            Reading::Seen(LinkDetails { link_changes: Some(changes), ..LinkDetails::default() });
        let serial = if wrong(Kind::OtherBox) { "FDO9999" } else { "FDO1234" };
        let software = if wrong(Kind::OtherSoftware) { "17.6.3" } else { "17.9.5" };
        let lost = if wrong(Kind::LineMissing) { "ntp server 192.0.2.1\n" } else { "\u{0}" };
        Observation {
            further: self.further(),
            save: Reading::NotAsked,
            facts: Reading::Seen(Facts {
                hostname: Some("acc-1".to_owned()),
                serials: match wrong(Kind::MemberMissing) {
                    true => vec![serial.to_owned()],
                    false => vec![serial.to_owned(), "FDO5678".to_owned()],
                },
                model: None,
                software: Some(software.to_owned()),
            }),
            lldp: match wrong(Kind::UnreadableAnswer) {
                true => Reading::unreadable("line 3: expected a column"),
                false => Reading::Seen(lldp),
            },
            cdp: match wrong(Kind::UnreadableAnswer) {
                true => Reading::NotAsked,
                false => Reading::Seen(cdp),
            },
            interfaces: Reading::Seen(links),
            environment: Reading::Seen(vec![
                part("2", PartKind::Power, wrong(Kind::PowerSupply)),
                part("Fan 3", PartKind::Fan, wrong(Kind::FanOrHeat)),
            ]),
            running: Reading::Seen(RENDERED.replace(lost, "")),
            saved: Reading::Seen(RENDERED.to_owned()),
        }
    }

    /// What it answers to a ping, in the words of all systems, and to the operator's own command.
    fn further(&self) -> BTreeMap<String, Reading<String>> {
        let device = &self.scene.inventory.devices[0];
        let platform = self.platforms.get(&device.platform).expect("a platform of ours");
        let ping = platform.ping.as_ref().expect("these can be told to reach an address");
        let count = if self.wrong.contains(&Kind::CannotReach) { 0 } else { 3 };
        let reached = format!(
            "Success rate is {} percent ({count}/3)\n3 packets transmitted, {count} received, 0%\n\
             3 packets transmitted, {count} packets received, 0%\n",
            count * 100 / 3
        );
        let clock = match self.wrong.contains(&Kind::CheckUnmet) {
            true => "unsynchronised",
            false => "in step",
        };
        let pings = device.expects.reaches.iter().map(|target| ping.command(*target));
        let asked = pings.map(|command| (command, Reading::Seen(reached.clone())));
        asked.chain([(CLOCK.to_owned(), Reading::Seen(clock.to_owned()))]).collect()
    }
}

/// The operator's own command.
pub const CLOCK: &str = "show clock";

fn part(name: &str, kind: PartKind, bad: bool) -> Part {
    let state = if bad { PartState::Bad } else { PartState::Good };
    Part { name: name.to_owned(), kind, state }
}
