//! May one more address rest because a device declined it?

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;

/// Addresses at rest that one device declined. A device with some ports meets no more squatters at
/// a time; whoever declines on and on with its name must not empty a pool.
pub const RESTS_MAX: usize = 4;

/// The rests of each device. Those of strangers are on the account of strangers.
#[derive(Debug, Default)]
pub struct Rests {
    of: HashMap<Box<str>, Declined>,
}

#[derive(Debug, Default)]
struct Declined {
    ends: Vec<Timestamp>,
    /// It was said that there are too many.
    told: bool,
}

impl Rests {
    /// When the rest of an address ends that a device declined now: at once if too many rest.
    pub fn begin(
        &mut self,
        device: &str,
        address: impl Into<IpAddr>,
        (now, rests): (Timestamp, Duration),
    ) -> Timestamp {
        self.of.retain(|_, declined| {
            declined.ends.retain(|end| *end > now);
            !declined.ends.is_empty()
        });
        let declined = self.of.entry(device.into()).or_default();
        if declined.ends.len() < RESTS_MAX {
            let end = now.plus(rests);
            declined.ends.push(end);
            return end;
        }
        if !std::mem::replace(&mut declined.told, true) {
            let address = address.into();
            tracing::warn!(
                device,
                %address,
                "{RESTS_MAX} addresses rest already that this device declined: this one and the \
                 next ones go back into use at once"
            );
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_four_rests_at_a_time_and_again_when_they_are_over() {
        let rests = Duration::from_secs(600);
        let at = Timestamp::from_seconds;
        let mut counted = Rests::default();
        let mut begin = |device: &str, now| {
            let address: IpAddr = "10.0.0.9".parse().unwrap();
            counted.begin(device, address, (at(now), rests))
        };
        for now in 1..=4 {
            assert_eq!(begin("core1", now), at(now + 600));
        }
        assert_eq!((begin("core1", 5), begin("core1", 600)), (at(5), at(600)));
        assert_eq!(begin("edge1", 600), at(1200), "another device has its own");
        assert_eq!((begin("core1", 601), begin("core1", 601)), (at(1201), at(601)));
    }
}
