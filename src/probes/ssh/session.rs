//! From nothing to an authenticated session: TCP, key exchange, host key, login.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse as Interactive};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{MethodKind, MethodSet};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::algorithms;
use crate::config::meant::Ssh;
use crate::service::probe::{Credential, Order, Outcome};

/// The key exchange may take this many times the connection's timeout: old switches compute for
/// seconds.
const HANDSHAKE_FACTOR: u32 = 3;
/// A keyboard-interactive server asks once or twice; one that asks on is not logging us in.
const QUESTIONS_MAX: usize = 8;

/// How far a visit came, readable from outside when its time is up.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace(Arc<Mutex<Reached>>);

#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    pub(super) host_key: Option<String>,
    /// A key that was not the pinned one.
    foreign_key: Option<String>,
    pub(super) step: Step,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Connecting,
    LoggingIn,
    LoggedIn,
}

impl Trace {
    pub(super) fn reached(&self) -> Reached {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Reached)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Decides on the host key, before anything secret is sent.
pub(super) struct Guard {
    pinned: Option<String>,
    trace: Trace,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let found = shown.public_key().fingerprint(HashAlg::Sha256).to_string();
        let fits = self.pinned.as_ref().is_none_or(|pinned| *pinned == found);
        self.trace.note(|reached| {
            if !fits {
                reached.foreign_key = Some(found.clone());
            }
            reached.host_key = Some(found);
        });
        Ok(fits)
    }
}

/// Logs in with the first credential that is taken.
///
/// Each credential gets a connection of its own: a server may refuse another user name on the same
/// one (RFC 4252, section 5).
pub(super) async fn log_in<'a>(
    order: &'a Order,
    settings: &Ssh,
    trace: &Trace,
) -> Result<(Handle<Guard>, &'a Credential), Outcome> {
    if order.credentials.is_empty() {
        // Whether it is there at all, and with which key, is worth knowing all the same.
        connect(order, settings, trace).await?;
        let why = "the inventory has no credential for it".to_owned();
        return Err(Outcome::LoginRefused { why });
    }
    let mut refusals = Vec::new();
    for credential in &order.credentials {
        let mut handle = connect(order, settings, trace).await?;
        match authenticate(&mut handle, credential).await {
            Ok(()) => {
                trace.note(|reached| reached.step = Step::LoggedIn);
                return Ok((handle, credential));
            }
            Err(why) => refusals.push(format!("`{}`: {why}", shown(&credential.username))),
        }
    }
    Err(Outcome::LoginRefused { why: refusals.join("; ") })
}

async fn connect(order: &Order, settings: &Ssh, trace: &Trace) -> Result<Handle<Guard>, Outcome> {
    trace.note(|reached| reached.step = Step::Connecting);
    let target = order.target;
    let limit = settings.connect_timeout;
    let stream = match timeout(limit, TcpStream::connect(target)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(Outcome::Unreachable {
                why: format!("no connection to {target}: {error}"),
            });
        }
        Err(_) => {
            let why = format!("no connection to {target} within {} s", limit.as_secs_f32());
            return Err(Outcome::Unreachable { why });
        }
    };
    // Without it each keystroke may wait for the other side's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let pinned = order.pinned_host_key.clone().or_else(|| trace.reached().host_key);
    let guard = Guard { pinned, trace: trace.clone() };
    let config = Arc::new(client::Config {
        preferred: algorithms::preferred(),
        gex: algorithms::group_exchange(),
        // Ends the connection's own task should this visit be dropped in between.
        inactivity_timeout: Some(order.deadline),
        ..client::Config::default()
    });
    let limit = limit * HANDSHAKE_FACTOR;
    match timeout(limit, client::connect_stream(config, stream, guard)).await {
        Ok(Ok(handle)) => {
            trace.note(|reached| reached.step = Step::LoggingIn);
            Ok(handle)
        }
        Ok(Err(error)) => Err(handshake_failed(order, trace, &error)),
        Err(_) => {
            let why = format!("{target} does not speak SSH within {} s", limit.as_secs_f32());
            Err(Outcome::Unreachable { why })
        }
    }
}

fn handshake_failed(order: &Order, trace: &Trace, error: &russh::Error) -> Outcome {
    if let Some(found) = trace.reached().foreign_key {
        return Outcome::HostKeyChanged { found };
    }
    let target = order.target;
    match error {
        // A device that is still starting closes or resets: it may answer the next visit.
        russh::Error::IO(_)
        | russh::Error::HUP
        | russh::Error::Disconnect
        | russh::Error::ConnectionTimeout
        | russh::Error::InactivityTimeout => {
            Outcome::Unreachable { why: format!("{target} broke off the SSH greeting: {error}") }
        }
        // Somebody answers, and waiting will not mend it.
        other => Outcome::Broken { why: format!("no SSH session with {target}: {}", cut(other)) },
    }
}

/// An algorithm list in an error can be long.
fn cut(error: &russh::Error) -> String {
    error.to_string().chars().take(600).collect()
}

/// A user name is the operator's own word; it is only kept short.
fn shown(username: &str) -> String {
    username.chars().take(64).collect()
}

/// Password first, then keyboard-interactive with the same password: some servers know only that.
async fn authenticate(handle: &mut Handle<Guard>, credential: &Credential) -> Result<(), String> {
    let (user, password) = (credential.username.as_str(), credential.password.expose());
    let answer = handle.authenticate_password(user, password).await;
    let methods = match answer.map_err(|error| broken_off(&error))? {
        AuthResult::Success => return Ok(()),
        AuthResult::Failure { partial_success: true, remaining_methods } => {
            return Err(format!("the password is not enough: {}", names(&remaining_methods)));
        }
        AuthResult::Failure { partial_success: false, remaining_methods } => remaining_methods,
    };
    if handle.is_closed() {
        return Err("the device closed the connection after the password".to_owned());
    }
    if !methods.contains(&MethodKind::KeyboardInteractive) {
        let offered = names(&methods);
        return Err(format!("the password was refused; the device takes {offered}"));
    }
    keyboard_interactive(handle, credential).await
}

async fn keyboard_interactive(
    handle: &mut Handle<Guard>,
    credential: &Credential,
) -> Result<(), String> {
    let user = credential.username.as_str();
    let mut answer = handle
        .authenticate_keyboard_interactive_start(user, None)
        .await
        .map_err(|error| broken_off(&error))?;
    for _ in 0..QUESTIONS_MAX {
        let responses = match answer {
            Interactive::Success => return Ok(()),
            Interactive::Failure { .. } => {
                return Err("password and keyboard-interactive were refused".to_owned());
            }
            Interactive::InfoRequest { prompts, .. } => {
                prompts.iter().map(|prompt| response(prompt, credential)).collect()
            }
        };
        answer = handle
            .authenticate_keyboard_interactive_respond(responses)
            .await
            .map_err(|error| broken_off(&error))?;
    }
    Err("keyboard-interactive asks without end".to_owned())
}

/// What is typed unseen is the password; a question with echo is for the name, or is none of ours.
fn response(prompt: &client::Prompt, credential: &Credential) -> String {
    if !prompt.echo {
        return credential.password.expose().to_owned();
    }
    let question = prompt.prompt.to_lowercase();
    match question.contains("user") || question.contains("login") {
        true => credential.username.clone(),
        false => String::new(),
    }
}

fn broken_off(error: &russh::Error) -> String {
    format!("the device broke off the login: {error}")
}

fn names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    match names.is_empty() {
        true => "no other method".to_owned(),
        false => names.join(", "),
    }
}
