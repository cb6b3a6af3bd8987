//! Many datagrams in one system call: recvmmsg, sendmmsg, and a whole window as one (UDP_SEGMENT).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsRawFd;

use nix::libc;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Port;
use super::raw::{Arrival, CONTROL_BYTES, Control, NAME_BYTES, address, arrival, name};

/// Datagrams of one system call. Beyond some tens the call itself costs nothing any more.
pub const BATCH: usize = 32;

/// Datagrams of a system call in quiet times.
const FEW: usize = 4;

/// The kernel cuts one send into so many datagrams at most (UDP_MAX_SEGMENTS before Linux 6.9).
pub const SEGMENTS_MAX: usize = 64;

/// One send carries at most so many bytes, cut or not: an IP packet has 65,535 with its heads.
pub const PARCEL_BYTES_MAX: usize = 65_000;

/// The two ends of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub from: SocketAddr,
    /// The address of ours that was asked. For a broadcast it is that of the interface.
    pub asked: SocketAddr,
    /// It was sent to everybody, so that every worker's socket has a copy.
    pub broadcast: bool,
}

/// Where received datagrams are put; reused from call to call.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Of one datagram; what does not fit is cut off.
    room: usize,
    names: [[u8; NAME_BYTES]; BATCH],
    controls: [[u8; CONTROL_BYTES]; BATCH],
    /// Bytes of each datagram and of its control messages.
    lengths: [(usize, usize); BATCH],
    count: usize,
    /// How many the last call brought: the next one prepares for as many.
    last: usize,
    port: SocketAddr,
}

/// Bytes to one peer, cut into datagrams of `segment` bytes; the last one may be shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The port it leaves from, by its number in the driver.
    pub port: usize,
    pub to: SocketAddr,
    /// The address of ours it leaves from.
    pub source: IpAddr,
    pub range: Range<usize>,
    pub segment: usize,
}

impl Parcel {
    fn is_cut(&self) -> bool {
        self.range.len() > self.segment
    }

    /// The same as single datagrams, for paths that cannot cut.
    pub fn pieces(&self) -> Option<Vec<Self>> {
        self.is_cut().then(|| {
            let starts = self.range.clone().step_by(self.segment);
            let piece = |start: usize| start..(start + self.segment).min(self.range.end);
            starts.map(|start| Self { range: piece(start), ..self.clone() }).collect()
        })
    }
}

impl Inbox {
    /// For datagrams of up to `room` bytes.
    pub fn new(room: usize) -> Self {
        Self {
            bytes: vec![0; room * BATCH],
            room,
            names: [[0; NAME_BYTES]; BATCH],
            controls: [[0; CONTROL_BYTES]; BATCH],
            lengths: [(0, 0); BATCH],
            count: 0,
            last: 0,
            port: SocketAddr::from(([0; 4], 0)),
        }
    }

    /// One of those that the last call brought; `None` if it has no sender that we understand.
    pub fn datagram(&self, index: usize) -> Option<(Received, &[u8])> {
        let (from, Arrival { ours, broadcast, .. }, bytes) = self.arrived(index)?;
        let ip = ours;
        // Answers of a dual-stack socket leave from the mapped form.
        let ip = match (ip, from) {
            (IpAddr::V4(v4), SocketAddr::V6(_)) => IpAddr::V6(v4.to_ipv6_mapped()),
            (ip, _) => ip,
        };
        let asked = SocketAddr::new(ip, self.port.port());
        Some((Received { from, asked, broadcast }, bytes))
    }

    /// The same with all that the kernel told: the sender, where it arrived, and the bytes.
    pub fn arrived(&self, index: usize) -> Option<(SocketAddr, Arrival, &[u8])> {
        let (length, control) = *self.lengths[..self.count].get(index)?;
        let from = address(&self.names[index])?;
        let silent = Arrival { ours: self.port.ip(), broadcast: false, interface: 0 };
        let told = arrival(&self.controls[index][..control]).unwrap_or(silent);
        let start = index * self.room;
        Some((from, told, &self.bytes[start..start + length]))
    }

    /// Room for `N` datagrams, at most [`BATCH`]: what is prepared for each costs time, also when
    /// only one waits.
    fn fill<const N: usize>(&mut self, fd: libc::c_int) -> io::Result<usize> {
        let mut slices = [EMPTY_SLICE; N];
        let mut headers = [EMPTY_HEADER; N];
        for (index, room) in self.bytes.chunks_exact_mut(self.room).take(N).enumerate() {
            slices[index] = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            let header = &mut headers[index].msg_hdr;
            header.msg_name = self.names[index].as_mut_ptr().cast();
            header.msg_namelen = NAME_BYTES as libc::socklen_t;
            header.msg_iov = &raw mut slices[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        let (flags, wait) = (libc::MSG_DONTWAIT, std::ptr::null_mut());
        // SAFETY: each header points to a name, a slice and a control buffer of the stated sizes;
        // all of them outlive the call and none is shared between headers.
        let count = unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), N as u32, flags as _, wait) };
        self.count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..self.count]) {
            *length = (header.msg_len as usize, header.msg_hdr.msg_controllen);
        }
        Ok(self.count)
    }
}

