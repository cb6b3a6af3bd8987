//! Whose request is this? A platform's conditions on a DHCPv4 request. Options are bytes from
//! strangers.

use std::collections::BTreeMap;

use regex::bytes::Regex;

use crate::address::Mac;

/// Longest serial or model that is believed, in characters. RFC 2132 leaves 255 to an option.
const CLUE_CHARACTERS_MAX: usize = 64;

/// One way a platform's request may look: all conditions hold.
#[derive(Debug)]
pub struct Rule {
    pub conditions: Vec<Condition>,
}

/// One condition. The groups `serial` and `model` of its pattern tell those.
#[derive(Debug)]
pub struct Condition {
    pub field: Field,
    pub pattern: Regex,
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Option 12, the host name (RFC 2132 section 3.14).
    HostName,
    /// Option 60, the vendor class identifier (RFC 2132 section 9.13).
    VendorClass,
    /// Option 61, the client identifier with its type byte (RFC 2132 section 9.14).
    ClientId,
    /// Option 77, the user class (RFC 3004): as sent by those who forget the lengths, or any
    /// instance of it.
    UserClass,
    /// Option 124, the vendor-identifying class (RFC 3925 section 3) of this enterprise.
    VendorIdentifying { enterprise: u32 },
    /// The hardware address, written `aa:bb:cc:dd:ee:ff`.
    Mac,
}

/// The HTTP request headers in which a device tells who it is, the first one present counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityHeaders {
    pub serial: Vec<String>,
    pub model: Vec<String>,
    pub mac: Vec<String>,
}

impl IdentityHeaders {
    /// Serial, model and hardware address as a device wrote them. The case of header names means
    /// nothing.
    pub fn read(&self, headers: &[(String, String)]) -> HeaderClues {
        // IOS-XR says how it encodes its values, without a language.
        let bare = |value: &str| {
            let value = value.trim();
            let prefixed = value.get(..7).is_some_and(|at| at.eq_ignore_ascii_case("UTF-8''"));
            printable(if prefixed { &value[7..] } else { value }.as_bytes())
        };
        let all = |names: &[String]| -> Vec<String> {
            let values = names.iter().flat_map(|name| {
                headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name))
            });
            values.filter_map(|(_, value)| bare(value)).collect()
        };
        HeaderClues {
            // No serial has a space in it; a model's name may.
            serial: all(&self.serial).into_iter().find(|serial| !serial.contains(' ')),
            model: all(&self.model).into_iter().next(),
            mac: all(&self.mac).iter().find_map(|text| text.parse().ok()),
        }
    }
}

/// What the headers of an HTTP request tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderClues {
    pub serial: Option<String>,
    pub model: Option<String>,
    pub mac: Option<Mac>,
}

/// What a matching rule tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clues {
    pub serial: Option<String>,
    pub model: Option<String>,
}

impl Rule {
    /// The clues if every condition holds.
    pub fn matches(&self, options: &BTreeMap<u8, Vec<u8>>, mac: Mac) -> Option<Clues> {
        let mut clues = Clues::default();
        for condition in &self.conditions {
            let found = condition
                .field
                .texts(options, mac)
                .into_iter()
                .find_map(|text| condition.matches(&text))?;
            clues.serial = clues.serial.or(found.serial);
            clues.model = clues.model.or(found.model);
        }
        Some(clues)
    }
}

impl Condition {
    fn matches(&self, text: &[u8]) -> Option<Clues> {
        let captures = self.pattern.captures(text)?;
        let clue = |group| captures.name(group).and_then(|found| printable(found.as_bytes()));
        Some(Clues { serial: clue("serial"), model: clue("model") })
    }
}

impl Field {
    /// Where it stands in a request, for people.
    pub fn title(self) -> String {
        match self {
            Field::HostName => "12 host name".to_owned(),
            Field::VendorClass => "60 vendor class".to_owned(),
            Field::ClientId => "61 client id".to_owned(),
            Field::UserClass => "77 user class".to_owned(),
            Field::VendorIdentifying { enterprise } => format!("124 class of {enterprise}"),
            Field::Mac => "MAC".to_owned(),
        }
    }

    fn texts(self, options: &BTreeMap<u8, Vec<u8>>, mac: Mac) -> Vec<Vec<u8>> {
        let option = |code: u8| options.get(&code).cloned().into_iter().collect::<Vec<_>>();
        match self {
            Field::HostName => option(12),
            Field::VendorClass => option(60),
            Field::ClientId => option(61),
            Field::UserClass => {
                let mut texts = option(77);
                let instances: Vec<Vec<u8>> =
                    texts.iter().flat_map(|raw| user_classes(raw)).collect();
                texts.extend(instances);
                texts
            }
            Field::VendorIdentifying { enterprise } => {
                option(124).iter().flat_map(|raw| vendor_classes(raw, enterprise)).collect()
            }
            Field::Mac => vec![mac.to_string().into_bytes()],
        }
    }
}

