//! How are bytes turned into a message? Tolerantly: a fault costs the option it is in, and no
//! other.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use crate::proto::dhcp4::code;
use crate::proto::dhcp4::message::Message;

/// The longest datagram that is read: a jumbo frame. No client sends more than 1500 bytes.
pub const MESSAGE_BYTES_MAX: usize = 9216;

/// The header of RFC 2131 figure 1, without the options.
pub(super) const HEADER_BYTES: usize = 236;
pub(super) const SNAME: std::ops::Range<usize> = 44..108;
pub(super) const FILE: std::ops::Range<usize> = 108..236;
/// RFC 2131 section 3: the first four bytes of the options field.
pub(super) const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// What was wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// `hlen`, `cookie`, `ClassIdentifier(60)`.
    pub field: String,
    /// From the first byte of the datagram, from 0.
    pub offset: usize,
    pub expected: String,
    pub found: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, offset, expected, found } = self;
        write!(f, "{field} at byte {offset}: expected {expected}, found {found}")
    }
}

impl std::error::Error for DecodeError {}

pub(super) fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    let header = header_of(bytes)?;
    let byte = |at: usize| header[at];
    let address = |at: usize| Ipv4Addr::new(byte(at), byte(at + 1), byte(at + 2), byte(at + 3));
    let mut chaddr = [0; 16];
    chaddr.copy_from_slice(&header[28..44]);
    let mut walk = Walk::default();
    walk.field(bytes, HEADER_BYTES + COOKIE.len()..bytes.len());
    // RFC 2132 section 9.3 with RFC 3396: options, then `file`, then `sname`.
    let overload = walk.overload;
    if overload & 1 != 0 {
        walk.field(bytes, FILE);
    }
    if overload & 2 != 0 {
        walk.field(bytes, SNAME);
    }
    Ok(Message {
        op: byte(0),
        htype: byte(1),
        hlen: byte(2),
        hops: byte(3),
        xid: u32::from_be_bytes([byte(4), byte(5), byte(6), byte(7)]),
        secs: u16::from_be_bytes([byte(8), byte(9)]),
        flags: u16::from_be_bytes([byte(10), byte(11)]),
        ciaddr: address(12),
        yiaddr: address(16),
        siaddr: address(20),
        giaddr: address(24),
        chaddr,
        sname: if overload & 2 == 0 { text(&header[SNAME]) } else { Vec::new() },
        file: if overload & 1 == 0 { text(&header[FILE]) } else { Vec::new() },
        options: walk.options,
        order: walk.order,
        complaints: walk.complaints,
    })
}

fn header_of(bytes: &[u8]) -> Result<&[u8; HEADER_BYTES], DecodeError> {
    let wrong = |field: &str, offset, expected: String, found: String| DecodeError {
        field: field.to_owned(),
        offset,
        expected,
        found,
    };
    if bytes.len() > MESSAGE_BYTES_MAX {
        let expected = format!("at most {MESSAGE_BYTES_MAX} bytes");
        let found = format!("{} bytes", bytes.len());
        return Err(wrong("message", MESSAGE_BYTES_MAX, expected, found));
    }
    let short = || {
        let expected = format!("at least {} bytes", HEADER_BYTES + COOKIE.len());
        wrong("header", bytes.len(), expected, format!("{} bytes", bytes.len()))
    };
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(short)?;
    let cookie = rest.get(..COOKIE.len()).ok_or_else(short)?;
    if cookie != COOKIE {
        let found = format!("{cookie:02x?}");
        return Err(wrong("cookie", HEADER_BYTES, format!("{COOKIE:02x?}"), found));
    }
    if header[2] > 16 {
        return Err(wrong("hlen", 2, "at most 16".to_owned(), header[2].to_string()));
    }
    Ok(header)
}

