//! `greenlight explain`: what is seen in a captured request, whose it is, and what a server with
//! this configuration would answer and why. It asks the same rules as a server; leases and runs of
//! one that runs are not looked at.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::{complained, print};
use crate::clock::{Clock, Timestamp};
use crate::domain::inventory::meant::Device;
use crate::error::{Code, Error};
use crate::faces::cli::explained::{self, Explained, Report, Told};
use crate::faces::cli::{self};
use crate::files::{self, Loaded};
use crate::platform::Platforms;
use crate::proto::capture::http::{Asked, Heads};
use crate::proto::capture::{Content, Datagram, Frames, Link, NoDatagram, Segment, content};
use crate::service::intake::{Clues, Identity, joined, unplanned};
use crate::service::leases::{self, Leases};
use crate::service::leases6::{self, Leases6};

mod dhcp4;
mod dhcp6;
mod file;
mod http;
mod tftp;

/// A longer capture is cut first; the hint says how.
const CAPTURE_BYTES_MAX: u64 = 64 << 20;

/// Requests that are explained. More than a person reads.
const REQUESTS_MAX: usize = 200;

/// The longest message as hexadecimal digits, separators included.
const HEX_CHARACTERS_MAX: usize = 64 << 10;

/// What requests are held against.
pub struct Ground {
    platforms: Arc<Platforms>,
    plan: Option<Loaded>,
    leases: Option<Leases>,
    leases6: Option<Leases6>,
    now: Timestamp,
}

/// Where a request came from.
#[derive(Debug, Clone)]
struct Heard<'a> {
    frame: Option<u64>,
    datagram: Datagram<'a>,
}

/// `greenlight explain FILE|HEX`.
pub fn run(config: Option<&Path>, explain: &cli::Explain) -> Result<(), Error> {
    let (source, bytes) = input(&explain.what)?;
    let ground = Ground::load(config, Clock::System.now())?;
    let name = config.map_or("no configuration".to_owned(), |path| path.display().to_string());
    let report = ground.report(source, name, &bytes);
    match explain.json {
        true => {
            let text = serde_json::to_string_pretty(&report).expect("a report is plain data");
            print(&format!("{text}\n"));
        }
        false => print(&explained::text(&report)),
    }
    Ok(())
}

