//! `greenlight.yaml` as meant: every default filled in, every unit resolved, nothing left to guess.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::inventory::meant::SecretSource;
use crate::written::At;

/// The whole configuration. Relative paths are already joined to the file's own directory.
#[derive(Debug, Clone)]
pub struct Config {
    pub inventory: PathBuf,
    pub templates: PathBuf,
    /// A directory of platform files that override or extend the built-in ones.
    pub platforms: Option<PathBuf>,
    /// A directory of ntc-templates.
    pub ntc_templates: Option<PathBuf>,
    /// The language of what installers read; that it is known is for whoever has the words to say.
    pub language: At<String>,
    /// A directory of words files that override or extend the built-in ones.
    pub words: Option<PathBuf>,
    /// Files of this directory and of those in it are served to planned devices.
    pub images: Option<PathBuf>,
    /// The store and the local socket live here.
    pub data: PathBuf,
    /// The control socket of `status`, `log`, `watch`, `rerun`, `cancel`.
    pub socket: PathBuf,
    pub dhcp: Option<Dhcp>,
    pub dhcp6: Option<Dhcp6>,
    pub tftp: Option<Tftp>,
    pub http: Option<Http>,
    pub runs: Runs,
    pub ssh: Ssh,
    pub slack: Option<Slack>,
    pub hooks: Vec<Hook>,
}

#[derive(Debug, Clone)]
pub struct Dhcp {
    /// Where to listen: an address and port, each optionally bound to an interface.
    pub listen: Vec<Listen>,
    /// Our own address as clients and relays must see it: server identifier (option 54), `siaddr`,
    /// options 66 and 150.
    pub server_address: Ipv4Addr,
    /// Unrelayed replies to clients without an address go here instead of 255.255.255.255:68 when
    /// set: for running without root on loopback.
    pub reply_to_port: u16,
    pub pools: Vec<Pool>,
    /// Never below 3600 s (NX-OS refuses shorter offers) unless the operator writes it.
    pub lease: Duration,
    /// What a device gets that a platform recognises and the inventory does not know.
    pub unknown: Unknown,
    pub limits: DhcpLimits,
}

/// How much may be asked of DHCP, of each version. Who is known by its hardware address counts for
/// `client_rate` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DhcpLimits {
    /// Messages a second of one hardware address, or of one DUID.
    pub client_rate: u32,
    /// Messages a second of strangers through one relay.
    pub relay_rate: u32,
    /// Messages a second of strangers on one interface that are read at all.
    pub interface_rate: u32,
    /// Messages a second of network devices that nobody planned that are acted upon.
    pub stranger_rate: u32,
    /// Addresses that strangers hold at a time.
    pub strangers_max: usize,
    /// Of these, behind one relay or on our own links.
    pub relay_strangers_max: usize,
    /// The part of a pool's range that strangers may hold.
    pub pool_strangers_percent: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    pub interface: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// No lease; the sighting is reported.
    Refuse,
    /// A short lease from the pool, no file; the sighting is reported.
    Quarantine,
}

/// Addresses handed out in one subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub subnet: ipnet::Ipv4Net,
    /// First and last address of the dynamic range; `None` serves reservations only.
    pub range: Option<(Ipv4Addr, Ipv4Addr)>,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Dhcp6 {
    /// Where to listen; an entry with an interface hears that one alone, the others every one.
    pub listen: Vec<Listen>,
    /// Our own address as devices reach it: it stands in the URL of the boot file (option 59).
    pub server_address: Ipv6Addr,
    pub pools: Vec<Pool6>,
    /// The preferred lifetime of an address, at most `valid` (RFC 8415 section 21.6).
    pub preferred: Duration,
    /// The valid lifetime: the length of a lease.
    pub valid: Duration,
    /// What a device gets that a platform recognises and the inventory does not know.
    pub unknown: Unknown,
    /// Whether a Solicit that asks for it is answered by a Reply at once (RFC 8415 section 21.14).
    pub rapid_commit: bool,
    /// Addresses that one device, or one DUID that nobody knows, may have at a time: it asks for
    /// one on each of a few ports, and one that makes up a new association at each try must not
    /// empty a pool.
    pub addresses_max: usize,
    pub limits: DhcpLimits,
}

