//! Which address does a client get, and which may it keep?
//!
//! The tables stand in memory and are loaded from the store at start. Nothing here is durable by
//! itself: a [`Grant`] carries the row that must be stored before its ACK is sent. Each decision
//! costs hash lookups and at most one step of a heap, however many leases there are.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::config::meant::{Dhcp, Pool};
use crate::domain::inventory::meant::{Device, Inventory};
use crate::proto::dhcp4::Ask;
use crate::service::memory::Lease;

mod book;
mod decide;
mod shelf;
pub(super) mod strangers;

pub use strangers::Refused;

/// How long an offered address waits for its REQUEST. Clients answer within seconds and give up
/// after a minute (RFC 2131 section 4.1: 4, 8, 16, 32 s).
pub const OFFER_WAITS: Duration = Duration::from_secs(60);
/// How long an address rests after a DECLINE. No standard says: about one round of a switch that
/// boots again and again, so that a wrong plan shows on each round.
pub const DECLINED_RESTS: Duration = Duration::from_secs(600);
/// The lease of somebody whom the inventory does not know: long enough to be looked at.
pub const QUARANTINE_LEASE: Duration = Duration::from_secs(300);

/// The address tables. Clones share them.
#[derive(Clone)]
pub struct Leases {
    book: Arc<Mutex<book::Book>>,
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Asker {
    pub mac: Mac,
    /// Option 61 as lower-case hex; empty when absent.
    pub client_id: String,
    /// `None` for somebody in quarantine.
    pub device: Option<Arc<Device>>,
    /// Option 82 as lower-case hex; empty when absent, and then the stored one is kept.
    pub relay_information: String,
    /// Its platform refuses an offer with a shorter lease.
    pub lease_at_least: Option<Duration>,
    pub link: Link,
}

/// Which subnet a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The relay's word: sub-option 5 of option 82 (RFC 3527), or else `giaddr`.
    pub relay: Option<Ipv4Addr>,
    /// The address of ours on the interface that heard it.
    pub local: Ipv4Addr,
}

/// What was found for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This address, in this pool.
    Granted(Grant),
    /// An INFORM from this pool: parameters, no lease.
    Parameters(Arc<Pool>),
    /// What it wants or holds is not for it: NAK.
    Wrong { why: String },
    /// There is nothing for it, or nobody we know asks: silence.
    Nothing { why: String },
    /// Another port of the device holds its planned address, and there is no second one: silence,
    /// and the device is served.
    Occupied { why: String },
}

/// An address and the row to be stored before the ACK is sent. An OFFER needs no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub lease: Lease,
    pub pool: Arc<Pool>,
    /// Says that another port of the device holds an address already; empty if none does.
    pub beside: String,
}

/// A binding that ended: the row to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub address: Ipv4Addr,
    /// After a DECLINE.
    pub quarantined_until: Option<Timestamp>,
}

/// What the store remembers, at start.
#[derive(Debug, Default)]
pub struct Kept {
    pub leases: Vec<Lease>,
    pub quarantined: BTreeMap<Ipv4Addr, Timestamp>,
}

impl Kept {
    /// The addresses that still rest at `now`. A lease that was granted after the DECLINE says that
    /// the rest is over, whatever row of it was left.
    fn resting(&self, now: Timestamp) -> BTreeMap<Ipv4Addr, Timestamp> {
        let mut resting = self.quarantined.clone();
        resting.retain(|_, until| *until > now);
        for lease in self.leases.iter().filter(|lease| lease.expires > now) {
            let rest_of_now = lease.granted.plus(DECLINED_RESTS);
            if resting.get(&lease.address).is_some_and(|until| rest_of_now > *until) {
                resting.remove(&lease.address);
            }
        }
        resting
    }
}

impl Leases {
    /// Builds the tables. Leases of addresses that no pool holds any more are left out.
    pub fn new(settings: &Dhcp, inventory: Arc<Inventory>, kept: Kept, now: Timestamp) -> Self {
        let book = book::Book::new(settings, inventory, kept, now);
        Self { book: Arc::new(Mutex::new(book)) }
    }

    /// Takes over a new plan: reservations count from the next request on.
    pub fn replan(&self, inventory: Arc<Inventory>) {
        self.book().replan(inventory);
    }

    /// Decides on a DISCOVER, REQUEST or INFORM, and remembers the offer or binding.
    ///
    /// A binding that could not be stored stays in these tables: the client was not told, so nobody
    /// believes in it, and its next request finds the same address.
    pub fn decide(&self, asker: &Asker, ask: Ask, now: Timestamp) -> Decision {
        self.book().decide(asker, ask, now)
    }

    /// Takes a DECLINE or RELEASE. `None` if the asker does not hold that address.
    pub fn end(&self, asker: &Asker, ask: Ask, now: Timestamp) -> Option<Ended> {
        self.book().end(asker, ask, now)
    }

    /// Option 82 of the request that brought this address to this port, in hex and maybe empty:
    /// what comes without a relay is placed by it. `None` if somebody else or nobody holds the
    /// address.
    pub fn relay_information(&self, mac: Mac, address: Ipv4Addr, now: Timestamp) -> Option<String> {
        let book = self.book();
        let holding = book.holding(address).filter(|holding| holding.mac == mac)?;
        holding.state.until(now).map(|_| holding.relay_information.to_string())
    }

