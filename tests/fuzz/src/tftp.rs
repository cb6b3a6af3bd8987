//! One TFTP datagram: read, written again, its options agreed.

use std::time::Duration;

use greenlight::proto::tftp::negotiate::{Agreed, Limits, PLAIN_BLOCK_BYTES};
use greenlight::proto::tftp::packet::{
    ERROR_TEXT_BYTES_MAX, OPTIONS_MAX, Packet, REQUEST_BYTES_MAX, Request, shown,
};

pub fn check(bytes: &[u8]) {
    let packet = match Packet::decode(bytes) {
        Ok(packet) => packet,
        Err(error) => return assert!(error.to_string().len() < 400, "{error}"),
    };
    match &packet {
        Packet::Read(request) | Packet::Write(request) => asked(request, bytes.len()),
        Packet::Error { text, .. } => {
            assert!(text.len() <= ERROR_TEXT_BYTES_MAX);
            let words = shown(text);
            assert!(!words.chars().any(char::is_control), "{words:?}");
            assert!(words.len() <= 10 * ERROR_TEXT_BYTES_MAX);
        }
        Packet::OptionAck(options) => assert!(options.len() <= OPTIONS_MAX),
        Packet::Data { bytes: data, .. } => assert_eq!(data.len() + 4, bytes.len()),
        Packet::Ack { .. } | Packet::Other { .. } => {}
    }
    let mut written = Vec::new();
    packet.encode(&mut written);
    // An ERROR may lack the zero byte behind its text.
    assert!(written.len() <= bytes.len() + 1, "longer than what was read");
    let again = Packet::decode(&written).expect("what we write can be read");
    assert_eq!(again, packet);
}

pub fn limits() -> Limits {
    Limits {
        block_bytes_max: 1428,
        window_blocks_max: 16,
        timeout: Duration::from_secs(2),
        timeout_min: Duration::from_millis(50),
        timeout_max: Duration::from_secs(30),
        retries_max: 5,
        total_max: Duration::from_secs(600),
    }
}

fn asked(request: &Request, length: usize) {
    assert!(length <= REQUEST_BYTES_MAX && request.options.len() <= OPTIONS_MAX);
    let name = request.name_shown();
    assert!(!name.chars().any(char::is_control), "{name:?}");
    assert!(name.len() <= 10 * length);
    if let Err((_, told)) = request.readable_mode() {
        assert!(told.len() < ERROR_TEXT_BYTES_MAX);
    }
    let limits = limits();
    let agreed = Agreed::new(request, &limits, u64::MAX);
    assert!((8..=limits.block_bytes_max).contains(&agreed.block_bytes));
    assert!((1..=limits.window_blocks_max).contains(&agreed.window_blocks));
    assert!(agreed.timeout <= limits.timeout_max && !agreed.timeout.is_zero());
    assert!(agreed.answer.len() <= 4);
    for option in &agreed.answer {
        let name = String::from_utf8_lossy(&option.name).to_lowercase();
        assert!(request.option(&name).is_some(), "{name} was not asked for");
        assert!(option.number().is_some());
    }
    let mut answer = Vec::new();
    Packet::OptionAck(agreed.answer).encode(&mut answer);
    // `tsize` has 20 digits at most.
    assert!(answer.len() <= length + 20, "the OACK amplifies");
    let plain = Agreed::new(&request.without_options(), &limits, 0);
    assert_eq!((plain.block_bytes, plain.window_blocks), (PLAIN_BLOCK_BYTES, 1));
}
