//! What holds for every file, size, option and misfortune of the wire.

use std::time::Duration;

use proptest::prelude::*;

use super::Output;
use super::download::{Outcome, Wish};
use super::packet::Mode;
use super::timetable::{Room, limits, reader, windowed};
use super::transfer::{End, Transfer};
use crate::clock::Clock;

#[test]
fn block_numbers_roll_over_to_zero_in_lockstep_and_in_windows() {
    let content: Vec<u8> = (0..8 * 70_000u32 + 3).map(|i| (i / 8 % 251) as u8).collect();
    for window in [1, 16] {
        let mut fate = |_, n: usize, _: &[u8]| if n % 9973 == 9972 { vec![] } else { vec![1] };
        let mut room = Room::new(&content, windowed(8, window), &mut fate);
        room.logging = false;
        room.run();
        let digest = room.digest.clone().unwrap();
        assert_eq!((digest.blocks, &digest.end), (70_001, &End::Complete), "window {window}");
        assert!(room.client.into_bytes() == content, "window {window}");
    }
}

#[test]
fn a_slow_disk_costs_time_and_no_repetition() {
    let content: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    for wish in [windowed(1428, 16), Wish { patience: PATIENCE, ..Wish::plain("f") }] {
        let mut fate = |_, _, _: &[u8]| vec![1];
        let mut room = Room::new(&content, wish, &mut fate);
        room.disk_millis = Some(1500);
        room.logging = false;
        room.run();
        let digest = room.digest.clone().unwrap();
        assert_eq!((digest.end, digest.bytes, digest.repeats), (End::Complete, 1_000_000, 0));
        assert!(room.client.into_bytes() == content);
    }
}

#[test]
fn the_whole_transfer_has_a_bound() {
    let mut fate = |_, _, _: &[u8]| vec![1000];
    let mut room = Room::new(&vec![7; 2_000_000], Wish::plain("f"), &mut fate);
    room.logging = false;
    room.run();
    assert_eq!(room.end(), End::TooLong);
    assert!(room.millis() < 3_700_000, "{}", room.millis());
}

/// Of a reader on a slow disk's other side.
const PATIENCE: Duration = Duration::from_secs(9);

/// What becomes of a packet: its copies' delays in milliseconds.
fn fates() -> impl Strategy<Value = Vec<Vec<u64>>> {
    let fate = prop_oneof![
        12 => (1u64..30).prop_map(|d| vec![d]),
        2 => Just(vec![]),
        1 => (1u64..60, 1u64..60).prop_map(|(a, b)| vec![a, b]),
        1 => (1u64..3000).prop_map(|d| vec![d]),
    ];
    prop::collection::vec(fate, 1..200)
}

proptest! {
    // Each case is some hundred kilobytes.
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_file_that_comes_from_the_disk_piece_by_piece_is_the_same_file(
        length in 0usize..300_000, window in 1u16..90, block in 1000u16..1600,
        disk_millis in 0u64..2500, fates in fates(),
    ) {
        let content: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
        let mut next = 0;
        let mut fate = |_, _, _: &[u8]| { next += 1; fates[next % fates.len()].clone() };
        let mut room = Room::new(&content, windowed(block, window), &mut fate);
        room.disk_millis = Some(disk_millis);
        room.logging = false;
        room.run();
        if room.client.outcome() == Some(&Outcome::Complete) {
            prop_assert!(room.client.into_bytes() == content);
        } else {
            let digest = room.digest.clone();
            prop_assert!(digest.is_none_or(|digest| digest.end != End::Complete));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_arrives_whole_is_the_file_and_every_session_ends(
        length in 0usize..6000,
        block in prop::option::of(8u16..1600),
        window in prop::option::of(1u16..20),
        netascii: bool, tsize: bool,
        fates in fates(),
    ) {
        let content: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
        let mode = if netascii { Mode::Netascii } else { Mode::Octet };
        let wish = Wish {
            mode, tsize, block_bytes: block, window_blocks: window, ..Wish::plain("f")
        };
        let mut next = 0;
        let mut fate = |_, _, _: &[u8]| { next += 1; fates[next % fates.len()].clone() };
        let mut room = Room::new(&content, wish, &mut fate);
        room.run();
        let digest = room.digest.clone();
        if room.client.outcome() == Some(&Outcome::Complete) {
            prop_assert_eq!(room.client.into_bytes(), content);
        } else {
            let complete = digest.is_some_and(|digest| digest.end == End::Complete);
            prop_assert!(!complete, "complete here means complete there");
        }
    }

    #[test]
    fn on_a_clean_wire_every_session_is_complete(
        length in 0usize..6000, block in 8u16..1600, window in 1u16..20,
    ) {
        let content: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
        let mut fate = |_, _, _: &[u8]| vec![1];
        let mut room = Room::new(&content, windowed(block, window), &mut fate);
        room.run();
        let digest = room.digest.clone().unwrap();
        prop_assert_eq!(digest.end, End::Complete);
        prop_assert_eq!((digest.bytes, digest.repeats), (length as u64, 0));
        prop_assert_eq!(room.client.into_bytes(), content);
    }

    #[test]
    fn random_datagrams_never_panic_and_never_complete_a_transfer_that_was_not_read(
        datagrams in prop::collection::vec(
            (0u8..8, prop::collection::vec(any::<u8>(), 0..40)), 1..60,
        ),
    ) {
        let now = Clock::System.instant();
        let mut out = Output::default();
        let request = windowed(8, 4).request();
        let asked = (reader(), &request);
        let content = std::sync::Arc::<[u8]>::from([7; 100_000].as_slice());
        let mut server = Transfer::start(asked, content, &limits(), now, &mut out);
        for (opcode, rest) in datagrams {
            out.clear();
            server.on_packet(&[vec![0, opcode], rest].concat(), reader(), now, &mut out);
            prop_assert!(out.datagrams().count() <= 4);
        }
        prop_assert!(server.digest().is_none_or(|digest| digest.end != End::Complete));
    }
}
