//! The configuration from written to meant: defaults filled in, paths joined, contradictions found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::complaint::{Complaint, Complaints, Place, did_you_mean};
use crate::config::dhcp6::resolve::meant_dhcp6;
use crate::config::limits;
use crate::config::meant::{
    Config, Dhcp, Hook, HookTarget, Http, Listen, Pool, Runs, Slack, SlackAccess, Ssh, Tftp,
    Unknown, Uploads,
};
use crate::config::tftp_written::WrittenTftp;
use crate::config::written::{
    self, WrittenConfig, WrittenDhcp, WrittenHook, WrittenListen, WrittenPool, WrittenRuns,
    WrittenSlack, WrittenSsh,
};
use crate::domain::inventory::meant::SecretSource;
use crate::domain::inventory::written::WrittenSecret;
use crate::domain::notice;
use crate::written::{At, shown};

/// Reads and resolves the text of a configuration; relative paths begin at `directory`.
pub fn configure(file: &str, text: &str, directory: &Path) -> (Config, Vec<Complaint>) {
    let mut complaints = Complaints::about(file);
    let written = written::read(text, &mut complaints);
    let config = resolve(written, directory, &mut complaints);
    (config, complaints.finish(text))
}

fn resolve(written: WrittenConfig, directory: &Path, complaints: &mut Complaints) -> Config {
    let path = |text: Option<At<String>>, default: &str| {
        directory.join(text.map_or_else(|| PathBuf::from(default), |text| text.value.into()))
    };
    let data = path(written.data, "data");
    // Whoever has an IPv6 address from us asks for its file by IPv6; `::` hears both families.
    let ours: IpAddr = match &written.dhcp6 {
        Some(_) => Ipv6Addr::UNSPECIFIED.into(),
        None => Ipv4Addr::UNSPECIFIED.into(),
    };
    let (inventory, templates) =
        (path(written.inventory, "inventory.yaml"), path(written.templates, "templates"));
    let uploads = written.tftp.as_ref().and_then(|tftp| tftp.uploads.as_ref());
    let uploads = uploads.map(|uploads| directory.join(&uploads.directory.value));
    let private = [Some(directory), Some(&data), Some(&inventory), Some(&templates)];
    let private: Vec<&Path> = private.into_iter().flatten().chain(uploads.as_deref()).collect();
    let images = written.images.map(|text| meant_images(&text, (directory, &private), complaints));
    Config {
        inventory,
        templates,
        platforms: written.platforms.map(|text| directory.join(text.value)),
        ntc_templates: written.ntc_templates.map(|text| directory.join(text.value)),
        language: written
            .language
            .unwrap_or_else(|| At { value: notice::USUAL.to_owned(), place: Place::default() }),
        words: written.words.map(|text| directory.join(text.value)),
        images,
        socket: match written.socket {
            Some(text) => directory.join(text.value),
            None => data.join("greenlight.sock"),
        },
        data,
        dhcp: written.dhcp.map(|dhcp| meant_dhcp(dhcp, complaints)),
        dhcp6: written.dhcp6.map(|dhcp6| meant_dhcp6(dhcp6, complaints)),
        tftp: written.tftp.map(|tftp| meant_tftp(tftp, (ours, directory), complaints)),
        http: written.http.map(|http| Http {
            listen: listen_or(http.listen, SocketAddr::new(ours, 80), complaints),
            connections_max: count(http.connections_max, 1024, "connections_max", complaints),
        }),
        runs: meant_runs(written.runs.unwrap_or_default(), complaints),
        ssh: meant_ssh(written.ssh.unwrap_or_default(), complaints),
        slack: written.slack.and_then(|slack| meant_slack(slack, directory)),
        hooks: meant_hooks(written.hooks, directory, complaints),
    }
}

/// Every planned device may fetch every image: nothing else may lie among them.
fn meant_images(
    text: &At<String>,
    (directory, private): (&Path, &[&Path]),
    complaints: &mut Complaints,
) -> PathBuf {
    let images = directory.join(&text.value);
    let plain = normalised(&images);
    let upward = plain.parent().is_none() || plain.starts_with("..");
    if upward || private.iter().any(|path| normalised(path).starts_with(&plain)) {
        let message = "this directory holds more than images: the inventory, templates, the store \
                       or backups, which every planned device could fetch";
        complaints.at(text.place, message, "give the images a directory of their own");
    }
    images
}

