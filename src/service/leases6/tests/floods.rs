//! What holds whatever is asked: made-up clients stay within their limits, and no address is two
//! clients' own.

use super::*;

#[test]
fn a_flood_of_made_up_clients_leaves_room_for_planned_devices() {
    let mut settings = settings();
    settings.pools[0].range = Some((ip("1:0"), ip("ffff:ffff")));
    let leases = Leases6::new(&settings, plan(&[]), Kept::default(), NOW);
    let stranger = |number: u32| Asker { duid: format!("{number:08x}"), ..asker(0, None) };
    let given = |decision: &Decision| match decision {
        Decision::Bound(bound) => matches!(bound.decided[0].outcome, Outcome::Given(_)),
        _ => false,
    };
    let count = (0..3000)
        .filter(|number| given(&leases.decide(&stranger(*number), &solicit(&[]), at(0))))
        .count();
    let limits = DhcpLimits::default();
    assert_eq!(count, limits.relay_strangers_max);
    let refused = leases.refused().unwrap();
    assert_eq!(refused.relay_strangers_max, 3000 - 512);
    assert_eq!(refused.to_string(), "2488 beyond relay_strangers_max");
    let core = device("core1", None);
    assert!(given(&leases.decide(&asker(1, Some(&core)), &solicit(&[]), at(0))));
    assert!(given(&leases.decide(&stranger(9000), &solicit(&[]), at(61))));
    // A device that makes up an association at each try holds no more than a few.
    let count = (2..100)
        .filter(|iaid| {
            let ask = Ask::Request(wish(&[(*iaid, &[])]));
            given(&leases.decide(&asker(1, Some(&core)), &ask, at(100)))
        })
        .count();
    assert_eq!(count, settings.addresses_max);
}

#[test]
fn a_stranger_that_once_held_an_address_counts_like_any_other_when_it_comes_back() {
    let limits = DhcpLimits { strangers_max: 2, ..DhcpLimits::default() };
    let leases = Leases6::new(&Dhcp6 { limits, ..settings() }, plan(&[]), Kept::default(), NOW);
    let stranger = |number: u32| Asker { duid: format!("{number:08x}"), ..asker(0, None) };
    let given = |number, ask: &Ask, seconds| {
        let Decision::Bound(bound) = leases.decide(&stranger(number), ask, at(seconds)) else {
            return None;
        };
        match bound.decided[0].outcome {
            Outcome::Given(Given { address, .. }) => Some(address),
            Outcome::NoAddress { .. } | Outcome::NoBinding { .. } | Outcome::NotOnLink { .. } => {
                None
            }
        }
    };
    let had = given(1, &Ask::Request(wish(&[(1, &[])])), 0).unwrap();
    let renewing = Ask::Renew(wish(&[(1, &[had])]));
    assert_eq!(given(1, &renewing, 200), Some(had), "within its time it goes on");
    for other in [2, 3] {
        assert!(given(other, &Ask::Request(wish(&[(1, &[])])), 600).is_some());
    }
    assert_eq!(given(1, &solicit(&[]), 600), None);
    assert_eq!(given(1, &renewing, 600), None);
    assert_eq!(given(1, &solicit(&[]), 1000), Some(had), "there is room again");
}

#[test]
fn a_confirm_of_temporary_addresses_is_answered_where_it_can_be_judged() {
    let leases = Leases6::new(&settings(), plan(&[]), Kept::default(), NOW);
    let told = |lasting: &[Ipv6Addr], temporary: &[Ipv6Addr]| {
        let wish =
            Wish { temporary: wish(&[(1, temporary)]).associations, ..wish(&[(1, lasting)]) };
        match leases.decide(&asker(1, None), &Ask::Confirm(wish), at(0)) {
            Decision::OnLink(_) => "on link",
            Decision::NotOnLink { .. } => "not on link",
            Decision::Nothing { .. } => "nothing",
            Decision::Bound(_) | Decision::Parameters(_) => "something else",
        }
    };
    let (here, elsewhere) = (ip("99"), "2001:db8:ffff::1".parse().unwrap());
    assert_eq!(told(&[], &[here]), "on link");
    assert_eq!(told(&[], &[elsewhere]), "nothing");
    assert_eq!(told(&[here], &[elsewhere]), "nothing");
    assert_eq!(told(&[elsewhere], &[here]), "not on link");
}