    /// How many times strangers were refused an address since this was last asked, if ever.
    pub fn refused(&self) -> Option<Refused> {
        self.book().strangers.refused()
    }

    fn book(&self) -> MutexGuard<'_, book::Book> {
        self.book.lock().expect("no decision panics while it holds the tables")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::config::meant::{DhcpLimits, Unknown};
    use crate::domain::inventory::meant::Position;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const NOW: Timestamp = Timestamp::from_seconds(1_795_261_396);

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    fn settings(first: u8, last: u8) -> Dhcp {
        let pool = |subnet: &str, range, router| Pool {
            subnet: subnet.parse().unwrap(),
            range,
            router: Some(router),
            dns: vec![],
            domain: None,
        };
        Dhcp {
            listen: vec![],
            server_address: SERVER,
            reply_to_port: 68,
            pools: vec![
                pool("10.0.0.0/24", Some((ip(first), ip(last))), ip(254)),
                pool("10.0.9.0/24", None, Ipv4Addr::new(10, 0, 9, 1)),
            ],
            lease: Duration::from_secs(3600),
            unknown: Unknown::Quarantine,
            limits: DhcpLimits { pool_strangers_percent: 100, ..DhcpLimits::default() },
        }
    }

    fn device(name: &str, address: Option<Ipv4Addr>) -> Arc<Device> {
        Arc::new(Device { site: "oslo".into(), address, ..Device::named(name, "cisco_ios") })
    }

    fn plan(devices: &[Arc<Device>]) -> Arc<Inventory> {
        Arc::new(Inventory::of(devices.iter().cloned()))
    }

    fn tables(devices: &[Arc<Device>]) -> Leases {
        Leases::new(&settings(10, 14), plan(devices), Kept::default(), NOW)
    }

    fn asker(mac: u8, device: Option<&Arc<Device>>) -> Asker {
        Asker {
            mac: Mac::new([2, 0, 0, 0, 0, mac]),
            client_id: String::new(),
            device: device.cloned(),
            relay_information: String::new(),
            lease_at_least: None,
            link: Link { relay: None, local: SERVER },
        }
    }

    const DISCOVER: Ask = Ask::Discover { wanted: None };

    fn selecting(wanted: Ipv4Addr) -> Ask {
        Ask::Selecting { server: SERVER, wanted }
    }

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    /// The decision as one line.
    fn told(decision: Decision) -> String {
        match decision {
            Decision::Granted(Grant { lease, .. }) => {
                format!("{} for {} s", lease.address, lease.expires.since(lease.granted).as_secs())
            }
            Decision::Parameters(pool) => format!("parameters of {}", pool.subnet),
            Decision::Wrong { why } => format!("wrong: {why}"),
            Decision::Nothing { why } => format!("nothing: {why}"),
            Decision::Occupied { why } => format!("occupied: {why}"),
        }
    }

    #[test]
    fn two_ports_of_a_device_hold_two_addresses_and_a_port_keeps_its_own() {
        let core = device("core1", None);
        let leases = tables(&[]);
        let (a, b) = (asker(1, Some(&core)), asker(2, Some(&core)));
        let ask = |asker: &Asker, ask, seconds| told(leases.decide(asker, ask, at(seconds)));
        let (ten, eleven) = ("10.0.0.10 for 3600 s", "10.0.0.11 for 3600 s");
        assert_eq!((&*ask(&a, DISCOVER, 0), &*ask(&b, DISCOVER, 0)), (ten, eleven));
        assert_eq!(ask(&a, selecting(ip(10)), 1), ten);
        assert!(ask(&b, selecting(ip(10)), 1).starts_with("wrong: 10.0.0.10 is held by another"));
        assert_eq!(ask(&b, selecting(ip(11)), 1), eleven);
        assert_eq!((&*ask(&a, DISCOVER, 9), &*ask(&b, DISCOVER, 9)), (ten, eleven));
        assert_eq!(ask(&a, Ask::Renewing { held: ip(10) }, 1800), ten);
        assert_eq!(ask(&b, Ask::Rebinding { held: ip(11) }, 1800), eleven);
        assert_eq!(ask(&b, selecting(ip(12)), 1801), "wrong: it holds 10.0.0.11, not 10.0.0.12");
        let release = Ask::Release { server: Some(SERVER), address: ip(10) };
        assert_eq!(leases.end(&b, release, at(1802)), None, "it is the other port's");
        assert!(leases.end(&a, release, at(1802)).is_some());
        let c = asker(3, Some(&core));
        assert_eq!(ask(&c, DISCOVER, 1803), ten, "a new port takes what no port holds any more");
        assert_eq!(ask(&b, DISCOVER, 1803), eleven);
    }

