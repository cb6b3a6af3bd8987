//! `greenlight.yaml` as written. The comments here are what editors and `docs/configuration.md`
//! show.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;

use super::tftp_written::{WrittenTftp, tftp};
use crate::complaint::{Complaints, Place};
use crate::config::dhcp6::written::{WrittenDhcp6, dhcp6};
use crate::config::limits::written::{WrittenDhcpLimits, limits};
use crate::domain::inventory::written::{WrittenSecret, secret};
use crate::written::fields::{self, Fields};
use crate::written::{At, Node, Value, parse, shown};

/// The settings of one server. Relative paths begin at the directory of this file. Times carry
/// their unit: `500ms`, `30s`, `10m`, `1h30m`, `2d`.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Greenlight", deny_unknown_fields)]
pub struct WrittenConfig {
    /// The plan. Default `inventory.yaml`.
    pub inventory: Option<At<String>>,
    /// The directory of device configuration templates. Default `templates`.
    pub templates: Option<At<String>>,
    /// A directory of platform files that override or extend the built-in ones. Default: none.
    pub platforms: Option<At<String>>,
    /// A directory of ntc-templates: platform files may name its TextFSM templates. Default: none.
    pub ntc_templates: Option<At<String>>,
    /// The language of what installers read, the name of a words file: `en`, `de`, or one of
    /// `words`. Default `en`. A site can have its own.
    pub language: Option<At<String>>,
    /// A directory of words files that override or extend the built-in languages. Default: none.
    pub words: Option<At<String>>,
    /// A directory of images. Planned devices may fetch every file in it, by its path below the
    /// directory, over TFTP and HTTP. Default: none.
    pub images: Option<At<String>>,
    /// The directory of the store. Default `data`.
    pub data: Option<At<String>>,
    /// The local socket of `status`, `log`, `watch`, `expect`, `rerun`, `cancel`.
    /// Default: `greenlight.sock` in `data`.
    pub socket: Option<At<String>>,
    /// Addresses for devices. Default: no DHCP from this server.
    pub dhcp: Option<WrittenDhcp>,
    /// IPv6 addresses for devices. Default: no DHCPv6 from this server.
    pub dhcp6: Option<WrittenDhcp6>,
    /// Configurations by TFTP. Default: no TFTP from this server.
    pub tftp: Option<WrittenTftp>,
    /// Configurations by HTTP. Default: no HTTP from this server.
    pub http: Option<WrittenHttp>,
    /// Patience: how long each step of a device may take.
    pub runs: Option<WrittenRuns>,
    /// Visits to devices.
    pub ssh: Option<WrittenSsh>,
    /// Where installers are told. Default: no chat.
    pub slack: Option<WrittenSlack>,
    /// Who takes over when a device is ready.
    #[schemars(with = "Option<Vec<WrittenHook>>")]
    pub hooks: Vec<WrittenHook>,
}

