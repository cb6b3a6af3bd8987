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
pub(super) fn lasting(iaid: u32, [t1, t2]: [u32; 2], options: &Options) -> Vec<u8> {
    let mut bytes: Vec<u8> = [iaid, t1, t2].iter().flat_map(|field| field.to_be_bytes()).collect();
    options.write_to(&mut bytes);
    bytes
}

/// Writes the inside of an IA_TA.
pub(super) fn temporary(iaid: u32, options: &Options) -> Vec<u8> {
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
