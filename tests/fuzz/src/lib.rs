//! Can any bytes knock Greenlight over? The checks, each a plain function over bytes.
//!
//! libFuzzer calls them from `fuzz_targets/`; `tests/it/knocks.rs` calls the same ones for every
//! file of `corpus/`, for all its beginnings and for mutations of it. `docs/fuzzing.md` tells how.

pub mod capture;
pub mod dhcp4;
pub mod dhcp4_session;
pub mod dhcp6;
pub mod dialogue;
pub mod parse;
pub mod scale;
pub mod tape;
pub mod tftp;
pub mod tftp_session;
pub mod written;

use std::time::Duration;

use greenlight::clock::Clock;

#[global_allocator]
static SCALE: scale::Scale = scale::Scale;

/// One thing that hostile bytes are given to.
pub struct Target {
    /// Of the program in `fuzz_targets/` and the folder in `corpus/`.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub check: fn(&[u8]),
    /// What one input may hold in memory at a time: so much for each of its bytes, and so much in
    /// any case.
    pub memory: (usize, usize),
}

const MIB: usize = 1 << 20;

pub const TARGETS: [Target; 9] = [
    // Nothing of a capture is copied; the interfaces of pcapng are remembered.
    Target { name: "capture", check: capture::check, memory: (4, MIB) },
    // A datagram is copied a few times: decoded, encoded again, answered; the first call reads the
    // platform files.
    Target { name: "dhcp4", check: dhcp4::check, memory: (200, 64 * MIB) },
    Target { name: "dhcp4_session", check: dhcp4_session::check, memory: (2000, 4 * MIB) },
    Target { name: "dhcp6", check: dhcp6::check, memory: (400, MIB) },
    Target { name: "dialogue", check: dialogue::check, memory: (200, 128 * MIB) },
    Target { name: "parse", check: parse::check, memory: (1000, 256 * MIB) },
    Target { name: "tftp", check: tftp::check, memory: (100, MIB) },
    // Windows of 128 KiB, several of them on the wire at a time.
    Target { name: "tftp_session", check: tftp_session::check, memory: (2000, 64 * MIB) },
    // Ten lines of aliases may stand for a million nodes, and no more.
    Target { name: "written", check: written::check, memory: (4000, 512 * MIB) },
];

/// For one input, on a slow machine and without optimisation.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Gives `bytes` to the target of this name, and watches its memory and time.
///
/// # Panics
///
/// Where a promise is broken, or there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no target {name}"));
    let (for_each_byte, in_any_case) = target.memory;
    let begun = Clock::System.instant();
    let held = scale::peak_bytes(|| (target.check)(bytes));
    let bound = in_any_case + for_each_byte * bytes.len();
    assert!(held <= bound, "{name}: {} bytes took {held} bytes of memory", bytes.len());
    if Clock::System.instant().duration_since(begun) < TIME_MAX {
        return;
    }
    // Either the input is slow or the machine has been busy with something else.
    let before = scale::processor_time();
    (target.check)(bytes);
    let took = scale::processor_time().saturating_sub(before);
    assert!(took < TIME_MAX, "{name}: {} bytes took {took:?}", bytes.len());
}
