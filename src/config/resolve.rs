//! The configuration from written to meant: defaults filled in, paths joined, contradictions found.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::complaint::{Complaint, Complaints, did_you_mean};
use crate::config::meant::{
    Config, Dhcp, Hook, HookTarget, Http, Listen, Pool, Runs, Slack, SlackAccess, Ssh, Tftp,
    Unknown,
};
use crate::config::written::{
    self, WrittenConfig, WrittenDhcp, WrittenHook, WrittenListen, WrittenPool, WrittenRuns,
    WrittenSlack, WrittenSsh, WrittenTftp,
};
use crate::domain::inventory::meant::SecretSource;
use crate::domain::inventory::written::WrittenSecret;
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
    Config {
        inventory: path(written.inventory, "inventory.yaml"),
        templates: path(written.templates, "templates"),
        platforms: written.platforms.map(|text| directory.join(text.value)),
        socket: match written.socket {
            Some(text) => directory.join(text.value),
            None => data.join("greenlight.sock"),
        },
        data,
        dhcp: written.dhcp.map(|dhcp| meant_dhcp(dhcp, complaints)),
        tftp: written.tftp.map(|tftp| meant_tftp(tftp, complaints)),
        http: written.http.map(|http| Http {
            listen: meant_listen(http.listen, 80),
            connections_max: count(http.connections_max, 1024, "connections_max", complaints),
        }),
        runs: meant_runs(written.runs.unwrap_or_default(), complaints),
        ssh: meant_ssh(written.ssh.unwrap_or_default(), complaints),
        slack: written.slack.and_then(|slack| meant_slack(slack, directory)),
        hooks: meant_hooks(written.hooks, directory, complaints),
    }
}

fn meant_dhcp(written: WrittenDhcp, complaints: &mut Complaints) -> Dhcp {
    let lease = written.lease.map_or(hours(12), |lease| {
        if lease.value < Duration::from_secs(LEASE_SECONDS_MIN) {
            let message = "a lease this short ends before a device has asked for its file";
            complaints.at(lease.place, message, "write at least 60s; NX-OS wants 1h");
        }
        lease.value
    });
    let unknown = match written.unknown {
        None => Unknown::Refuse,
        Some(text) => match text.value.as_str() {
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
        },
    };
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
        listen: meant_listen(written.listen, 67),
        server_address: written.server_address.value,
        reply_to_port: count(written.reply_to_port, 68, "reply_to_port", complaints),
        pools,
        lease,
        unknown,
    }
}

/// Below this a device of any vendor would spend its boot renewing.
const LEASE_SECONDS_MIN: u64 = 60;

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

fn meant_listen(written: Vec<WrittenListen>, port: u16) -> Vec<Listen> {
    if written.is_empty() {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        return vec![Listen { address, interface: None }];
    }
    let meant = |listen: WrittenListen| Listen {
        address: listen.address.value,
        interface: listen.interface.map(|text| text.value),
    };
    written.into_iter().map(meant).collect()
}

fn meant_tftp(written: WrittenTftp, complaints: &mut Complaints) -> Tftp {
    let block = written.block_bytes_max;
    if let Some(bytes) = &block
        && !(8..=65464).contains(&bytes.value)
    {
        let message = format!("a block cannot have {} bytes", bytes.value);
        complaints.at(bytes.place, message, "write 8 to 65464 (RFC 2348)");
    }
    Tftp {
        listen: meant_listen(written.listen, 69),
        transfers_max: count(written.transfers_max, 4096, "transfers_max", complaints),
        block_bytes_max: block.map_or(1428, |bytes| bytes.value),
        window_blocks_max: count(written.window_blocks_max, 16, "window_blocks_max", complaints),
        timeout: time(written.timeout, Duration::from_secs(2), "timeout", complaints),
        retries_max: written.retries_max.map_or(6, |retries| retries.value),
    }
}

fn meant_runs(written: WrittenRuns, complaints: &mut Complaints) -> Runs {
    let seconds = Duration::from_secs;
    Runs {
        window: time(written.window, seconds(600), "window", complaints),
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
    Some(Slack { access, channel: written.channel.value, api_url })
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
    match written.source {
        SecretSource::Environment(name) => SecretSource::Environment(name),
        SecretSource::File(path) => {
            SecretSource::File(directory.join(path).to_string_lossy().into_owned())
        }
    }
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

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}
