//! Which addresses does a client hold or want for which of its interfaces, and how did that go?

use std::net::Ipv6Addr;

use crate::proto::dhcp6::code;
use crate::proto::dhcp6::options::Options;

/// Addresses that are read of one association. Devices hold one.
pub const ADDRESSES_MAX: usize = 8;

/// An identity association as a client sends it: IA_NA, IA_TA or IA_PD (RFC 8415 sections 21.4,
/// 21.5 and 21.21).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// The client's number for its interface.
    pub iaid: u32,
    /// What it holds or wants, without repeats, at most [`ADDRESSES_MAX`]. Empty in an IA_PD.
    pub addresses: Vec<Ipv6Addr>,
}

/// An address in an association (option 5, RFC 8415 section 21.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub address: Ipv6Addr,
    pub preferred_seconds: u32,
    pub valid_seconds: u32,
}

/// How something went (option 13, RFC 8415 section 21.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: StatusCode,
    /// For people.
    pub text: String,
}

/// RFC 8415 table 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusCode {
    Success,
    UnspecifiedFailure,
    NoAddressesAvailable,
    NoBinding,
    NotOnLink,
    UseMulticast,
    NoPrefixAvailable,
    Other(u16),
}

impl Association {
    /// The inside of an IA_NA or IA_PD: IAID, T1, T2, options.
    pub fn of_lasting(value: &[u8]) -> Option<Self> {
        let (header, options) = value.split_first_chunk::<12>()?;
        Some(Self::of(header[..4].try_into().ok()?, options))
    }

    /// The inside of an IA_TA: IAID, options.
    pub fn of_temporary(value: &[u8]) -> Option<Self> {
        let (iaid, options) = value.split_first_chunk::<4>()?;
        Some(Self::of(*iaid, options))
    }

    fn of(iaid: [u8; 4], options: &[u8]) -> Self {
        let mut addresses = Vec::new();
        for value in Options::read(options).all(code::IA_ADDRESS) {
            let Some(Address { address, .. }) = Address::of(value) else { continue };
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Self { iaid: u32::from_be_bytes(iaid), addresses }
    }

    /// What the client asks for first, unless it is the unspecified address.
    pub fn wanted(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().copied().find(|address| !address.is_unspecified())
    }
}

/// Writes the inside of an IA_NA or IA_PD.
pub fn lasting(iaid: u32, [t1, t2]: [u32; 2], options: &Options) -> Vec<u8> {
    let mut bytes: Vec<u8> = [iaid, t1, t2].iter().flat_map(|field| field.to_be_bytes()).collect();
    options.write_to(&mut bytes);
    bytes
}

/// Writes the inside of an IA_TA.
pub fn temporary(iaid: u32, options: &Options) -> Vec<u8> {
    let mut bytes = iaid.to_be_bytes().to_vec();
    options.write_to(&mut bytes);
    bytes
}

impl Address {
    /// The inside of option 5; what stands in it behind the lifetimes is not looked at.
    pub fn of(value: &[u8]) -> Option<Self> {
        let (address, rest) = value.split_first_chunk::<16>()?;
        let (preferred, rest) = rest.split_first_chunk()?;
        let (valid, _) = rest.split_first_chunk()?;
        Some(Self {
            address: Ipv6Addr::from(*address),
            preferred_seconds: u32::from_be_bytes(*preferred),
            valid_seconds: u32::from_be_bytes(*valid),
        })
    }

    /// The inside of option 5.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = self.address.octets().to_vec();
        bytes.extend_from_slice(&self.preferred_seconds.to_be_bytes());
        bytes.extend_from_slice(&self.valid_seconds.to_be_bytes());
        bytes
    }
}

impl Status {
    /// Text that may be written: a line of a log.
    const TEXT_BYTES_MAX: usize = 120;

    pub fn new(code: StatusCode, text: &str) -> Self {
        let plain = text.chars().filter(|letter| (' '..='~').contains(letter));
        Self { code, text: plain.take(Self::TEXT_BYTES_MAX).collect() }
    }

    /// Option 13 among `options`.
    pub fn of(options: &Options) -> Option<Self> {
        let (code, text) = options.get(code::STATUS_CODE)?.split_first_chunk()?;
        let code = StatusCode::from_number(u16::from_be_bytes(*code));
        Some(Self::new(code, &String::from_utf8_lossy(text)))
    }

    /// The inside of option 13.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = self.code.number().to_be_bytes().to_vec();
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }
}

