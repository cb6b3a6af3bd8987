//! The wire format: the six packets, each decoded and encoded.

use std::fmt;

/// A request longer than the payload of one Ethernet frame is refused. RFC 2347 allows 512 octets
/// only; clients with long names and many options go beyond.
pub const REQUEST_BYTES_MAX: usize = 1472;

/// A request with more options than this is refused. Four are defined, and vendors add one or two.
pub const OPTIONS_MAX: usize = 16;

/// The text of an ERROR is cut here: it is shown to people.
pub const ERROR_TEXT_BYTES_MAX: usize = 128;

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// A TFTP packet (RFC 1350 section 5; OACK: RFC 2347).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    Read(Request),
    Write(Request),
    Data {
        block: u16,
        bytes: &'a [u8],
    },
    Ack {
        block: u16,
    },
    Error {
        code: ErrorCode,
        text: Vec<u8>,
    },
    OptionAck(Vec<Opt>),
    /// An opcode that no RFC defines. It is ignored.
    Other {
        opcode: u16,
        rest: &'a [u8],
    },
}

/// RRQ or WRQ: who wants which file, how (RFC 1350 section 5, RFC 2347).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// As sent; hostile.
    pub name: Vec<u8>,
    pub mode: Mode,
    /// In the order sent.
    pub options: Vec<Opt>,
}

/// One option of a request or OACK, as sent. Names are compared without case (RFC 2347).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Opt {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// The transfer mode, compared without case (RFC 1350 section 1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mode {
    Octet,
    Netascii,
    /// Obsolete; refused.
    Mail,
    /// As sent; refused.
    Other(Vec<u8>),
}

/// An error code (RFC 1350 appendix, RFC 2347).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// 0: see the text.
    Undefined,
    NotFound,
    AccessViolation,
    DiskFull,
    IllegalOperation,
    UnknownTransfer,
    FileExists,
    NoSuchUser,
    /// 8: the options are refused.
    Options,
    Other(u16),
}

/// Bytes that are no TFTP packet: what was expected where, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub field: &'static str,
    /// In bytes from the start of the datagram.
    pub offset: usize,
    pub expected: &'static str,
    pub found: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tftp {} at byte {}: expected {}, found {}",
            self.field, self.offset, self.expected, self.found
        )
    }
}

impl std::error::Error for Malformed {}

impl<'a> Packet<'a> {
    /// Reads one datagram. Bytes after a complete ACK or ERROR are ignored, as receivers always
    /// did.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes, offset: 0 };
        let opcode = reader.number("opcode")?;
        Ok(match opcode {
            RRQ => Packet::Read(reader.request()?),
            WRQ => Packet::Write(reader.request()?),
            DATA => Packet::Data { block: reader.number("block")?, bytes: reader.rest() },
            ACK => Packet::Ack { block: reader.number("block")? },
            ERROR => {
                let code = ErrorCode::from_number(reader.number("error code")?);
                Packet::Error { code, text: reader.error_text() }
            }
            OACK => Packet::OptionAck(reader.options()?),
            _ => Packet::Other { opcode, rest: reader.rest() },
        })
    }

    /// Writes the packet to the end of `out`. Zero bytes inside names and values are left out: they
    /// would end the field.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Packet::Read(request) => request.encode(RRQ, out),
            Packet::Write(request) => request.encode(WRQ, out),
            Packet::Data { block, bytes } => {
                encode_data_head(*block, out);
                out.extend_from_slice(bytes);
            }
            Packet::Ack { block } => {
                out.extend(ACK.to_be_bytes());
                out.extend(block.to_be_bytes());
            }
            Packet::Error { code, text } => {
                out.extend(ERROR.to_be_bytes());
                out.extend(code.number().to_be_bytes());
                put_text(text.get(..ERROR_TEXT_BYTES_MAX).unwrap_or(text), out);
            }
            Packet::OptionAck(options) => {
                out.extend(OACK.to_be_bytes());
                put_options(options, out);
            }
            Packet::Other { opcode, rest } => {
                out.extend(opcode.to_be_bytes());
                out.extend_from_slice(rest);
            }
        }
    }

    /// An ERROR with our own words.
    pub fn error(code: ErrorCode, text: &str) -> Packet<'static> {
        Packet::Error { code, text: text.as_bytes().to_vec() }
    }
}