/// The bytes of a file, or those written as digits.
fn input(what: &str) -> Result<(String, Vec<u8>), Error> {
    let path = Path::new(what);
    let complain = |message: String, hint: &str| {
        Error::new(Code::Configuration, message).hint(hint.to_owned())
    };
    if path.is_file() {
        let unreadable =
            |error: std::io::Error| complain(format!("cannot read {what}: {error}"), "");
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(CAPTURE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > CAPTURE_BYTES_MAX {
            let hint =
                "cut it: tcpdump -r FILE -w SHORT 'port 67 or port 547 or port 69 or port 80'";
            return Err(complain(format!("{what} is larger than {CAPTURE_BYTES_MAX} bytes"), hint));
        }
        // Wireshark copies a packet as digits.
        let digits = std::str::from_utf8(&bytes).ok().and_then(unhex);
        return Ok((what.to_owned(), digits.unwrap_or(bytes)));
    }
    match unhex(what) {
        Some(bytes) => Ok(("one message".to_owned(), bytes)),
        None => {
            let shown: String = what.chars().take(60).collect();
            let hint =
                "give a capture (pcap, pcapng) or one message as pairs of hexadecimal digits";
            Err(complain(format!("`{shown}` is neither a file nor hexadecimal digits"), hint))
        }
    }
}

/// Digits in pairs; spaces, colons and a `0x` in front do not matter.
fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > HEX_CHARACTERS_MAX {
        return None;
    }
    let text = text.trim();
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

impl Ground {
    fn load(config: Option<&Path>, now: Timestamp) -> Result<Self, Error> {
        let Some(config) = config else { return Ok(Self::bare(now)) };
        let plan = files::load(config).map_err(|complaints| complained(&complaints))?;
        let (settings, inventory) = (&plan.config, &plan.inventory);
        let leases = settings
            .dhcp
            .as_ref()
            .map(|dhcp| Leases::new(dhcp, Arc::clone(inventory), leases::Kept::default(), now));
        let leases6 = settings
            .dhcp6
            .as_ref()
            .map(|dhcp6| Leases6::new(dhcp6, Arc::clone(inventory), leases6::Kept::default(), now));
        Ok(Self { platforms: Arc::clone(&plan.platforms), leases, leases6, plan: Some(plan), now })
    }

    /// The platforms of the program, and nothing else.
    fn bare(now: Timestamp) -> Self {
        let platforms = Arc::new(Platforms::built_in());
        Self { platforms, plan: None, leases: None, leases6: None, now }
    }

    fn report(&self, source: String, ground: String, bytes: &[u8]) -> Report {
        let mut found = Found::default();
        match Frames::of(bytes) {
            Some(frames) => self.capture(frames, &mut found),
            None => self.message(bytes, &mut found),
        }
        let mut notes = found.notes();
        if let Some(why) = (ground == "no configuration").then_some(WITHOUT) {
            notes.push(why.to_owned());
        }
        Report { source, ground, requests: found.requests, notes }
    }

    fn capture<'a>(&self, mut frames: Frames<'a>, found: &mut Found<'a>) {
        for frame in frames.by_ref() {
            found.frames += 1;
            found.cut += u64::from(frame.cut);
            match content(frame.link, frame.bytes) {
                Ok(Content::Udp(datagram)) => {
                    self.add(Heard { frame: Some(frame.number), datagram }, found);
                }
                Ok(Content::Tcp(segment)) => self.stream(segment, Some(frame.number), found),
                Err(NoDatagram::Fragment) => found.fragments.push(frame.number),
                Err(NoDatagram::Link(number)) => found.strange_link = Some(number),
                Err(NoDatagram::NotUdp | NoDatagram::Short) => {}
            }
        }
        found.broke_off = frames.broke_off();
        found.unended = found.heads.unended();
    }

    /// One message that stands alone: a whole frame, an IP packet, or the payload of a datagram.
    fn message<'a>(&self, bytes: &'a [u8], found: &mut Found<'a>) {
        found.frames = 1;
        let mut framed = None;
        for link in [Link::Ethernet, Link::Raw] {
            match content(link, bytes) {
                Ok(Content::Udp(datagram)) if port_of(&datagram).is_some() => {
                    framed = framed.or(Some(datagram));
                }
                Ok(Content::Tcp(segment)) => self.stream(segment, None, found),
                Err(NoDatagram::Fragment) => found.fragments.push(1),
                Ok(Content::Udp(_)) | Err(_) => {}
            }
        }
        if !found.requests.is_empty() || !found.fragments.is_empty() {
            return;
        }
        let nobody = |family: IpAddr, port| Datagram {
            mac: None,
            vlans: Vec::new(),
            from: (family, 0),
            to: (family, port),
            payload: bytes,
            cut: false,
        };
        let (v4, v6) = (IpAddr::from([0; 4]), IpAddr::from([0; 16]));
        let cookie = bytes.get(236..240) == Some(&[99, 130, 83, 99]);
        let guesses = match framed {
            Some(framed) => vec![framed],
            None if cookie => vec![nobody(v4, 67)],
            None => vec![nobody(v4, 69), nobody(v6, 547)],
        };
        // The text of a request, and nothing around it.
        let bare = Segment {
            mac: None,
            vlans: Vec::new(),
            from: (v4, 0),
            to: (v4, 80),
            sequence: 0,
            payload: bytes,
            cut: false,
        };
        self.stream(bare, None, found);
        if !found.requests.is_empty() {
            return;
        }
        for datagram in guesses {
            self.add(Heard { frame: None, datagram }, found);
            if !found.requests.is_empty() {
                break;
            }
        }
    }

    /// A segment of a stream, which may end the head of a request.
    fn stream<'a>(&self, segment: Segment<'a>, frame: Option<u64>, found: &mut Found<'a>) {
        if !self.listens_for_http(segment.to.1) {
            return;
        }
        let Some(asked) = found.heads.take(segment, frame) else { return };
        let explained = http::explain(self, &asked);
        let Asked { first, frame, .. } = asked;
        let Segment { mac, vlans, from, to, payload, cut, .. } = first;
        let datagram = Datagram { mac, vlans, from, to, payload, cut };
        if found.is_new(&datagram) {
            found.keep(Heard { frame, datagram }, explained);
        }
    }

    /// Without a plan any port may be one.
    fn listens_for_http(&self, port: u16) -> bool {
        let Some(plan) = &self.plan else { return true };
        let http = plan.config.http.as_ref();
        let listens =
            http.is_some_and(|http| http.listen.iter().any(|at| at.address.port() == port));
        listens || port == 80
    }

    fn add<'a>(&self, heard: Heard<'a>, found: &mut Found<'a>) {
        let Some(port) = port_of(&heard.datagram) else { return };
        if !found.is_new(&heard.datagram) {
            return;
        }
        let explained = match port {
            Port::Dhcp4 => dhcp4::explain(self, &heard),
            Port::Dhcp6 => dhcp6::explain(self, &heard),
            Port::Tftp => tftp::explain(self, &heard),
        };
        match explained {
            Ok(Some(explained)) => found.keep(heard, explained),
            Ok(None) => {}
            Err(why) if found.unreadable.len() < UNREADABLE_MAX => {
                let place = heard.frame.map_or("it".to_owned(), |number| format!("frame {number}"));
                found.unreadable.push(format!("{place} is no request: {why}"));
            }
            Err(_) => {}
        }
    }

    /// Whom clues name, as a server finds it, and how in words.
    fn identify(&self, clues: &Clues) -> (Identity, Vec<String>) {
        let Some(plan) = &self.plan else {
            return (unplanned(clues), Vec::new());
        };
        let inventory = &plan.inventory;
        let name = |device: Option<&Arc<Device>>| match device {
            Some(device) => device.name.clone(),
            None => "nobody's".to_owned(),
        };
        let mut how = Vec::new();
        if let Some(serial) = &clues.serial {
            how.push(format!("serial {serial} is {}", name(inventory.with_serial(serial))));
        }
        if let Some(mac) = clues.mac {
            how.push(format!("MAC {mac} is {}", name(inventory.with_mac(mac))));
        }
        if let Some(position) = &clues.position {
            let found = name(inventory.at_position(position));
            how.push(format!("relay port {} is {found}", position.shown()));
        }
        let identity = joined(inventory, clues).unwrap_or_else(|| unplanned(clues));
        if let (Identity::Device(device), Some(seen)) = (&identity, &clues.platform)
            && device.platform != *seen
        {
            how.push(format!("planned as {}, and asks like {seen}", device.platform));
        }
        (identity, how)
    }
}

