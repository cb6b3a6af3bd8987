//! Why is a request taken for this platform? What was looked at, and every platform that fits.

use std::collections::BTreeMap;

use crate::address::Mac;
use crate::platform::Platforms;
use crate::platform::recognition::{Clues, Field};

/// What there is to know about one request, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What conditions can look at and the request holds: `60 vendor class` and its text. Text of
    /// strangers, shown with every byte outside printable ASCII escaped.
    pub seen: Vec<(String, String)>,
    /// Every platform with a rule that holds, the one that counts first.
    pub fits: Vec<Fit>,
}

/// One platform that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    pub id: String,
    /// What its rule looked at: more conditions weigh more.
    pub by: Vec<String>,
    pub clues: Clues,
}

impl Platforms {
    /// Explains the joined options of a DHCPv4 request (RFC 3396). The first fit is what
    /// [`Platforms::recognise`] says.
    pub fn explain(&self, options: &BTreeMap<u8, Vec<u8>>, mac: Mac) -> Explanation {
        let mut fits: Vec<Fit> = Vec::new();
        for platform in self.by_id.values() {
            let holding = platform.recognition.iter().filter_map(|rule| {
                let clues = rule.matches(options, mac)?;
                let by: Vec<String> = rule.conditions.iter().map(|c| c.field.title()).collect();
                Some(Fit { id: platform.id.clone(), by, clues })
            });
            let mut best: Option<Fit> = None;
            for fit in holding.filter(|fit| !fit.by.is_empty()) {
                if best.as_ref().is_none_or(|best| fit.by.len() > best.by.len()) {
                    best = Some(fit);
                }
            }
            fits.extend(best);
        }
        // Stable: equals stay in the order of their ids.
        fits.sort_by_key(|fit| std::cmp::Reverse(fit.by.len()));
        Explanation { seen: seen(options, mac), fits }
    }
}

fn seen(options: &BTreeMap<u8, Vec<u8>>, mac: Mac) -> Vec<(String, String)> {
    let mut seen = vec![(Field::Mac.title(), mac.to_string())];
    for (code, field) in [
        (12, Field::HostName.title()),
        (60, Field::VendorClass.title()),
        (61, Field::ClientId.title()),
        (77, Field::UserClass.title()),
        (124, "124 vendor-identifying class".to_owned()),
    ] {
        seen.extend(options.get(&code).map(|raw| (field, raw.escape_ascii().to_string())));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac::new([0xb4, 0x14, 0x89, 0x6c, 0x12, 0xc0]);

    #[test]
    fn the_first_fit_is_what_recognition_says() {
        let platforms = Platforms::built_in();
        let class = |code: u8, text: &[u8]| (code, text.to_vec());
        for options in [
            BTreeMap::from([class(60, b"ciscopnp"), class(61, b"\0cisco-b414.896c.12c0-Vl1")]),
            BTreeMap::from([class(60, b"Arista;DCS-7050S-64;01.23;JPE12345678")]),
            BTreeMap::from([class(12, b"sonic"), class(77, b"SONiC-ZTP")]),
            BTreeMap::from([class(60, b"MSFT 5.0")]),
            BTreeMap::new(),
        ] {
            let explained = platforms.explain(&options, MAC);
            let recognised = platforms.recognise(&options, MAC);
            let first = explained.fits.first().map(|fit| fit.id.clone());
            assert_eq!(first, recognised.as_ref().map(|found| found.platform.id.clone()));
            let serial = explained.fits.first().and_then(|fit| fit.clues.serial.clone());
            assert_eq!(serial, recognised.and_then(|found| found.serial));
        }
    }

    #[test]
    fn all_that_fit_are_named_and_strangers_bytes_are_escaped() {
        let raw = b"\0cisco-b414.896c.12c0-Vl1".to_vec();
        let options = BTreeMap::from([(60, b"ciscopnp".to_vec()), (61, raw)]);
        let explained = Platforms::built_in().explain(&options, MAC);
        let ids: Vec<&str> = explained.fits.iter().map(|fit| fit.id.as_str()).collect();
        assert_eq!(ids, ["cisco_iosxe", "cisco_ios"]);
        assert_eq!(explained.fits[0].by, ["60 vendor class", "61 client id"]);
        let client_id = ("61 client id".to_owned(), r"\x00cisco-b414.896c.12c0-Vl1".to_owned());
        assert!(explained.seen.contains(&client_id), "{:?}", explained.seen);
    }
}
