//! The tables as timetables: at this second this message comes, that is decided.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::config::meant::{DhcpLimits, Unknown};
use crate::proto::dhcp6::Duid;
use crate::proto::dhcp6::answer::{Given, Outcome};
use crate::proto::dhcp6::ask::Wish;
use crate::proto::dhcp6::association::Association;

mod floods;

const NOW: Timestamp = Timestamp::from_seconds(1_795_261_396);

fn ip(text: &str) -> Ipv6Addr {
    format!("2001:db8:0:1::{text}").parse().unwrap()
}

fn settings() -> Dhcp6 {
    let pool = |subnet: &str, range| Pool6 {
        subnet: subnet.parse().unwrap(),
        range,
        dns: vec![],
        search: vec![],
    };
    Dhcp6 {
        listen: vec![],
        server_address: ip("1"),
        pools: vec![
            pool("2001:db8:0:1::/64", Some((ip("10"), ip("14")))),
            pool("2001:db8:0:9::/64", None),
        ],
        preferred: Duration::from_secs(1800),
        valid: Duration::from_secs(3600),
        unknown: Unknown::Quarantine,
        rapid_commit: false,
        addresses_max: 16,
        limits: DhcpLimits::default(),
    }
}

fn device(name: &str, address6: Option<Ipv6Addr>) -> Arc<Device> {
    Arc::new(Device { site: "oslo".into(), address6, ..Device::named(name, "cisco_ios") })
}

fn plan(devices: &[Arc<Device>]) -> Arc<Inventory> {
    Arc::new(Inventory::of(devices.iter().cloned()))
}

fn tables(devices: &[Arc<Device>]) -> Leases6 {
    Leases6::new(&settings(), plan(devices), Kept::default(), NOW)
}

fn duid(number: u8) -> Duid {
    Duid::link_layer(Mac::new([2, 0, 0, 0, 0, number]))
}

fn asker(number: u8, device: Option<&Arc<Device>>) -> Asker {
    Asker {
        duid: duid(number).to_string(),
        mac: None,
        device: device.cloned(),
        link: Link { relay: None, local: vec![ip("1")] },
    }
}

fn wish(held: &[(u32, &[Ipv6Addr])]) -> Wish {
    let association = |(iaid, addresses): &(u32, &[Ipv6Addr])| Association {
        iaid: *iaid,
        addresses: addresses.to_vec(),
    };
    Wish {
        client: duid(0),
        associations: held.iter().map(association).collect(),
        temporary: vec![],
        prefixes: vec![],
    }
}

fn solicit(wanted: &[Ipv6Addr]) -> Ask {
    Ask::Solicit { wish: wish(&[(1, wanted)]), rapid: false }
}

fn request(address: Ipv6Addr) -> Ask {
    Ask::Request(wish(&[(1, &[address])]))
}

fn renew(address: Ipv6Addr) -> Ask {
    Ask::Renew(wish(&[(1, &[address])]))
}

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// The decision as one line: the end of each address, its times, and whether it must be stored.
fn told(decision: Decision, now: Timestamp) -> String {
    let bound = match decision {
        Decision::Bound(bound) => bound,
        Decision::OnLink(_) => return "on link".to_owned(),
        Decision::NotOnLink { why } => return format!("not on link: {why}"),
        Decision::Parameters(pool) => return format!("parameters of {}", pool.subnet),
        Decision::Nothing { why } => return format!("nothing: {why}"),
    };
    let line = |decided: &Decided| match &decided.outcome {
        Outcome::Given(Given { address, preferred_until, expires }) => {
            let stored = bound.leases.iter().any(|lease| {
                lease.address == *address && lease.expires == *expires && lease.granted == now
            });
            let (preferred, valid) = (preferred_until.since(now), expires.since(now));
            let stored = if stored { " stored" } else { "" };
            format!("{address} for {}/{} s{stored}", preferred.as_secs(), valid.as_secs())
        }
        Outcome::NoAddress { why } => format!("no address: {why}"),
        Outcome::NoBinding { why } => format!("no binding: {why}"),
        Outcome::NotOnLink { why } => format!("elsewhere: {why}"),
    };
    let lines: Vec<String> = bound.decided.iter().map(line).collect();
    lines.join(", ").replace("2001:db8:0:1::", "::")
}

/// Who, with which device, at which second, what, and what is decided.
type Row<'a> = (u8, Option<&'a Arc<Device>>, u64, Ask, &'a str);

