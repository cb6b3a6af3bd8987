//! Which datagrams are looked at? Known devices always, within what one client may send; strangers
//! within budgets of their own, so that a flood of invented addresses crowds out strangers alone.
//!
//! A datagram passes up to three doors, each dearer than the one before: a glance at its header,
//! reading it whole, acting upon it.

use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::meant::DhcpLimits;
use crate::servers::dhcp::buckets::{Buckets, Table};

/// Clients whose rates are kept at a time, known ones and strangers each: 1 MiB of buckets. Beyond
/// it the quietest is forgotten.
const CLIENTS: usize = 65_536;
/// Relays whose rates are kept at a time.
const RELAYS: usize = 4096;
/// Interfaces of one machine, virtual ones included.
const INTERFACES: usize = 256;
/// Devices found by serial or port whose hardware address is remembered: 1 MiB. Beyond it
/// the one met longest ago is forgotten, and found again by its serial or port.
const ACQUAINTED: usize = 65_536;
/// Between two lines of the log about what was dropped.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Between two lines about strangers for whom no address was left.
pub const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What was beyond a limit, by the name of the setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    pub client_rate: u64,
    pub relay_rate: u64,
    pub interface_rate: u64,
    pub stranger_rate: u64,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("client_rate", self.client_rate),
            ("relay_rate", self.relay_rate),
            ("interface_rate", self.interface_rate),
            ("stranger_rate", self.stranger_rate),
        ];
        let mut before = "";
        for (limit, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{before}{count} beyond {limit}")?;
            before = ", ";
        }
        if before.is_empty() { write!(f, "none beyond its limits") } else { Ok(()) }
    }
}

/// How a datagram came to us.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The relay that passed it on, if one did.
    pub relay: Option<IpAddr>,
    /// The kernel's number of the interface that heard it.
    pub interface: u32,
}

impl Way {
    /// The link on which the client stands: behind this relay, or at this interface of ours.
    fn link(self) -> Result<IpAddr, u32> {
        self.relay.ok_or(self.interface)
    }
}

/// The doors of one socket.
#[derive(Debug)]
pub struct Gate {
    known: Buckets,
    strangers: Buckets,
    relays: Buckets,
    interfaces: Buckets,
    acted_upon: Buckets,
    /// When each was met last.
    acquainted: Table,
    began: Instant,
    /// Microseconds since the beginning.
    now: u64,
    dropped: Dropped,
    /// What the last line of the log told, and when.
    told: (Dropped, u64),
}

impl Gate {
    pub fn new(limits: &DhcpLimits, began: Instant) -> Self {
        let DhcpLimits { client_rate, relay_rate, interface_rate, stranger_rate, .. } = *limits;
        // A client that repeats itself, or two devices behind one address, must not be cut off.
        let at_once = client_rate.saturating_mul(2);
        Self {
            known: Buckets::new(CLIENTS, client_rate, at_once),
            strangers: Buckets::new(CLIENTS, client_rate, at_once),
            relays: Buckets::new(RELAYS, relay_rate, relay_rate),
            interfaces: Buckets::new(INTERFACES, interface_rate, interface_rate),
            acted_upon: Buckets::new(1, stranger_rate, stranger_rate),
            acquainted: Table::new(ACQUAINTED),
            began,
            now: 0,
            dropped: Dropped::default(),
            told: (Dropped::default(), 0),
        }
    }

    /// Tells the time; the doors know no other.
    pub fn at(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.began);
        self.now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 2);
    }

    /// The first door. `client` is what tells it from others; `planned`: the inventory knows its
    /// hardware address, and then `client` is that. Who repeats it elsewhere has a rate of its own
    /// for each way, so that nobody takes a device's by forging its address on another link.
    pub fn may_be_read(&mut self, client: impl Hash + Copy, way: Way, planned: bool) -> bool {
        if planned || self.is_acquainted(client) {
            let key = (client, way.link());
            return counted(self.known.take(key, self.now), &mut self.dropped.client_rate);
        }
        let Way { relay, interface } = way;
        // One client first, so that it does not use up what is its relay's.
        counted(self.strangers.take((client, way.link()), self.now), &mut self.dropped.client_rate)
            && relay.is_none_or(|relay| self.relay_passes(relay))
            && counted(self.interfaces.take(interface, self.now), &mut self.dropped.interface_rate)
    }

    fn relay_passes(&mut self, relay: IpAddr) -> bool {
        counted(self.relays.take(relay, self.now), &mut self.dropped.relay_rate)
    }

    /// The second door, for a device of the plan that its serial or port told: whoever invents
    /// addresses and repeats a serial is one client. What passes is known from now on.
    pub fn may_be_served(&mut self, client: impl Hash + Copy, device: &str, way: Way) -> bool {
        if self.is_acquainted(client) {
            return true;
        }
        let key = (device, way.link());
        let passes = counted(self.known.take(key, self.now), &mut self.dropped.client_rate);
        if passes {
            *self.acquainted.number(client) = self.now;
        }
        passes
    }

    /// The second door for a network device that nobody planned.
    pub fn may_be_noticed(&mut self) -> bool {
        counted(self.acted_upon.take((), self.now), &mut self.dropped.stranger_rate)
    }

    fn is_acquainted(&self, client: impl Hash) -> bool {
        self.acquainted.holds(client)
    }

    /// All that was dropped since the beginning.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// What was dropped since this was last told, if it is time to tell.
    pub fn news(&mut self) -> Option<Dropped> {
        let (told, at) = self.told;
        let pause = u64::try_from(TOLD_EVERY.as_micros()).unwrap_or(u64::MAX);
        if self.dropped == told || self.now < at + pause {
            return None;
        }
        self.told = (self.dropped, self.now);
        Some(Dropped {
            client_rate: self.dropped.client_rate - told.client_rate,
            relay_rate: self.dropped.relay_rate - told.relay_rate,
            interface_rate: self.dropped.interface_rate - told.interface_rate,
            stranger_rate: self.dropped.stranger_rate - told.stranger_rate,
        })
    }
}

