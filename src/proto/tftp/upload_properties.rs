//! What holds for every upload, whatever the wire, the disk and the writer do.

use proptest::prelude::*;

use super::Output;
use super::packet::Mode;
use super::timetable::limits;
use super::upload::{End, Upload, Write};
use super::upload_timetable::{Room, windowed, writer};
use super::writer::{Offer, Outcome};
use crate::clock::Clock;

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
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_acknowledged_is_stored_whole_and_every_session_ends(
        length in 0usize..6000,
        block in prop::option::of(8u16..1600),
        window in prop::option::of(1u16..20),
        netascii: bool, tsize: bool, disk_millis in 0u64..400,
        fates in fates(),
    ) {
        let file: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
        let mode = if netascii { Mode::Netascii } else { Mode::Octet };
        let offer = Offer {
            mode, tsize, block_bytes: block, window_blocks: window, ..Offer::plain("f")
        };
        let mut next = 0;
        let mut fate = |_, _, _: &[u8]| { next += 1; fates[next % fates.len()].clone() };
        let mut room = Room::new(&file, offer, &mut fate);
        room.disk_millis = disk_millis;
        room.run();
        prop_assert!(room.honest, "success before it was stored");
        if room.stored {
            prop_assert_eq!(&room.file, &file);
        } else {
            prop_assert_ne!(room.client.outcome(), Some(&Outcome::Complete));
        }
    }

    #[test]
    fn on_a_clean_wire_every_upload_is_stored_without_a_repeat(
        length in 0usize..6000, block in 8u16..1600, window in 1u16..20,
    ) {
        let file: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
        let mut fate = |_, _, _: &[u8]| vec![1];
        let mut room = Room::new(&file, windowed(block, window), &mut fate);
        room.run();
        prop_assert_eq!(room.client.outcome(), Some(&Outcome::Complete));
        let digest = room.digest.clone().unwrap();
        prop_assert_eq!(digest.end, End::Stored);
        prop_assert_eq!((digest.bytes, digest.repeats), (length as u64, 0));
        prop_assert_eq!(&room.file, &file);
    }

    #[test]
    fn random_datagrams_never_panic_and_take_no_more_than_the_bound(
        datagrams in prop::collection::vec(
            (0u8..8, prop::collection::vec(any::<u8>(), 0..40)), 1..60,
        ),
    ) {
        let now = Clock::System.instant();
        let mut out = Output::default();
        let request = windowed(8, 4).request(0);
        let mut upload = Upload::start((writer(), &request), 64, &limits(), now, &mut out);
        for (opcode, rest) in datagrams {
            out.clear();
            upload.on_packet(&[vec![0, opcode], rest].concat(), writer(), now, &mut out);
            prop_assert!(out.datagrams().count() <= 1);
            if let Some(Write::Append(piece) | Write::Finish(piece)) = upload.next_write() {
                prop_assert!(piece.len() <= 64);
            }
        }
    }
}