/// The path without `.` and `..`, by its words alone.
fn normalised(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => plain.push(component),
        }
    }
    plain
}

fn meant_dhcp(written: WrittenDhcp, complaints: &mut Complaints) -> Dhcp {
    let lease = written.lease.map_or(hours(12), |lease| {
        if lease.value < Duration::from_secs(LEASE_SECONDS_MIN) {
            let message = "a lease this short ends before a device has asked for its file";
            complaints.at(lease.place, message, "write at least 60s; NX-OS wants 1h");
        }
        not_endless(lease, complaints)
    });
    if written.server_address.value.is_unspecified() {
        let message = "devices cannot reach us at 0.0.0.0";
        complaints.at(written.server_address.place, message, "write the address they reach us at");
    }
    let mut pools: Vec<Pool> = Vec::with_capacity(written.pools.len());
    for pool in written.pools {
        let place = pool.subnet.place;
        let pool = meant_pool(pool, complaints);
        let overlaps = |other: &&Pool| {
            other.subnet.contains(&pool.subnet) || pool.subnet.contains(&other.subnet)
        };
        if let Some(other) = pools.iter().find(overlaps) {
            let message = format!("this subnet overlaps with {}", other.subnet);
            complaints.at(place, message, "give each pool a subnet of its own");
        }
        pools.push(pool);
    }
    Dhcp {
        limits: limits::meant(written.limits, complaints),
        listen: listen_or(written.listen, (Ipv4Addr::UNSPECIFIED, 67).into(), complaints),
        server_address: written.server_address.value,
        reply_to_port: count(written.reply_to_port, 68, "reply_to_port", complaints),
        pools,
        lease,
        unknown: unknown(written.unknown, complaints),
    }
}

pub(super) fn unknown(written: Option<At<String>>, complaints: &mut Complaints) -> Unknown {
    let Some(text) = written else { return Unknown::Refuse };
    match text.value.as_str() {
        "refuse" => Unknown::Refuse,
        "quarantine" => Unknown::Quarantine,
        other => {
            let hint = did_you_mean(other, ["refuse", "quarantine"], || {
                "write `refuse` or `quarantine`".to_owned()
            });
            let message = format!("`unknown` cannot be `{}`", shown(other));
            complaints.at(text.place, message, hint);
            Unknown::Refuse
        }
    }
}

/// An address that is given away for longer than devices live does not come back.
const LEASE_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

/// The time of a lease, cut at the longest.
pub(super) fn not_endless(lease: At<Duration>, complaints: &mut Complaints) -> Duration {
    if lease.value > LEASE_MAX {
        let message = "a lease this long never gives its address back";
        complaints.at(lease.place, message, "write at most 3650d");
    }
    lease.value.min(LEASE_MAX)
}

/// Below this a device of any vendor would spend its boot renewing.
pub(super) const LEASE_SECONDS_MIN: u64 = 60;

fn meant_pool(written: WrittenPool, complaints: &mut Complaints) -> Pool {
    let subnet = written.subnet.value.trunc();
    if subnet != written.subnet.value {
        let message = format!("`{}` has bits behind its prefix", written.subnet.value);
        complaints.at(written.subnet.place, message, format!("write {subnet}"));
    }
    let range = written.range.and_then(|text| {
        let range = range(&text.value);
        let good = |(first, last): &(Ipv4Addr, Ipv4Addr)| {
            first <= last && subnet.contains(first) && subnet.contains(last)
        };
        let range = range.filter(good);
        if range.is_none() {
            let message = format!("`{}` is no range of addresses of {subnet}", shown(&text.value));
            let hint = "write the first and the last address, as in 192.0.2.100 - 192.0.2.199";
            complaints.at(text.place, message, hint);
        }
        range
    });
    let router = written.router.map(|router| {
        if !subnet.contains(&router.value) {
            let message = format!("the router {} is not in {subnet}", router.value);
            complaints.at(router.place, message, "devices could not reach it");
        }
        router.value
    });
    Pool {
        subnet,
        range,
        router,
        dns: written.dns.into_iter().map(|address| address.value).collect(),
        domain: written.domain.map(|text| text.value),
    }
}

