//! Downloads, by timetable.

use super::*;

#[test]
fn a_file_of_exactly_one_block_ends_with_an_empty_one() {
    let digest = check(
        &[7; 512],
        Wish::plain("network-confg"),
        &[],
        "
        0 -> RRQ network-confg
        5 <- DATA 1 (512)
        10 -> ACK 1
        15 <- DATA 2 (0)
        20 -> ACK 2",
    );
    assert_eq!(digest, Digest { bytes: 512, blocks: 2, repeats: 0, end: End::Complete });
}

#[test]
fn an_empty_file_is_one_empty_block() {
    check(
        b"",
        Wish::plain("f"),
        &[],
        "
        0 -> RRQ f
        5 <- DATA 1 (0)
        10 -> ACK 1",
    );
}

#[test]
fn tsize_tells_the_length_after_the_line_ends_were_converted() {
    let wish = Wish { tsize: true, mode: Mode::Netascii, ..Wish::plain("f") };
    let digest = check(
        b"a\nb\n",
        wish,
        &[],
        "
        0 -> RRQ f tsize=0
        5 <- OACK tsize=6
        10 -> ACK 0
        15 <- DATA 1 (6)
        20 -> ACK 1",
    );
    assert_eq!(digest.bytes, 4);
}

#[test]
fn a_lost_first_block_of_a_window_is_sent_again_without_waiting() {
    let digest = check(
        &[7; 40],
        windowed(8, 4),
        &[(Way::Down, 1)],
        "
        0 -> RRQ network-confg blksize=8 windowsize=4
        5 <- OACK blksize=8 windowsize=4
        10 -> ACK 0
        15 <- DATA 1 (8) (lost)
        15 <- DATA 2 (8)
        15 <- DATA 3 (8)
        15 <- DATA 4 (8)
        20 -> ACK 0
        25 <- DATA 1 (8)
        25 <- DATA 2 (8)
        25 <- DATA 3 (8)
        25 <- DATA 4 (8)
        30 -> ACK 4
        35 <- DATA 5 (8)
        35 <- DATA 6 (0)
        40 -> ACK 6",
    );
    assert_eq!(digest.repeats, 4);
}

#[test]
fn a_gap_inside_a_window_is_filled_without_waiting() {
    check(
        &[7; 40],
        windowed(8, 4),
        &[(Way::Down, 2)],
        "
        0 -> RRQ network-confg blksize=8 windowsize=4
        5 <- OACK blksize=8 windowsize=4
        10 -> ACK 0
        15 <- DATA 1 (8)
        15 <- DATA 2 (8) (lost)
        15 <- DATA 3 (8)
        15 <- DATA 4 (8)
        20 -> ACK 1
        25 <- DATA 2 (8)
        25 <- DATA 3 (8)
        25 <- DATA 4 (8)
        25 <- DATA 5 (8)
        30 -> ACK 5
        35 <- DATA 6 (0)
        40 -> ACK 6",
    );
}

#[test]
fn a_lost_ack_costs_one_timeout_of_ours() {
    let digest = check(
        &[7; 600],
        Wish { patience: Duration::from_secs(5), ..Wish::plain("f") },
        &[(Way::Up, 1)],
        "
        0 -> RRQ f
        5 <- DATA 1 (512)
        10 -> ACK 1 (lost)
        2005 <- DATA 1 (512)
        2010 -> ACK 1
        2015 <- DATA 2 (88)
        2020 -> ACK 2",
    );
    assert_eq!(digest.repeats, 1);
}

#[test]
fn a_lost_last_ack_is_said_again_by_a_reader_that_is_done() {
    check(
        &[7; 3],
        Wish::plain("f"),
        &[(Way::Up, 1)],
        "
        0 -> RRQ f
        5 <- DATA 1 (3)
        10 -> ACK 1 (lost)
        2005 <- DATA 1 (3)
        2010 -> ACK 1",
    );
}

#[test]
fn a_doubled_ack_never_doubles_a_block() {
    let mut fate = |way, _, _: &[u8]| if way == Way::Up { vec![5, 5] } else { vec![5] };
    let mut room = Room::new(&[7; 5000], Wish::plain("f"), &mut fate);
    room.run();
    let sent = room.log.iter().filter(|line| line.contains("DATA")).count();
    // Ten blocks, and the first twice: its request came twice.
    assert_eq!((sent, room.end()), (11, End::Complete));
}