/// RFC 3004 section 4: instances of one length byte and data each. Nothing if the lengths do not
/// add up.
fn user_classes(mut raw: &[u8]) -> Vec<Vec<u8>> {
    let mut classes = Vec::new();
    while let Some((length, rest)) = raw.split_first() {
        let Some((class, rest)) = rest.split_at_checked(usize::from(*length)) else {
            return Vec::new();
        };
        classes.push(class.to_vec());
        raw = rest;
    }
    classes
}

/// RFC 3925 section 3: four bytes of enterprise, one of length, data. What is cut short is left
/// out.
fn vendor_classes(mut raw: &[u8], enterprise: u32) -> Vec<Vec<u8>> {
    let mut classes = Vec::new();
    while let Some((head, rest)) = raw.split_first_chunk::<5>() {
        let [a, b, c, d, length] = *head;
        let Some((data, rest)) = rest.split_at_checked(usize::from(length)) else { break };
        if u32::from_be_bytes([a, b, c, d]) == enterprise {
            classes.push(data.to_vec());
        }
        raw = rest;
    }
    classes
}

/// A clue is printable ASCII of a believable length, or it is none.
fn printable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let fits = !text.is_empty() && text.len() <= CLUE_CHARACTERS_MAX;
    (fits && text.bytes().all(|b| (b' '..=b'~').contains(&b))).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: Field, pattern: &str, options: &[(u8, &[u8])]) -> Option<Clues> {
        let rule =
            Rule { conditions: vec![Condition { field, pattern: Regex::new(pattern).unwrap() }] };
        let options = options.iter().map(|(code, value)| (*code, value.to_vec())).collect();
        rule.matches(&options, Mac::new([0xb4, 0x14, 0x89, 0x6c, 0x12, 0xc0]))
    }

    #[test]
    fn a_user_class_is_found_with_and_without_lengths() {
        for raw in [b"SONiC-ZTP".as_slice(), b"\x09SONiC-ZTP", b"\x03foo\x09SONiC-ZTP"] {
            assert!(check(Field::UserClass, "^SONiC-ZTP$", &[(77, raw)]).is_some(), "{raw:?}");
        }
        assert!(check(Field::UserClass, "^SONiC-ZTP$", &[(77, b"\x0aSONiC-ZTP")]).is_none());
    }

    #[test]
    fn a_vendor_identifying_class_belongs_to_its_enterprise() {
        let pattern = "^SN:(?P<serial>[^;:]*);PID:(?P<model>[^;:]*)$";
        let data = b"SN:0;PID:R-IOSXRV9000-CC";
        let option = |enterprise: u8, data: &[u8]| {
            [&[0, 0, 0, enterprise, u8::try_from(data.len()).unwrap()], data].concat()
        };
        let nine = Field::VendorIdentifying { enterprise: 9 };
        let clues = check(nine, pattern, &[(124, &option(9, data))]).unwrap();
        assert_eq!(clues.serial.as_deref(), Some("0"));
        assert_eq!(clues.model.as_deref(), Some("R-IOSXRV9000-CC"));
        assert!(check(nine, pattern, &[(124, &option(8, data))]).is_none());
        assert!(check(nine, pattern, &[(124, &option(9, b"SN:0:123;PID:x:456"))]).is_none());
        for cut in 0..data.len() + 5 {
            assert!(check(nine, pattern, &[(124, &option(9, data)[..cut])]).is_none(), "{cut}");
        }
    }

    #[test]
    fn headers_tell_a_serial_whatever_their_case() {
        let names = IdentityHeaders {
            serial: vec!["X-cisco-serial".into()],
            mac: vec!["X-Mac".into(), "X-Other-Mac".into()],
            ..IdentityHeaders::default()
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let clues = names.read(&[
            header("x-CISCO-serial", "UTF-8''FOC2048X0AB"),
            header("x-mac", "\u{1b}[2J"),
            header("x-other-mac", "b4:14:89:6c:12:c0"),
        ]);
        assert_eq!(clues.serial.as_deref(), Some("FOC2048X0AB"));
        assert_eq!(clues.mac, Some(Mac::new([0xb4, 0x14, 0x89, 0x6c, 0x12, 0xc0])));
        assert_eq!(clues.model, None);
        assert_eq!(names.read(&[header("serial", "x")]), HeaderClues::default());
    }

    #[test]
    fn the_hardware_address_is_text() {
        assert!(check(Field::Mac, "^b4:14:89:", &[]).is_some());
        assert!(check(Field::Mac, "^b4:14:8a:", &[]).is_none());
    }

    #[test]
    fn a_serial_with_control_bytes_is_no_serial() {
        let clues = check(Field::VendorClass, "^x(?P<serial>.*)$", &[(60, b"x\x1b[2J")]).unwrap();
        assert_eq!(clues.serial, None);
        let long = [b'x'; 255];
        let clues = check(Field::VendorClass, "^x(?P<serial>.*)$", &[(60, &long)]).unwrap();
        assert_eq!(clues.serial, None);
    }
}