    #[test]
    fn the_other_port_of_a_lease_is_told() {
        let core = device("core1", None);
        let leases = tables(&[]);
        let beside = |mac, seconds| {
            let asker = asker(mac, Some(&core));
            leases.decide(&asker, DISCOVER, at(seconds));
            match leases.decide(&asker, selecting(ip(9 + mac)), at(seconds)) {
                Decision::Granted(grant) => grant.beside,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(beside(1, 0), "");
        let two =
            "another port of core1 holds an address: the port 02:00:00:00:00:02 has 10.0.0.11";
        assert_eq!(beside(2, 1), two);
        assert_eq!(beside(2, 3601), "", "the other one's lease is over");
    }

    #[test]
    fn a_planned_address_is_held_by_one_port_and_the_other_gets_one_of_the_range() {
        let core = device("core1", Some(ip(50)));
        let leases = tables(&[Arc::clone(&core)]);
        let (a, b) = (asker(1, Some(&core)), asker(2, Some(&core)));
        let ask = |asker: &Asker, ask, seconds| told(leases.decide(asker, ask, at(seconds)));
        let planned = "10.0.0.50 for 3600 s";
        assert_eq!(ask(&a, DISCOVER, 0), planned);
        assert_eq!(ask(&b, DISCOVER, 0), "10.0.0.10 for 3600 s");
        assert_eq!(ask(&a, selecting(ip(50)), 1), planned);
        assert!(ask(&b, selecting(ip(50)), 1).starts_with("wrong: 10.0.0.50 is held by another"));
        let Decision::Granted(grant) = leases.decide(&b, selecting(ip(10)), at(1)) else {
            panic!("the range has room")
        };
        assert_eq!(
            grant.beside,
            "the port 02:00:00:00:00:01 of core1 holds its planned address 10.0.0.50: \
             the port 02:00:00:00:00:02 has 10.0.0.10"
        );
        assert_eq!(ask(&b, Ask::Renewing { held: ip(10) }, 3000), "10.0.0.10 for 3600 s");
        let over = ask(&b, Ask::Renewing { held: ip(10) }, 3601);
        assert_eq!(over, "wrong: core1 is planned at 10.0.0.50, not 10.0.0.10");
        assert_eq!(ask(&b, DISCOVER, 3602), planned, "the replaced port has it after the lease");
        assert!(ask(&a, Ask::Renewing { held: ip(50) }, 3603).starts_with("wrong: 10.0.0.50 is"));
    }

    #[test]
    fn another_box_on_the_same_wire_takes_the_planned_address_at_once() {
        let core = device("core1", Some(ip(50)));
        let circuit_id = "Gi1/0/5".to_owned();
        let wire = Position { circuit_id, remote_id: Some("dist-1".to_owned()) };
        let placed = Arc::new(Device { position: Some(wire), ..(*core).clone() });
        let leases = tables(&[Arc::clone(&placed)]);
        let known_as = |device: &Arc<Device>, mac, circuit: &str| Asker {
            relay_information: circuit.to_owned(),
            ..asker(mac, Some(device))
        };
        let on = |mac, circuit: &str| known_as(&placed, mac, circuit);
        let ask = |asker: &Asker, ask, seconds| told(leases.decide(asker, ask, at(seconds)));
        let planned = "10.0.0.50 for 3600 s";
        let (wrong, right) = (on(1, "0104aabb"), on(2, "0104aabb"));
        assert_eq!(ask(&wrong, DISCOVER, 0), planned);
        assert_eq!(ask(&wrong, selecting(ip(50)), 1), planned);
        let other_wire = on(3, "0104aacc");
        assert_eq!(ask(&other_wire, DISCOVER, 2), "10.0.0.10 for 3600 s", "a port of that box");
        assert_eq!(ask(&right, DISCOVER, 300), planned);
        assert_eq!(ask(&right, selecting(ip(50)), 301), planned);
        let release = Ask::Release { server: Some(SERVER), address: ip(50) };
        assert_eq!(leases.end(&wrong, release, at(302)), None, "it is no longer its own");
        assert_eq!(ask(&right, Ask::Renewing { held: ip(50) }, 1800), planned);
        // Where the plan names no circuit the relay may tell the network alone.
        let leases = tables(&[Arc::clone(&core)]);
        let ask = |asker: &Asker| told(leases.decide(asker, DISCOVER, at(0)));
        assert_eq!(ask(&known_as(&core, 1, "0104aabb")), planned);
        assert_eq!(ask(&known_as(&core, 2, "0104aabb")), "10.0.0.10 for 3600 s");
        // Both are ports of the box that is planned.
        let macs = [1, 2].map(|mac| Mac::new([2, 0, 0, 0, 0, mac])).to_vec();
        let two_ports = Arc::new(Device { macs, ..(*placed).clone() });
        let leases = tables(&[Arc::clone(&two_ports)]);
        let ask = |asker: &Asker| told(leases.decide(asker, DISCOVER, at(0)));
        assert_eq!(ask(&known_as(&two_ports, 1, "0104aabb")), planned);
        assert_eq!(ask(&known_as(&two_ports, 2, "0104aabb")), "10.0.0.10 for 3600 s");
    }

    #[test]
    fn another_box_by_the_plan_takes_the_planned_address_at_once() {
        let core = device("core1", Some(ip(50)));
        let leases = tables(&[Arc::clone(&core)]);
        let (failed, spare) = (asker(1, Some(&core)), asker(2, Some(&core)));
        let ask = |asker: &Asker, ask, seconds| told(leases.decide(asker, ask, at(seconds)));
        let replan = |serial: &str, macs: &[u8]| {
            let macs = macs.iter().map(|mac| Mac::new([2, 0, 0, 0, 0, *mac])).collect();
            let serial = Some(serial.to_owned());
            leases.replan(plan(&[Arc::new(Device { serial, macs, ..(*core).clone() })]));
        };
        let planned = "10.0.0.50 for 3600 s";
        assert_eq!(ask(&failed, DISCOVER, 0), planned);
        assert_eq!(ask(&failed, selecting(ip(50)), 1), planned);
        replan("FOC1", &[]);
        assert_eq!(ask(&spare, DISCOVER, 2), "10.0.0.10 for 3600 s", "the plan knows more of it");
        replan("FOC1", &[1]);
        replan("FOC3", &[1]);
        assert_eq!(ask(&spare, DISCOVER, 3), "10.0.0.10 for 3600 s", "a corrected serial");
        replan("FOC3", &[2]);
        assert_eq!(ask(&spare, DISCOVER, 4), planned);
        replan("FOC4", &[]);
        assert_eq!(ask(&asker(3, Some(&core)), DISCOVER, 5), planned, "and again, by serial");
    }

    #[test]
    fn where_no_range_is_the_second_port_is_not_answered_and_nothing_is_wrong() {
        let core = device("core1", Some(Ipv4Addr::new(10, 0, 9, 20)));
        let leases = tables(&[Arc::clone(&core)]);
        let link = Link { relay: Some(Ipv4Addr::new(10, 0, 9, 1)), local: SERVER };
        let ask = |mac, seconds| {
            let asker = Asker { link, ..asker(mac, Some(&core)) };
            told(leases.decide(&asker, DISCOVER, at(seconds)))
        };
        assert_eq!(ask(1, 0), "10.0.9.20 for 3600 s");
        assert_eq!(
            ask(2, 1),
            "occupied: the port 02:00:00:00:00:01 of core1 holds its planned address 10.0.9.20; \
             the pool 10.0.9.0/24 serves reservations only"
        );
        assert_eq!(ask(1, 2), "10.0.9.20 for 3600 s");
        assert_eq!(ask(2, 63), "10.0.9.20 for 3600 s", "the offer was not taken");
    }

    #[test]
    fn whoever_invents_ports_of_a_device_gets_four_addresses_and_leaves_the_planned_one() {
        let settings = settings(10, 250);
        let (core, edge) = (device("core1", None), device("edge1", Some(ip(251))));
        let leases = Leases::new(&settings, plan(&[Arc::clone(&edge)]), Kept::default(), NOW);
        let served = |device, seconds| {
            let served = |mac: &u8| {
                let decision = leases.decide(&asker(*mac, Some(device)), DISCOVER, at(seconds));
                matches!(decision, Decision::Granted(_))
            };
            (0..200).filter(served).count()
        };
        for round in 0..20 {
            assert_eq!(served(&core, round * 61), 4, "{round}");
        }
        let wanted = Ask::InitReboot { wanted: ip(200) };
        let fifth = told(leases.decide(&asker(250, Some(&core)), wanted, at(20 * 61 - 61)));
        assert_eq!(fifth, "wrong: 4 other ports of core1 hold addresses");
        assert_eq!(served(&edge, 5000), 4, "the planned one among them");
    }

    #[test]
    fn an_offer_waits_a_minute_and_a_lease_its_time() {
        let core = device("core1", None);
        let edge = device("edge1", None);
        let leases = tables(&[]);
        let (a, b) = (asker(1, Some(&core)), asker(2, Some(&edge)));
        assert_eq!(told(leases.decide(&a, DISCOVER, at(0))), "10.0.0.10 for 3600 s");
        assert_eq!(told(leases.decide(&a, DISCOVER, at(3))), "10.0.0.10 for 3600 s");
        let taken = Ask::Discover { wanted: Some(ip(10)) };
        assert_eq!(told(leases.decide(&b, taken, at(4))), "10.0.0.11 for 3600 s");
        assert_eq!(
            told(leases.decide(&b, selecting(ip(10)), at(5))),
            "wrong: 10.0.0.10 is leased to 02:00:00:00:00:01 until 2026-11-21T11:44:19Z"
        );
        assert_eq!(told(leases.decide(&a, selecting(ip(10)), at(63))), "10.0.0.10 for 3600 s");
        let renewing = Ask::Renewing { held: ip(10) };
        assert_eq!(told(leases.decide(&a, renewing, at(1800))), "10.0.0.10 for 3600 s");
        assert!(told(leases.decide(&b, selecting(ip(10)), at(5399))).starts_with("wrong"));
        assert_eq!(told(leases.decide(&b, taken, at(5464))), "10.0.0.11 for 3600 s");
        let two = leases.decide(&b, selecting(ip(10)), at(5464));
        assert_eq!(told(two), "wrong: it holds 10.0.0.11, not 10.0.0.10");
        let spine = device("spine1", None);
        let c = leases.decide(&asker(3, Some(&spine)), selecting(ip(10)), at(5464));
        assert_eq!(told(c), "10.0.0.10 for 3600 s");
    }

    #[test]
    fn an_offer_while_a_lease_counts_does_not_shorten_it() {
        let core = device("core1", None);
        let leases = tables(&[]);
        let (a, b) = (asker(1, Some(&core)), asker(2, None));
        leases.decide(&a, DISCOVER, at(0));
        leases.decide(&a, selecting(ip(10)), at(1));
        leases.decide(&a, DISCOVER, at(100));
        let wanted = Ask::Discover { wanted: Some(ip(10)) };
        assert_eq!(told(leases.decide(&b, wanted, at(300))), "10.0.0.11 for 300 s");
    }

    #[test]
    fn a_platform_that_refuses_short_leases_gets_a_longer_one_and_a_stranger_does_not() {
        let core = device("core1", None);
        let leases = tables(&[]);
        let span = |device, seconds| {
            let lease_at_least = Some(Duration::from_secs(seconds));
            let asker = Asker { lease_at_least, ..asker(1, device) };
            let told = told(leases.decide(&asker, DISCOVER, at(0)));
            told.rsplit_once("for ").unwrap().1.to_owned()
        };
        assert_eq!(span(Some(&core), 7200), "7200 s");
        assert_eq!(span(Some(&core), 60), "3600 s");
        assert_eq!(span(None, 7200), "300 s");
    }

    #[test]
    fn a_reservation_is_given_to_its_device_and_to_nobody_else() {
        let core = device("core1", Some(ip(11)));
        let far = device("far1", Some(ip(200)));
        let leases = tables(&[Arc::clone(&core), Arc::clone(&far)]);
        let wanted = Ask::Discover { wanted: Some(ip(11)) };
        let seen: Vec<String> =
            (1..=5).map(|mac| told(leases.decide(&asker(mac, None), wanted, at(0)))).collect();
        assert_eq!(
            seen,
            [
                "10.0.0.10 for 300 s",
                "10.0.0.12 for 300 s",
                "10.0.0.13 for 300 s",
                "10.0.0.14 for 300 s",
                "nothing: no address is free from 10.0.0.10 to 10.0.0.14",
            ]
        );
        assert_eq!(
            told(leases.decide(&asker(9, Some(&core)), DISCOVER, at(0))),
            "10.0.0.11 for 3600 s"
        );
        let outside = leases.decide(&asker(8, Some(&far)), DISCOVER, at(0));
        assert_eq!(told(outside), "10.0.0.200 for 3600 s");
        let stolen = leases.decide(&asker(7, None), selecting(ip(11)), at(1));
        assert_eq!(told(stolen), "wrong: 10.0.0.11 is reserved for core1");
        let elsewhere = leases.decide(&asker(9, Some(&core)), selecting(ip(13)), at(1));
        assert_eq!(told(elsewhere), "wrong: core1 is planned at 10.0.0.11, not 10.0.0.13");
    }

    #[test]
    fn the_pool_follows_the_relay_and_the_plan_where_the_relay_is_unknown() {
        let core = device("core1", Some(Ipv4Addr::new(10, 0, 9, 20)));
        let leases = tables(&[Arc::clone(&core)]);
        let from = |relay: [u8; 4]| Asker {
            link: Link { relay: Some(relay.into()), local: SERVER },
            ..asker(1, Some(&core))
        };
        let told = |asker: Asker| told(leases.decide(&asker, DISCOVER, at(0)));
        assert_eq!(told(from([10, 0, 9, 1])), "10.0.9.20 for 3600 s");
        assert_eq!(told(from([172, 16, 0, 1])), "10.0.9.20 for 3600 s");
        let wrong_room =
            "nothing: core1 is planned at 10.0.9.20 and asks from the subnet 10.0.0.0/24";
        assert_eq!(told(from([10, 0, 0, 77])), wrong_room);
        assert_eq!(told(asker(1, Some(&core))), wrong_room);
        let nowhere = Asker { device: None, ..from([172, 16, 0, 1]) };
        assert_eq!(told(nowhere), "nothing: no pool holds 172.16.0.1, the address of the relay");
        let reservations_only = Asker { device: None, ..from([10, 0, 9, 1]) };
        assert_eq!(
            told(reservations_only),
            "nothing: the pool 10.0.9.0/24 serves reservations only"
        );
    }

    #[test]
    fn two_client_ids_of_one_device_are_one_lease_and_of_a_stranger_two() {
        let core = device("core1", None);
        let leases = tables(&[]);
        let with_id = |asker: Asker, id: &str| Asker { client_id: id.into(), ..asker };
        let told = |asker, id| told(leases.decide(&with_id(asker, id), DISCOVER, at(0)));
        assert_eq!(told(asker(1, Some(&core)), "00464f43"), "10.0.0.10 for 3600 s");
        assert_eq!(told(asker(1, Some(&core)), "00636973"), "10.0.0.10 for 3600 s");
        assert_eq!(told(asker(2, None), "aa"), "10.0.0.11 for 300 s");
        assert_eq!(told(asker(2, None), "bb"), "10.0.0.12 for 300 s");
        assert_eq!(told(asker(3, None), "aa"), "10.0.0.13 for 300 s");
    }

    #[test]
    fn a_declined_address_rests_and_a_released_one_is_free_at_once() {
        let leases = tables(&[]);
        let (a, b) = (asker(1, None), asker(2, None));
        leases.decide(&a, DISCOVER, at(0));
        leases.decide(&a, selecting(ip(10)), at(1));
        let decline = Ask::Decline { server: Some(SERVER), address: ip(10) };
        assert_eq!(leases.end(&b, decline, at(2)), None, "it is not b's");
        let elsewhere = Ask::Decline { server: Some(ip(2)), address: ip(10) };
        assert_eq!(leases.end(&a, elsewhere, at(2)), None, "it is another server's");
        let ended = leases.end(&a, decline, at(2)).unwrap();
        assert_eq!((ended.address, ended.quarantined_until), (ip(10), Some(at(602))));
        assert_eq!(leases.end(&a, decline, at(2)), None, "once");
        let again = Ask::Discover { wanted: Some(ip(10)) };
        assert_eq!(told(leases.decide(&a, again, at(3))), "10.0.0.11 for 300 s");
        leases.decide(&a, selecting(ip(11)), at(4));
        let release = Ask::Release { server: Some(SERVER), address: ip(11) };
        assert_eq!(leases.end(&a, release, at(5)).unwrap().quarantined_until, None);
        let other = Ask::Discover { wanted: Some(ip(11)) };
        assert_eq!(told(leases.decide(&b, other, at(6))), "10.0.0.11 for 300 s");
        assert_eq!(told(leases.decide(&asker(3, None), again, at(603))), "10.0.0.10 for 300 s");
    }

    #[test]
    fn the_relay_s_word_is_remembered_for_the_port_that_holds_the_address() {
        let leases = tables(&[]);
        let relayed = Asker { relay_information: "0103476931".into(), ..asker(1, None) };
        leases.decide(&relayed, DISCOVER, at(0));
        leases.decide(&relayed, selecting(ip(10)), at(1));
        leases.decide(&asker(1, None), Ask::Renewing { held: ip(10) }, at(2));
        let word = |mac, address, seconds| {
            leases.relay_information(asker(mac, None).mac, address, at(seconds))
        };
        assert_eq!(word(1, ip(10), 3).as_deref(), Some("0103476931"));
        assert_eq!(word(2, ip(10), 3), None, "another port");
        assert_eq!(word(1, ip(11), 3), None, "another address");
        assert_eq!(word(1, ip(10), 302), None, "the lease is over");
    }

    #[test]
    fn a_declined_reservation_says_that_somebody_else_uses_it() {
        let core = device("core1", Some(ip(50)));
        let leases = tables(&[Arc::clone(&core)]);
        let a = asker(1, Some(&core));
        leases.decide(&a, DISCOVER, at(0));
        leases.end(&a, Ask::Decline { server: None, address: ip(50) }, at(1)).unwrap();
        assert_eq!(
            told(leases.decide(&a, DISCOVER, at(2))),
            "nothing: 10.0.0.50 is used by somebody else and rests until 2026-11-21T11:53:17Z"
        );
        assert_eq!(told(leases.decide(&a, DISCOVER, at(601))), "10.0.0.50 for 3600 s");
    }

    #[test]
    fn after_a_restart_the_store_s_leases_count_and_planned_devices_are_known() {
        let core = device("core1", None);
        let kept = |address, mac: u8, device: Option<&str>, ends| Lease {
            address,
            mac: Mac::new([2, 0, 0, 0, 0, mac]),
            client_id: String::new(),
            device: device.map(str::to_owned),
            relay_information: "0103".into(),
            granted: NOW,
            expires: at(ends),
        };
        let kept = Kept {
            leases: vec![
                kept(ip(12), 1, Some("core1"), 900),
                kept(ip(10), 7, None, 800),
                kept(Ipv4Addr::new(192, 0, 2, 1), 8, None, 800),
            ],
            quarantined: [(ip(11), at(500))].into(),
        };
        let leases = Leases::new(&settings(10, 14), plan(&[]), kept, NOW);
        let a = asker(1, Some(&core));
        let Decision::Granted(grant) = leases.decide(&a, Ask::Renewing { held: ip(12) }, at(1))
        else {
            panic!("the lease was forgotten")
        };
        assert_eq!(grant.lease.relay_information, "0103", "kept through a unicast renewal");
        assert_eq!(told(leases.decide(&asker(2, None), DISCOVER, at(1))), "10.0.0.13 for 300 s");
        let reboot = Ask::InitReboot { wanted: ip(14) };
        assert_eq!(
            told(leases.decide(&asker(3, None), reboot, at(1))),
            "nothing: nothing is known of 10.0.0.14 and its owner"
        );
        let edge = device("edge1", None);
        let planned = leases.decide(&asker(4, Some(&edge)), reboot, at(1));
        assert_eq!(told(planned), "10.0.0.14 for 3600 s");
        let two = leases.decide(&a, Ask::InitReboot { wanted: ip(11) }, at(600));
        assert_eq!(told(two), "wrong: it holds 10.0.0.12, not 10.0.0.11");
    }

    #[test]
    fn after_a_restart_a_lease_outlives_a_rest_that_ended_before_it_was_granted() {
        let lease = |last, ends| Lease {
            address: ip(last),
            mac: Mac::new([2, 0, 0, 0, 0, last]),
            client_id: String::new(),
            device: None,
            relay_information: String::new(),
            granted: NOW,
            expires: at(ends),
        };
        let kept = Kept {
            leases: vec![lease(10, 300), lease(11, 300), lease(12, 300)],
            // Over for long; declined before the lease was granted; declined after it.
            quarantined: [(ip(10), NOW), (ip(11), at(599)), (ip(12), at(601))].into(),
        };
        let leases = Leases::new(&settings(10, 14), plan(&[]), kept, NOW);
        let renewed =
            |last| told(leases.decide(&asker(last, None), Ask::Renewing { held: ip(last) }, at(1)));
        assert_eq!(renewed(10), "10.0.0.10 for 300 s");
        assert_eq!(renewed(11), "10.0.0.11 for 300 s");
        assert!(renewed(12).starts_with("wrong: 10.0.0.12 is used by somebody else"));
        let next = told(leases.decide(&asker(1, None), DISCOVER, at(1)));
        assert_eq!(next, "10.0.0.13 for 300 s");
    }

    #[test]
    fn whoever_chose_another_server_frees_our_offer() {
        let leases = tables(&[]);
        leases.decide(&asker(1, None), DISCOVER, at(0));
        let elsewhere = Ask::Selecting { server: ip(2), wanted: ip(99) };
        assert_eq!(
            told(leases.decide(&asker(1, None), elsewhere, at(1))),
            "nothing: the client chose server 10.0.0.2"
        );
        let wanted = Ask::Discover { wanted: Some(ip(10)) };
        assert_eq!(told(leases.decide(&asker(2, None), wanted, at(1))), "10.0.0.10 for 300 s");
    }

    #[test]
    fn a_new_reservation_takes_effect_with_the_next_request() {
        let core = device("core1", Some(ip(10)));
        let leases = tables(&[]);
        let a = asker(1, None);
        leases.decide(&a, DISCOVER, at(0));
        leases.decide(&a, selecting(ip(10)), at(0));
        leases.replan(plan(&[Arc::clone(&core)]));
        let renewing = leases.decide(&a, Ask::Renewing { held: ip(10) }, at(100));
        assert_eq!(told(renewing), "wrong: 10.0.0.10 is reserved for core1");
        let early = told(leases.decide(&asker(2, Some(&core)), DISCOVER, at(100)));
        assert!(early.starts_with("nothing: 10.0.0.10 is leased to 02:00:00:00:00:01"), "{early}");
        let late = leases.decide(&asker(2, Some(&core)), DISCOVER, at(300));
        assert_eq!(told(late), "10.0.0.10 for 3600 s");
        leases.replan(plan(&[]));
        assert_eq!(told(leases.decide(&a, DISCOVER, at(300))), "10.0.0.11 for 300 s");
    }

    /// How many of some strangers, each a new one, are offered an address of 10.0.0.10 to 250.
    fn served(leases: &Leases, relay: Option<Ipv4Addr>, numbers: std::ops::Range<u16>) -> usize {
        let serve = |number: u16| {
            let [high, low] = number.to_be_bytes();
            let mac = Mac::new([6, 0, 0, 0, high, low]);
            let stranger = Asker { mac, link: Link { relay, local: SERVER }, ..asker(0, None) };
            matches!(leases.decide(&stranger, DISCOVER, at(0)), Decision::Granted(_))
        };
        numbers.filter(|number| serve(*number)).count()
    }

    fn limited(limits: DhcpLimits) -> Leases {
        let settings = Dhcp { limits, ..settings(10, 250) };
        Leases::new(&settings, plan(&[]), Kept::default(), NOW)
    }

    #[test]
    fn a_flood_of_made_up_clients_leaves_addresses_to_the_planned_ones() {
        let leases = limited(DhcpLimits::default());
        assert_eq!(served(&leases, None, 0..3000), 121, "half of the 241 addresses");
        for number in 0..120 {
            let device = device(&format!("core{number}"), None);
            let planned = leases.decide(&asker(number, Some(&device)), DISCOVER, at(0));
            assert!(matches!(planned, Decision::Granted(_)), "{number}: {planned:?}");
        }
        let refused = told(leases.decide(&asker(200, None), DISCOVER, at(1)));
        let why = "nothing: strangers hold 121 addresses of this pool already \
                   (pool_strangers_percent)";
        assert_eq!(refused, why);
        let later = leases.decide(&asker(2, None), DISCOVER, at(61));
        assert!(matches!(later, Decision::Granted(_)), "offers end: {later:?}");
    }

    #[test]
    fn strangers_behind_one_relay_leave_addresses_to_those_behind_others() {
        let limits = DhcpLimits {
            strangers_max: 60,
            relay_strangers_max: 50,
            pool_strangers_percent: 100,
            ..DhcpLimits::default()
        };
        let leases = limited(limits);
        assert_eq!(served(&leases, Some(ip(250)), 0..200), 50);
        assert_eq!(served(&leases, Some(ip(250)), 0..50), 50, "who has one is served again");
        let refused = |relay| {
            let link = Link { relay, local: SERVER };
            told(leases.decide(&Asker { link, ..asker(9, None) }, DISCOVER, at(1)))
        };
        assert_eq!(
            refused(Some(ip(250))),
            "nothing: 50 strangers behind the relay 10.0.0.250 hold addresses already \
             (relay_strangers_max)"
        );
        assert_eq!(served(&leases, None, 300..400), 10);
        assert_eq!(refused(None), "nothing: 60 strangers hold addresses already (strangers_max)");
    }

    #[test]
    fn made_up_clients_that_decline_what_they_are_given_stay_within_the_limit() {
        let limits = |all, relay, percent| DhcpLimits {
            strangers_max: all,
            relay_strangers_max: relay,
            pool_strangers_percent: percent,
            ..DhcpLimits::default()
        };
        for limits in [limits(20, 999, 100), limits(999, 20, 100), limits(999, 999, 8)] {
            let leases = limited(limits);
            let relay = Some(ip(250));
            let decline = |number: u16| {
                let [high, low] = number.to_be_bytes();
                let mac = Mac::new([6, 0, 0, 0, high, low]);
                let stranger = Asker { mac, link: Link { relay, local: SERVER }, ..asker(0, None) };
                let decision = leases.decide(&stranger, DISCOVER, at(0));
                let Decision::Granted(grant) = decision else { return false };
                let ask = Ask::Decline { server: None, address: grant.lease.address };
                leases.end(&stranger, ask, at(0)).is_some()
            };
            assert_eq!((0..300).filter(|number| decline(*number)).count(), 20);
            let later = |seconds| {
                let link = Link { relay, local: SERVER };
                told(leases.decide(&Asker { link, ..asker(9, None) }, DISCOVER, at(seconds)))
            };
            assert!(later(599).starts_with("nothing"), "they rest");
            assert!(later(600).ends_with(" for 300 s"), "the rests are over");
        }
    }

    #[test]
    fn who_once_had_an_address_does_not_pass_the_limit_with_it() {
        let limits = DhcpLimits { strangers_max: 20, ..DhcpLimits::default() };
        let leases = limited(limits);
        assert_eq!(served(&leases, None, 0..100), 20);
        for stranger in 0..20 {
            let [high, low] = u16::to_be_bytes(stranger);
            let stranger = Asker { mac: Mac::new([6, 0, 0, 0, high, low]), ..asker(0, None) };
            leases.decide(&stranger, Ask::Selecting { server: ip(2), wanted: ip(9) }, at(0));
        }
        assert_eq!(served(&leases, None, 100..200), 20);
        assert_eq!(served(&leases, None, 0..20), 0, "their offers were taken back");
    }

    #[test]
    fn what_is_no_longer_reserved_is_handed_out_once_all_the_rest_is_taken() {
        let core = device("core1", Some(ip(11)));
        let leases = tables(&[Arc::clone(&core)]);
        let next = |mac, seconds| told(leases.decide(&asker(mac, None), DISCOVER, at(seconds)));
        let given: Vec<String> = (1..=4).map(|mac| next(mac, 0)).collect();
        assert!(given.iter().all(|text| !text.starts_with("10.0.0.11 ")), "{given:?}");
        assert!(next(5, 0).starts_with("nothing"));
        leases.replan(plan(&[]));
        leases.replan(plan(&[]));
        assert_eq!(next(5, 1), "10.0.0.11 for 300 s");
        assert!(next(6, 1).starts_with("nothing"));
    }

    #[test]
    fn an_inform_gets_the_parameters_of_its_own_subnet() {
        let leases = tables(&[]);
        let held = Ipv4Addr::new(10, 0, 9, 77);
        let told = |held| told(leases.decide(&asker(1, None), Ask::Inform { held }, at(0)));
        assert_eq!(told(held), "parameters of 10.0.9.0/24");
        assert_eq!(told(Ipv4Addr::new(192, 0, 2, 1)), "nothing: no pool holds 192.0.2.1");
    }

    proptest! {
        #[test]
        fn no_address_is_ever_held_by_two(
            steps in proptest::collection::vec((0..6_u8, 0..7_u8, 8..17_u8, 0..200_u64), 1..200),
        ) {
            let devices = [device("core1", Some(ip(11))), device("edge1", None)];
            let leases = tables(&devices);
            let mut bound: HashMap<Ipv4Addr, (u8, Timestamp)> = HashMap::new();
            let mut now = NOW;
            for (who, what, last, pause) in steps {
                now = now.plus(Duration::from_secs(pause));
                // The last two are other ports of the devices.
                let device = [Some(0), Some(1), None, None, Some(0), Some(1)][usize::from(who)];
                let asker = asker(who, device.map(|device: usize| &devices[device]));
                let address = ip(last);
                let ask = match what {
                    0 => Ask::Discover { wanted: None },
                    1 => Ask::Discover { wanted: Some(address) },
                    2 => selecting(address),
                    3 => Ask::InitReboot { wanted: address },
                    4 => Ask::Rebinding { held: address },
                    5 => Ask::Decline { server: None, address },
                    _ => Ask::Release { server: None, address },
                };
                if leases.end(&asker, ask, now).is_some() {
                    bound.remove(&address);
                }
                let Decision::Granted(grant) = leases.decide(&asker, ask, now) else { continue };
                let given = grant.lease.address;
                prop_assert!((ip(10)..=ip(14)).contains(&given), "{given}");
                prop_assert!(given != ip(11) || device == Some(0), "the reservation is core1's");
                if let Some((other, until)) = bound.get(&given) {
                    prop_assert!(*other == who || *until <= now, "{given} is {other}'s");
                }
                if matches!(ask, Ask::Discover { .. }) {
                    continue;
                }
                bound.insert(given, (who, grant.lease.expires));
            }
        }
    }
}