/// Said once where there is no plan.
const WITHOUT: &str = "without a configuration nobody is planned and no address can be given; \
                       `--config FILE` names one";

/// Of these the reasons are told.
const UNREADABLE_MAX: usize = 20;

/// What was found so far.
#[derive(Default)]
struct Found<'a> {
    requests: Vec<Explained>,
    /// Which datagram each request came in.
    seen: Vec<(usize, Datagram<'a>)>,
    unreadable: Vec<String>,
    frames: u64,
    cut: u64,
    /// Frames that hold a piece of an IP packet.
    fragments: Vec<u64>,
    heads: Heads<'a>,
    /// Frames in which a request begins that has no end here.
    unended: Vec<u64>,
    left_out: u64,
    strange_link: Option<u16>,
    broke_off: bool,
}

impl<'a> Found<'a> {
    /// False for what came before, which is counted, and for what is too much.
    fn is_new(&mut self, datagram: &Datagram<'a>) -> bool {
        let same = |(_, seen): &&(usize, Datagram<'a>)| {
            seen.payload == datagram.payload && seen.from == datagram.from
        };
        if let Some((at, _)) = self.seen.iter().find(same) {
            self.requests[*at].repeats += 1;
            return false;
        }
        let room = self.requests.len() < REQUESTS_MAX;
        self.left_out += u64::from(!room);
        room
    }

    fn keep(&mut self, heard: Heard<'a>, mut explained: Explained) {
        explained.frame = heard.frame;
        explained.from = from(&heard.datagram);
        self.seen.push((self.requests.len(), heard.datagram));
        self.requests.push(explained);
    }

