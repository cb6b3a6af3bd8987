//! Many datagrams in one system call, for the readers and for the bare loop. The harness has its
//! own few lines for this, so that the load stays the same when the server changes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use nix::libc;
use socket2::{Domain, Protocol, Type};

/// Datagrams of one system call.
pub const BATCH: usize = 64;

/// Holds one datagram of a 1,428-byte block and its head, with room to spare.
const ROOM: usize = 1536;

const HEAD_BYTES: usize = size_of::<libc::cmsghdr>();

/// A packet information (12 bytes) and a segment size (2), each behind its head and aligned.
const CONTROL_BYTES: usize = 64;

/// Asked for in both directions, so that no burst is lost in the kernel: the size to which Linux
/// lets root and most distributions go (net.core.rmem_max).
const BUFFER_BYTES: usize = 4 << 20;

/// An IPv4 socket that tells and chooses our own address of each datagram.
pub struct Socket {
    socket: UdpSocket,
}

/// Where received datagrams are put; reused from call to call.
pub struct Inbox {
    bytes: Vec<u8>,
    names: [libc::sockaddr_in; BATCH],
    controls: [[u8; CONTROL_BYTES]; BATCH],
    lengths: [(usize, usize); BATCH],
}

/// One datagram to send, or several of `segment` bytes that the kernel cuts (UDP_SEGMENT).
pub struct Parcel {
    pub to: SocketAddrV4,
    /// The address of ours it leaves from; unspecified lets the kernel choose.
    pub source: Ipv4Addr,
    /// Place in the bytes that are handed over with the parcels.
    pub range: Range<usize>,
    pub segment: usize,
}

impl Socket {
    pub fn bind(address: SocketAddrV4) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.set_send_buffer_size(BUFFER_BYTES)?;
        let on: libc::c_int = 1;
        // SAFETY: the option is an integer of the stated size, read during the call.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        socket.bind(&SocketAddr::V4(address).into())?;
        Ok(Self { socket: socket.into() })
    }

    /// Waits until something can be read, at most so long; false if nothing came.
    pub fn wait(&self, milliseconds: libc::c_int) -> bool {
        let mut poll =
            libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry, which outlives the call.
        unsafe { libc::poll(&raw mut poll, 1, milliseconds) > 0 }
    }

    /// Takes what is waiting, up to a batch; returns how many. With `patient` it waits for the
    /// first one.
    pub fn receive(&self, inbox: &mut Inbox, patient: bool) -> usize {
        let mut slices = [EMPTY_SLICE; BATCH];
        let mut headers = [EMPTY_HEADER; BATCH];
        for (index, room) in inbox.bytes.chunks_exact_mut(ROOM).enumerate() {
            slices[index] = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: ROOM };
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut inbox.names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut slices[index];
            header.msg_iovlen = 1;
            header.msg_control = inbox.controls[index].as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        let flags = if patient { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let (fd, forever) = (self.socket.as_raw_fd(), std::ptr::null_mut());
        // SAFETY: each header points to a name, a slice and a control buffer of the stated sizes;
        // all of them outlive the call and none is shared between headers.
        let count =
            unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), BATCH as u32, flags as _, forever) };
        let count = usize::try_from(count).unwrap_or(0);
        for (length, header) in inbox.lengths.iter_mut().zip(&headers[..count]) {
            *length = (header.msg_len as usize, header.msg_hdr.msg_controllen);
        }
        count
    }

    /// Sends all of these, waiting where the kernel's buffer is full. A parcel that the kernel
    /// refuses (nobody listens yet) is left out.
    pub fn send(&self, bytes: &[u8], parcels: &[Parcel]) {
        let mut next = 0;
        while next < parcels.len() {
            let some = &parcels[next..parcels.len().min(next + BATCH)];
            match self.post(bytes, some) {
                Ok(sent) => next += sent,
                Err(_) => next += 1,
            }
        }
    }

    fn post(&self, bytes: &[u8], parcels: &[Parcel]) -> io::Result<usize> {
        let mut names = [EMPTY_NAME; BATCH];
        let mut controls = [[0u8; CONTROL_BYTES]; BATCH];
        let mut slices = [EMPTY_SLICE; BATCH];
        let mut headers = [EMPTY_HEADER; BATCH];
        for (index, parcel) in parcels.iter().enumerate() {
            names[index].sin_family = libc::AF_INET as libc::sa_family_t;
            names[index].sin_port = parcel.to.port().to_be();
            names[index].sin_addr.s_addr = u32::from_ne_bytes(parcel.to.ip().octets());
            let part = &bytes[parcel.range.clone()];
            slices[index] =
                libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
            let control_bytes = write_control(&mut controls[index], parcel);
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut slices[index];
            header.msg_iovlen = 1;
            if control_bytes > 0 {
                header.msg_control = controls[index].as_mut_ptr().cast();
                header.msg_controllen = control_bytes as _;
            }
        }
        let fd = self.socket.as_raw_fd();
        // SAFETY: as many headers as parcels point to names, slices and control messages of the
        // stated sizes, which outlive the call; the kernel only reads them.
        let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), parcels.len() as u32, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Writes source and segment size (cmsg(3), ip(7), udp(7)); returns the bytes used.