/// Writes opcode and block of a DATA packet, so that its bytes can follow without a copy in
/// between.
pub(super) fn encode_data_head(block: u16, out: &mut Vec<u8>) {
    out.extend(DATA.to_be_bytes());
    out.extend(block.to_be_bytes());
}

impl Request {
    /// The value of an option, by its lower-case name. The first of several counts.
    pub fn option(&self, name: &str) -> Option<&[u8]> {
        self.options.iter().find(|option| option.is(name)).map(|option| option.value.as_slice())
    }

    /// The same request for a reader of RFC 1350 alone.
    pub fn without_options(&self) -> Self {
        Self { name: self.name.clone(), mode: self.mode.clone(), options: Vec::new() }
    }

    /// The name for people and logs: lossily decoded, control characters escaped.
    pub fn name_shown(&self) -> String {
        shown(&self.name)
    }

    /// The mode, if the file can be sent in it; else what to say to the asker.
    pub fn readable_mode(&self) -> Result<Mode, (ErrorCode, &'static str)> {
        match &self.mode {
            Mode::Octet => Ok(Mode::Octet),
            Mode::Netascii => Ok(Mode::Netascii),
            Mode::Mail => Err((ErrorCode::IllegalOperation, "mail mode is not served")),
            Mode::Other(_) => Err((ErrorCode::IllegalOperation, "use mode octet or netascii")),
        }
    }

    fn encode(&self, opcode: u16, out: &mut Vec<u8>) {
        out.extend(opcode.to_be_bytes());
        put_text(&self.name, out);
        put_text(self.mode.name(), out);
        put_options(&self.options, out);
    }
}

impl Opt {
    pub fn new(name: &str, value: u64) -> Self {
        Self { name: name.as_bytes().to_vec(), value: value.to_string().into_bytes() }
    }

    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value as a decimal number; `None` for anything else.
    pub fn number(&self) -> Option<u64> {
        let digits = !self.value.is_empty() && self.value.iter().all(u8::is_ascii_digit);
        digits.then(|| std::str::from_utf8(&self.value).ok()?.parse().ok()).flatten()
    }
}

impl Mode {
    fn from_name(name: &[u8]) -> Self {
        match name.to_ascii_lowercase().as_slice() {
            b"octet" => Mode::Octet,
            b"netascii" => Mode::Netascii,
            b"mail" => Mode::Mail,
            _ => Mode::Other(name.to_vec()),
        }
    }

    fn name(&self) -> &[u8] {
        match self {
            Mode::Octet => b"octet",
            Mode::Netascii => b"netascii",
            Mode::Mail => b"mail",
            Mode::Other(name) => name,
        }
    }
}

impl ErrorCode {
    pub fn from_number(number: u16) -> Self {
        match number {
            0 => ErrorCode::Undefined,
            1 => ErrorCode::NotFound,
            2 => ErrorCode::AccessViolation,
            3 => ErrorCode::DiskFull,
            4 => ErrorCode::IllegalOperation,
            5 => ErrorCode::UnknownTransfer,
            6 => ErrorCode::FileExists,
            7 => ErrorCode::NoSuchUser,
            8 => ErrorCode::Options,
            other => ErrorCode::Other(other),
        }
    }

    pub fn number(self) -> u16 {
        match self {
            ErrorCode::Undefined => 0,
            ErrorCode::NotFound => 1,
            ErrorCode::AccessViolation => 2,
            ErrorCode::DiskFull => 3,
            ErrorCode::IllegalOperation => 4,
            ErrorCode::UnknownTransfer => 5,
            ErrorCode::FileExists => 6,
            ErrorCode::NoSuchUser => 7,
            ErrorCode::Options => 8,
            ErrorCode::Other(number) => number,
        }
    }
}