    fn notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.unreadable);
        let mut note = |true_of: bool, text: String| {
            if true_of {
                notes.push(text);
            }
        };
        let Self { frames, cut, fragments, unended, left_out, .. } = self;
        note(*left_out > 0, format!("{left_out} more requests are not explained"));
        note(
            *cut > 0,
            format!("{cut} of {frames} frames were cut when captured (`tcpdump -s 0` keeps all)"),
        );
        let (what, them) = match fragments.len() {
            1 => ("is a piece of an IP packet", "it"),
            _ => ("are pieces of IP packets", "them"),
        };
        note(
            !fragments.is_empty(),
            format!(
                "{} {what}, and pieces are not put together: a request in {them} is not explained; \
                 capture where packets are whole, before a tunnel or a smaller MTU",
                frames_shown(fragments)
            ),
        );
        note(
            !unended.is_empty(),
            format!(
                "an HTTP request begins in {} and does not end in this capture",
                frames_shown(unended)
            ),
        );
        note(self.broke_off, "the capture breaks off: what follows is lost".to_owned());
        if let Some(number) = self.strange_link {
            note(true, format!("link type {number} is not read: capture on Ethernet or on `any`"));
        }
        notes
    }
}

/// Frames whose numbers are told; of more only how many.
const FRAMES_SHOWN_MAX: usize = 8;

/// `frame 7`, `frames 7, 8, 9 and 3 more`.
fn frames_shown(frames: &[u64]) -> String {
    let numbers: Vec<String> =
        frames.iter().take(FRAMES_SHOWN_MAX).map(ToString::to_string).collect();
    let more = frames.len().saturating_sub(FRAMES_SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let noun = if frames.len() == 1 { "frame" } else { "frames" };
    format!("{noun} {}{more}", numbers.join(", "))
}

/// What a datagram may be a request of, by where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Dhcp4,
    Dhcp6,
    Tftp,
}

fn port_of(datagram: &Datagram) -> Option<Port> {
    match datagram.to.1 {
        67 => Some(Port::Dhcp4),
        547 => Some(Port::Dhcp6),
        69 => Some(Port::Tftp),
        _ => None,
    }
}

fn from(datagram: &Datagram) -> String {
    let Datagram { mac, vlans, from: (address, port), .. } = datagram;
    let mut text = match address.is_unspecified() && *port == 0 {
        true => "somebody".to_owned(),
        false => std::net::SocketAddr::new(*address, *port).to_string(),
    };
    if let Some(mac) = mac {
        text.push_str(&format!(" ({mac})"));
    }
    for vlan in vlans {
        text.push_str(&format!(", VLAN {vlan}"));
    }
    text
}

/// Text of strangers, every byte outside printable ASCII escaped.
fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn told(name: impl Into<String>, value: impl Into<String>) -> Told {
    Told::new(name, value)
}

