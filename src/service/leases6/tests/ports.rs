//! What the ports of a device have of each other, and what becomes of what they decline.

use super::*;

fn far_link() -> Link {
    Link { relay: Some("2001:db8:0:9::1".parse().unwrap()), local: vec![] }
}

fn seen(number: u8, mac: u8, device: &Arc<Device>) -> Asker {
    Asker { seen: Some(Mac::new([4, 0, 0, 0, 0, mac])), ..asker(number, Some(device)) }
}

fn declines(leases: &Leases6, asker: &Asker, address: Ipv6Addr, second: u64) -> Option<u64> {
    let ask = Ask::Decline(wish(&[(1, &[address])]));
    let ended = leases.end(asker, &ask, at(second)).addresses;
    ended.first().map(|ended| ended.quarantined_until.unwrap().since(NOW).as_secs())
}

#[test]
fn a_planned_address_is_held_by_one_port_and_the_other_gets_one_of_the_range() {
    let core = device("core1", Some(ip("50")));
    let leases = tables(&[Arc::clone(&core)]);
    let planned = "::50 for 1800/3600 s stored";
    let a = Some(&core);
    play(
        &leases,
        &[
            (1, a, 0, request(ip("50")), planned),
            (2, a, 1, solicit(&[]), "::10 for 1800/3600 s"),
            (2, a, 1, request(ip("10")), "::10 for 1800/3600 s stored"),
            (2, a, 2, renew(ip("50")), "::10 for 1800/3600 s stored"),
            (1, a, 1800, renew(ip("50")), planned),
            (2, a, 1800, renew(ip("10")), "::10 for 1800/3600 s stored"),
        ],
    );
    let Decision::Bound(bound) = leases.decide(&asker(2, a), &renew(ip("10")), at(1801)) else {
        panic!("it has an address")
    };
    assert_eq!(
        bound.beside.as_deref(),
        Some(
            "the port DUID 00030001020000000001 of core1 holds its planned address \
              2001:db8:0:1::50"
        )
    );
    let release = Ask::Release(wish(&[(1, &[ip("50")])]));
    assert_eq!(leases.end(&asker(2, a), &release, at(1802)).addresses, [], "it is the other's");
    // A second association is a second port, whether it asks alone or together with the first.
    let second = Ask::Request(wish(&[(2, &[])]));
    play(&leases, &[(1, a, 1803, second, "::11 for 1800/3600 s stored")]);
    assert_eq!(leases.end(&asker(1, a), &release, at(1804)).addresses.len(), 1);
    play(&leases, &[(2, a, 1805, renew(ip("10")), planned)]);
}

#[test]
fn two_ports_of_a_device_without_a_reservation_hold_two_addresses() {
    let core = device("core1", None);
    let a = Some(&core);
    play(
        &tables(&[]),
        &[
            (1, a, 0, request(ip("10")), "::10 for 1800/3600 s stored"),
            (2, a, 0, request(ip("10")), "::11 for 1800/3600 s stored"),
            (2, a, 1, renew(ip("10")), "::11 for 1800/3600 s stored"),
            (1, a, 2, solicit(&[]), "::10 for 1800/3600 s"),
            // The other DUID of one port has what that had.
            (8, a, 3, request(ip("12")), "::12 for 1800/3600 s stored"),
            (9, a, 4, solicit(&[]), "::12 for 1800/3600 s"),
            (3, a, 4000, solicit(&[]), "::12 for 1800/3600 s"),
        ],
    );
}

#[test]
fn what_is_seen_on_the_wire_tells_ports_whatever_their_clients_call_themselves() {
    let core = device("core1", Some(ip("50")));
    let leases = tables(&[Arc::clone(&core)]);
    let ask = |asker: &Asker, iaid, seconds| {
        let ask = Ask::Solicit { wish: wish(&[(iaid, &[])]), rapid: false };
        told(leases.decide(asker, &ask, at(seconds)), at(seconds))
    };
    let planned = "::50 for 1800/3600 s";
    assert_eq!(ask(&seen(1, 1, &core), 1, 0), planned);
    assert_eq!(ask(&seen(1, 1, &core), 77, 1), planned, "it made up another number");
    assert_eq!(ask(&seen(2, 1, &core), 1, 2), planned, "and another DUID");
    assert_eq!(ask(&seen(2, 2, &core), 3, 3), "::10 for 1800/3600 s");
}

#[test]
fn where_no_range_is_the_second_port_gets_no_address_and_it_is_said_why() {
    let core = device("core1", Some("2001:db8:0:9::20".parse().unwrap()));
    let leases = tables(&[Arc::clone(&core)]);
    let ask = |number, seconds| {
        let asker = Asker { link: far_link(), ..asker(number, Some(&core)) };
        leases.decide(&asker, &solicit(&[]), at(seconds))
    };
    assert_eq!(told(ask(1, 0), at(0)), "2001:db8:0:9::20 for 1800/3600 s");
    let second = ask(2, 1);
    let Decision::Bound(Bound { beside: Some(beside), .. }) = &second else { panic!("{second:?}") };
    assert!(beside.ends_with("of core1 holds its planned address 2001:db8:0:9::20"), "{beside}");
    let none = "no address: the pool 2001:db8:0:9::/64 serves reservations only";
    assert_eq!(told(second, at(1)), none);
    assert_eq!(told(ask(2, 61), at(61)), "2001:db8:0:9::20 for 1800/3600 s", "the offer is over");
}

