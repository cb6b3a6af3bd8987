//! What a TFTP transfer costs the server beside the file it shares: memory, allocations, sockets.
//!
//! The server has a thread of its own, and the allocator counts what that thread takes and gives
//! back, each piece as the chunk that glibc's malloc makes of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use greenlight::clock::Clock;
use greenlight::config::meant;
use greenlight::servers::files::Files;
use greenlight::servers::tftp;
use greenlight::service::serving::{Artifact, Ask};
use tokio::sync::watch;

struct Counting;

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A chunk has a head of 8 bytes and is a multiple of 16.
fn chunk(layout: Layout) -> i64 {
    ((layout.size() + 8).next_multiple_of(16)).max(32) as i64
}

// SAFETY: every call goes to the system's allocator with its own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.get() {
            LIVE_BYTES.fetch_add(chunk(layout), Ordering::Relaxed);
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if COUNTED.get() {
            LIVE_BYTES.fetch_sub(chunk(layout), Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const FILE_BYTES: usize = 8 << 20;

/// Runs the server on a thread that is counted; returns its address and what ends it.
fn server() -> (SocketAddr, watch::Sender<bool>) {
    let config = meant::Tftp {
        listen: vec![meant::Listen { address: "127.0.0.1:0".parse().unwrap(), interface: None }],
        transfers_max: 8192,
        block_bytes_max: 1468,
        window_blocks_max: 16,
        // Nothing is repeated while it is measured.
        timeout: Duration::from_secs(30),
        retries_max: 5,
        single_port: false,
        uploads: None,
    };
    let (shutdown, end) = watch::channel(false);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let content: Arc<[u8]> = vec![7; FILE_BYTES].into();
            let artifact = move |_: Ask| {
                let content = Arc::clone(&content);
                let (device, sha256) = ("acc-sw-17".to_owned(), "ab".repeat(32));
                std::future::ready(Ok(Artifact { device, content, sha256 }))
            };
            let files = Files::new(artifact, |_| std::future::ready(()));
            let sockets = tftp::bind(&config).unwrap();
            tell.send(sockets.listening()[0]).unwrap();
            COUNTED.set(true);
            tftp::serve(sockets, config, files, Clock::System, end).await;
        });
    });
    (told.recv().unwrap(), shutdown)
}

/// A reader with an address of its own.
fn reader(server: SocketAddr, number: usize) -> (UdpSocket, SocketAddr, Vec<u8>) {
    let request =
        b"\0\x01network-confg\0octet\0tsize\x000\0blksize\x001428\0timeout\x0010\0windowsize\x001\0";
    let address = std::net::Ipv4Addr::from(0x7f01_0001 + number as u32);
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send_to(request, server).unwrap();
    let mut buffer = vec![0; 2000];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(length);
    (socket, from, buffer)
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_transfer_costs_a_kibibyte_and_no_socket_and_a_packet_no_allocation() {
    const READERS: usize = 500;
    let (server, _shutdown) = server();
    // The first one brings what is made once.
    let first = reader(server, 0);
    let settle = || std::thread::sleep(Duration::from_millis(300));
    settle();

    let (before, files) = (LIVE_BYTES.load(Ordering::Relaxed), open_files());
    let readers: Vec<_> = (1..=READERS).map(|number| reader(server, number)).collect();
    settle();
    let each = (LIVE_BYTES.load(Ordering::Relaxed) - before) / READERS as i64;
    println!("{each} bytes for each transfer");
    assert!(readers.iter().all(|(_, _, answer)| answer.starts_with(b"\0\x06tsize")));
    assert!(each <= 1024, "{each} bytes for each transfer");
    assert_eq!(open_files() - files, READERS, "the sockets of the readers, and none of the server");

    let (socket, from, _) = first;
    let mut buffer = [0; 2000];
    let mut packets = 0u64;
    let mut block = 0u16;
    let mut counted = 0;
    loop {
        socket.send_to(&[0, 4, (block >> 8) as u8, block as u8], from).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        block = u16::from_be_bytes([buffer[2], buffer[3]]);
        packets += 1;
        if packets == 100 {
            counted = ALLOCATIONS.load(Ordering::Relaxed);
        }
        if length < 4 + 1428 {
            break;
        }
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - counted;
    println!("{allocations} allocations in {packets} packets");
    assert!(packets > 5000);
    assert!(allocations <= 10, "{allocations} allocations in {packets} packets");
}
