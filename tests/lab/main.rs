//! The lab: real devices boot from Greenlight in network namespaces, with real cables between them.
//!
//! Needs root and the packages of `tests/lab/prepare`; `./test` sees to both and runs the stories
//! with `--run-ignored`. Each story has namespaces of its own and leaves none behind.

mod asking;
mod cabling;
mod device;
mod dhcp6_clients;
mod dhcp_clients;
mod itself;
mod net;
mod relays;
mod relays6;
mod room;
mod server;
mod site;
mod slack;
mod stories;
mod tftp_clients;
mod upstream;

use std::time::Duration;

use greenlight::clock::Clock;

/// How much slower than thought a machine may be before a story fails of impatience.
const SLOWEST: u64 = 3;

/// Asks again and again until there is an answer, which is thought to come within `seconds`; panics
/// with the last refusal when it is not there after three times as long.
#[track_caller]
pub fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let clock = Clock::System;
    let seconds = seconds * SLOWEST;
    let deadline = clock.instant() + Duration::from_secs(seconds);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(_) if clock.instant() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(why) => panic!("{what}: not within {seconds} s; at the end:\n{why}"),
        }
    }
}
