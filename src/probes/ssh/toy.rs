//! A toy switch for the tests of this module: a real SSH server in this process, with a command
//! line that echoes, asks for an enable password, refuses, floods or falls silent as it is told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::{
    self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel as Opened, ChannelId, ChannelOpenFailure, Preferred, Pty, cipher, kex, mac};
use tokio::net::{TcpListener, TcpStream};

use crate::config::meant::Ssh;
use crate::platform::{Channel, Cli, Enable, Legacy, Platform, Platforms, Question};
use crate::secret::Secret;
use crate::service::probe::{Credential, Jump, Order, Purpose};

#[derive(Debug, Clone)]
pub(super) struct Toy {
    pub(super) password: String,
    pub(super) enable: String,
    /// Takes a password only over keyboard-interactive.
    pub(super) interactive_only: bool,
    /// Greets, and never prompts.
    pub(super) mute: bool,
    /// How long its running configuration is, if it is a flood.
    pub(super) flood_bytes: usize,
    /// Refuses a shell.
    pub(super) no_shell: bool,
    /// Closes the connection in the middle of an answer.
    pub(super) hangs_up: bool,
    /// Speaks only what a switch of 2008 speaks.
    pub(super) legacy: bool,
    /// `SHA256:...` of the key that `ops` may log in with.
    pub(super) authorized: Option<String>,
    /// Ends the connection when another user name is tried on it.
    pub(super) one_name: bool,
    /// Lets connections through to other hosts, as a jump host does.
    pub(super) passes: bool,
    /// What it asks over keyboard-interactive.
    pub(super) question: String,
    /// Where it listens, once it was started.
    pub(super) address: Option<SocketAddr>,
    pub(super) seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    logins: Vec<String>,
    typed: Vec<String>,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            password: "secret-1".to_owned(),
            enable: "en-secret".to_owned(),
            interactive_only: false,
            mute: false,
            flood_bytes: 0,
            no_shell: false,
            hangs_up: false,
            legacy: false,
            authorized: None,
            one_name: false,
            passes: false,
            question: "Password: ".to_owned(),
            address: None,
            seen: Arc::default(),
        }
    }
}

impl Toy {
    /// Listens on a free port of loopback until the test ends.
    pub(super) async fn start(mut self) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.address = Some(listener.local_addr().unwrap());
        let config = Arc::new(self.config());
        let toy = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let line = Line::new(toy.clone());
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, line).await {
                        let _ = session.await;
                    }
                });
            }
        });
        self
    }

    fn config(&self) -> server::Config {
        let kind = match self.legacy {
            true => Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            false => Algorithm::Ed25519,
        };
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), kind).unwrap();
        let mut config = server::Config {
            keys: vec![key],
            auth_rejection_time: Duration::from_millis(1),
            ..server::Config::default()
        };
        if self.legacy {
            config.preferred = Preferred {
                kex: Cow::Borrowed(&[kex::DH_G14_SHA1]),
                cipher: Cow::Borrowed(&[cipher::TRIPLE_DES_CBC]),
                mac: Cow::Borrowed(&[mac::HMAC_SHA1]),
                ..Preferred::DEFAULT
            };
        }
        config
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address.expect("it was started")
    }

    /// Every try to log in: user and method.
    pub(super) fn logins(&self) -> Vec<String> {
        self.seen.lock().unwrap().logins.clone()
    }

    /// Every command, passwords not counted.
    pub(super) fn typed(&self) -> Vec<String> {
        self.seen.lock().unwrap().typed.clone()
    }

    fn accepts(&self, user: &str, password: &str) -> bool {
        user == "ops" && password == self.password
    }

    fn answer(&self, command: &str) -> Option<String> {
        let text = match command {
            "terminal length 0" => String::new(),
            "write memory" => "[OK]\n".to_owned(),
            "show version" => "acc-sw-17 uptime is 3 minutes\n".to_owned(),
            "show running-config" if self.flood_bytes > 0 => "flood\n".repeat(self.flood_bytes / 6),
            "show running-config" => "hostname acc-sw-17\nend\n".to_owned(),
            _ => return None,
        };
        Some(text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    User,
    Password,
    Privileged,
}

/// One connection to the toy.
struct Line {
    toy: Toy,
    line: String,
    mode: Mode,
    user: Option<String>,
    /// Connections that are let through; what they bring is not typed.
    passed: Vec<ChannelId>,
}

impl Line {
    fn new(toy: Toy) -> Self {
        Self { toy, line: String::new(), mode: Mode::User, user: None, passed: Vec::new() }
    }

    fn note_login(&mut self, user: &str, method: &str) -> Result<(), russh::Error> {
        let first = self.user.get_or_insert_with(|| user.to_owned());
        if self.toy.one_name && first != user {
            return Err(russh::Error::Disconnect);
        }
        self.toy.seen.lock().unwrap().logins.push(format!("{user} {method}"));
        Ok(())
    }

    fn note_command(&self, command: &str) {
        self.toy.seen.lock().unwrap().typed.push(command.to_owned());
    }

    fn prompt(&self) -> &'static str {
        match self.mode {
            Mode::User => "\r\nacc-sw-17>",
            Mode::Password => "Password: ",
            Mode::Privileged => "acc-sw-17#",
        }
    }

    fn entered(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        match self.mode {
            Mode::Password => {
                let right = line == self.toy.enable;
                self.mode = if right { Mode::Privileged } else { Mode::User };
                let answer = if right { "\r\n" } else { "\r\n% Bad secrets\r\n" };
                format!("{answer}{}", self.prompt())
            }
            Mode::User | Mode::Privileged => {
                self.note_command(&line);
                if line == "enable" {
                    self.mode = Mode::Password;
                    return format!("{line}\r\n{}", self.prompt());
                }
                let answer =
                    self.toy.answer(&line).unwrap_or("% Invalid input detected\n".to_owned());
                format!("{line}\r\n{}{}", answer.replace('\n', "\r\n"), self.prompt())
            }
        }
    }
}