#[test]
fn another_box_on_the_same_wire_or_by_a_new_plan_takes_the_planned_address_at_once() {
    let core = device("core1", Some(ip("50")));
    let wire = |circuit: &str| Position { circuit_id: circuit.into(), remote_id: None };
    let placed = Arc::new(Device { position: Some(wire("Gi1")), ..(*core).clone() });
    let planned = "::50 for 1800/3600 s stored";
    let leases = tables(&[Arc::clone(&placed)]);
    let ask = |number, circuit| {
        let asker = Asker { wire: Some(wire(circuit)), ..asker(number, Some(&placed)) };
        told(leases.decide(&asker, &request(ip("50")), at(0)), at(0))
    };
    assert_eq!((&*ask(1, "Gi1"), &*ask(2, "Gi2")), (planned, "::10 for 1800/3600 s stored"));
    assert_eq!(ask(3, "Gi1"), planned, "it was exchanged");
    // The plan names no wire; a new one names another box.
    let replanned = |serial: &str| {
        plan(&[Arc::new(Device { serial: Some(serial.to_owned()), ..(*core).clone() })])
    };
    let leases = tables(&[]);
    leases.replan(replanned("FOC1"));
    let a = Some(&core);
    play(&leases, &[(1, a, 0, request(ip("50")), planned)]);
    leases.replan(replanned("FOC1"));
    play(&leases, &[(2, a, 1, request(ip("50")), "::10 for 1800/3600 s stored")]);
    leases.replan(replanned("FOC2"));
    play(&leases, &[(3, a, 2, request(ip("50")), planned)]);
}

#[test]
fn a_decline_from_another_link_takes_no_device_off_its_address() {
    let core = device("core1", Some(ip("50")));
    let leases = tables(&[Arc::clone(&core)]);
    let here = asker(1, Some(&core));
    play(&leases, &[(1, Some(&core), 0, request(ip("50")), "::50 for 1800/3600 s stored")]);
    let lost = Link { relay: Some("2001:db8:7::1".parse().unwrap()), local: vec![] };
    for link in [far_link(), lost] {
        assert_eq!(declines(&leases, &Asker { link, ..here.clone() }, ip("50"), 1), None);
    }
    assert_eq!(declines(&leases, &here, ip("50"), 1), Some(601));
}

#[test]
fn a_planned_address_rests_no_longer_once_its_own_port_uses_it_or_asks_for_it() {
    let core = device("core1", Some(ip("50")));
    let leases = tables(&[Arc::clone(&core)]);
    let a = Some(&core);
    for ask in [renew(ip("50")), Ask::Rebind(wish(&[(1, &[ip("50")])])), solicit(&[ip("50")])] {
        let bound = leases.decide(&asker(1, a), &request(ip("50")), at(0));
        assert!(told(bound, at(0)).starts_with("::50"), "{ask:?}");
        assert_eq!(declines(&leases, &asker(1, a), ip("50"), 1), Some(601));
        for (number, ask) in [(1, &solicit(&[])), (2, &ask)] {
            let early = told(leases.decide(&asker(number, a), ask, at(2)), at(2));
            assert!(early.contains("::50 is used by somebody else"), "{early}");
        }
        let again = told(leases.decide(&asker(1, a), &ask, at(3)), at(3));
        assert!(again.starts_with("::50 for 1800/3600 s"), "{ask:?}: {again}");
    }
}

#[test]
fn a_known_device_that_declines_on_and_on_leaves_addresses_to_others() {
    let core = device("core1", None);
    let mut settings = settings();
    settings.pools[0].range = Some((ip("10"), ip("2f")));
    let leases = Leases6::new(&settings, plan(&[]), Kept::default(), NOW);
    let a = asker(1, Some(&core));
    let decline = |number: u32| {
        let decision = leases.decide(&a, &request(ip("0")), at(0));
        let Decision::Bound(Bound { leases: rows, .. }) = decision else {
            panic!("the pool is empty after {number}")
        };
        declines(&leases, &a, rows[0].address, 0).unwrap()
    };
    let rests: Vec<u64> = (0..100).map(decline).collect();
    assert_eq!(rests[..4], [600; 4]);
    assert_eq!(rests[4..], [0; 96]);
    let given = |number: &u8| {
        let other = device(&format!("sw{number}"), None);
        let decision = leases.decide(&asker(*number, Some(&other)), &solicit(&[]), at(1));
        told(decision, at(1)).ends_with("for 1800/3600 s")
    };
    assert_eq!((10..60).filter(given).count(), 28, "all but those at rest");
}