/// Addresses for devices (DHCPv4).
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Dhcp", deny_unknown_fields)]
pub struct WrittenDhcp {
    /// Where to listen, as `address:port` or `{ address: address:port, interface: eth0 }`.
    /// Default `0.0.0.0:67`.
    #[schemars(with = "Option<Vec<ListenSpelling>>")]
    pub listen: Vec<WrittenListen>,
    /// Our own address as devices and relays reach it: options 54, 66 and 150.
    #[schemars(with = "String")]
    pub server_address: At<Ipv4Addr>,
    /// The UDP port that answers to devices without a relay go to. Default 68; another one serves
    /// tests without root.
    #[schemars(with = "Option<u16>")]
    pub reply_to_port: Option<At<u16>>,
    /// The time of a lease. Default `12h`. NX-OS refuses less than an hour.
    #[schemars(with = "Option<String>")]
    pub lease: Option<At<Duration>>,
    /// What a network device gets that nobody planned: `refuse` gives no lease, `quarantine` a
    /// short one and no file; both report it, up to 300 of them a minute. Default `refuse`.
    #[schemars(with = "Option<UnknownSpelling>")]
    pub unknown: Option<At<String>>,
    /// How much strangers may ask.
    pub limits: Option<WrittenDhcpLimits>,
    /// The subnets served.
    #[schemars(required)]
    pub pools: Vec<WrittenPool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
#[expect(dead_code, reason = "describes a spelling to editors")]
pub(super) enum UnknownSpelling {
    Refuse,
    Quarantine,
}

/// `address:port`, or with the interface.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes a spelling to editors")]
pub(super) enum ListenSpelling {
    Address(String),
    Bound {
        /// `address:port`.
        address: String,
        /// The interface's name.
        interface: String,
    },
}

#[derive(Debug)]
pub struct WrittenListen {
    pub address: At<SocketAddr>,
    pub interface: Option<At<String>>,
}

/// One subnet.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Pool", deny_unknown_fields)]
pub struct WrittenPool {
    /// Address and prefix length, such as `192.0.2.0/24`.
    #[schemars(with = "String")]
    pub subnet: At<ipnet::Ipv4Net>,
    /// First and last address handed out freely, as `192.0.2.100 - 192.0.2.199`.
    /// Default: only the addresses planned in the inventory.
    pub range: Option<At<String>>,
    /// The default gateway (option 3). Default: none.
    #[schemars(with = "Option<String>")]
    pub router: Option<At<Ipv4Addr>>,
    /// Name servers (option 6). Default: none.
    #[schemars(with = "Option<Vec<String>>")]
    pub dns: Vec<At<Ipv4Addr>>,
    /// The domain name (option 15). Default: none.
    pub domain: Option<At<String>>,
}

/// Configurations by HTTP.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Http", deny_unknown_fields)]
pub struct WrittenHttp {
    /// Where to listen, as for `dhcp`. Default `0.0.0.0:80`; with `dhcp6` `[::]:80`, both families.
    #[schemars(with = "Option<Vec<ListenSpelling>>")]
    pub listen: Vec<WrittenListen>,
    /// Connections at the same time; for one more the oldest on which nothing happens is closed.
    /// Default 1024.
    #[schemars(with = "Option<u32>")]
    pub connections_max: Option<At<usize>>,
}

/// Patience with devices.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Runs", deny_unknown_fields)]
pub struct WrittenRuns {
    /// Requests of one device within this time join its run. Default `10m`.
    #[schemars(with = "Option<String>")]
    pub window: Option<At<Duration>>,
    /// From `greenlight expect`, or from its last request without a lease, until a device that is
    /// not heard is a fault. Default `8m`, or half as long again as the platform boots.
    #[schemars(with = "Option<String>")]
    pub ask_patience: Option<At<Duration>>,
    /// From the lease to the first file request before that is a fault. Default `3m`.
    #[schemars(with = "Option<String>")]
    pub file_patience: Option<At<Duration>>,
    /// From the end of the transfer to the first visit. Default: as the platform says.
    #[schemars(with = "Option<String>")]
    pub settle: Option<At<Duration>>,
    /// From the end of the transfer until a silent device is a fault. Default: as the platform
    /// says.
    #[schemars(with = "Option<String>")]
    pub back_deadline: Option<At<Duration>>,
    /// Between visits while something is wrong or not there yet. Default `5s`.
    #[schemars(with = "Option<String>")]
    pub recheck: Option<At<Duration>>,
    /// How long a neighbour may stay unheard after the first visit before that is a fault.
    /// Default `90s`: LLDP speaks every 30 s.
    #[schemars(with = "Option<String>")]
    pub neighbour_patience: Option<At<Duration>>,
    /// How long a refused login is tried again before it is a fault. Default `1m`.
    #[schemars(with = "Option<String>")]
    pub login_patience: Option<At<Duration>>,
    /// After this time "still waiting" is said, once. Default `10m`.
    #[schemars(with = "Option<String>")]
    pub still_waiting: Option<At<Duration>>,
    /// Visits at the same time. Default 64.
    #[schemars(with = "Option<u32>")]
    pub visits_max: Option<At<usize>>,
}

/// Visits to devices.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Ssh", deny_unknown_fields)]
pub struct WrittenSsh {
    /// For the TCP connection and the SSH banner. Default `10s`.
    #[schemars(with = "Option<String>")]
    pub connect_timeout: Option<At<Duration>>,
    /// For one whole visit. Default `2m`.
    #[schemars(with = "Option<String>")]
    pub visit_timeout: Option<At<Duration>>,
    /// The longest answer a device may give to one command, in bytes. Default 4194304.
    #[schemars(with = "Option<u32>")]
    pub output_bytes_max: Option<At<usize>>,
}

/// Slack, with a bot token (one thread per device) or a webhook (at most three messages per
/// device).
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Slack", deny_unknown_fields)]
pub struct WrittenSlack {
    /// The bot token, as `{ env: NAME }` or `{ file: PATH }`. Either this or `webhook`.
    pub bot_token: Option<WrittenSecret>,
    /// The webhook's URL, as `{ env: NAME }` or `{ file: PATH }`. Either this or `bot_token`.
    pub webhook: Option<WrittenSecret>,
    /// The channel of sites that name none, such as `#rollout`. Needed with a bot token; a webhook
    /// has a channel of its own.
    pub channel: Option<At<String>>,
    /// The base of Slack's API. Default `https://slack.com/api/`.
    pub api_url: Option<At<String>>,
}

/// Someone who takes over when a device is ready.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Hook", deny_unknown_fields)]
pub struct WrittenHook {
    /// Its name in notices and in the log.
    pub name: At<String>,
    /// Whether the light waits for this hook to accept. Default true.
    pub required: Option<bool>,
    /// A request to this address. Either this or `exec`.
    pub http: Option<WrittenHttpHook>,
    /// A program and its arguments, run without a shell, with JSON on its standard input.
    /// Either this or `http`.
    #[schemars(with = "Option<Vec<String>>")]
    pub exec: Option<Vec<At<String>>>,
    /// For one try. Default `10s`.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<At<Duration>>,
    /// The waits before further tries; the last one is followed by giving up.
    /// Default `[1s, 5s, 30s, 2m, 10m]`.
    #[schemars(with = "Option<Vec<String>>")]
    pub retries: Option<Vec<At<Duration>>>,
}

/// An HTTP hook.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "HttpHook", deny_unknown_fields)]
pub struct WrittenHttpHook {
    /// Begins with `http://` or `https://`.
    pub url: At<String>,
    /// Headers to send, by name.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub headers: BTreeMap<String, String>,
    /// Headers whose values are secrets, by name.
    #[schemars(with = "Option<BTreeMap<String, WrittenSecret>>")]
    pub secret_headers: BTreeMap<String, WrittenSecret>,
    /// Signs the body (Standard Webhooks). Default: no signature.
    pub signing_secret: Option<WrittenSecret>,
    #[schemars(skip)]
    pub place: Place,
}

/// Reads the text of a configuration. What cannot be read is among the complaints, the rest is
/// there.
pub fn read(text: &str, complaints: &mut Complaints) -> WrittenConfig {
    let mut config = WrittenConfig::default();
    let Some(root) = parse(text, complaints) else {
        if complaints.is_empty() {
            let hint = "`greenlight init DIR` writes an example";
            complaints.at(Place { line: 1, column: 1 }, "the configuration is empty", hint);
        }
        return config;
    };
    let Some(mut top) = Fields::of(&root, "configuration", complaints) else { return config };
    config.inventory = top.text("inventory", complaints);
    config.templates = top.text("templates", complaints);
    config.platforms = top.text("platforms", complaints);
    config.ntc_templates = top.text("ntc_templates", complaints);
    config.language = top.text("language", complaints);
    config.words = top.text("words", complaints);
    config.images = top.text("images", complaints);
    config.data = top.text("data", complaints);
    config.socket = top.text("socket", complaints);
    config.dhcp = top.get("dhcp").and_then(|node| dhcp(node, complaints));
    config.dhcp6 = top.get("dhcp6").and_then(|node| dhcp6(node, complaints));
    config.tftp = top.get("tftp").and_then(|node| tftp(node, complaints));
    config.http = top.get("http").and_then(|node| http(node, complaints));
    config.runs = top.get("runs").and_then(|node| runs(node, complaints));
    config.ssh = top.get("ssh").and_then(|node| ssh(node, complaints));
    config.slack = top.get("slack").and_then(|node| slack(node, complaints));
    if let Some(node) = top.get("hooks") {
        let nodes = fields::list(node, "hooks", complaints);
        config.hooks = nodes.iter().filter_map(|node| hook(node, complaints)).collect();
    }
    top.close(complaints);
    config
}

fn dhcp(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenDhcp> {
    let mut fields = Fields::of(node, "dhcp section", complaints)?;
    let listen = listen(fields.get("listen"), complaints);
    let server_address = fields
        .require("server_address", complaints)
        .and_then(|node| fields::parsed(node, "server_address", "an IPv4 address", complaints));
    let reply_to_port = fields.parsed("reply_to_port", PORT, complaints);
    let lease = fields.duration("lease", complaints);
    let unknown = fields.text("unknown", complaints);
    let limits = fields.get("limits").and_then(|node| limits(node, complaints));
    let pools = fields
        .require("pools", complaints)
        .map(|node| {
            let nodes = fields::list(node, "pools", complaints);
            nodes.iter().filter_map(|node| pool(node, complaints)).collect()
        })
        .unwrap_or_default();
    fields.close(complaints);
    let server_address = server_address?;
    Some(WrittenDhcp { listen, server_address, reply_to_port, lease, unknown, limits, pools })
}

const PORT: &str = "a port from 1 to 65535";

pub(super) fn listen(node: Option<&Node<'_>>, complaints: &mut Complaints) -> Vec<WrittenListen> {
    const EXPECTED: &str = "an address and port such as 0.0.0.0:67";
    let Some(node) = node else { return Vec::new() };
    if matches!(&node.value, Value::List(list) if list.is_empty()) {
        let hint = "write an address and port, or remove the line to hear every address";
        complaints.at(node.place, "`listen` names no address, so that nothing is heard", hint);
    }
    let mut listens = Vec::new();
    for node in fields::list(node, "listen", complaints) {
        let (address, interface) = match &node.value {
            Value::Scalar { .. } => (fields::parsed(node, "listen", EXPECTED, complaints), None),
            Value::List(_) | Value::Map(_) => {
                let Some(mut fields) = Fields::of(node, "listen address", complaints) else {
                    continue;
                };
                let address = fields
                    .require("address", complaints)
                    .and_then(|node| fields::parsed(node, "address", EXPECTED, complaints));
                let interface = fields.text("interface", complaints);
                fields.close(complaints);
                (address, interface)
            }
        };
        listens.extend(address.map(|address| WrittenListen { address, interface }));
    }
    listens
}

fn pool(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenPool> {
    let mut fields = Fields::of(node, "pool", complaints)?;
    let subnet = fields.require("subnet", complaints).and_then(|node| {
        fields::parsed(node, "subnet", "a subnet such as 192.0.2.0/24", complaints)
    });
    let range = fields.text("range", complaints);
    let router = fields.parsed("router", "an IPv4 address", complaints);
    let dns = match fields.get("dns") {
        None => Vec::new(),
        Some(node) => fields::list(node, "dns", complaints)
            .iter()
            .filter_map(|node| fields::parsed(node, "dns", "an IPv4 address", complaints))
            .collect(),
    };
    let domain = fields.text("domain", complaints);
    fields.close(complaints);
    Some(WrittenPool { subnet: subnet?, range, router, dns, domain })
}

fn http(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenHttp> {
    let mut fields = Fields::of(node, "http section", complaints)?;
    let http = WrittenHttp {
        listen: listen(fields.get("listen"), complaints),
        connections_max: fields.whole("connections_max", complaints),
    };
    fields.close(complaints);
    Some(http)
}

fn runs(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenRuns> {
    let mut fields = Fields::of(node, "runs section", complaints)?;
    let runs = WrittenRuns {
        window: fields.duration("window", complaints),
        ask_patience: fields.duration("ask_patience", complaints),
        file_patience: fields.duration("file_patience", complaints),
        settle: fields.duration("settle", complaints),
        back_deadline: fields.duration("back_deadline", complaints),
        recheck: fields.duration("recheck", complaints),
        neighbour_patience: fields.duration("neighbour_patience", complaints),
        login_patience: fields.duration("login_patience", complaints),
        still_waiting: fields.duration("still_waiting", complaints),
        visits_max: fields.whole("visits_max", complaints),
    };
    fields.close(complaints);
    Some(runs)
}

fn ssh(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenSsh> {
    let mut fields = Fields::of(node, "ssh section", complaints)?;
    let ssh = WrittenSsh {
        connect_timeout: fields.duration("connect_timeout", complaints),
        visit_timeout: fields.duration("visit_timeout", complaints),
        output_bytes_max: fields.whole("output_bytes_max", complaints),
    };
    fields.close(complaints);
    Some(ssh)
}

fn slack(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenSlack> {
    let mut fields = Fields::of(node, "slack section", complaints)?;
    let (bot_token, webhook) = (fields.get("bot_token"), fields.get("webhook"));
    let (has_token, has_webhook) = (bot_token.is_some(), webhook.is_some());
    let bot_token = bot_token.and_then(|node| secret(node, complaints));
    let webhook = webhook.and_then(|node| secret(node, complaints));
    let channel =
        if has_token { fields.require("channel", complaints) } else { fields.get("channel") };
    let channel = channel.and_then(|node| fields::text(node, "channel", complaints));
    let api_url = fields.text("api_url", complaints);
    let place = fields.place();
    let unclear = has_token == has_webhook;
    fields.close(complaints);
    if unclear {
        let message = "slack is reached by one of `bot_token` and `webhook`";
        complaints.at(place, message, "keep the bot token if there are both");
        return None;
    }
    if has_token && channel.is_none() {
        return None; // already complained of
    }
    Some(WrittenSlack { bot_token, webhook, channel, api_url })
}

fn hook(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenHook> {
    let mut fields = Fields::of(node, "hook", complaints)?;
    let name =
        fields.require("name", complaints).and_then(|node| fields::text(node, "name", complaints));
    let required = fields.boolean("required", complaints);
    let timeout = fields.duration("timeout", complaints);
    let retries = fields.get("retries").map(|node| {
        let nodes = fields::list(node, "retries", complaints);
        nodes.iter().filter_map(|node| fields::duration(node, "retries", complaints)).collect()
    });
    let (http, exec) = (fields.get("http"), fields.get("exec"));
    if http.is_some() == exec.is_some() {
        let message = "a hook is either `http` or `exec`";
        complaints.at(node.place, message, "write exactly one of them");
    }
    let http = http.and_then(|node| http_hook(node, complaints));
    let exec = exec.map(|node| {
        let nodes = fields::list(node, "exec", complaints);
        nodes.iter().filter_map(|node| fields::text(node, "exec", complaints)).collect()
    });
    fields.close(complaints);
    Some(WrittenHook { name: name?, required, http, exec, timeout, retries })
}

fn http_hook(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenHttpHook> {
    let mut fields = Fields::of(node, "http hook", complaints)?;
    let url =
        fields.require("url", complaints).and_then(|node| fields::text(node, "url", complaints));
    let mut headers = BTreeMap::new();
    if let Some(node) = fields.get("headers") {
        for entry in fields::entries(node, "headers", complaints) {
            let value = fields::text(&entry.node, "headers", complaints);
            headers.extend(value.map(|value| (entry.key.to_string(), value.value)));
        }
    }
    let mut secret_headers = BTreeMap::new();
    if let Some(node) = fields.get("secret_headers") {
        for entry in fields::entries(node, "secret_headers", complaints) {
            let value = secret(&entry.node, complaints);
            secret_headers.extend(value.map(|value| (entry.key.to_string(), value)));
        }
    }
    let signing_secret = fields.get("signing_secret").and_then(|node| secret(node, complaints));
    fields.close(complaints);
    let url = url?;
    if !url.value.starts_with("http://") && !url.value.starts_with("https://") {
        let message = format!("`{}` is no address of a web server", shown(&url.value));
        complaints.at(url.place, message, "begin with https:// or http://");
    }
    Some(WrittenHttpHook { url, headers, secret_headers, signing_secret, place: node.place })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of map with a key that nobody knows, so that each complaint lists what is known.
    const STRANGE: &str = "\
dhcp:
  { server_address: 192.0.2.1, limits: { zzzzzzzzzzzzzzzz: 1 }, pools: [{
    subnet: 192.0.2.0/24, zzzzzzzzzzzzzzzz: 1 }] }
dhcp6: { server_address: '2001:db8::1', pools: [{ subnet: '2001:db8::/64', zzzzzzzzzzzzzzzz: 1 }] }
tftp: { zzzzzzzzzzzzzzzz: 1, uploads: { directory: a, zzzzzzzzzzzzzzzz: 1 } }
http: { zzzzzzzzzzzzzzzz: 1 }
runs: { zzzzzzzzzzzzzzzz: 1 }
ssh: { zzzzzzzzzzzzzzzz: 1 }
slack: { channel: a, bot_token: { env: A }, zzzzzzzzzzzzzzzz: 1 }
hooks:
  - { name: a, exec: [a], zzzzzzzzzzzzzzzz: 1 }
  - { name: a, http: { url: 'https://a', zzzzzzzzzzzzzzzz: 1 } }
zzzzzzzzzzzzzzzz: 1
";

    #[test]
    fn the_schema_and_the_reader_know_the_same_settings() {
        let strange = format!("{STRANGE}\n").replace("pools: [{", "zzzzzzzzzzzzzzzz: 1, pools: [{");
        let mut complaints = Complaints::about("g.yaml");
        read(&strange, &mut complaints);
        let mut known: Vec<Vec<String>> = complaints
            .finish(&strange)
            .iter()
            .map(|complaint| {
                let names = complaint.hint.split('`').skip(1).step_by(2).map(str::to_owned);
                let mut names: Vec<String> = names.collect();
                names.sort();
                names.dedup();
                names
            })
            .collect();
        let schema = schemars::schema_for!(WrittenConfig).to_value();
        let properties = |value: &serde_json::Value| {
            let mut names: Vec<String> =
                value["properties"].as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        let mut expected: Vec<Vec<String>> = schema["$defs"]
            .as_object()
            .unwrap()
            .values()
            .filter(|definition| definition.get("properties").is_some())
            .map(properties)
            .collect();
        expected.push(properties(&schema));
        known.sort();
        expected.sort();
        assert_eq!(known, expected);
    }
}
