//! How is a reply put together, wrapped for the relays, and addressed?

use std::net::SocketAddrV6;

use crate::proto::dhcp6::answer::{Facts, Reply};
use crate::proto::dhcp6::association::{Status, StatusCode};
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::datagram::Datagram;
use crate::proto::dhcp6::lines::Lines;
use crate::proto::dhcp6::message::{Message, MessageType};
use crate::proto::dhcp6::options;
use crate::proto::dhcp6::relay::Relay;
use crate::proto::dhcp6::value;

/// What a path of 1500 bytes carries without fragments: less 40 of IPv6 and 8 of UDP. Parameters
/// beyond it are left out; identifiers, associations and what relays must find are not.
pub const REPLY_BYTES_MAX: usize = 1452;

/// Options that only the protocol itself may write.
const OURS: [u16; 17] = [
    code::CLIENT_ID,
    code::SERVER_ID,
    code::IA_NA,
    code::IA_TA,
    code::IA_ADDRESS,
    code::OPTION_REQUEST,
    code::PREFERENCE,
    code::ELAPSED_TIME,
    code::RELAY_MESSAGE,
    code::AUTHENTICATION,
    code::SERVER_UNICAST,
    code::STATUS_CODE,
    code::RAPID_COMMIT,
    code::INTERFACE_ID,
    code::RECONFIGURE_MESSAGE,
    code::IA_PD,
    code::INFORMATION_REFRESH_TIME,
];

/// A reply on its way.
pub(super) struct Draft<'a> {
    request: &'a Datagram,
    facts: &'a Facts,
    datagram: Datagram,
    /// Of the datagram, as written.
    bytes: usize,
    left_out: Vec<u16>,
}

impl<'a> Draft<'a> {
    /// What every reply has in common (RFC 8415 section 18.3): the transaction, both identifiers,
    /// and the relays' wrappings turned around (section 19.3).
    pub fn new(kind: MessageType, request: &'a Datagram, facts: &'a Facts) -> Self {
        let relays = request.relays.iter();
        let relays = relays.map(|relay| {
            let Relay { hop_count, link, peer, .. } = *relay;
            Relay { hop_count, link, peer, options: relay.echoed() }
        });
        let datagram = Datagram {
            relays: relays.collect(),
            towards_client: true,
            message: Message::new(kind, request.message.transaction),
            complaints: Vec::new(),
        };
        let bytes = datagram.encode().len();
        let mut draft = Self { request, facts, datagram, bytes, left_out: Vec::new() };
        // In an Information-request it may be anything: it is the client that compares.
        if let Some(client) = request.message.option(code::CLIENT_ID) {
            draft.push(code::CLIENT_ID, client);
        }
        draft.push(code::SERVER_ID, facts.server.bytes());
        draft
    }

    pub fn status(mut self, code: StatusCode, text: &str) -> Self {
        self.push(code::STATUS_CODE, &Status::new(code, text).write());
        self
    }

    pub fn rapid(mut self) -> Self {
        self.push(code::RAPID_COMMIT, &[]);
        self
    }

    pub fn preference(mut self) -> Self {
        if let Some(preference) = self.facts.preference {
            self.push(code::PREFERENCE, &[preference]);
        }
        self
    }

    pub fn lines(mut self, lines: &Lines) -> Self {
        for (code, value) in lines.options.iter() {
            self.push(code, value);
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
            self.offer(code, &value);
        }
        self
    }

    /// Option 32, which stands in the answer to an Information-request alone.
    pub fn refreshed(mut self) -> Self {
        let code = code::INFORMATION_REFRESH_TIME;
        let asked = self.facts.parameters.refresh_seconds;
        if let Some(seconds) = asked.filter(|_| self.request.message.wants(code)) {
            self.offer(code, &seconds.to_be_bytes());
        }
        self
    }

    /// Writes a parameter if there is room for it.
    fn offer(&mut self, code: u16, value: &[u8]) {
        if self.bytes + options::HEADER_BYTES + value.len() > REPLY_BYTES_MAX {
            self.left_out.push(code);
        } else {
            self.push(code, value);
        }
    }

    fn push(&mut self, code: u16, value: &[u8]) {
        self.bytes += options::HEADER_BYTES + value.len();
        self.datagram.message.options.push(code, value);
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
        Reply { bytes: self.datagram.encode(), to, left_out: self.left_out }
    }
}