/// A text field, which may be filled to its last byte without a NUL.
fn text(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// Walks fields of options. Memory is bounded by the length of the datagram.
#[derive(Default)]
struct Walk {
    options: BTreeMap<u8, Vec<u8>>,
    order: Vec<u8>,
    complaints: Vec<DecodeError>,
    /// Bit 0: `file` holds options; bit 1: `sname` does.
    overload: u8,
}

impl Walk {
    fn field(&mut self, bytes: &[u8], range: std::ops::Range<usize>) {
        let end = range.end;
        let mut at = range.start;
        while at < end {
            let code = bytes[at];
            if code == code::PAD {
                at += 1;
                continue;
            }
            if code == code::END {
                return;
            }
            let value = (at + 1 < end)
                .then(|| at + 2..at + 2 + usize::from(bytes[at + 1]))
                .filter(|value| value.end <= end);
            let Some(value) = value else {
                let length = bytes[..end].get(at + 1).copied();
                self.cut(code, at, length, end);
                return;
            };
            at = value.end;
            self.option(code, &bytes[value]);
        }
    }

    fn option(&mut self, code: u8, value: &[u8]) {
        self.order.push(code);
        if code == code::OVERLOAD {
            self.overload |= value.first().map_or(0, |which| which & 3);
        } else {
            self.options.entry(code).or_default().extend_from_slice(value);
        }
    }

    fn cut(&mut self, code: u8, offset: usize, length: Option<u8>, end: usize) {
        let found = match length {
            None => "the end of the field instead of a length".to_owned(),
            Some(length) => format!("{} of {length} bytes", end - offset - 2),
        };
        self.complaints.push(DecodeError {
            field: code::name(code),
            offset,
            expected: "an option within its field".to_owned(),
            found,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(file: &[u8], sname: &[u8], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..3].copy_from_slice(&[1, 1, 6]);
        bytes[FILE][..file.len()].copy_from_slice(file);
        bytes[SNAME][..sname.len()].copy_from_slice(sname);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(options);
        bytes
    }

    #[test]
    fn instances_of_one_code_join_in_order_even_when_others_stand_between() {
        let read = decode(&framed(b"", b"", b"\x43\x03net\x0c\x01h\x00\x43\x02wo\xff\x43\x01!"));
        let read = read.unwrap();
        assert_eq!(read.options[&67], b"netwo");
        assert_eq!(read.order, [67, 12, 67]);
    }

    #[test]
    fn overloaded_fields_are_read_after_the_options_file_first() {
        let options = b"\x34\x01\x03\x43\x01a\xff";
        let read = decode(&framed(b"\x43\x01b\xff", b"\x43\x01c\xff", options)).unwrap();
        assert_eq!(read.options[&67], b"abc");
        assert_eq!((read.file.len(), read.sname.len()), (0, 0));
        let only_sname = decode(&framed(b"boot", b"\x43\x01c\xff", b"\x34\x01\x02\xff")).unwrap();
        assert_eq!((only_sname.file, &only_sname.options[&67]), (b"boot".to_vec(), &b"c".to_vec()));
    }

    #[test]
    fn an_overload_option_inside_an_overloaded_field_opens_no_further_field() {
        let read = decode(&framed(b"\x34\x01\x02\xff", b"\x43\x01c", b"\x34\x01\x01\xff")).unwrap();
        assert_eq!(read.options.len(), 0);
        assert_eq!(read.sname, b"\x43\x01c");
    }

    #[test]
    fn an_option_beyond_its_field_is_told_and_hides_neither_earlier_ones_nor_other_fields() {
        let options = b"\x34\x01\x01\x3c\x02hi\x0c\x09short";
        let read = decode(&framed(b"\x35\x01\x01\xff", b"", options)).unwrap();
        assert_eq!((&read.options[&60][..], &read.options[&53][..]), (&b"hi"[..], &[1][..]));
        assert_eq!(
            read.complaints[0].to_string(),
            "Hostname(12) at byte 247: expected an option within its field, found 5 of 9 bytes"
        );
    }

    #[test]
    fn text_that_is_not_utf_8_hides_nothing() {
        let read =
            decode(&framed(b"", b"", b"\x0c\x02\xff\xfe\x3c\x01v\x52\x03\x01\x01p\xff")).unwrap();
        assert_eq!(read.options.keys().copied().collect::<Vec<_>>(), [12, 60, 82]);
        assert_eq!(read.complaints, []);
    }

    #[test]
    fn a_field_filled_to_the_last_byte_is_read_whole() {
        let read = decode(&framed(&[b'f'; 128], &[b's'; 64], b"\xff")).unwrap();
        assert_eq!((read.file.len(), read.sname.len()), (128, 64));
    }

    #[test]
    fn a_header_that_cannot_be_is_refused_with_field_offset_and_finding() {
        let good = framed(b"", b"", b"\x35\x01\x01\xff");
        let mut long_address = good.clone();
        long_address[2] = 17;
        let mut cookie = good.clone();
        cookie[239] = 98;
        let cases = [
            (long_address, "hlen at byte 2: expected at most 16, found 17"),
            (cookie, "cookie at byte 236: expected [63, 82, 53, 63], found [63, 82, 53, 62]"),
            (vec![1; 100], "header at byte 100: expected at least 240 bytes, found 100 bytes"),
            (vec![0; 9217], "message at byte 9216: expected at most 9216 bytes, found 9217 bytes"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(decode(&bytes).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn truncation_at_every_byte_reads_a_part_or_names_the_end() {
        let whole = framed(b"b", b"s", b"\x35\x01\x01\x3d\x03\x00ci\x52\x04\x01\x02Gi\xff");
        for end in 0..whole.len() {
            match decode(&whole[..end]) {
                Ok(read) => assert!(end >= 240 && read.options.len() <= 3, "{end}"),
                Err(error) => assert!(end < 240 && error.field == "header", "{end}: {error}"),
            }
        }
        assert_eq!(decode(&whole).unwrap().options.len(), 3);
    }
}