#[test]
fn made_up_clients_that_decline_what_they_are_given_stay_within_the_limit() {
    let mut settings = settings();
    settings.pools[0].range = Some((ip("1:0"), ip("ffff:ffff")));
    let leases = Leases6::new(&settings, plan(&[]), Kept::default(), NOW);
    let stranger = |number: u32| Asker { duid: format!("{number:08x}"), ..asker(0, None) };
    let given = |number, seconds| {
        let decision = leases.decide(&stranger(number), &solicit(&[]), at(seconds));
        let Decision::Bound(bound) = decision else { return None };
        match bound.decided[0].outcome {
            Outcome::Given(Given { address, .. }) => Some(address),
            Outcome::NoAddress { .. } | Outcome::NoBinding { .. } | Outcome::NotOnLink { .. } => {
                None
            }
        }
    };
    let decline = |number| {
        let Some(address) = given(number, 0) else { return false };
        let ask = Ask::Decline(wish(&[(1, &[address])]));
        !leases.end(&stranger(number), &ask, at(0)).addresses.is_empty()
    };
    let most = settings.limits.relay_strangers_max;
    assert_eq!((0..3000).filter(|number| decline(*number)).count(), most);
    assert_eq!(given(9000, 599), None, "they rest");
    // Each message clears away some of what has ended.
    assert!((9000..9100).any(|number| given(number, 600).is_some()), "the rests are over");
}

proptest! {
    #[test]
    fn no_address_is_ever_held_by_two(
        steps in proptest::collection::vec(
            (0..6_u8, 0..9_u8, 0x8..0x16_u16, 1..3_u32, 0..200_u64),
            1..200,
        ),
    ) {
        let devices = [device("core1", Some(ip("11"))), device("edge1", None)];
        let leases = tables(&devices);
        let mut bound: HashMap<Ipv6Addr, (u8, Timestamp)> = HashMap::new();
        let mut now = NOW;
        for (who, what, last, iaid, pause) in steps {
            now = now.plus(Duration::from_secs(pause));
            let asker = asker(who, devices.get(usize::from(who)));
            let address = ip(&format!("{last:x}"));
            let one = wish(&[(iaid, &[address])]);
            let ask = match what {
                0 => Ask::Solicit { wish: wish(&[(1, &[]), (2, &[])]), rapid: false },
                1 => Ask::Solicit { wish: one, rapid: false },
                2 => Ask::Request(one),
                3 => Ask::Request(wish(&[(1, &[address]), (2, &[address])])),
                4 => Ask::Renew(one),
                5 => Ask::Rebind(one),
                6 => Ask::Confirm(one),
                7 => Ask::Decline(one),
                _ => Ask::Release(one),
            };
            for ended in leases.end(&asker, &ask, now).addresses {
                let holder = bound.remove(&ended.address);
                prop_assert!(holder.is_none_or(|(holder, until)| holder == who || until <= now));
            }
            let Decision::Bound(Bound { decided, leases: rows, .. }) =
                leases.decide(&asker, &ask, now) else { continue };
            let mut here = Vec::new();
            for line in decided {
                let Outcome::Given(Given { address: given, .. }) = line.outcome else { continue };
                prop_assert!((ip("10")..=ip("14")).contains(&given), "{}", given);
                prop_assert!(given != ip("11") || who == 0, "the reservation is core1's");
                prop_assert!(!here.contains(&given), "twice in one message: {}", given);
                here.push(given);
                if let Some((other, until)) = bound.get(&given) {
                    prop_assert!(*other == who || *until <= now, "{} is {}'s", given, other);
                }
            }
            for row in rows {
                prop_assert!(here.contains(&row.address));
                bound.insert(row.address, (who, row.expires));
            }
        }
    }
}