fn range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (first, last) = text.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

pub(super) fn listen_or(
    written: Vec<WrittenListen>,
    default: SocketAddr,
    complaints: &mut Complaints,
) -> Vec<Listen> {
    if written.is_empty() {
        return vec![Listen { address: default, interface: None }];
    }
    for (index, listen) in written.iter().enumerate() {
        if let Some(other) = written[..index].iter().find(|other| is_heard_twice(listen, other)) {
            let message = format!("{} is heard already", listen.address.value);
            let hint = format!("`{}` hears it: keep one of the two", other.address.value);
            complaints.at(listen.address.place, message, hint);
        }
    }
    let meant = |listen: WrittenListen| Listen {
        address: listen.address.value,
        interface: listen.interface.map(|text| text.value),
    };
    written.into_iter().map(meant).collect()
}

/// The same port, and addresses and interfaces of which one includes the other.
fn is_heard_twice(one: &WrittenListen, other: &WrittenListen) -> bool {
    let (a, b) = (one.address.value, other.address.value);
    let both = a.ip() == b.ip()
        || a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified());
    let interfaces = match (&one.interface, &other.interface) {
        (Some(one), Some(other)) => one.value == other.value,
        (_, _) => true,
    };
    a.port() == b.port() && a.port() != 0 && both && interfaces
}

fn meant_tftp(
    written: WrittenTftp,
    (ours, directory): (IpAddr, &Path),
    complaints: &mut Complaints,
) -> Tftp {
    let block = written.block_bytes_max;
    if let Some(bytes) = &block
        && !(8..=65464).contains(&bytes.value)
    {
        let message = format!("a block cannot have {} bytes", bytes.value);
        complaints.at(bytes.place, message, "write 8 to 65464 (RFC 2348)");
    }
    Tftp {
        listen: listen_or(written.listen, SocketAddr::new(ours, 69), complaints),
        transfers_max: transfers_max(written.transfers_max, complaints),
        block_bytes_max: block.map_or(1428, |bytes| bytes.value),
        window_blocks_max: count(written.window_blocks_max, 16, "window_blocks_max", complaints),
        timeout: tftp_timeout(written.timeout, complaints),
        retries_max: written.retries_max.map_or(6, |retries| retries.value),
        single_port: written.single_port.unwrap_or(false),
        uploads: written.uploads.map(|uploads| Uploads {
            directory: directory.join(uploads.directory.value),
            bytes_max: count(uploads.bytes_max, 64 << 20, "bytes_max", complaints),
            versions: count(uploads.versions, 5, "versions", complaints),
            names_max: count(uploads.names_max, 64, "names_max", complaints),
        }),
    }
}

/// Each holds a window of blocks and a place in several tables: some GiB for so many.
const TRANSFERS_MAX: usize = 100_000;

fn transfers_max(written: Option<At<usize>>, complaints: &mut Complaints) -> usize {
    if let Some(most) = &written
        && most.value > TRANSFERS_MAX
    {
        let message = format!("{} transfers at a time are more than memory holds", most.value);
        complaints.at(most.place, message, format!("write 1 to {TRANSFERS_MAX}"));
    }
    count(written, 4096, "transfers_max", complaints)
}

/// RFC 2349 section 2: a device may ask for 1 to 255 seconds.
const TFTP_TIMEOUT_MAX: Duration = Duration::from_secs(255);

fn tftp_timeout(written: Option<At<Duration>>, complaints: &mut Complaints) -> Duration {
    if let Some(timeout) = &written
        && timeout.value > TFTP_TIMEOUT_MAX
    {
        let message = "a device has given up long before a block is sent again";
        complaints.at(timeout.place, message, "write at most 255s (RFC 2349); 2s is usual");
    }
    time(written, Duration::from_secs(2), "timeout", complaints)
}