#[test]
fn doubling_of_one_window_dies_out_instead_of_running_to_the_end() {
    let mut acks = 0;
    let mut fate = |way, _, bytes: &[u8]| {
        let ack = way == Way::Up && matches!(Packet::decode(bytes), Ok(Packet::Ack { .. }));
        acks += usize::from(ack);
        if ack && acks == 3 { vec![5, 6] } else { vec![5] }
    };
    let mut room = Room::new(&[7; 8 * 400], windowed(8, 4), &mut fate);
    room.run();
    let digest = room.digest.clone().unwrap();
    assert_eq!(digest.end, End::Complete);
    assert_eq!(digest.repeats, 4, "{}", room.log.join("\n"));
}

#[test]
fn an_error_of_the_reader_ends_the_transfer_at_once() {
    let stop = Stop::ErrorAfter { blocks: 2 };
    let digest = check(
        &[7; 5000],
        Wish { stop, ..Wish::plain("f") },
        &[],
        "
        0 -> RRQ f
        5 <- DATA 1 (512)
        10 -> ACK 1
        15 <- DATA 2 (512)
        20 -> ERROR 0 stopped by the reader",
    );
    assert_eq!((digest.bytes, digest.blocks), (512, 1));
    assert_eq!(digest.end.to_string(), "the reader sent error 0: stopped by the reader");
}

#[test]
fn an_error_instead_of_an_ack_for_the_oack_ends_it_at_once() {
    let stop = Stop::ErrorAfter { blocks: 0 };
    check(
        &[7; 9],
        Wish { stop, tsize: true, ..Wish::plain("f") },
        &[],
        "
        0 -> RRQ f tsize=0
        5 <- OACK tsize=9
        10 -> ERROR 0 stopped by the reader",
    );
}

#[test]
fn a_reader_that_falls_silent_is_given_up() {
    let stop = Stop::SilenceAfter { blocks: 1 };
    let digest = check(
        &[7; 5000],
        Wish { stop, ..Wish::plain("f") },
        &[],
        "
        0 -> RRQ f
        5 <- DATA 1 (512)
        2005 <- DATA 1 (512)
        4005 <- DATA 1 (512)
        6005 <- DATA 1 (512)
        8005 <- DATA 1 (512)
        10005 <- ERROR 0 the reader was silent through 5 waits",
    );
    assert_eq!((digest.end, digest.repeats), (End::Silent { waits: 5 }, 4));
}

#[test]
fn an_unanswered_oack_is_sent_again_and_given_up() {
    let stop = Stop::SilenceAfter { blocks: 0 };
    let wish = Wish { stop, timeout_seconds: Some(1), ..Wish::plain("f") };
    check(
        &[7; 9],
        wish,
        &[],
        "
        0 -> RRQ f timeout=1
        5 <- OACK timeout=1
        1005 <- OACK timeout=1
        2005 <- OACK timeout=1
        3005 <- OACK timeout=1
        4005 <- OACK timeout=1
        5005 <- ERROR 0 the reader was silent through 5 waits",
    );
}

#[test]
fn a_reader_that_never_acknowledges_options_is_served_without_them() {
    let wish = Wish { tsize: true, stop: Stop::IgnoresOack, ..Wish::plain("f") };
    let mut fate = |_, _, _: &[u8]| vec![5];
    let mut room = Room::new(&[7; 600], wish, &mut fate);
    room.run();
    assert_eq!(room.end(), End::Complete, "{}", room.log.join("\n"));
    assert!(room.log.last().unwrap().ends_with("ACK 2"));
    assert_eq!(room.client.into_bytes(), [7; 600]);
}

#[test]
fn a_stranger_leaves_the_transfer_alone() {
    let mut fate = |_, _, _: &[u8]| vec![5];
    let mut room = Room::new(&[7; 600], Wish::plain("f"), &mut fate);
    while room.server.is_none() {
        room.step();
    }
    let stranger: SocketAddr = "10.77.0.66:1".parse().unwrap();
    for (bytes, answer) in [
        (&b"\0\x04\0\x01"[..], vec!["ERROR 5 no transfer of yours is here"]),
        (&b"\xff\xff"[..], vec!["ERROR 5 no transfer of yours is here"]),
        (&b"\0\x05\0\0bye\0"[..], vec![]),
    ] {
        let mut out = Output::default();
        room.server.as_mut().unwrap().on_packet(bytes, stranger, room.now, &mut out);
        let told: Vec<String> = out
            .datagrams()
            .map(|(to, bytes)| {
                assert_eq!(to, stranger);
                told(bytes)
            })
            .collect();
        assert_eq!(told, answer);
    }
    room.run();
    assert_eq!(room.end(), End::Complete);
}