/// Why nobody is answered whom the plan does not know, or what is.
fn refused(identity: &Identity) -> Option<String> {
    match identity {
        Identity::Device(_) => None,
        Identity::Conflict { detail } => Some(format!("its clues contradict each other: {detail}")),
        Identity::Stranger { description } => Some(format!("{description}, and nobody planned it")),
        Identity::Nobody => {
            Some("nobody planned it, and it asks like no network device".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_261_396);

    thread_local! {
        static GROUND: Ground = Ground::bare(NOW);
    }

    /// A capture of these datagrams over bare IPv4.
    fn pcap(datagrams: &[([u8; 4], u16, &[u8])]) -> Vec<u8> {
        let le = |number: u32| number.to_le_bytes();
        let mut file =
            [le(0xa1b2_c3d4), le(0x0004_0002), le(0), le(0), le(65_535), le(101)].concat();
        for (from, port, payload) in datagrams {
            let be = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
            let udp =
                [&[0x80, 0][..], &port.to_be_bytes(), &be(payload.len() + 8), &[0, 0], payload];
            let udp = udp.concat();
            let head = [&[0x45, 0][..], &be(udp.len() + 20), &[0, 0, 0, 0, 64, 17, 0, 0]].concat();
            let packet = [&head[..], from, &[192, 0, 2, 2], &udp].concat();
            let length = le(u32::try_from(packet.len()).unwrap());
            file.extend([le(1), le(2), length, length].concat());
            file.extend(packet);
        }
        file
    }

    /// The same with frames that are written out.
    fn raw(packets: &[&[u8]]) -> Vec<u8> {
        let mut file = pcap(&[]);
        for packet in packets {
            let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
            file.extend([&[0; 8][..], &length, &length, packet].concat());
        }
        file
    }

    /// A TCP segment to port 80.
    fn segment(from: [u8; 4], sequence: u32, payload: &[u8]) -> Vec<u8> {
        let head = [&[0x9c, 0x40, 0, 80][..], &sequence.to_be_bytes(), &[0; 4], &[0x50, 0x18]];
        let tcp = [&head.concat()[..], &[0; 6], payload].concat();
        let length = u16::try_from(tcp.len() + 20).unwrap().to_be_bytes();
        let ip = [&[0x45, 0][..], &length, &[0, 0, 0x40, 0, 64, 6, 0, 0]].concat();
        [&ip[..], &from, &[192, 0, 2, 2], &tcp].concat()
    }

    const EOS_REQUEST: &[u8] = b"GET /zrh-access-1.cfg HTTP/1.1\r\nHost: 192.0.2.2\r\n\
        User-Agent: EOS ZTP\r\nX-Arista-ModelName: DCS-7050S-64\r\n\
        X-Arista-Serial: JPE12345678\r\nX-Arista-SystemMAC: 00:1c:73:00:00:01\r\n\r\n";

    /// Two askers; the second's request comes in two pieces.
    fn over_http() -> Vec<u8> {
        let (one, two) = EOS_REQUEST.split_at(60);
        let mut piece = segment([192, 0, 2, 31], 1, b"GET / HTTP/1.1\r\n");
        piece[6] = 0x20;
        raw(&[
            &segment([192, 0, 2, 21], 1, EOS_REQUEST),
            &segment([192, 0, 2, 99], 500, one),
            &segment([192, 0, 2, 99], 500 + 60, two),
            &segment([192, 0, 2, 98], 1, b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"),
            &segment([192, 0, 2, 97], 1, b"GET /unended HTTP/1.1\r\n"),
            &piece,
        ])
    }

    fn kept(name: &str) -> Vec<u8> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
        std::fs::read(folder.join(name)).unwrap()
    }

    fn asking(kind: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
        use crate::proto::dhcp4::{Message, MessageType};
        let mac = "00:1b:21:aa:bb:cc".parse().unwrap();
        let mut message = Message::from_client(MessageType::from_number(kind), mac, 7);
        for (code, value) in options {
            message = message.with(*code, *value);
        }
        message.encode()
    }

    /// Planned by the shipped example, and not.
    fn exchange() -> Vec<u8> {
        let rrq = b"\0\x01network-confg\0octet\0blksize\x001428\0";
        let xr = [&[0, 0, 0, 9, 25][..], b"SN:FOC2048X0AB;PID:NCS-55"].concat();
        let serial = b"\0cisco-0011.2233.4455-Vl1".as_slice();
        pcap(&[
            ([0; 4], 67, &asking(1, &[(60, b"MSFT 5.0"), (55, &[1, 3, 6])])),
            ([0; 4], 67, &asking(1, &[(61, serial)])),
            ([0; 4], 67, &asking(1, &[(61, serial)])),
            ([0; 4], 67, &asking(1, &[(77, b"exr-config"), (124, &xr)])),
            (
                [0; 4],
                67,
                &asking(1, &[(60, b"Arista;DCS-7050;01.23;JPE12345678"), (50, &[192, 0, 2, 31])]),
            ),
            ([192, 0, 2, 21], 69, rrq),
            ([192, 0, 2, 99], 69, rrq),
            ([192, 0, 2, 21], 69, b"\0\x01unended"),
            ([192, 0, 2, 21], 4000, b"something else"),
        ])
    }

    fn shipped() -> Ground {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/greenlight.yaml");
        Ground::load(Some(&config), NOW).unwrap()
    }

    #[test]
    fn explanations_look_as_in_the_golden_file() {
        let bare =
            Ground::bare(NOW).report("new.pcap".into(), "no configuration".into(), &exchange());
        let planned = shipped().report("new.pcap".into(), "greenlight.yaml".into(), &exchange());
        let http = |ground: &Ground, name: &str| {
            explained::text(&ground.report("http.pcap".into(), name.into(), &over_http()))
        };
        let shown = [
            explained::text(&bare),
            explained::text(&planned),
            http(&Ground::bare(NOW), "no configuration"),
            http(&shipped(), "greenlight.yaml"),
        ];
        let shown = shown.join("\n=====\n\n");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/explain.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &shown).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), shown);
    }

    #[test]
    fn what_real_clients_sent_is_explained_alone_and_in_a_capture() {
        let ground = Ground::bare(NOW);
        for (name, what) in [
            ("dhcp4/udhcpc-01.bin", "DHCPv4 Discover"),
            ("dhcp4/dhcrelay-01.bin", "DHCPv4 Discover"),
            ("dhcp6/dhclient6-01.bin", "DHCPv6 Solicit"),
            ("dhcp6/dhcrelay6-01.bin", "DHCPv6 Solicit"),
            ("dhcp6/dnsmasq6-01.bin", "DHCPv6 Solicit"),
            ("tftp/curl-01.bin", "TFTP read"),
        ] {
            let payload = kept(name);
            let port = match &name[..5] {
                "dhcp4" => 67,
                "dhcp6" => 547,
                _ => 69,
            };
            let file = pcap(&[([0; 4], port, &payload)]);
            for (bytes, frame) in [(&payload, None), (&file, Some(1))] {
                let report = ground.report(String::new(), String::new(), bytes);
                let [request] = &report.requests[..] else { panic!("{name}: {report:?}") };
                assert_eq!((request.what.as_str(), request.frame), (what, frame), "{name}");
            }
        }
    }

    #[test]
    fn an_http_request_and_a_fragment_are_explained_as_digits_too() {
        let ground = Ground::bare(NOW);
        let packet = segment([192, 0, 2, 21], 1, EOS_REQUEST);
        for bytes in [EOS_REQUEST, &packet] {
            let report = ground.report(String::new(), String::new(), bytes);
            let [request] = &report.requests[..] else { panic!("{report:?}") };
            assert_eq!((request.what.as_str(), request.frame), ("HTTP GET", None));
            assert_eq!(request.platforms[0].platform, "arista_eos");
            assert_eq!(request.platforms[0].serial.as_deref(), Some("JPE12345678"));
        }
        let mut piece = packet.clone();
        piece[6] = 0x20;
        let report = ground.report(String::new(), String::new(), &piece);
        assert!(report.requests.is_empty());
        assert!(report.notes[0].starts_with("frame 1 is a piece of an IP packet"), "{report:?}");
    }

    #[test]
    fn digits_are_read_with_and_without_separators() {
        assert_eq!(unhex("0x00:01 ff\n"), Some(vec![0, 1, 255]));
        assert_eq!(unhex("0001FF"), Some(vec![0, 1, 255]));
        for text in ["", "0", "0x", "new.pcap", "00 0g"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }

    #[test]
    fn a_capture_cut_anywhere_is_explained_as_far_as_it_goes() {
        let (ground, file) = (Ground::bare(NOW), exchange());
        let whole = ground.report(String::new(), String::new(), &file).requests.len();
        for cut in (0..file.len()).step_by(11) {
            let report = ground.report(String::new(), String::new(), &file[..cut]);
            assert!(report.requests.len() <= whole, "{cut}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_capture_breaks_the_explanation(
            flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..12),
            cut in any::<u16>(),
        ) {
            let mut file = exchange();
            for (at, byte) in flips {
                let at = usize::from(at) % file.len();
                file[at] = byte;
            }
            file.truncate(file.len().saturating_sub(usize::from(cut) % 200));
            let report = GROUND.with(|ground| ground.report(String::new(), String::new(), &file));
            prop_assert!(explained::text(&report).chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