fn write_control(control: &mut [u8; CONTROL_BYTES], parcel: &Parcel) -> usize {
    let mut length = 0;
    let mut put = |level: libc::c_int, kind: libc::c_int, data: &[u8]| {
        let place = &mut control[length..];
        let word = size_of::<usize>();
        place[..word].copy_from_slice(&(HEAD_BYTES + data.len()).to_ne_bytes());
        place[word..word + 4].copy_from_slice(&level.to_ne_bytes());
        place[word + 4..word + 8].copy_from_slice(&kind.to_ne_bytes());
        place[HEAD_BYTES..HEAD_BYTES + data.len()].copy_from_slice(data);
        length += (HEAD_BYTES + data.len()).next_multiple_of(word);
    };
    if !parcel.source.is_unspecified() {
        let mut information = [0; 12];
        information[4..8].copy_from_slice(&parcel.source.octets());
        put(libc::IPPROTO_IP, libc::IP_PKTINFO, &information);
    }
    if parcel.range.len() > parcel.segment {
        put(libc::SOL_UDP, libc::UDP_SEGMENT, &(parcel.segment as u16).to_ne_bytes());
    }
    length
}

impl Inbox {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; ROOM * BATCH],
            names: [EMPTY_NAME; BATCH],
            controls: [[0; CONTROL_BYTES]; BATCH],
            lengths: [(0, 0); BATCH],
        }
    }

    /// One of those that the last call brought: its sender, our address, its bytes.
    pub fn datagram(&self, index: usize) -> (SocketAddrV4, Ipv4Addr, &[u8]) {
        let name = &self.names[index];
        let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
        let from = SocketAddrV4::new(ip, u16::from_be(name.sin_port));
        let (length, control_bytes) = self.lengths[index];
        // The one control message we asked for: a head, the interface, our address.
        let control = &self.controls[index][..control_bytes];
        let ours = control.get(HEAD_BYTES + 4..HEAD_BYTES + 8);
        let ours = ours.map_or([0; 4], |ours| ours.try_into().expect("four bytes were cut out"));
        let start = index * ROOM;
        (from, Ipv4Addr::from(ours), &self.bytes[start..start + length])
    }
}

const EMPTY_SLICE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

// SAFETY: all-zero bytes are a valid header: null pointers with lengths of zero.
const EMPTY_HEADER: libc::mmsghdr = unsafe { std::mem::zeroed() };

// SAFETY: all-zero bytes are a valid address: no family, port 0, 0.0.0.0.
const EMPTY_NAME: libc::sockaddr_in = unsafe { std::mem::zeroed() };
