//! What is said of somebody who asks and has no run?

use crate::clock::Timestamp;
use crate::domain::fault::Fault;
use crate::domain::notice::clean::{TEXT_CHARS_MAX, clean};
use crate::domain::notice::words::{Fill, Words};
use crate::domain::notice::{Kind, Notice};

/// A sighting that is told.
#[derive(Debug, Clone, Copy)]
pub struct SightingTold<'a> {
    /// The same for the same asker.
    pub key: &'a str,
    /// [`Fault::UnknownDevice`] or [`Fault::Duplicate`].
    pub fault: Fault,
    pub serial: Option<&'a str>,
    pub port: Option<&'a str>,
    pub now: Timestamp,
}

impl Words {
    /// The one message about a sighting. Its `run` is no run: it only keeps the message to one.
    pub fn of_sighting(&self, told: &SightingTold<'_>) -> Notice {
        let mut fill = Fill::default();
        fill.set("device", &self.this_switch)
            .set("found", told.serial.unwrap_or_default())
            .set("port", told.port.unwrap_or_default());
        let (headline, body) = fill.message(self.of(told.fault));
        Notice {
            run: format!("sighting/{}", clean(told.key, TEXT_CHARS_MAX)),
            seq: 0,
            at: told.now,
            device: told.serial.map_or_else(|| clean(told.key, 64), |serial| clean(serial, 64)),
            site: String::new(),
            location: told.port.map(|port| clean(port, 64)).unwrap_or_default(),
            kind: Kind::Started,
            headline,
            body,
            fault: Some(told.fault),
            act: told.fault.code().to_owned(),
            checklist: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_asked_after_by_serial_and_port_and_cannot_write_mentions() {
        let mut told = SightingTold {
            key: "02:00:00:00:00:01",
            fault: Fault::UnknownDevice,
            serial: Some("FDO1234\u{1b}[2J"),
            port: Some("12"),
            now: Timestamp::from_seconds(1000),
        };
        let notice = Words::english().of_sighting(&told);
        assert!(notice.headline.contains("port 12"), "{}", notice.headline);
        assert!(notice.headline.ends_with("Tell me which one it is."), "{}", notice.headline);
        assert!(!notice.headline.chars().any(char::is_control));
        told.serial = None;
        told.port = None;
        let bare = Words::english().of_sighting(&told);
        assert_eq!(bare.headline, "A switch we don't know asks for help. Tell me which one it is.");
        assert_eq!(bare.run, notice.run, "one message for one asker");
    }
}
