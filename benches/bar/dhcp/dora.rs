//! A client of our own for many four-way exchanges (RFC 2131 section 3.1), so many at a time. It
//! speaks as a relay does and fills a server with leases.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use greenlight::clock::Clock;

use crate::net::{Inbox, Parcel, Socket};

/// A client that hears nothing asks again after this time.
const AGAIN: Duration = Duration::from_secs(1);

/// Servers and relays have port 67.
const PORT: u16 = 67;

/// Of the fixed part of a message (RFC 2131 section 2): sname and file stay empty.
const FIXED_BYTES: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// A message of BOOTP has so many (RFC 951 section 3), and relays may drop what is shorter.
const MESSAGE_BYTES_MIN: usize = 300;

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Since then it waits for an offer.
    Discovering {
        since: Instant,
    },
    /// It was offered this address by this server.
    Requesting {
        since: Instant,
        address: [u8; 4],
        server: [u8; 4],
    },
    Bound,
}

struct Crowd {
    server: SocketAddrV4,
    relay: Ipv4Addr,
    crowd: u8,
    clients: Vec<Phase>,
    bytes: Vec<u8>,
    parcels: Vec<Parcel>,
}

/// `dora SERVER RELAY CROWD COUNT AT_ONCE PATIENCE_SECONDS`: prints the exchanges made and the
/// seconds they took; fails if some are missing.
pub fn main(words: &[&str]) -> Result<(), String> {
    let [server, relay, crowd, count, at_once, patience] = words else {
        return Err("dora SERVER RELAY CROWD COUNT AT_ONCE PATIENCE_SECONDS".to_owned());
    };
    let number = |word: &str| word.parse::<usize>().map_err(|error| format!("{word}: {error}"));
    let address = |word: &str| word.parse::<Ipv4Addr>().map_err(|error| format!("{word}: {error}"));
    let relay = address(relay)?;
    let crowd = Crowd {
        server: SocketAddrV4::new(address(server)?, PORT),
        relay,
        crowd: number(crowd)? as u8,
        clients: Vec::new(),
        bytes: Vec::new(),
        parcels: Vec::new(),
    };
    let socket = Socket::bind(SocketAddrV4::new(relay, PORT)).map_err(|error| error.to_string())?;
    let patience = Duration::from_secs(number(patience)? as u64);
    let count = number(count)?;
    let (bound, elapsed) = crowd.run(&socket, count, number(at_once)?, patience);
    println!("{bound} {:.3}", elapsed.as_secs_f64());
    if bound == count { Ok(()) } else { Err(format!("only {bound} of {count} have a lease")) }
}

impl Crowd {
    fn run(
        mut self,
        socket: &Socket,
        count: usize,
        at_once: usize,
        patience: Duration,
    ) -> (usize, Duration) {
        let clock = Clock::System;
        let begin = clock.instant();
        let mut inbox = Inbox::new();
        let mut bound = 0;
        let mut looked = begin;
        while bound < count && clock.instant().duration_since(begin) < patience {
            let now = clock.instant();
            while self.clients.len() < count.min(bound + at_once) {
                self.clients.push(Phase::Discovering { since: now });
                self.discover(self.clients.len() - 1);
            }
            socket.send(&self.bytes, &self.parcels);
            self.bytes.clear();
            self.parcels.clear();
            socket.wait(100);
            for index in 0..socket.receive(&mut inbox, false) {
                let (_, _, bytes) = inbox.datagram(index);
                bound += usize::from(self.on_message(bytes, now));
            }
            if now.duration_since(looked) > AGAIN / 4 {
                looked = now;
                self.on_time(now);
            }
        }
        (bound, clock.instant().duration_since(begin))
    }

    /// True if a lease was confirmed.
    fn on_message(&mut self, bytes: &[u8], now: Instant) -> bool {
        let Some(number) = bytes.get(4..8) else { return false };
        let number = u32::from_be_bytes(number.try_into().expect("four bytes were cut out"));
        let Some(phase) = self.clients.get_mut(number as usize) else { return false };
        let Some(address) = bytes.get(16..20) else { return false };
        let address: [u8; 4] = address.try_into().expect("four bytes were cut out");
        let kind = option(bytes, 53).and_then(|kind| kind.first().copied());
        match (*phase, kind) {
            (Phase::Discovering { .. }, Some(OFFER)) => {
                let server = option(bytes, 54).and_then(|server| server.try_into().ok());
                let server = server.unwrap_or(self.server.ip().octets());
                *phase = Phase::Requesting { since: now, address, server };
                self.request(number as usize, address, server);
                false
            }
            (Phase::Requesting { .. }, Some(ACK)) => {
                *phase = Phase::Bound;
                true
            }
            (_, _) => false,
        }
    }

    fn on_time(&mut self, now: Instant) {
        for number in 0..self.clients.len() {
            match &mut self.clients[number] {
                Phase::Discovering { since } if now.duration_since(*since) > AGAIN => {
                    *since = now;
                    self.discover(number);
                }
                Phase::Requesting { since, address, server }
                    if now.duration_since(*since) > AGAIN =>
                {
                    *since = now;
                    let (address, server) = (*address, *server);
                    self.request(number, address, server);
                }
                Phase::Discovering { .. } | Phase::Requesting { .. } | Phase::Bound => {}
            }
        }
    }

    fn discover(&mut self, number: usize) {
        self.say(number, &[53, 1, DISCOVER]);
    }

    fn request(&mut self, number: usize, address: [u8; 4], server: [u8; 4]) {
        let mut options = vec![53, 1, REQUEST, 50, 4];
        options.extend_from_slice(&address);
        options.extend_from_slice(&[54, 4]);
        options.extend_from_slice(&server);
        self.say(number, &options);
    }

    fn say(&mut self, number: usize, options: &[u8]) {
        let start = self.bytes.len();
        self.bytes.resize(start + FIXED_BYTES, 0);
        let fixed = &mut self.bytes[start..];
        // A request over Ethernet with one hop behind it; the transaction is the client's number.
        fixed[..4].copy_from_slice(&[1, 1, 6, 1]);
        fixed[4..8].copy_from_slice(&(number as u32).to_be_bytes());
        fixed[24..28].copy_from_slice(&self.relay.octets());
        let [_, high, middle, low] = (number as u32).to_be_bytes();
        fixed[28..34].copy_from_slice(&[0, 0x0c, self.crowd, high, middle, low]);
        self.bytes.extend_from_slice(&COOKIE);
        self.bytes.extend_from_slice(options);
        self.bytes.push(255);
        let length = (self.bytes.len() - start).max(MESSAGE_BYTES_MIN);
        self.bytes.resize(start + length, 0);
        let (to, source) = (self.server, Ipv4Addr::UNSPECIFIED);
        self.parcels.push(Parcel { to, source, range: start..start + length, segment: length });
    }
}

/// The first option of this code (RFC 2132 section 2).
fn option(bytes: &[u8], code: u8) -> Option<&[u8]> {
    let mut rest = bytes.get(FIXED_BYTES + COOKIE.len()..)?;
    loop {
        match rest {
            [0, more @ ..] => rest = more,
            [255, ..] | [] | [_] => return None,
            [found, length, more @ ..] => {
                let (data, more) = more.split_at_checked(usize::from(*length))?;
                if *found == code {
                    return Some(data);
                }
                rest = more;
            }
        }
    }
}