fn play(leases: &Leases6, rows: &[Row<'_>]) {
    for (number, device, second, ask, expected) in rows {
        let decision = leases.decide(&asker(*number, *device), ask, at(*second));
        assert_eq!(told(decision, at(*second)), *expected, "at {second}: {number} {ask:?}");
    }
}

#[test]
fn an_offer_waits_a_minute_and_a_lease_its_time() {
    let (core, edge) = (device("core1", None), device("edge1", None));
    let (leaf, spine) = (device("leaf1", None), device("spine1", None));
    let (a, b) = (Some(&core), Some(&edge));
    play(
        &tables(&[]),
        &[
            (1, a, 0, solicit(&[]), "::10 for 1800/3600 s"),
            (1, a, 3, solicit(&[]), "::10 for 1800/3600 s"),
            (2, b, 4, solicit(&[ip("10")]), "::11 for 1800/3600 s"),
            (1, a, 60, request(ip("10")), "::10 for 1800/3600 s stored"),
            (2, b, 61, request(ip("10")), "::11 for 1800/3600 s stored"),
            (1, a, 1800, renew(ip("10")), "::10 for 1800/3600 s stored"),
            (2, b, 1800, Ask::Rebind(wish(&[(1, &[ip("11")])])), "::11 for 1800/3600 s stored"),
            // A hint for what another one's offer no longer holds.
            (3, Some(&leaf), 1801, solicit(&[ip("12")]), "::12 for 1800/3600 s"),
            (4, Some(&spine), 1861, solicit(&[ip("12")]), "::12 for 1800/3600 s"),
            // An old binding is found again although it ended.
            (1, a, 6000, solicit(&[]), "::10 for 1800/3600 s"),
        ],
    );
}

#[test]
fn a_planned_address_waits_for_its_device_and_for_no_other() {
    let core = device("core1", Some(ip("11")));
    let far = device("far1", Some("2001:db8:0:9::5".parse().unwrap()));
    let leases = tables(&[Arc::clone(&core), Arc::clone(&far)]);
    let many = Ask::Solicit { wish: wish(&[(1, &[]), (2, &[])]), rapid: false };
    play(
        &leases,
        &[
            (1, None, 0, solicit(&[ip("11")]), "::10 for 300/300 s"),
            (2, None, 0, solicit(&[]), "::12 for 300/300 s"),
            (3, None, 0, request(ip("11")), "::13 for 300/300 s stored"),
            (9, Some(&core), 0, solicit(&[ip("13")]), "::11 for 1800/3600 s"),
            (9, Some(&core), 0, request(ip("11")), "::11 for 1800/3600 s stored"),
            // Its operating system makes a DUID of its own.
            (8, Some(&core), 100, request(ip("11")), "::11 for 1800/3600 s stored"),
            (
                8,
                Some(&core),
                200,
                many,
                "::11 for 1800/3600 s, no address: another interface of core1 has ::11",
            ),
            (
                7,
                Some(&far),
                0,
                solicit(&[]),
                "no address: far1 is planned at 2001:db8:0:9::5 and asks from the subnet \
                 ::/64",
            ),
        ],
    );
    let far_away = Asker {
        link: Link { relay: Some("2001:db8:0:9::1".parse().unwrap()), local: vec![ip("1")] },
        ..asker(7, Some(&far))
    };
    let there = leases.decide(&far_away, &solicit(&[]), at(0));
    assert_eq!(told(there, at(0)), "2001:db8:0:9::5 for 1800/3600 s");
    let lost = Link { relay: Some("2001:db8:7::1".parse().unwrap()), local: vec![] };
    let by_plan = leases.decide(&Asker { link: lost.clone(), ..far_away }, &solicit(&[]), at(0));
    assert_eq!(told(by_plan, at(0)), "2001:db8:0:9::5 for 1800/3600 s", "the plan says where");
    let stranger = leases.decide(&Asker { link: lost, ..asker(6, None) }, &solicit(&[]), at(0));
    assert_eq!(
        told(stranger, at(0)),
        "nothing: no pool holds 2001:db8:7::1, the link that the relay names"
    );
}

#[test]
fn each_association_of_a_client_has_an_address_of_its_own() {
    let both = |first: &[Ipv6Addr], second: &[Ipv6Addr]| wish(&[(1, first), (2, second)]);
    let leases = tables(&[]);
    let core = device("core1", None);
    let rows = [
        (
            1,
            Some(&core),
            0,
            Ask::Solicit { wish: both(&[], &[]), rapid: false },
            "::10 for 1800/3600 s, ::11 for 1800/3600 s",
        ),
        (
            1,
            Some(&core),
            1,
            Ask::Request(both(&[ip("10")], &[ip("11")])),
            "::10 for 1800/3600 s stored, ::11 for 1800/3600 s stored",
        ),
        (
            1,
            Some(&core),
            2,
            Ask::Request(both(&[ip("11")], &[ip("10")])),
            "::10 for 1800/3600 s stored, ::11 for 1800/3600 s stored",
        ),
    ];
    play(&leases, &rows);
}

#[test]
fn what_does_not_fit_the_link_is_told() {
    let leases = tables(&[]);
    let core = device("core1", None);
    let a = Some(&core);
    let elsewhere: Ipv6Addr = "2001:db8:5::10".parse().unwrap();
    let confirm = |addresses: &[Ipv6Addr]| Ask::Confirm(wish(&[(1, addresses)]));
    play(
        &leases,
        &[
            (1, a, 0, request(elsewhere), "elsewhere: 2001:db8:5::10 is not in the subnet ::/64"),
            (1, a, 0, renew(elsewhere), "elsewhere: 2001:db8:5::10 is not in the subnet ::/64"),
            (1, a, 0, confirm(&[ip("10")]), "on link"),
            (
                1,
                a,
                0,
                confirm(&[ip("10"), elsewhere]),
                "not on link: 2001:db8:5::10 is not in the subnet 2001:db8:0:1::/64",
            ),
            (1, a, 0, Ask::Information { client: None }, "parameters of 2001:db8:0:1::/64"),
        ],
    );
}

#[test]
fn a_stranger_extends_only_what_it_holds() {
    let leases = tables(&[]);
    let nothing = "no binding: nothing is known of these addresses and their owner";
    play(
        &leases,
        &[
            (1, None, 0, solicit(&[]), "::10 for 300/300 s"),
            (1, None, 1, request(ip("10")), "::10 for 300/300 s stored"),
            (2, None, 2, renew(ip("10")), nothing),
            (2, None, 2, Ask::Rebind(wish(&[(1, &[ip("13")])])), nothing),
            (1, None, 100, renew(ip("10")), "::10 for 300/300 s stored"),
        ],
    );
    let core = device("core1", None);
    // The plan learns of it: the same DUID goes on with what it holds, and a forgotten binding of a
    // planned device is made anew.
    play(
        &leases,
        &[
            (1, Some(&core), 110, renew(ip("10")), "::10 for 1800/3600 s stored"),
            (3, Some(&device("edge1", None)), 110, renew(ip("13")), "::13 for 1800/3600 s stored"),
        ],
    );
}

#[test]
fn a_stranger_chooses_no_address_but_one_that_it_held() {
    let core = device("core1", None);
    let leases = tables(&[]);
    play(
        &leases,
        &[
            (1, None, 0, solicit(&[ip("14")]), "::10 for 300/300 s"),
            (2, None, 0, request(ip("13")), "::11 for 300/300 s stored"),
            (3, Some(&core), 0, solicit(&[ip("14")]), "::14 for 1800/3600 s"),
        ],
    );
    let another = Ask::Solicit { wish: wish(&[(7, &[ip("10")])]), rapid: false };
    play(&leases, &[(1, None, 100, another, "::10 for 300/300 s")]);
}

#[test]
fn rapid_commit_binds_at_once_where_it_is_switched_on() {
    let rapid = Ask::Solicit { wish: wish(&[(1, &[])]), rapid: true };
    let core = device("core1", None);
    play(&tables(&[]), &[(1, Some(&core), 0, rapid.clone(), "::10 for 1800/3600 s")]);
    let settings = Dhcp6 { rapid_commit: true, ..settings() };
    let leases = Leases6::new(&settings, plan(&[]), Kept::default(), NOW);
    play(&leases, &[(1, Some(&core), 0, rapid, "::10 for 1800/3600 s stored")]);
}

#[test]
fn a_declined_address_rests_and_a_released_one_is_free_at_once() {
    let leases = tables(&[]);
    let core = device("core1", None);
    let (edge, leaf) = (device("edge1", None), device("leaf1", None));
    let ended = |number, ask: &Ask, second| {
        let ended = leases.end(&asker(number, None), ask, at(second));
        let rests = |ended: &EndedAddress| (ended.address, ended.quarantined_until);
        (ended.iaids, ended.addresses.iter().map(rests).collect::<Vec<_>>())
    };
    let nothing = (vec![], vec![]);
    play(&leases, &[(1, None, 0, request(ip("10")), "::10 for 300/300 s stored")]);
    let decline = Ask::Decline(wish(&[(1, &[ip("10")]), (2, &[ip("11")])]));
    assert_eq!(ended(2, &decline, 1), nothing, "it is another one's");
    assert_eq!(ended(1, &decline, 1), (vec![1], vec![(ip("10"), Some(at(601)))]));
    assert_eq!(ended(1, &decline, 1), nothing, "once");
    play(
        &leases,
        &[
            (1, None, 2, solicit(&[ip("10")]), "::11 for 300/300 s"),
            (1, None, 3, request(ip("11")), "::11 for 300/300 s stored"),
        ],
    );
    let release = Ask::Release(wish(&[(1, &[ip("11")])]));
    assert_eq!(ended(1, &release, 4), (vec![1], vec![(ip("11"), None)]));
    play(
        &leases,
        &[
            (2, Some(&core), 5, solicit(&[ip("11")]), "::11 for 1800/3600 s"),
            (3, Some(&edge), 600, solicit(&[ip("10")]), "::12 for 1800/3600 s"),
            (3, Some(&edge), 602, request(ip("10")), "::12 for 1800/3600 s stored"),
            (4, Some(&leaf), 602, solicit(&[ip("10")]), "::10 for 1800/3600 s"),
        ],
    );
}

#[test]
fn after_a_restart_the_store_s_leases_count() {
    let (core, edge) = (device("core1", None), device("edge1", None));
    let lease = |address, number, device: Option<&str>, ends| Lease6 {
        address,
        duid: duid(number).to_string(),
        iaid: 1,
        mac: None,
        device: device.map(str::to_owned),
        granted: NOW,
        expires: at(ends),
    };
    let kept = Kept {
        leases: vec![
            lease(ip("12"), 1, Some("core1"), 900),
            lease(ip("10"), 7, None, 800),
            lease("2001:db8:5::1".parse().unwrap(), 8, None, 800),
        ],
        quarantined: [(ip("11"), at(500))].into(),
    };
    let leases = Leases6::new(&settings(), plan(&[]), kept, NOW);
    assert_eq!(leases.held(&duid(7).to_string(), &[ip("12"), ip("10")], at(1)), Some(ip("10")));
    assert_eq!(leases.held(&duid(7).to_string(), &[ip("12")], at(1)), None, "not its own");
    assert_eq!(leases.held(&duid(7).to_string(), &[ip("10")], at(800)), None, "it is over");
    play(
        &leases,
        &[
            (1, Some(&core), 1, renew(ip("12")), "::12 for 1800/3600 s stored"),
            (5, Some(&core), 1, solicit(&[]), "::12 for 1800/3600 s"),
            (7, None, 1, renew(ip("10")), "::10 for 300/300 s stored"),
            (2, None, 1, solicit(&[]), "::13 for 300/300 s"),
            (3, None, 1, solicit(&[ip("11")]), "::14 for 300/300 s"),
            (
                4,
                None,
                1,
                solicit(&[]),
                "no address: strangers hold 3 addresses of this pool already (pool_strangers_percent)",
            ),
            (4, Some(&edge), 1, solicit(&[]), "no address: no address is free from ::10 to ::14"),
            (4, Some(&edge), 500, solicit(&[ip("11")]), "::11 for 1800/3600 s"),
        ],
    );
}

#[test]
fn after_a_restart_a_lease_outlives_a_rest_that_ended_before_it_was_granted() {
    let lease = |number: u8| Lease6 {
        address: ip(&number.to_string()),
        duid: duid(number).to_string(),
        iaid: 1,
        mac: None,
        device: None,
        granted: NOW,
        expires: at(300),
    };
    let kept = Kept {
        leases: vec![lease(10), lease(11), lease(12)],
        // Over for long; declined before the lease was granted; declined after it.
        quarantined: [(ip("10"), NOW), (ip("11"), at(599)), (ip("12"), at(601))].into(),
    };
    let leases = Leases6::new(&settings(), plan(&[]), kept, NOW);
    let core = device("core1", None);
    let nothing = "no binding: nothing is known of these addresses and their owner";
    play(
        &leases,
        &[
            (10, None, 1, renew(ip("10")), "::10 for 300/300 s stored"),
            (11, None, 1, renew(ip("11")), "::11 for 300/300 s stored"),
            (12, None, 1, renew(ip("12")), nothing),
            (1, Some(&core), 1, solicit(&[]), "::13 for 1800/3600 s"),
        ],
    );
}

#[test]
fn a_new_reservation_takes_effect_with_the_next_message() {
    let core = device("core1", Some(ip("10")));
    let leases = tables(&[]);
    play(&leases, &[(1, None, 0, request(ip("10")), "::10 for 300/300 s stored")]);
    leases.replan(plan(&[Arc::clone(&core)]));
    let gone = "no binding: nothing is known of these addresses and their owner";
    play(&leases, &[(1, None, 100, renew(ip("10")), gone)]);
    let early = told(leases.decide(&asker(2, Some(&core)), &solicit(&[]), at(100)), at(100));
    assert!(early.starts_with("no address: ::10 is leased to the DUID 0003000102"), "{early}");
    play(&leases, &[(2, Some(&core), 300, solicit(&[]), "::10 for 1800/3600 s")]);
}