/// Foreign bytes for people and logs: lossily decoded, control characters escaped.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text.iter().filter(|byte| **byte != 0));
    out.push(0);
}

fn put_options(options: &[Opt], out: &mut Vec<u8>) {
    for option in options {
        put_text(&option.name, out);
        put_text(&option.value, out);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    fn number(&mut self, field: &'static str) -> Result<u16, Malformed> {
        let Some(two) = self.rest().first_chunk::<2>() else {
            let found = format!("{} bytes", self.rest().len());
            return Err(Malformed { field, offset: self.offset, expected: "2 bytes", found });
        };
        self.offset += 2;
        Ok(u16::from_be_bytes(*two))
    }

    fn text(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        let rest = self.rest();
        let Some(end) = rest.iter().position(|byte| *byte == 0) else {
            let found = format!("{} bytes without one", rest.len());
            let expected = "text ended by a zero byte";
            return Err(Malformed { field, offset: self.offset, expected, found });
        };
        self.offset += end + 1;
        Ok(&rest[..end])
    }

    fn request(&mut self) -> Result<Request, Malformed> {
        if self.bytes.len() > REQUEST_BYTES_MAX {
            return Err(Malformed {
                field: "request",
                offset: REQUEST_BYTES_MAX,
                expected: "at most 1472 bytes",
                found: format!("{} bytes", self.bytes.len()),
            });
        }
        let name = self.text("file name")?.to_vec();
        let mode = Mode::from_name(self.text("mode")?);
        Ok(Request { name, mode, options: self.options()? })
    }

    /// An empty option name ends the list: some clients pad with zero bytes.
    fn options(&mut self) -> Result<Vec<Opt>, Malformed> {
        let mut options = Vec::new();
        while !self.rest().is_empty() {
            let offset = self.offset;
            let name = self.text("option name")?;
            if name.is_empty() {
                break;
            }
            if options.len() == OPTIONS_MAX {
                let (expected, found) = ("at most 16 options", "one more".to_owned());
                return Err(Malformed { field: "option name", offset, expected, found });
            }
            let value = self.text("option value")?.to_vec();
            options.push(Opt { name: name.to_vec(), value });
        }
        Ok(options)
    }

    /// The text up to its zero byte, its bound or the end: an ERROR is an ERROR without it, too.
    fn error_text(&mut self) -> Vec<u8> {
        let rest = self.rest();
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        rest[..end.min(ERROR_TEXT_BYTES_MAX)].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        bytes
    }

    /// Read requests as captured on loopback: curl 7.88.1, atftp 0.8.0, busybox 1.35, tftp-hpa 5.2.
    const CURL: &[u8] = b"\0\x01network-confg\0octet\0tsize\x000\0blksize\x00512\0timeout\x001\0";
    const ATFTP: &[u8] =
        b"\0\x01network-confg\0octet\0tsize\x000\0blksize\x001428\0windowsize\x0016\0";
    const BUSYBOX: &[u8] = b"\0\x01network-confg\0octet\0blksize\x001400\0tsize\x000\0";
    const TFTP_HPA: &[u8] = b"\0\x01network-confg\0netascii\0";

    #[test]
    fn captured_requests_are_read_and_written_back() {
        for (capture, mode, options) in [
            (CURL, Mode::Octet, vec![("tsize", 0), ("blksize", 512), ("timeout", 1)]),
            (ATFTP, Mode::Octet, vec![("tsize", 0), ("blksize", 1428), ("windowsize", 16)]),
            (BUSYBOX, Mode::Octet, vec![("blksize", 1400), ("tsize", 0)]),
            (TFTP_HPA, Mode::Netascii, vec![]),
        ] {
            let name = b"network-confg".to_vec();
            let options = options.into_iter().map(|(name, value)| Opt::new(name, value)).collect();
            let request = Packet::Read(Request { name, mode, options });
            assert_eq!(Packet::decode(capture).as_ref(), Ok(&request));
            assert_eq!(bytes_of(&request), capture);
        }
    }

    #[test]
    fn names_of_options_and_modes_have_no_case() {
        let packet = Packet::decode(b"\0\x01f\0OcTeT\0BlkSize\x001428\0").unwrap();
        let Packet::Read(request) = packet else { panic!("not a read") };
        assert_eq!(request.mode, Mode::Octet);
        assert_eq!(request.option("blksize"), Some(&b"1428"[..]));
    }

    #[test]
    fn padding_with_zero_bytes_is_no_option() {
        let packet = Packet::decode(b"\0\x01f\0octet\0\0\0\0").unwrap();
        assert_eq!(
            packet,
            Packet::Read(Request { name: b"f".to_vec(), mode: Mode::Octet, options: vec![] })
        );
    }

    #[test]
    fn a_request_cut_anywhere_is_named_or_a_shorter_request() {
        // The only whole requests inside are those that end after the mode or after an option's
        // value.
        let whole = [CURL.len(), 22, 30, 42];
        for end in 0..CURL.len() {
            let decoded = Packet::decode(&CURL[..end]);
            assert_eq!(decoded.is_ok(), whole.contains(&end), "{end}: {decoded:?}");
            if let Err(malformed) = decoded {
                assert!(malformed.offset <= end, "{malformed}");
            }
        }
    }

    #[test]
    fn an_error_says_where_it_was_found() {
        let malformed = Packet::decode(b"\0\x01name").unwrap_err();
        assert_eq!(
            malformed.to_string(),
            "tftp file name at byte 2: expected text ended by a zero byte, \
             found 4 bytes without one"
        );
        assert_eq!(
            Packet::decode(b"\0").unwrap_err().to_string(),
            "tftp opcode at byte 0: expected 2 bytes, found 1 bytes"
        );
    }

    #[test]
    fn too_many_options_and_too_long_requests_are_refused() {
        let mut bytes = b"\0\x01f\0octet\0".to_vec();
        for _ in 0..=OPTIONS_MAX {
            bytes.extend(b"a\0b\0");
        }
        assert_eq!(Packet::decode(&bytes).unwrap_err().field, "option name");
        let long = [b"\0\x01".to_vec(), vec![b'a'; REQUEST_BYTES_MAX]].concat();
        assert_eq!(Packet::decode(&long).unwrap_err().field, "request");
    }

    #[test]
    fn names_are_shown_without_control_characters() {
        assert_eq!(shown(b"a\x1b[2J\r\n\xff/../b"), "a\\u{1b}[2J\\r\\n\u{fffd}/../b");
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(1u8.., 0..40)
    }

    fn options() -> impl Strategy<Value = Vec<Opt>> {
        let option = (prop::collection::vec(1u8.., 1..20), text())
            .prop_map(|(name, value)| Opt { name, value });
        prop::collection::vec(option, 0..=OPTIONS_MAX)
    }

    fn request() -> impl Strategy<Value = Request> {
        (text(), text(), options()).prop_map(|(name, mode, options)| Request {
            name,
            mode: Mode::from_name(&mode),
            options,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            request in request(), options in options(), block: u16, code: u16,
            text in text(), data in prop::collection::vec(any::<u8>(), 0..600), opcode in 7u16..,
        ) {
            let code = ErrorCode::from_number(code);
            for packet in [
                Packet::Read(request.clone()), Packet::Write(request), Packet::OptionAck(options),
                Packet::Data { block, bytes: &data }, Packet::Ack { block },
                Packet::Error { code, text }, Packet::Other { opcode, rest: &data },
            ] {
                let bytes = bytes_of(&packet);
                prop_assert_eq!(Packet::decode(&bytes), Ok(packet));
            }
        }

        #[test]
        fn random_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..2000), op in 0u8..8,
        ) {
            let _ = Packet::decode(&bytes);
            let with_opcode = [vec![0, op], bytes].concat();
            if let Ok(packet) = Packet::decode(&with_opcode) {
                // What was understood can be said again, and means the same.
                let again = bytes_of(&packet);
                prop_assert_eq!(Packet::decode(&again), Ok(packet));
            }
        }
    }
}
