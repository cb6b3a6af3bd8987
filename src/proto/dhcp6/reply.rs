//! How is a reply put together, wrapped for the relays, and addressed?

use std::net::SocketAddrV6;

use crate::proto::dhcp6::answer::{Facts, Reply};
use crate::proto::dhcp6::association::{Status, StatusCode};
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::datagram::Datagram;
use crate::proto::dhcp6::lines::Lines;
use crate::proto::dhcp6::message::{Message, MessageType};
use crate::proto::dhcp6::relay::Relay;
use crate::proto::dhcp6::value;

/// What a path of 1500 bytes carries without fragments: less 40 of IPv6 and 8 of UDP. Parameters
/// beyond it are left out; identifiers, associations and what relays must find are not.
pub const REPLY_BYTES_MAX: usize = 1452;

/// Options that only the protocol itself may write.
const OURS: [u16; 15] = [
    code::CLIENT_ID,
    code::SERVER_ID,
    code::IA_NA,
    code::IA_TA,
    code::IA_ADDRESS,
    code::OPTION_REQUEST,
    code::PREFERENCE,
    code::ELAPSED_TIME,
    code::RELAY_MESSAGE,
    code::SERVER_UNICAST,
    code::STATUS_CODE,
    code::RAPID_COMMIT,
    code::INTERFACE_ID,
    code::RECONFIGURE_MESSAGE,
    code::IA_PD,
];

/// A reply on its way.
pub(super) struct Draft<'a> {
    request: &'a Datagram,
    facts: &'a Facts,
    relays: Vec<Relay>,
    message: Message,
    left_out: Vec<u16>,
}

impl<'a> Draft<'a> {
    /// What every reply has in common (RFC 8415 section 18.3): the transaction, both identifiers,
    /// and the relays' wrappings turned around (section 19.3).
    pub fn new(kind: MessageType, request: &'a Datagram, facts: &'a Facts) -> Self {
        let mut message = Message::new(kind, request.message.transaction);
        // Of an Information-request also one that is no DUID.
        if let Some(client) = request.message.option(code::CLIENT_ID) {
            message = message.with(code::CLIENT_ID, client);
        }
        let message = message.with(code::SERVER_ID, facts.server.bytes());
        let relays = request.relays.iter();
        let relays = relays.map(|relay| Relay { options: relay.echoed(), ..relay.clone() });
        Self { request, facts, relays: relays.collect(), message, left_out: Vec::new() }
    }

    pub fn status(mut self, code: StatusCode, text: &str) -> Self {
        self.message.options.push(code::STATUS_CODE, Status::new(code, text).write());
        self
    }

    pub fn rapid(mut self) -> Self {
        self.message.options.push(code::RAPID_COMMIT, []);
        self
    }

    pub fn preference(mut self) -> Self {
        if let Some(preference) = self.facts.preference {
            self.message.options.push(code::PREFERENCE, [preference]);
        }
        self
    }

    pub fn lines(mut self, lines: &Lines) -> Self {
        for (code, value) in lines.options.iter() {
            self.message.options.push(code, value);
        }
        self
    }

    /// What a client needs first is written first, and left out last.
    pub fn parameters(mut self) -> Self {
        let parameters = &self.facts.parameters;
        let forced = |code| parameters.forced.iter().any(|(other, _)| *other == code);
        let mut wished: Vec<(u16, Vec<u8>)> = Vec::new();
        if let Some(boot) = &parameters.boot {
            wished.push((code::BOOT_FILE_URL, boot.url.clone().into_bytes()));
            let texts = value::counted(boot.parameters.iter().map(String::as_str));
            wished.push((code::BOOT_FILE_PARAMETERS, texts));
        }
        wished.push((code::DNS_SERVERS, value::addresses(&parameters.dns)));
        let domains = value::domains(parameters.domains.iter().map(String::as_str));
        wished.push((code::DOMAIN_LIST, domains));
        for (code, seconds) in [
            (code::SOL_MAX_RT, parameters.sol_max_rt_seconds),
            (code::INF_MAX_RT, parameters.inf_max_rt_seconds),
        ] {
            let asked = seconds.filter(|_| self.request.message.wants(code));
            wished.extend(asked.map(|seconds| (code, seconds.to_be_bytes().to_vec())));
        }
        wished.retain(|(code, value)| !value.is_empty() && !forced(*code));
        let allowed = parameters.forced.iter().filter(|(code, _)| !OURS.contains(code));
        for (code, value) in allowed.cloned().chain(wished) {
            self.add(code, value);
        }
        self
    }

    /// Option 32, which stands in the answer to an Information-request alone.
    pub fn refreshed(mut self) -> Self {
        let code = code::INFORMATION_REFRESH_TIME;
        let asked = self.facts.parameters.refresh_seconds;
        if let Some(seconds) = asked.filter(|_| self.request.message.wants(code)) {
            self.add(code, seconds.to_be_bytes().to_vec());
        }
        self
    }

    fn add(&mut self, code: u16, value: Vec<u8>) {
        self.message.options.push(code, value);
        if self.written().len() > REPLY_BYTES_MAX {
            self.message.options.pop();
            self.left_out.push(code);
        }
    }

    fn written(&self) -> Vec<u8> {
        let (relays, message) = (self.relays.clone(), self.message.clone());
        Datagram { relays, towards_client: true, message, complaints: Vec::new() }.encode()
    }

    /// RFC 8415 section 18.3.10: to the relay that spoke to us, or to the client.
    pub fn sent(self) -> Reply {
        let ways = self.facts.ways;
        let port = match self.request.relays.first() {
            // RFC 8357 section 5: the relay listens where it speaks from.
            Some(relay) if relay.source_port().is_some() => ways.from.port(),
            Some(_) => ways.relay_port,
            None => ways.client_port,
        };
        let to = SocketAddrV6::new(*ways.from.ip(), port, 0, ways.from.scope_id());
        Reply { bytes: self.written(), to, left_out: self.left_out }
    }
}