impl Port {
    /// See [`receive`].
    pub fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        receive((&self.socket, self.local), inbox)
    }

    /// The same without asking whether something is there: for who expects a datagram any moment.
    /// The word that it had come may follow when it is long taken.
    pub fn look(&self, inbox: &mut Inbox) -> io::Result<usize> {
        inbox.port = self.local;
        inbox.count = 0;
        inbox.fill::<FEW>(self.socket.as_raw_fd())
    }

    /// Sends the first of these parcels, whose ranges lie in `bytes`; returns how many the kernel
    /// took. An error is that of the first one.
    pub fn send(&self, bytes: &[u8], parcels: &[Parcel]) -> io::Result<usize> {
        let letters = parcels.iter().map(|parcel| Letter {
            bytes: &bytes[parcel.range.clone()],
            to: parcel.to,
            source: parcel.source,
            interface: 0,
            segment: parcel.is_cut().then_some(parcel.segment),
        });
        send((&self.socket, self.local), letters)
    }
}

/// What is sent in one piece, cut into datagrams of `segment` bytes by the kernel if that is told.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    pub bytes: &'a [u8],
    pub to: SocketAddr,
    /// The address of ours it leaves from; the unspecified one leaves that to the kernel.
    pub source: IpAddr,
    /// It leaves by this interface, or by that of the route if this is 0.
    pub interface: u32,
    pub segment: Option<usize>,
}

/// Takes what is waiting at a socket that is bound to `local`, up to a batch; returns how many.
/// What does not fit into the room of the inbox is cut off.
pub fn receive((socket, local): (&UdpSocket, SocketAddr), inbox: &mut Inbox) -> io::Result<usize> {
    inbox.port = local;
    inbox.count = 0;
    let filled = socket.try_io(Interest::READABLE, || {
        let fd = socket.as_raw_fd();
        let few = inbox.last <= FEW / 2;
        let count = if few { inbox.fill::<FEW>(fd)? } else { inbox.fill::<BATCH>(fd)? };
        inbox.last = count;
        match (few, count) {
            (true, FEW) | (false, BATCH) => Ok(()),
            // There is no more: the next datagram wakes us again.
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    });
    match filled {
        Err(error) if inbox.count == 0 => Err(error),
        Ok(()) | Err(_) => Ok(inbox.count),
    }
}

/// Sends the first of these letters, up to a batch; returns how many the kernel took. An error is
/// that of the first one.
pub fn send<'a>(
    (socket, local): (&UdpSocket, SocketAddr),
    letters: impl ExactSizeIterator<Item = Letter<'a>>,
) -> io::Result<usize> {
    let fd = socket.as_raw_fd();
    let sent = match letters.len() {
        ..=FEW => post::<FEW>(fd, local, letters),
        _ => post::<BATCH>(fd, local, letters),
    };
    if let Err(error) = &sent
        && error.kind() == io::ErrorKind::WouldBlock
    {
        // So that `writable` waits for the kernel's word.
        let full = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = socket.try_io(Interest::WRITABLE, full);
    }
    sent
}

fn post<'a, const N: usize>(
    fd: libc::c_int,
    local: SocketAddr,
    letters: impl Iterator<Item = Letter<'a>>,
) -> io::Result<usize> {
    let mut names = [[0; NAME_BYTES]; N];
    let mut controls = [Control::EMPTY; N];
    let mut slices = [EMPTY_SLICE; N];
    let mut headers = [EMPTY_HEADER; N];
    let mut count = 0;
    for (index, letter) in letters.take(N).enumerate() {
        let (to, name_bytes) = name(letter.to);
        names[index] = to;
        let control = &mut controls[index];
        // A socket with one address sends from there; telling it costs time with each datagram.
        let chosen = local.ip().is_unspecified() || letter.interface != 0;
        if chosen && !letter.source.is_unspecified() {
            control.source(letter.source, letter.interface, local.is_ipv6());
        }
        if let Some(segment) = letter.segment {
            control.segment(u16::try_from(segment).unwrap_or(u16::MAX));
        }
        let part = letter.bytes;
        slices[index] =
            libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        let header = &mut headers[index].msg_hdr;
        header.msg_name = names[index].as_mut_ptr().cast();
        header.msg_namelen = name_bytes as libc::socklen_t;
        header.msg_iov = &raw mut slices[index];
        header.msg_iovlen = 1;
        header.msg_control = control.bytes.as_mut_ptr().cast();
        header.msg_controllen = control.length as _;
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: `count` headers point to names, slices and control messages of the stated sizes,
    // which outlive the call; the kernel only reads them.
    let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, flags as _) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

const EMPTY_SLICE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

// SAFETY: all-zero bytes are a valid header: null pointers with lengths of zero.
const EMPTY_HEADER: libc::mmsghdr = unsafe { std::mem::zeroed() };