impl StatusCode {
    pub fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Success,
            1 => Self::UnspecifiedFailure,
            2 => Self::NoAddressesAvailable,
            3 => Self::NoBinding,
            4 => Self::NotOnLink,
            5 => Self::UseMulticast,
            6 => Self::NoPrefixAvailable,
            other => Self::Other(other),
        }
    }

    pub fn number(self) -> u16 {
        match self {
            Self::Success => 0,
            Self::UnspecifiedFailure => 1,
            Self::NoAddressesAvailable => 2,
            Self::NoBinding => 3,
            Self::NotOnLink => 4,
            Self::UseMulticast => 5,
            Self::NoPrefixAvailable => 6,
            Self::Other(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use dhcproto::v6::{DhcpOption, IAAddr, IANA, StatusCode as Theirs};
    use dhcproto::{Decodable, Decoder, Encodable};

    use super::*;

    fn held(last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
    }

    fn told(addresses: &[Ipv6Addr]) -> Options {
        addresses.iter().fold(Options::default(), |options, address| {
            let address = Address { address: *address, preferred_seconds: 7, valid_seconds: 9 };
            options.with(code::IA_ADDRESS, address.write())
        })
    }

    #[test]
    fn an_association_holds_each_address_once_and_eight_of_them() {
        let many: Vec<Ipv6Addr> = (0..20).map(|last| held(last / 2)).collect();
        let read = Association::of_lasting(&lasting(5, [1, 2], &told(&many))).unwrap();
        assert_eq!((read.iaid, read.addresses.len()), (5, 8));
        assert_eq!(read.addresses[..3], [held(0), held(1), held(2)]);
        let unspecified = [Ipv6Addr::UNSPECIFIED, held(3)];
        let read = Association::of_temporary(&temporary(6, &told(&unspecified))).unwrap();
        assert_eq!((read.iaid, read.wanted()), (6, Some(held(3))));
    }

    #[test]
    fn a_misshapen_address_leaves_the_others() {
        let options = Options::default().with(code::IA_ADDRESS, [0; 23]).with(99, *b"?");
        let options = options.with(code::IA_ADDRESS, told(&[held(4)]).get(5).unwrap());
        let whole = lasting(5, [1, 2], &options);
        assert_eq!(Association::of_lasting(&whole).unwrap().addresses, [held(4)]);
        for end in 0..whole.len() {
            let read = Association::of_lasting(&whole[..end]);
            assert_eq!(read.is_some(), end >= 12, "{end}");
            assert!(read.is_none_or(|read| read.addresses.is_empty()), "{end}");
        }
    }

    #[test]
    fn an_independent_decoder_reads_our_associations() {
        let mut options = told(&[held(1)]);
        options.push(code::STATUS_CODE, Status::new(StatusCode::NoBinding, "no").write());
        let bytes = Options::default().with(3, lasting(5, [1, 2], &options)).write();
        let theirs = DhcpOption::decode(&mut Decoder::new(&bytes)).unwrap();
        let DhcpOption::IANA(IANA { id: 5, t1: 1, t2: 2, opts }) = theirs else {
            panic!("{theirs:?}")
        };
        let Some(DhcpOption::IAAddr(IAAddr { addr, preferred_life: 7, valid_life: 9, .. })) =
            opts.get(dhcproto::v6::OptionCode::IAAddr)
        else {
            panic!("{opts:?}")
        };
        assert_eq!(*addr, held(1));
        let Some(DhcpOption::StatusCode(status)) = opts.get(dhcproto::v6::OptionCode::StatusCode)
        else {
            panic!("{opts:?}")
        };
        assert_eq!((status.status, status.msg.as_str()), (dhcproto::v6::Status::NoBinding, "no"));
        let back = Theirs { status: dhcproto::v6::Status::NotOnLink, msg: "no".into() };
        let back = Options::read(&DhcpOption::StatusCode(back).to_vec().unwrap());
        let expected = Status { code: StatusCode::NotOnLink, text: "no".into() };
        assert_eq!(Status::of(&back), Some(expected));
    }

    #[test]
    fn status_text_is_one_short_line_either_way() {
        let long = "x\u{1b}[2J\n".repeat(100);
        let status = Status::new(StatusCode::Other(900), &long);
        assert_eq!((status.text.len(), &status.text[..5]), (120, "x[2Jx"));
        let wire = [&[3, 132][..], b"a\xff\nb"].concat();
        let read = Status::of(&Options::default().with(code::STATUS_CODE, wire)).unwrap();
        assert_eq!((read.code, read.text.as_str()), (StatusCode::Other(900), "ab"));
        assert_eq!(Status::of(&Options::default().with(code::STATUS_CODE, [0])), None);
        for number in 0..9 {
            assert_eq!(StatusCode::from_number(number).number(), number);
        }
    }
}