impl server::Handler for Line {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.note_login(user, "password")?;
        match !self.toy.interactive_only && self.toy.accepts(user, password) {
            true => Ok(Auth::Accept),
            false => Ok(Auth::reject()),
        }
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        self.note_login(user, "key")?;
        let offered = offer.public_key.fingerprint(HashAlg::Sha256).to_string();
        match user == "ops" && self.toy.authorized.as_ref() == Some(&offered) {
            true => Ok(Auth::Accept),
            false => Ok(Auth::reject()),
        }
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Opened<Msg>,
        host: &str,
        port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if !self.toy.passes {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        let Ok(mut onward) = TcpStream::connect((host, u16::try_from(port).unwrap())).await else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        self.passed.push(channel.id());
        reply.accept().await;
        tokio::spawn(async move {
            let mut stream = channel.into_stream();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
        });
        Ok(())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(response) = response else {
            self.note_login(user, "interactive")?;
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![(self.toy.question.clone().into(), false)].into(),
            });
        };
        let answers: Vec<String> =
            response.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        match answers.iter().all(|answer| self.toy.accepts(user, answer)) && answers.len() == 1 {
            true => Ok(Auth::Accept),
            false => Ok(Auth::reject()),
        }
    }

    async fn channel_open_session(
        &mut self,
        _channel: Opened<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _col_width: u32,
        _row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
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
        if self.toy.no_shell {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        let greeting = match self.toy.mute {
            true => "\r\nWelcome\r\n".to_owned(),
            false => format!("\r\nWelcome\r\n{}", self.prompt()),
        };
        session.data(channel, greeting.into_bytes())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data).into_owned();
        self.note_command(&command);
        session.channel_success(channel)?;
        let status = match self.toy.answer(&command) {
            Some(text) if self.toy.hangs_up => {
                session.data(channel, text.into_bytes())?;
                return Err(russh::Error::Disconnect);
            }
            Some(text) => {
                session.data(channel, text.into_bytes())?;
                0
            }
            None => {
                session.extended_data(channel, 1, &b"% Invalid input\ndetected\n"[..])?;
                1
            }
        };
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
        if self.passed.contains(&channel) {
            return Ok(());
        }
        for byte in data {
            if *byte != b'\n' {
                self.line.push(char::from(*byte));
                continue;
            }
            if self.toy.hangs_up && self.mode == Mode::Privileged {
                return Err(russh::Error::Disconnect);
            }
            let answer = self.entered();
            session.data(channel, answer.into_bytes())?;
        }
        Ok(())
    }
}

pub(super) fn shell() -> Channel {
    Channel::Shell
}

/// A visit to the toy with the right login.
pub(super) fn order(toy: &Toy, channel: Channel) -> Order {
    Order {
        target: toy.address(),
        platform: Arc::new(platform(channel)),
        credentials: vec![Credential {
            username: "ops".to_owned(),
            password: Some(Secret::new("secret-1")),
            key: None,
            enable: Some(Secret::new("en-secret")),
        }],
        jumps: Vec::new(),
        pinned_host_key: None,
        further: Vec::new(),
        purpose: Purpose::Observe,
        deadline: Duration::from_secs(30),
    }
}

/// The toy as a jump host, with the right login.
pub(super) fn jump(toy: &Toy) -> Jump {
    Jump {
        host: toy.address().ip().to_string(),
        port: toy.address().port(),
        credentials: order(toy, shell()).credentials,
        host_key: None,
    }
}

pub(super) fn settings() -> Ssh {
    Ssh {
        connect_timeout: Duration::from_millis(500),
        visit_timeout: Duration::from_secs(30),
        output_bytes_max: 1_000_000,
    }
}

/// Cisco IOS with the toy's few commands.
fn platform(channel: Channel) -> Platform {
    let shipped = Platforms::built_in().by_id.remove("cisco_ios").expect("it is built in");
    let mut platform = Arc::into_inner(shipped).expect("nobody else holds it");
    platform.cli = Cli {
        channel,
        prompts: vec![r"^[A-Za-z0-9-]+[>#]$".parse().unwrap()],
        enable: Some(Enable {
            command: "enable".to_owned(),
            unprivileged: ">$".parse().unwrap(),
            password_prompt: "^Password:".parse().unwrap(),
        }),
        preparation: vec!["terminal length 0".to_owned()],
        pagers: Vec::new(),
        errors: vec!["^% Invalid".parse().unwrap()],
        chatter: Vec::new(),
        command_timeout: Duration::from_millis(1500),
        logout: "exit".to_owned(),
        legacy: Legacy::Last,
    };
    let commands = BTreeMap::from([
        (Question::Facts, "show version"),
        (Question::Lldp, "show lldp"),
        (Question::Running, "show running-config"),
        (Question::Save, "write memory"),
    ]);
    platform.questions.retain(|question, _| commands.contains_key(question));
    for (question, asked) in &mut platform.questions {
        asked.commands = vec![commands[question].to_owned()];
        asked.readers.truncate(1);
    }
    platform
}
