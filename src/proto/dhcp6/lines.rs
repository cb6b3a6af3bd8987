//! What is said about each association of a client: an address, its end, or a status.

use std::net::Ipv6Addr;

use crate::clock::Timestamp;
use crate::proto::dhcp6::answer::{Decided, Given, Outcome};
use crate::proto::dhcp6::ask::Wish;
use crate::proto::dhcp6::association::{self, Address, Association, Status, StatusCode};
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::options::Options;

/// Options 3, 4 and 25 of a reply.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub options: Options,
    /// At least one address is given.
    pub binds: bool,
    /// At least one binding ends.
    pub ends: bool,
    /// At least one address is told to be invalid.
    pub takes_back: bool,
}

/// Which rules of RFC 8415 section 18.3 hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rules {
    /// Sections 18.3.1 and 18.3.9: addresses in it are hints.
    Solicit,
    /// Section 18.3.2.
    Request,
    /// Sections 18.3.4 and 18.3.5: addresses in it are used.
    Extend,
}

/// T1 and T2 where nothing is given.
const NO_TIME: [u32; 2] = [0, 0];
/// Section 7.7.
const INFINITY: u32 = u32::MAX;

impl Lines {
    /// For Solicit, Request, Renew and Rebind.
    pub fn of(wish: &Wish, rules: Rules, decided: &[Decided], now: Timestamp) -> Self {
        let mut lines = Self::default();
        let times = times(wish, decided, now);
        for association in &wish.associations {
            let found = decided.iter().find(|line| line.iaid == association.iaid);
            match found.map(|line| &line.outcome) {
                Some(Outcome::Given(given)) => {
                    lines.give(association, &granted(given, now), times, rules);
                }
                Some(Outcome::NoAddress { why }) => {
                    lines.refuse(association, StatusCode::NoAddressesAvailable, why);
                }
                Some(Outcome::NotOnLink { why }) => lines.move_away(association, rules, why),
                Some(Outcome::NoBinding { why }) => lines.unknown(association, rules, why),
                None => lines.unknown(association, rules, ""),
            }
        }
        lines.ungiven(wish, rules);
        lines
    }

    /// For Release and Decline (RFC 8415 sections 18.3.7 and 18.3.8): only what we do not know is
    /// named.
    pub fn of_ended(wish: &Wish, ended: &[u32]) -> Self {
        let mut lines = Self::default();
        for association in &wish.associations {
            if ended.contains(&association.iaid) {
                lines.ends = true;
            } else {
                lines.refuse(association, StatusCode::NoBinding, "");
            }
        }
        lines.ungiven(wish, Rules::Extend);
        lines
    }

    fn give(
        &mut self,
        association: &Association,
        granted: &Address,
        times: [u32; 2],
        rules: Rules,
    ) {
        let mut options = Options::default();
        options.push(code::IA_ADDRESS, granted.write());
        match rules {
            Rules::Extend => {
                let others = association.addresses.iter().filter(|held| **held != granted.address);
                others.for_each(|held| options.push(code::IA_ADDRESS, ended(*held)));
            }
            Rules::Solicit | Rules::Request => {}
        }
        self.binds = true;
        self.options.push(code::IA_NA, association::lasting(association.iaid, times, &options));
    }

    fn refuse(&mut self, association: &Association, code: StatusCode, why: &str) {
        let options = status(code, why);
        self.options.push(code::IA_NA, association::lasting(association.iaid, NO_TIME, &options));
    }

    fn unknown(&mut self, association: &Association, rules: Rules, why: &str) {
        let code = match rules {
            Rules::Solicit | Rules::Request => StatusCode::NoAddressesAvailable,
            Rules::Extend => StatusCode::NoBinding,
        };
        self.refuse(association, code, why);
    }

    fn move_away(&mut self, association: &Association, rules: Rules, why: &str) {
        match rules {
            Rules::Solicit => self.refuse(association, StatusCode::NoAddressesAvailable, why),
            Rules::Request => self.refuse(association, StatusCode::NotOnLink, why),
            Rules::Extend if association.addresses.is_empty() => {
                self.refuse(association, StatusCode::NoBinding, why);
            }
            Rules::Extend => {
                let mut options = Options::default();
                for held in &association.addresses {
                    options.push(code::IA_ADDRESS, ended(*held));
                }
                self.takes_back = true;
                let value = association::lasting(association.iaid, NO_TIME, &options);
                self.options.push(code::IA_NA, value);
            }
        }
    }

    /// Temporary addresses and prefixes, which we have none of.
    fn ungiven(&mut self, wish: &Wish, rules: Rules) {
        let (address, prefix) = match rules {
            Rules::Solicit | Rules::Request => {
                (StatusCode::NoAddressesAvailable, StatusCode::NoPrefixAvailable)
            }
            Rules::Extend => (StatusCode::NoBinding, StatusCode::NoBinding),
        };
        for Association { iaid, .. } in &wish.temporary {
            let value = association::temporary(*iaid, &status(address, ""));
            self.options.push(code::IA_TA, value);
        }
        for Association { iaid, .. } in &wish.prefixes {
            let value = association::lasting(*iaid, NO_TIME, &status(prefix, ""));
            self.options.push(code::IA_PD, value);
        }
    }
}

fn status(code: StatusCode, why: &str) -> Options {
    Options::default().with(code::STATUS_CODE, Status::new(code, why).write())
}

fn granted(given: &Given, now: Timestamp) -> Address {
    Address {
        address: given.address,
        // An address is never preferred beyond its end (RFC 8415 section 21.6).
        preferred_seconds: seconds(given.preferred_until.min(given.expires), now),
        valid_seconds: seconds(given.expires, now),
    }
}

/// An address that the client shall stop using (RFC 8415 section 18.3.4).
fn ended(address: Ipv6Addr) -> Vec<u8> {
    Address { address, preferred_seconds: 0, valid_seconds: 0 }.write()
}

fn seconds(until: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(until.since(now).as_secs()).unwrap_or(INFINITY)
}

/// T1 and T2: a half and four fifths of the shortest preferred lifetime (RFC 8415 section 21.4),
/// the same for every association, so that the client extends them all at once.
fn times(wish: &Wish, decided: &[Decided], now: Timestamp) -> [u32; 2] {
    let asked = |iaid| wish.associations.iter().any(|association| association.iaid == iaid);
    let lifetimes =
        decided.iter().filter(|line| asked(line.iaid)).filter_map(|line| match &line.outcome {
            Outcome::Given(given) => Some(granted(given, now).preferred_seconds),
            Outcome::NoAddress { .. } | Outcome::NoBinding { .. } | Outcome::NotOnLink { .. } => {
                None
            }
        });
    match lifetimes.min() {
        Some(INFINITY) => [INFINITY, INFINITY],
        Some(shortest) => [shortest / 2, shortest - shortest.div_ceil(5)],
        None => NO_TIME,
    }
}