/// IPv6 addresses handed out in one subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool6 {
    pub subnet: ipnet::Ipv6Net,
    /// First and last address of the dynamic range; `None` serves reservations only.
    pub range: Option<(Ipv6Addr, Ipv6Addr)>,
    pub dns: Vec<Ipv6Addr>,
    /// The domains that a client searches, the nearest first (RFC 3646 section 4).
    pub search: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Tftp {
    pub listen: Vec<Listen>,
    /// The port clients are told in a URL and options; 69 unless changed.
    pub transfers_max: usize,
    pub block_bytes_max: u16,
    pub window_blocks_max: u16,
    pub timeout: Duration,
    pub retries_max: u32,
    /// Answers leave from the listening port: for firewalls and NAT that know nothing of TFTP.
    pub single_port: bool,
    /// `None`: no upload is taken.
    pub uploads: Option<Uploads>,
}

/// Files that devices send.
#[derive(Debug, Clone)]
pub struct Uploads {
    /// Each device has a directory below this one.
    pub directory: PathBuf,
    /// Of one file.
    pub bytes_max: u64,
    /// Files of one name that are kept, the newest included.
    pub versions: u32,
    /// Different names of one device.
    pub names_max: usize,
}

#[derive(Debug, Clone)]
pub struct Http {
    pub listen: Vec<Listen>,
    pub connections_max: usize,
}

#[derive(Debug, Clone)]
pub struct Runs {
    /// Requests of one device within this time join its run.
    pub window: Duration,
    /// From lease to the first file request before G2 is said.
    pub file_patience: Duration,
    /// From the end of the transfer to the first visit; `None`: the platform says.
    pub settle: Option<Duration>,
    /// From the end of the transfer to G5 when the device does not come back; `None`: the platform
    /// says.
    pub back_deadline: Option<Duration>,
    /// Between visits while something is wrong or not there yet.
    pub recheck: Duration,
    /// How long a neighbour may stay unheard after the first visit before that is a fault.
    pub neighbour_patience: Duration,
    /// How long a refused login is tried again before it is a fault: AAA may be slow.
    pub login_patience: Duration,
    /// "Still waiting" is said once after this time.
    pub still_waiting: Duration,
    /// Visits at the same time.
    pub visits_max: usize,
}

#[derive(Debug, Clone)]
pub struct Ssh {
    pub connect_timeout: Duration,
    /// For one whole visit.
    pub visit_timeout: Duration,
    /// For one answer of a device, in bytes.
    pub output_bytes_max: usize,
}

#[derive(Debug, Clone)]
pub struct Slack {
    pub access: SlackAccess,
    /// The channel of sites that name none; empty where a webhook has its own.
    pub channel: String,
    /// `https://slack.com/api/` unless a test or a proxy stands in between.
    pub api_url: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlackAccess {
    BotToken(SecretSource),
    Webhook(SecretSource),
}

/// Who takes over when a device is ready.
#[derive(Debug, Clone)]
pub struct Hook {
    pub name: String,
    /// The installer is told to leave only after this hook has accepted.
    pub required: bool,
    pub target: HookTarget,
    pub timeout: Duration,
    /// When to try again; the last one is followed by giving up.
    pub retries: Vec<Duration>,
}

#[derive(Debug, Clone)]
pub enum HookTarget {
    Http {
        url: String,
        headers: BTreeMap<String, String>,
        /// Headers whose values are secrets.
        secret_headers: BTreeMap<String, SecretSource>,
        /// Signs the body (Standard Webhooks) when set.
        signing_secret: Option<SecretSource>,
    },
    Exec {
        argv: Vec<String>,
    },
}