fn meant_runs(written: WrittenRuns, complaints: &mut Complaints) -> Runs {
    let seconds = Duration::from_secs;
    Runs {
        window: time(written.window, seconds(600), "window", complaints),
        ask_patience: written
            .ask_patience
            .map(|patience| time(Some(patience), seconds(0), "ask_patience", complaints)),
        file_patience: time(written.file_patience, seconds(180), "file_patience", complaints),
        settle: written.settle.map(|settle| settle.value),
        back_deadline: written
            .back_deadline
            .map(|deadline| time(Some(deadline), seconds(0), "back_deadline", complaints)),
        recheck: time(written.recheck, seconds(5), "recheck", complaints),
        neighbour_patience: written.neighbour_patience.map_or(seconds(90), |time| time.value),
        login_patience: written.login_patience.map_or(seconds(60), |time| time.value),
        still_waiting: time(written.still_waiting, seconds(600), "still_waiting", complaints),
        visits_max: count(written.visits_max, 64, "visits_max", complaints),
    }
}

fn meant_ssh(written: WrittenSsh, complaints: &mut Complaints) -> Ssh {
    let seconds = Duration::from_secs;
    let bytes = count(written.output_bytes_max, 4 << 20, "output_bytes_max", complaints);
    Ssh {
        connect_timeout: time(written.connect_timeout, seconds(10), "connect_timeout", complaints),
        visit_timeout: time(written.visit_timeout, seconds(120), "visit_timeout", complaints),
        output_bytes_max: bytes,
    }
}

fn meant_slack(written: WrittenSlack, directory: &Path) -> Option<Slack> {
    let access = match (written.bot_token, written.webhook) {
        (Some(token), _) => SlackAccess::BotToken(source(token, directory)),
        (None, Some(webhook)) => SlackAccess::Webhook(source(webhook, directory)),
        (None, None) => return None,
    };
    let mut api_url =
        written.api_url.map_or_else(|| "https://slack.com/api/".to_owned(), |text| text.value);
    if !api_url.ends_with('/') {
        api_url.push('/');
    }
    let channel = written.channel.map_or_else(String::new, |channel| channel.value);
    Some(Slack { access, channel, api_url })
}

fn meant_hooks(
    written: Vec<WrittenHook>,
    directory: &Path,
    complaints: &mut Complaints,
) -> Vec<Hook> {
    let mut hooks: Vec<Hook> = Vec::with_capacity(written.len());
    for hook in written {
        if hooks.iter().any(|other| other.name == hook.name.value) {
            let message = format!("two hooks are called `{}`", shown(&hook.name.value));
            complaints.at(hook.name.place, message, "give each hook a name of its own");
        }
        hooks.extend(meant_hook(hook, directory, complaints));
    }
    hooks
}

fn meant_hook(written: WrittenHook, directory: &Path, complaints: &mut Complaints) -> Option<Hook> {
    let target = match (written.http, written.exec) {
        (Some(http), _) => HookTarget::Http {
            url: http.url.value,
            headers: http.headers,
            secret_headers: http
                .secret_headers
                .into_iter()
                .map(|(name, secret)| (name, source(secret, directory)))
                .collect(),
            signing_secret: http.signing_secret.map(|secret| source(secret, directory)),
        },
        (None, Some(argv)) if !argv.is_empty() => {
            HookTarget::Exec { argv: argv.into_iter().map(|text| text.value).collect() }
        }
        (None, Some(_)) => {
            let message = "`exec` names no program";
            complaints.at(written.name.place, message, "write the program and its arguments");
            return None;
        }
        // Complained about when it was read.
        (None, None) => return None,
    };
    let retries = written.retries.map_or_else(
        || [1, 5, 30, 120, 600].map(Duration::from_secs).to_vec(),
        |list| list.into_iter().map(|time| time.value).collect(),
    );
    Some(Hook {
        name: written.name.value,
        required: written.required.unwrap_or(true),
        target,
        timeout: time(written.timeout, Duration::from_secs(10), "timeout", complaints),
        retries,
    })
}

