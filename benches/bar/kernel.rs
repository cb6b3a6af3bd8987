//! The kernel's own limit: a loop of recvmmsg and sendmmsg that answers requests and
//! acknowledgements with packets made beforehand. It keeps no state, so it is no TFTP server; it
//! shows what the system calls alone cost.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::net::{BATCH, Inbox, Parcel, Socket};

/// What the loop answers with.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    pub file_bytes: usize,
    pub block_bytes: usize,
    pub window_blocks: usize,
    /// The request carried options, so it is answered with an OACK first (RFC 2347).
    pub options: bool,
    /// A window leaves in one call that the kernel cuts (UDP_SEGMENT).
    pub cut: bool,
}

const HEAD_BYTES: usize = 4;

/// Bytes that one call may carry: an IP packet has 65,535 with its heads.
const PARCEL_BYTES_MAX: usize = 65_000;

/// Answers forever.
pub fn serve(port: u16, fixed: Fixed) -> std::io::Result<()> {
    let socket = Socket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let blocks = fixed.file_bytes / fixed.block_bytes + 1;
    let (mut wire, oack) = packets(fixed, blocks);
    let file_end = wire.len();
    wire.extend_from_slice(&oack);
    let segment = HEAD_BYTES + fixed.block_bytes;
    let mut inbox = Inbox::new();
    let mut parcels: Vec<Parcel> = Vec::with_capacity(BATCH * fixed.window_blocks);
    loop {
        let count = socket.receive(&mut inbox, true);
        for index in 0..count {
            let (to, _, bytes) = inbox.datagram(index);
            let mut put = |range: std::ops::Range<usize>| {
                parcels.push(Parcel { to, source: Ipv4Addr::UNSPECIFIED, range, segment });
            };
            let said = match bytes {
                [0, 1, ..] if fixed.options => {
                    put(file_end..wire.len());
                    continue;
                }
                [0, 1, ..] => 0,
                [0, 4, high, low] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => continue,
            };
            let start = said * segment;
            let end = (start + fixed.window_blocks * segment).min(file_end);
            let step = if fixed.cut { PARCEL_BYTES_MAX / segment * segment } else { segment };
            for place in (start..end).step_by(step) {
                put(place..(place + step).min(end));
            }
        }
        socket.send(&wire, &parcels);
        parcels.clear();
    }
}

/// All data packets of the file, one behind the other, and the OACK.
fn packets(fixed: Fixed, blocks: usize) -> (Vec<u8>, Vec<u8>) {
    let mut wire = Vec::with_capacity(fixed.file_bytes + blocks * HEAD_BYTES);
    for block in 1..=blocks {
        let rest = fixed.file_bytes - (block - 1) * fixed.block_bytes;
        wire.extend_from_slice(&[0, 3]);
        wire.extend_from_slice(&(block as u16).to_be_bytes());
        wire.resize(wire.len() + rest.min(fixed.block_bytes), b'a');
    }
    let oack =
        format!("\0\u{6}blksize\0{}\0windowsize\0{}\0", fixed.block_bytes, fixed.window_blocks);
    (wire, oack.into_bytes())
}
