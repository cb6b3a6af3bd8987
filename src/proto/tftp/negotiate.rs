//! Which options of a read request are agreed (RFC 2347), within our bounds.

use std::time::Duration;

use super::packet::{Opt, Packet, Request};

/// Without `blksize` a block has 512 bytes (RFC 1350 section 2).
pub const PLAIN_BLOCK_BYTES: u16 = 512;

/// The smallest and largest block of RFC 2348.
const BLOCK_BYTES: std::ops::RangeInclusive<u64> = 8..=65464;

/// One window is never larger, whatever block and window are agreed: one ACK sets it free at once,
/// and it has to fit into the send buffer that Linux gives by default (`net.core.wmem_default`, 208
/// KiB).
const WINDOW_BYTES_MAX: u64 = 128 << 10;

/// What a server grants at most.
#[derive(Debug, Clone)]
pub struct Limits {
    pub block_bytes_max: u16,
    pub window_blocks_max: u16,
    /// The wait for an ACK, unless the client names another, and as long as it was not heard yet.
    pub timeout: Duration,
    /// The wait for an ACK of a client that answers quickly.
    pub timeout_min: Duration,
    /// A longer `timeout` is not agreed: it would keep a dead transfer for hours.
    pub timeout_max: Duration,
    /// Waits in a row that bring nothing, before the transfer is given up.
    pub retries_max: u32,
    /// For the whole transfer.
    pub total_max: Duration,
}

/// How one transfer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    pub block_bytes: u16,
    pub window_blocks: u16,
    pub timeout: Duration,
    /// The client names no `timeout`, so that the wait follows the speed of its answers.
    pub adapts: bool,
    /// What the OACK says, in the order and spelling of the request; empty: no OACK.
    pub answer: Vec<Opt>,
}

impl Agreed {
    /// RFC 1350 alone.
    pub fn plain(limits: &Limits) -> Self {
        Self {
            block_bytes: PLAIN_BLOCK_BYTES,
            window_blocks: 1,
            timeout: limits.timeout,
            adapts: true,
            answer: Vec::new(),
        }
    }

    /// The answer as a packet, once: a transfer keeps it in one piece. Empty: no OACK.
    pub fn take_oack(&mut self) -> Box<[u8]> {
        let options = std::mem::take(&mut self.answer);
        let mut bytes = Vec::new();
        if !options.is_empty() {
            Packet::OptionAck(options).encode(&mut bytes);
        }
        bytes.into_boxed_slice()
    }

    /// Options we do not know, and values that are no number or out of their range, are left out of
    /// the answer, which refuses them (RFC 2347). `wire_bytes` is the answer to `tsize`.
    pub fn new(request: &Request, limits: &Limits, wire_bytes: u64) -> Self {
        let mut agreed = Self::plain(limits);
        let mut seen: Vec<&str> = Vec::new();
        for option in &request.options {
            let known = ["blksize", "timeout", "tsize", "windowsize"];
            let Some(name) = known.into_iter().find(|name| option.is(name)) else { continue };
            let Some(asked) = option.number().filter(|_| !seen.contains(&name)) else { continue };
            seen.push(name);
            if let Some(value) = agreed.take(name, asked, limits, wire_bytes) {
                let value = value.to_string().into_bytes();
                agreed.answer.push(Opt { name: option.name.clone(), value });
            }
        }
        let window_blocks_max = WINDOW_BYTES_MAX / u64::from(agreed.block_bytes);
        let window_blocks = u64::from(agreed.window_blocks).min(window_blocks_max.max(1));
        agreed.window_blocks = u16::try_from(window_blocks).unwrap_or(1);
        for option in agreed.answer.iter_mut().filter(|option| option.is("windowsize")) {
            option.value = agreed.window_blocks.to_string().into_bytes();
        }
        agreed
    }

    /// The value to answer with; `None` leaves the option out.
    fn take(&mut self, name: &str, asked: u64, limits: &Limits, wire_bytes: u64) -> Option<u64> {
        match name {
            "blksize" if asked >= *BLOCK_BYTES.start() => {
                let granted =
                    asked.min(*BLOCK_BYTES.end()).min(limits.block_bytes_max.into()).max(8);
                self.block_bytes = u16::try_from(granted).ok()?;
                Some(granted)
            }
            // RFC 2349: the answer is the same value or none.
            "timeout" if (1..=255).contains(&asked) && asked <= limits.timeout_max.as_secs() => {
                self.timeout = Duration::from_secs(asked);
                self.adapts = false;
                Some(asked)
            }
            "tsize" => Some(wire_bytes),
            "windowsize" if (1..=65535).contains(&asked) => {
                // Half the number space at most, so that an ACK is never ambiguous after the
                // rollover.
                let cap = limits.window_blocks_max.clamp(1, 0x7FFF);
                self.window_blocks = u16::try_from(asked.min(cap.into())).ok()?;
                Some(self.window_blocks.into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::tftp::packet::Mode;

    fn limits() -> Limits {
        Limits {
            block_bytes_max: 1428,
            window_blocks_max: 16,
            timeout: Duration::from_secs(2),
            timeout_min: Duration::from_millis(50),
            timeout_max: Duration::from_secs(10),
            retries_max: 5,
            total_max: Duration::from_secs(600),
        }
    }

    fn answer(options: &[(&str, &str)], limits: &Limits) -> (Agreed, String) {
        let opt = |(name, value): &(&str, &str)| Opt {
            name: name.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
        };
        let options = options.iter().map(opt).collect();
        let request = Request { name: b"f".to_vec(), mode: Mode::Octet, options };
        let agreed = Agreed::new(&request, limits, 4711);
        let text = |o: &Opt| {
            format!("{}={}", String::from_utf8_lossy(&o.name), String::from_utf8_lossy(&o.value))
        };
        let line = agreed.answer.iter().map(text).collect::<Vec<_>>().join(" ");
        (agreed, line)
    }

    #[test]
    fn options_are_agreed_within_our_bounds_and_others_left_out() {
        let cases: [(&[(&str, &str)], &str); 9] = [
            (
                &[("tsize", "0"), ("blksize", "512"), ("timeout", "6")],
                "tsize=4711 blksize=512 timeout=6",
            ),
            (&[("BLKSIZE", "65464"), ("WindowSize", "64")], "BLKSIZE=1428 WindowSize=16"),
            (&[("blksize", "7"), ("timeout", "0"), ("windowsize", "0")], ""),
            (&[("timeout", "11")], ""),
            (&[("timeout", "255")], ""),
            (&[("blksize", "-1"), ("tsize", ""), ("windowsize", "1e3")], ""),
            (&[("blksize", "99999999999999999999999")], ""),
            (&[("multicast", ""), ("rollover", "0"), ("blksize2", "1024")], ""),
            (&[("blksize", "8"), ("blksize", "1000")], "blksize=8"),
        ];
        for (options, expected) in cases {
            assert_eq!(answer(options, &limits()).1, expected, "{options:?}");
        }
    }

    #[test]
    fn a_window_always_fits_into_the_send_buffer() {
        let wide = Limits { block_bytes_max: 65464, window_blocks_max: 65535, ..limits() };
        let (agreed, line) = answer(&[("windowsize", "65535"), ("blksize", "65464")], &wide);
        assert_eq!((agreed.block_bytes, agreed.window_blocks), (65464, 2));
        assert_eq!(line, "windowsize=2 blksize=65464");
    }
}