/// A secret's file, like every path, begins at the directory of the configuration.
fn source(written: WrittenSecret, directory: &Path) -> SecretSource {
    written.source.within(directory)
}

/// A time that may not be nothing.
fn time(
    written: Option<At<Duration>>,
    default: Duration,
    key: &str,
    complaints: &mut Complaints,
) -> Duration {
    let Some(time) = written else { return default };
    if time.value.is_zero() {
        complaints.at(time.place, format!("`{key}` cannot be nothing"), "write at least 1s");
    }
    time.value
}

/// A number that may not be zero.
fn count<T: Default + PartialEq>(
    written: Option<At<T>>,
    default: T,
    key: &str,
    complaints: &mut Complaints,
) -> T {
    let Some(number) = written else { return default };
    if number.value == T::default() {
        complaints.at(number.place, format!("`{key}` cannot be 0"), "write at least 1");
    }
    number.value
}

pub(super) fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn configured(text: &str) -> (Config, Vec<String>) {
        let (config, complaints) = configure("g.yaml", text, Path::new("/etc/greenlight"));
        (config, complaints.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_but_images_lies_among_the_images() {
        let open = "tftp: { uploads: { directory: open/up } }\n";
        for images in ["..", "/", ".", "templates/..", "/etc", "templates", "data", "open"] {
            let (_, complaints) = configured(&format!("{open}images: {images}\n"));
            let told = complaints.iter().any(|told| told.contains("more than images"));
            assert!(told, "{images}: {complaints:?}");
        }
        for images in ["images", "../images", "/srv/images", "open/images", "data/images"] {
            let (_, complaints) = configured(&format!("{open}images: {images}\n"));
            assert!(complaints.is_empty(), "{images}: {complaints:?}");
        }
    }

    #[test]
    fn what_is_not_written_has_its_default_and_paths_begin_at_the_file() {
        let (config, complaints) = configured("data: /var/lib/g\ntftp: {}\n");
        assert_eq!(complaints, [""; 0]);
        assert_eq!(config.inventory, Path::new("/etc/greenlight/inventory.yaml"));
        assert_eq!(config.socket, Path::new("/var/lib/g/greenlight.sock"));
        assert!(config.dhcp.is_none());
        assert_eq!(config.tftp.unwrap().listen[0].address.port(), 69);
        assert_eq!(config.runs.window, Duration::from_secs(600));
    }

    #[test]
    fn the_shipped_configuration_writes_the_defaults() {
        let (shipped, complaints) = configured(include_str!("../../configs/greenlight.yaml"));
        assert_eq!(complaints, [""; 0]);
        let (defaults, _) =
            configured("tftp:\nhttp:\ndhcp: { server_address: 192.0.2.2, pools: [] }\n");
        let show = |config: &Config| {
            let Config { tftp, http, runs, ssh, .. } = config;
            let dhcp = config.dhcp.as_ref().map(|dhcp| {
                (dhcp.listen.clone(), dhcp.reply_to_port, dhcp.lease, dhcp.unknown, dhcp.limits)
            });
            format!("{tftp:?} {http:?} {runs:?} {ssh:?} {dhcp:?}")
        };
        assert_eq!(show(&shipped), show(&defaults));
    }

    #[test]
    fn the_shipped_configuration_shows_every_setting() {
        let shipped = include_str!("../../configs/greenlight.yaml");
        let schema = schemars::schema_for!(WrittenConfig).to_value();
        let of = |value: &serde_json::Value| {
            let properties = value["properties"].as_object().cloned().unwrap_or_default();
            properties.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let definitions = schema["$defs"].as_object().unwrap();
        for name in of(&schema).into_iter().chain(definitions.values().flat_map(of)) {
            assert!(
                shipped.contains(&format!("{name}: ")) || shipped.contains(&format!("{name}:\n")),
                "configs/greenlight.yaml does not show `{name}`"
            );
        }
    }

    #[test]
    fn the_commented_sections_of_the_shipped_configuration_are_sound() {
        let shipped = include_str!("../../configs/greenlight.yaml");
        let setting = |line: &str| {
            let rest = line.trim_start_matches(' ');
            rest.strip_prefix("# ").map(|rest| {
                let indent = &line[..line.len() - line.trim_start().len()];
                format!("{indent}{rest}")
            })
        };
        let is_setting = |text: &str| {
            let text = text.trim_start().trim_start_matches("- ");
            text.split_once(':').is_some_and(|(key, _)| {
                !key.is_empty()
                    && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            })
        };
        let text: String = shipped
            .lines()
            .map(|line| match setting(line).filter(|text| is_setting(text)) {
                Some(text) if !text.contains("webhook:") && !text.contains("address: 0.0.0.0") => {
                    format!("{text}\n")
                }
                Some(_) | None => format!("{line}\n"),
            })
            .collect();
        let (config, complaints) = configured(&text);
        assert_eq!(complaints, [""; 0], "{text}");
        assert!(config.slack.is_some() && config.platforms.is_some());
        assert_eq!(config.dhcp6.map(|dhcp6| dhcp6.pools.len()), Some(1));
        assert_eq!(config.hooks.len(), 2);
        assert!(config.runs.settle.is_some());
    }

    /// Each kind of complaint: a file, and all that is said about it.
    const COMPLAINTS: &[(&str, &str)] = &[
        ("", "1:1: the configuration is empty (`greenlight init DIR` writes an example)"),
        ("tfpt: {}\n", "1:1: this configuration has no setting `tfpt` (did you mean `tftp`?)"),
        (
            "runs: { window: 10 }\n",
            "1:17: `window` expects a time with its unit, found `10` (write \
          it as in 500ms, 30s, 10m, 1h30m or 2d)",
        ),
        ("runs: { recheck: 0s }\n", "1:18: `recheck` cannot be nothing (write at least 1s)"),
        ("runs: { visits_max: 0 }\n", "1:21: `visits_max` cannot be 0 (write at least 1)"),
        (
            "runs: { visits_max: many }\n",
            "1:21: `visits_max` expects a whole number, found `many` \
          (write a whole number)",
        ),
        (
            "tftp: { block_bytes_max: 4 }\n",
            "1:26: a block cannot have 4 bytes (write 8 to 65464 \
          (RFC 2348))",
        ),
        (
            "tftp: { listen: ['*:69'] }\n",
            "1:18: `listen` expects an address and port such as \
          0.0.0.0:67, found `*:69` (write an address and port such as 0.0.0.0:67)",
        ),
        (
            "tftp: [1]\n",
            "1:7: expected the settings of this tftp section, found a list (write `key: \
          value` lines)",
        ),
        (
            "dhcp: { pools: [] }\n",
            "1:7: this dhcp section lacks `server_address` (add a line \
          `server_address: ...`)",
        ),
        (
            "dhcp: { server_address: 0.0.0.0, pools: [] }\n",
            "1:25: devices cannot reach us at \
          0.0.0.0 (write the address they reach us at)",
        ),
        (
            "dhcp: { server_address: 9.9.9.9, pools: [], lease: 5s }\n",
            "1:52: a lease this short \
          ends before a device has asked for its file (write at least 60s; NX-OS wants 1h)",
        ),
        (
            "dhcp: { server_address: 9.9.9.9, pools: [], lease: 9999999d }\n",
            "1:52: a lease this long never gives its address back (write at most 3650d)",
        ),
        (
            "tftp: { listen: [] }\n",
            "1:17: `listen` names no address, so that nothing is heard (write an address and \
             port, or remove the line to hear every address)",
        ),
        (
            "tftp: { listen: ['0.0.0.0:69', '10.0.0.1:69', '[::1]:69', '10.0.0.1:6969'] }\n",
            "1:32: 10.0.0.1:69 is heard already (`0.0.0.0:69` hears it: keep one of the two)",
        ),
        (
            "http: { listen: [{ address: 0.0.0.0:80, interface: a }, { address: 0.0.0.0:80, \
             interface: b }, { address: 0.0.0.0:80 }] }\n",
            "1:107: 0.0.0.0:80 is heard already (`0.0.0.0:80` hears it: keep one of the two)",
        ),
        (
            "tftp: { timeout: 300s }\n",
            "1:18: a device has given up long before a block is sent again (write at most 255s \
             (RFC 2349); 2s is usual)",
        ),
        (
            "tftp: { transfers_max: 5000000 }\n",
            "1:24: 5000000 transfers at a time are more than memory holds (write 1 to 100000)",
        ),
        (
            "tftp: { block_bytes_max: 65536 }\n",
            "1:26: `block_bytes_max` cannot be 65536 (write 0 to 65535)",
        ),
        ("tftp: { retries_max: -1 }\n", "1:22: `retries_max` cannot be -1 (write 0 to 4294967295)"),
        (
            "dhcp: { server_address: 9.9.9.9, pools: [], unknown: refuze }\n",
            "1:54: `unknown` \
          cannot be `refuze` (did you mean `refuse`?)",
        ),
        (
            "dhcp: { server_address: 9.9.9.9, pools: [{ subnet: 10.0.0.1/24 }] }\n",
            "1:52: \
          `10.0.0.1/24` has bits behind its prefix (write 10.0.0.0/24)",
        ),
        (
            "dhcp: { server_address: 9.9.9.9, pools: \
             [{ subnet: 10.0.0.0/24, range: 10.0.0.9-10.0.0.2 \
          }] }\n",
            "1:72: `10.0.0.9-10.0.0.2` is no range of addresses of 10.0.0.0/24 (write the \
          first and the last address, as in 192.0.2.100 - 192.0.2.199)",
        ),
        (
            "dhcp: { server_address: 9.9.9.9, pools: \
             [{ subnet: 10.0.0.0/24, router: 10.0.1.1 }] }\n",
            "1:73: the router 10.0.1.1 is not in 10.0.0.0/24 (devices could not reach it)",
        ),
        (
            "dhcp: { server_address: 9.9.9.9, pools: \
             [{ subnet: 10.0.0.0/8 }, { subnet: 10.1.0.0/16 \
          }] }\n",
            "1:76: this subnet overlaps with 10.0.0.0/8 (give each pool a subnet of its \
          own)",
        ),
        (
            "slack: { channel: x }\n",
            "1:8: slack is reached by one of `bot_token` and `webhook` \
          (keep the bot token if there are both)",
        ),
        (
            "slack: { bot_token: { env: T } }\n",
            "1:8: this slack section lacks `channel` (add a line `channel: ...`)",
        ),
        (
            "slack: { channel: x, bot_token: xoxb-1 }\n",
            "1:33: a secret is named here, never \
          written down (write `{ env: NAME }` or `{ file: PATH }`)",
        ),
        (
            "hooks: [{ name: a }]\n",
            "1:9: a hook is either `http` or `exec` (write exactly one of \
          them)",
        ),
        (
            "hooks: [{ name: a, exec: [] }]\n",
            "1:17: `exec` names no program (write the program and \
          its arguments)",
        ),
        (
            "hooks: [{ name: a, http: { url: ftp://x } }]\n",
            "1:33: `ftp://x` is no address of a web \
          server (begin with https:// or http://)",
        ),
        (
            "hooks: [{ name: a, exec: [x] }, { name: a, exec: [y] }]\n",
            "1:41: two hooks are called \
          `a` (give each hook a name of its own)",
        ),
    ];

    #[test]
    fn each_complaint_names_its_place_and_the_next_move() {
        let mut wrong = String::new();
        for (text, expected) in COMPLAINTS {
            let found = configured(text).1.join("|").replace("g.yaml:", "");
            if found != *expected {
                wrong += &format!("{text}  expected {expected}\n  found    {found}\n");
            }
        }
        assert_eq!(wrong, "");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("dhcp: {pools: [{subnet: 0.0.0.0/0, range: 0.0.0.0-0.0.0.0}]}\n"),
                    Just("runs: {window: 99999999999999999999d}\n"),
                    Just("hooks:\n  - exec: [a]\n"), Just("slack: *x\n"), Just("\t"), Just("- "),
                    Just("tftp:\n  listen: {}\n"), Just("{"), Just("'"), Just("? "), Just("&a "),
                ],
                0..8,
            ),
        ) {
            configured(&pieces.concat());
        }
    }
}
