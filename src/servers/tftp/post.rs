//! What a worker has to send: datagrams gathered into parcels, one for each window.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::table::Origin;
use crate::proto::tftp::Output;
use crate::servers::socket::tftp::Port;
use crate::servers::socket::tftp::batch::{BATCH, PARCEL_BYTES_MAX, Parcel, SEGMENTS_MAX};

/// For room in the kernel, when a whole send buffer is waiting for the wire: 4 MiB leave a line of
/// 1 Gbit/s in 34 ms. What finds no room then is lost, as on the wire: the protocol repeats it.
const PATIENCE: Duration = Duration::from_millis(50);

/// Parcels that are to be sent, in order. One is reused for all.
#[derive(Debug, Default)]
pub struct Post {
    parcels: Vec<Parcel>,
}

impl Post {
    /// Adds the datagrams of `out` behind the first `count`, which all leave from `origin`.
    pub fn take(&mut self, out: &Output, count: usize, origin: Origin) {
        for (to, range) in out.ranges_behind(count) {
            let joined =
                self.parcels.last_mut().is_some_and(|last| joins(last, (*to, range), origin));
            if !joined {
                let Origin { port, source } = origin;
                let segment = range.len().max(1);
                let parcel = Parcel { port, to: *to, source, range: range.clone(), segment };
                self.parcels.push(parcel);
            }
        }
    }

    /// Sends everything and is empty afterwards.
    pub async fn send(&mut self, bytes: &[u8], ports: &[Port]) {
        let mut next = 0;
        while let Some(first) = self.parcels.get(next) {
            let port = first.port;
            let rest = self.parcels[next..].iter().take(BATCH);
            let end = next + rest.take_while(|parcel| parcel.port == port).count();
            match ports[port].send(bytes, &self.parcels[next..end]) {
                Ok(sent) => next += sent.max(1),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let room = tokio::time::timeout(PATIENCE, ports[port].writable()).await;
                    if room.is_err() {
                        next = end;
                    }
                }
                // The path does not take blocks of this size, or its card cannot cut.
                Err(error) => match self.parcels[next].pieces() {
                    Some(pieces) => drop(self.parcels.splice(next..=next, pieces)),
                    None => {
                        tracing::debug!(to = %self.parcels[next].to, %error, "tftp send");
                        next += 1;
                    }
                },
            }
        }
        self.parcels.clear();
    }
}

/// Puts a datagram at the end of a parcel, if the kernel cuts it off there again.
fn joins(last: &mut Parcel, (to, range): (SocketAddr, &Range<usize>), origin: Origin) -> bool {
    let length = last.range.len();
    let same = (last.port, last.to, last.source) == (origin.port, to, origin.source);
    let follows = last.range.end == range.start && length.is_multiple_of(last.segment);
    let fits = !range.is_empty()
        && range.len() <= last.segment
        && length / last.segment < SEGMENTS_MAX
        && length + range.len() <= PARCEL_BYTES_MAX;
    let joins = same && follows && fits;
    if joins {
        last.range.end = range.end;
    }
    joins
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin =
        Origin { port: 1, source: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) };

    fn parcels(lengths: &[(u16, usize)]) -> Vec<(u16, usize, usize)> {
        let (mut out, mut post) = (Output::default(), Post::default());
        for (peer, length) in lengths {
            let to = SocketAddr::from(([10, 0, 0, 1], *peer));
            let count = out.len();
            out.datagram(to, |bytes| bytes.extend(std::iter::repeat_n(b'x', *length)));
            post.take(&out, count, ORIGIN);
        }
        let seen = |parcel: &Parcel| (parcel.to.port(), parcel.range.len(), parcel.segment);
        post.parcels.iter().map(seen).collect()
    }

    #[test]
    fn a_window_is_one_parcel_and_nothing_else_joins_it() {
        assert_eq!(parcels(&[(1, 100), (1, 100), (1, 40)]), [(1, 240, 100)]);
        assert_eq!(parcels(&[(1, 100), (1, 40), (1, 40)]), [(1, 140, 100), (1, 40, 40)]);
        assert_eq!(parcels(&[(1, 40), (1, 100)]), [(1, 40, 40), (1, 100, 100)]);
        assert_eq!(parcels(&[(1, 100), (2, 100)]), [(1, 100, 100), (2, 100, 100)]);
        assert_eq!(parcels(&[(1, 8); 65]), [(1, 512, 8), (1, 8, 8)]);
        assert_eq!(parcels(&[(1, 40_000); 2]), [(1, 40_000, 40_000); 2]);
    }

    #[test]
    fn pieces_are_what_the_kernel_would_cut() {
        let to = SocketAddr::from(([10, 0, 0, 1], 9));
        let Origin { port, source } = ORIGIN;
        let parcel = Parcel { port, to, source, range: 10..250, segment: 100 };
        let pieces: Vec<_> = parcel.pieces().unwrap().into_iter().map(|p| p.range).collect();
        assert_eq!(pieces, [10..110, 110..210, 210..250]);
        assert_eq!(Parcel { range: 0..100, ..parcel }.pieces(), None);
    }
}