fn counted(passes: bool, dropped: &mut u64) -> bool {
    *dropped += u64::from(!passes);
    passes
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::address::Mac;
    use crate::clock::Clock;

    const LIMITS: DhcpLimits = DhcpLimits {
        client_rate: 10,
        relay_rate: 100,
        interface_rate: 1000,
        stranger_rate: 5,
        strangers_max: 0,
        relay_strangers_max: 0,
        pool_strangers_percent: 0,
    };

    fn gate() -> Gate {
        Gate::new(&LIMITS, Clock::System.instant())
    }

    fn mac(number: u32) -> Mac {
        let [a, b, c, d] = number.to_be_bytes();
        Mac::new([2, 0, a, b, c, d])
    }

    fn way(relay: Option<Ipv4Addr>) -> Way {
        Way { relay: relay.map(IpAddr::V4), interface: 1 }
    }

    fn passed(gate: &mut Gate, relay: Option<Ipv4Addr>, numbers: std::ops::Range<u32>) -> usize {
        numbers.filter(|number| gate.may_be_read(mac(*number), way(relay), false)).count()
    }

    #[test]
    fn a_flood_of_strangers_is_cut_by_relay_and_interface_and_no_known_device_is() {
        let mut gate = gate();
        let relay = Some(Ipv4Addr::new(10, 0, 9, 1));
        assert_eq!(passed(&mut gate, relay, 0..5000), 100);
        assert_eq!(passed(&mut gate, Some(Ipv4Addr::new(10, 0, 8, 1)), 0..50), 50);
        assert_eq!(passed(&mut gate, None, 10_000..20_000), 850);
        let dropped = Dropped { relay_rate: 4900, interface_rate: 9150, ..Dropped::default() };
        assert_eq!(gate.dropped(), dropped);
        let known = |gate: &mut Gate, number| gate.may_be_read(mac(number), way(relay), true);
        assert_eq!((0..5000).filter(|number| known(&mut gate, *number)).count(), 5000);
        assert_eq!((0..100).filter(|_| known(&mut gate, 7)).count(), 19);
        assert_eq!(gate.dropped().client_rate, 81);
    }

    #[test]
    fn what_was_dropped_is_told_in_words() {
        let none = Dropped::default();
        assert_eq!(none.to_string(), "none beyond its limits");
        let some = Dropped { relay_rate: 7, stranger_rate: 2, ..none };
        assert_eq!(some.to_string(), "7 beyond relay_rate, 2 beyond stranger_rate");
    }

    #[test]
    fn a_device_told_by_its_serial_is_known_from_then_on() {
        let mut gate = gate();
        assert!(gate.may_be_served(mac(1), "core1", way(None)));
        passed(&mut gate, None, 100..20_000);
        assert_eq!(passed(&mut gate, None, 1..3), 1, "only the first is known");
        // A serial that is repeated from invented addresses is one client.
        let served =
            (100..1000).filter(|n| gate.may_be_served(mac(*n), "core1", way(None))).count();
        assert_eq!(served, 19);
        assert!(gate.may_be_served(mac(5000), "core2", way(None)));
    }

    #[test]
    fn whoever_forges_a_device_s_address_behind_another_relay_does_not_starve_it() {
        let mut gate = gate();
        let relay = |last| way(Some(Ipv4Addr::new(10, 0, last, 1)));
        let other_interface = Way { relay: None, interface: 2 };
        let burst = 20;
        let passed =
            |gate: &mut Gate, way| (0..200).filter(|_| gate.may_be_read(mac(1), way, true)).count();
        for way in [relay(8), relay(9), way(None), other_interface] {
            assert_eq!(passed(&mut gate, way), burst, "{way:?}");
        }
        assert_eq!(passed(&mut gate, relay(8)), 0);
        // Likewise for one that its serial tells.
        let served = |gate: &mut Gate, numbers: std::ops::Range<u32>, way| {
            numbers.filter(|number| gate.may_be_served(mac(*number), "core1", way)).count()
        };
        assert_eq!(served(&mut gate, 100..300, relay(8)), burst);
        assert_eq!(served(&mut gate, 300..301, relay(9)), 1);
    }

    #[test]
    fn what_was_dropped_is_told_once_in_a_while() {
        let mut gate = gate();
        let began = gate.began;
        let at = |gate: &mut Gate, seconds| {
            gate.at(began + Duration::from_secs(seconds));
            gate.news()
        };
        assert_eq!((0..9).filter(|_| gate.may_be_noticed()).count(), 5);
        assert_eq!(at(&mut gate, 1), None);
        let four = Dropped { stranger_rate: 4, ..Dropped::default() };
        assert_eq!(at(&mut gate, 10), Some(four));
        assert_eq!(at(&mut gate, 30), None);
        assert_eq!((0..6).filter(|_| gate.may_be_noticed()).count(), 5);
        assert_eq!(at(&mut gate, 60), Some(Dropped { stranger_rate: 1, ..four }));
    }
}
