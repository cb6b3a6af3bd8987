//! The SSH server in front of a box's command line: password login, a fresh host key at every boot,
//! a shell, and on Linux one command per exec request.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Server as _, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Pty, SshId};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::entropy::Entropy;
use crate::sim::chassis::{Kind, Login};
use crate::sim::cli::shell::{Shell, Shown};
use crate::sim::cli::{Answer, answer};
use crate::sim::inside::Inside;

/// An SSH server that runs until it is dropped: then its port is closed and its sessions end.
#[derive(Debug)]
pub struct SshServer {
    address: SocketAddr,
    /// `SHA256:...`, as `ssh-keygen -l` prints it.
    fingerprint: String,
    accepting: JoinHandle<()>,
}

impl SshServer {
    /// Listens on `address` (port 0: any) with a new ed25519 key.
    pub async fn start(
        inside: Inside,
        address: SocketAddr,
        entropy: &Entropy,
    ) -> io::Result<SshServer> {
        let listener = bind(address)?;
        let address = listener.local_addr()?;
        let key = key(&inside, entropy);
        let fingerprint = key.public_key().fingerprint(Default::default()).to_string();
        let config = Arc::new(config(inside.chassis().kind, key));
        let accepting = tokio::spawn(async move {
            let mut door = Door { inside };
            // The future owns all sessions: they end when this task is aborted.
            if let Err(error) = door.run_on_socket(config, &listener).await {
                tracing::debug!(%error, "a simulated SSH server stopped");
            }
        });
        Ok(SshServer { address, fingerprint, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Closes the port and all sessions; once this returns, the port may be taken again.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // The only outcome is that the task was cancelled, which is what was asked.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A box that reboots takes its port again at once, hence SO_REUSEADDR.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(16)
}

/// A new key, unless the box only reloaded.
fn key(inside: &Inside, entropy: &Entropy) -> PrivateKey {
    let mut seed = [0; 32];
    for chunk in seed.chunks_exact_mut(8) {
        chunk.copy_from_slice(&entropy.next_u64().to_le_bytes());
    }
    PrivateKey::from(Ed25519Keypair::from_seed(&inside.flash.host_key(seed)))
}

fn config(kind: Kind, key: PrivateKey) -> Config {
    let id = match kind {
        Kind::CiscoIos => "SSH-2.0-Cisco-1.25",
        Kind::AristaEos => "SSH-2.0-OpenSSH_8.7",
        Kind::Frr => "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3",
    };
    Config {
        server_id: SshId::Standard(id.into()),
        methods: MethodSet::from([MethodKind::Password].as_slice()),
        // A simulated box has nothing to protect: a short pause keeps the tests quick.
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 3,
        keys: vec![key],
        nodelay: true,
        ..Config::default()
    }
}

/// Makes a handler for every connection.
struct Door {
    inside: Inside,
}

impl russh::server::Server for Door {
    type Handler = Visitor;

    fn new_client(&mut self, _peer: Option<SocketAddr>) -> Visitor {
        Visitor { inside: self.inside.clone(), login: None, shells: HashMap::new() }
    }
}

/// One connection.
struct Visitor {
    inside: Inside,
    login: Option<Login>,
    shells: HashMap<ChannelId, Shell>,
}

impl Visitor {
    /// Runs one exec request: standard output, or standard error, and the exit status.
    fn execute(&self, command: &str) -> (String, String, u32) {
        let view = self.inside.view();
        let missing = |why: &str| (String::new(), format!("{why}\n"), 127);
        match answer(&view, true, command) {
            Answer::Text(text) => (text, String::new(), 0),
            Answer::Save(text) => {
                self.inside.save();
                (text, String::new(), 0)
            }
            Answer::PageLength(_)
            | Answer::Enable
            | Answer::Disable
            | Answer::Logout
            | Answer::Copy { .. }
            | Answer::Configure(_)
            | Answer::Reload { .. } => (String::new(), String::new(), 0),
            Answer::Unknown { .. } => match view.chassis.kind {
                Kind::CiscoIos | Kind::AristaEos => missing("% Invalid input"),
                Kind::Frr => {
                    let word = command.split_whitespace().next().unwrap_or_default();
                    missing(&format!("bash: line 1: {word}: command not found"))
                }
            },
        }
    }
}

fn show(session: &mut Session, channel: ChannelId, shown: Shown) -> Result<(), russh::Error> {
    if !shown.bytes.is_empty() {
        session.data(channel, shown.bytes)?;
    }
    if shown.closed {
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)?;
    }
    Ok(())
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.login = self.inside.admits(user, password);
        Ok(if self.login.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "the signature is the SSH library's")]
    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(login) = self.login.clone() else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        let shell = Shell::new(self.inside.clone(), login);
        let shown = shell.greet();
        self.shells.insert(channel, shell);
        show(session, channel, shown)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let (output, error, status) = self.execute(&String::from_utf8_lossy(data));
        if !output.is_empty() {
            session.data(channel, output.into_bytes())?;
        }
        if !error.is_empty() {
            session.extended_data(channel, 1, error.into_bytes())?;
        }
        session.exit_status_request(channel, status)?;
        session.eof(channel)?;
        session.close(channel)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(shell) = self.shells.get_mut(&channel) else { return Ok(()) };
        let mut shown = shell.type_in(data);
        while let Some(errand) = shown.errand.take() {
            show(session, channel, shown)?;
            let result = self.inside.flash.copy(&errand.url, &errand.file).await;
            shown = shell.fetched(&errand, &result);
        }
        if shown.reload {
            self.inside.flash.reload();
        }
        if shown.closed {
            self.shells.remove(&channel);
        }
        show(session, channel, shown)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use russh::ChannelMsg;
    use russh::client::{self, AuthResult};

    use super::*;
    use crate::address::Mac;
    use crate::clock::Clock;
    use crate::sim::cabling::{LldpTiming, Plant, Socket};
    use crate::sim::chassis::Chassis;

    struct AnyKey;

    impl client::Handler for AnyKey {
        type Error = russh::Error;

        async fn check_server_key(
            &mut self,
            _: &russh::keys::PublicKeyOrCertificate,
        ) -> Result<bool, Self::Error> {
            Ok(true)
        }
    }

    const CONFIGURED: &str = "hostname acc-1\nusername admin privilege 15 secret Wonder!Land\n\
                              interface Ethernet1\n description uplink\n";

    /// A box of this kind whose first port is cabled to port 7 of a Cisco called dist-1.
    fn two_boxes(kind: Kind, enable: Option<&str>) -> (Inside, Inside) {
        let timing = LldpTiming { hello: Duration::ZERO, linger: Duration::ZERO };
        let plant = Plant::new(Clock::System, timing);
        let mac = |last| Mac::new([2, 0, 0, 0, 0, last]);
        let chassis = match kind {
            Kind::CiscoIos => Chassis::cisco("FOC2231X0AB", mac(1)),
            Kind::AristaEos => Chassis::arista("JPE19281519", mac(1)),
            Kind::Frr => Chassis::frr("EB10001", mac(1)),
        };
        let login = Login {
            username: "admin".into(),
            password: "Wonder!Land".into(),
            enable: enable.map(str::to_owned),
        };
        let port = chassis.ports[0].clone();
        let near = Inside::new("acc-1", chassis, vec![login], plant.clone());
        let far_box = Chassis::cisco("FOC0000X001", mac(99));
        let far = Inside::new("dist-1", far_box, Vec::new(), plant.clone());
        {
            let (mut cabling, now) = plant.look();
            let far_socket = Socket::new("dist-1", "GigabitEthernet1/0/7");
            cabling.connect(Socket::new("acc-1", port), far_socket, now).unwrap();
        }
        for (each, text) in [(&near, CONFIGURED), (&far, "hostname dist-1")] {
            each.power_on();
            each.apply(text, None);
            each.speak();
        }
        (near, far)
    }

    async fn connect(server: &SshServer) -> client::Handle<AnyKey> {
        client::connect(Arc::default(), server.address(), AnyKey).await.unwrap()
    }

    async fn start(inside: &Inside) -> SshServer {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        SshServer::start(inside.clone(), any, &Entropy::seeded(1)).await.unwrap()
    }

    async fn log_in(server: &SshServer) -> client::Handle<AnyKey> {
        let mut handle = connect(server).await;
        let result = handle.authenticate_password("admin", "Wonder!Land").await.unwrap();
        assert!(matches!(result, AuthResult::Success), "{result:?}");
        handle
    }

    /// A terminal driven by its prompts.
    struct Terminal {
        channel: Channel<client::Msg>,
        seen: String,
    }

    impl Terminal {
        async fn open(handle: &client::Handle<AnyKey>, prompt: &str) -> Self {
            let channel = handle.channel_open_session().await.unwrap();
            channel.request_pty(false, "vt100", 80, 24, 0, 0, &[]).await.unwrap();
            channel.request_shell(true).await.unwrap();
            let mut terminal = Self { channel, seen: String::new() };
            terminal.until(prompt).await;
            terminal
        }

        /// Types, and returns everything shown until the text that ends it.
        async fn say(&mut self, typed: &str, end: &str) -> String {
            self.channel.data(typed.as_bytes()).await.unwrap();
            self.until(end).await
        }

        async fn until(&mut self, end: &str) -> String {
            let reading = async {
                while !self.seen.ends_with(end) {
                    match self.channel.wait().await {
                        Some(ChannelMsg::Data { data }) => {
                            self.seen.push_str(&String::from_utf8_lossy(&data));
                        }
                        Some(_) => {}
                        None => break,
                    }
                }
            };
            let ended = tokio::time::timeout(Duration::from_secs(10), reading).await;
            assert!(ended.is_ok(), "waiting for `{end}`, seen `{}`", self.seen);
            std::mem::take(&mut self.seen)
        }
    }

    async fn exec(handle: &client::Handle<AnyKey>, command: &str) -> (String, String, u32) {
        let mut channel = handle.channel_open_session().await.unwrap();
        channel.exec(true, command).await.unwrap();
        let (mut out, mut err, mut status) = (String::new(), String::new(), u32::MAX);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => out.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExtendedData { data, .. } => {
                    err.push_str(&String::from_utf8_lossy(&data));
                }
                ChannelMsg::ExitStatus { exit_status } => status = exit_status,
                _ => {}
            }
        }
        (out, err, status)
    }

    #[tokio::test]
    async fn ios_echoes_pages_points_at_errors_and_saves_only_when_told() {
        let (near, _far) = two_boxes(Kind::CiscoIos, None);
        let server = start(&near).await;
        let handle = log_in(&server).await;
        let mut terminal = Terminal::open(&handle, "acc-1#").await;

        let page = terminal.say("show version\r", "--More-- ").await;
        assert!(page.starts_with("show version\r\nCisco IOS XE Software, Version 17.09.04a"));
        assert_eq!(page.lines().count(), 1 + 23 + 1, "{page}");
        let rest = terminal.say(" ", "acc-1#").await;
        assert!(rest.contains("FOC2231X0AB"), "{rest}");

        terminal.say("show version\r", "--More-- ").await;
        let left = terminal.say("q", "acc-1#").await;
        assert!(!left.contains("FOC2231X0AB"), "q leaves the pager: {left}");

        let wrong = terminal.say("show lldp neighbours detail\r", "acc-1#").await;
        assert!(wrong.contains("\r\n                ^\r\n% Invalid input detected"), "{wrong}");

        terminal.say("terminal length 0\r", "acc-1#").await;
        let lldp = terminal.say("show lldp neighbors detail\r", "acc-1#").await;
        for line in [
            "Local Intf: Gi1/0/1\r\n",
            "Port id: Gi1/0/7\r\n",
            "Port Description: GigabitEthernet1/0/7\r\n",
            "System Name: dist-1\r\n",
            "Total entries displayed: 1\r\n",
        ] {
            assert!(lldp.contains(line), "{line:?} not in {lldp}");
        }
        let status = terminal.say("show interfaces status\r", "acc-1#").await;
        assert!(status.contains("Gi1/0/1                         connected"), "{status}");
        assert!(status.contains("Gi1/0/2                         notconnect"), "{status}");

        let running = terminal.say("show running-config\r", "acc-1#").await;
        assert!(running.contains("hostname acc-1\r\n") && !running.contains("Wonder!Land"));
        let saved = terminal.say("show startup-config\r", "acc-1#").await;
        assert!(saved.contains("startup-config is not present"), "{saved}");
        assert!(terminal.say("write memory\r", "acc-1#").await.contains("[OK]"));
        let saved = terminal.say("show startup-config\r", "acc-1#").await;
        assert!(saved.contains("hostname acc-1\r\n"), "{saved}");
    }

    #[tokio::test]
    async fn an_unprivileged_session_reads_the_configuration_only_after_enable() {
        let (near, _far) = two_boxes(Kind::CiscoIos, Some("open sesame"));
        let server = start(&near).await;
        let handle = log_in(&server).await;
        let mut terminal = Terminal::open(&handle, "acc-1>").await;
        let refused = terminal.say("show running-config\r", "acc-1>").await;
        assert!(refused.contains("% Invalid input"), "{refused}");
        terminal.say("enable\r", "Password: ").await;
        assert!(terminal.say("wrong\r", "acc-1>").await.contains("% Access denied"));
        terminal.say("enable\r", "Password: ").await;
        let silent = terminal.say("open sesame\r", "acc-1#").await;
        assert!(!silent.contains("sesame"), "a password is not echoed: {silent}");
        terminal.say("terminal length 0\r", "acc-1#").await;
        let running = terminal.say("show running-config\r", "acc-1#").await;
        assert!(running.contains("description uplink"), "{running}");
    }

    #[tokio::test]
    async fn eos_answers_in_json_and_has_saved_by_itself() {
        let (near, _far) = two_boxes(Kind::AristaEos, None);
        let server = start(&near).await;
        let handle = log_in(&server).await;
        let mut terminal = Terminal::open(&handle, "acc-1>").await;
        terminal.say("enable\r", "acc-1#").await;
        terminal.say("terminal length 0\r", "acc-1#").await;
        let mut ask = async |command: &str| -> serde_json::Value {
            let shown = terminal.say(&format!("{command}\r"), "acc-1#").await;
            let json = shown.split_once("\r\n").unwrap().1.strip_suffix("acc-1#").unwrap();
            serde_json::from_str(json).unwrap()
        };
        let version = ask("show version | json").await;
        assert_eq!(version["serialNumber"], "JPE19281519");
        assert_eq!(version["version"], "4.32.2F");
        let lldp = ask("show lldp neighbors detail | json").await;
        let heard = &lldp["lldpNeighbors"]["Ethernet1"]["lldpNeighborInfo"][0];
        assert_eq!(heard["systemName"], "dist-1");
        assert_eq!(heard["neighborInterfaceInfo"]["interfaceId"], "\"Gi1/0/7\"");
        assert_eq!(lldp["lldpNeighbors"]["Ethernet2"]["lldpNeighborInfo"], serde_json::json!([]));
        let status = ask("show interfaces status | json").await;
        assert_eq!(status["interfaceStatuses"]["Ethernet1"]["linkStatus"], "connected");
        let saved = terminal.say("show startup-config\r", "acc-1#").await;
        assert!(saved.contains("\r\n   description uplink\r\n"), "{saved}");
    }

    #[tokio::test]
    async fn a_linux_box_answers_each_command_by_itself_and_names_what_it_lacks() {
        let (near, _far) = two_boxes(Kind::Frr, None);
        let server = start(&near).await;
        let handle = log_in(&server).await;
        let (out, _, status) = exec(&handle, "lldpcli -f json0 show neighbors details").await;
        let lldp: serde_json::Value = serde_json::from_str(&out).unwrap();
        let first = &lldp["lldp"][0]["interface"][0];
        assert_eq!((first["name"].as_str(), status), (Some("swp1"), 0));
        assert_eq!(first["chassis"][0]["name"][0]["value"], "dist-1");
        let (_, error, status) = exec(&handle, "frobnicate now").await;
        assert_eq!(
            (error.as_str(), status),
            ("bash: line 1: frobnicate: command not found\n", 127)
        );
        assert_eq!(exec(&handle, "cat /etc/frr/frr.conf").await.0, "");
        exec(&handle, "vtysh -c 'write memory'").await;
        assert!(exec(&handle, "cat /etc/frr/frr.conf").await.0.contains("hostname acc-1\n"));
    }

    #[tokio::test]
    async fn a_login_needs_the_account_the_password_and_a_willing_box() {
        let (near, _far) = two_boxes(Kind::CiscoIos, None);
        let server = start(&near).await;
        let tries = async |user: &str, password: &str| {
            let mut handle = connect(&server).await;
            handle.authenticate_password(user, password).await.unwrap().success()
        };
        assert!(tries("admin", "Wonder!Land").await);
        assert!(!tries("admin", "wonderland").await);
        assert!(!tries("root", "Wonder!Land").await);
        near.refuse_logins(true);
        assert!(!tries("admin", "Wonder!Land").await);
        near.refuse_logins(false);
        near.exchange(Chassis::cisco("FOC2", Mac::new([2, 0, 0, 0, 0, 8])));
        assert!(!tries("admin", "Wonder!Land").await, "a new box knows no account");
    }

    #[tokio::test]
    async fn a_reboot_takes_the_same_port_with_another_host_key() {
        let (near, _far) = two_boxes(Kind::CiscoIos, None);
        let entropy = Entropy::seeded(5);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = SshServer::start(near.clone(), any, &entropy).await.unwrap();
        let (address, fingerprint) = (first.address(), first.fingerprint().to_owned());
        let handle = log_in(&first).await;
        first.stop().await;
        let second = SshServer::start(near, address, &entropy).await.unwrap();
        assert_ne!(second.fingerprint(), fingerprint);
        assert!(fingerprint.starts_with("SHA256:"), "{fingerprint}");
        log_in(&second).await;
        let opened = handle.channel_open_session().await;
        assert!(opened.is_err(), "the old session must be gone");
    }
}
