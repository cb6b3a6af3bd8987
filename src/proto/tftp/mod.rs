//! TFTP (RFC 1350, 2347, 2348, 2349, 7440): what is on the wire, and how a transfer of either end
//! goes.
//!
//! [`packet`] is the wire format, [`transfer`] the sending machine of a server, [`upload`] the
//! taking one, [`download`] the reading machine of a client. Machines are fed with packets and
//! time; they fill an [`Output`] and name a deadline. No socket, clock or file is here.

pub mod content;
pub mod download;
pub mod negotiate;
pub mod packet;
mod patience;
pub mod transfer;
pub mod upload;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod timetable;
#[cfg(test)]
mod upload_properties;
#[cfg(test)]
mod upload_timetable;
#[cfg(test)]
pub(crate) mod writer;

use std::net::SocketAddr;
use std::ops::Range;

/// The datagrams that a machine wants to have sent, in order. One is reused for many calls.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    datagrams: Vec<(SocketAddr, Range<usize>)>,
}

impl Output {
    /// What is to be sent, and where to.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.datagrams.iter().map(|(to, range)| (*to, &self.bytes[range.clone()]))
    }

    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Datagrams so far.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// All datagrams, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the datagrams behind the first `count` lie in [`Self::bytes`].
    pub fn ranges_behind(&self, count: usize) -> &[(SocketAddr, Range<usize>)] {
        self.datagrams.get(count..).unwrap_or_default()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }

    /// Adds one datagram, written by `write` to the end of the buffer it is given.
    pub(crate) fn datagram<T>(
        &mut self,
        to: SocketAddr,
        write: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        self.datagrams.push((to, start..self.bytes.len()));
        result
    }
}
