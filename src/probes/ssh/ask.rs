//! Asking commands over an authenticated session: in one shell, or one exec request each.

use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg};
use tokio::time::{Instant, sleep_until, timeout};

use super::session::Guard;
use crate::clock::Clock;
use crate::platform::dialogue::{Action, Dialogue, End, Limits, judged};
use crate::platform::{Cli, Output};
use crate::secret::Secret;
use crate::service::probe::Outcome;

/// Wide and high, so that nothing is folded and nothing is paged.
const COLUMNS: u32 = 511;
const ROWS: u32 = 1000;
/// How much of an error is shown.
const WHY_CHARS_MAX: usize = 200;

/// Types the commands into one shell, driven by the dialogue machine.
pub(super) async fn in_shell(
    handle: &Handle<Guard>,
    cli: &Cli,
    enable: Option<Secret>,
    commands: Vec<String>,
    limits: Limits,
) -> Result<Vec<Output>, Outcome> {
    let mut channel = open(handle).await?;
    channel.request_pty(true, "vt100", COLUMNS, ROWS, 0, 0, &[]).await.map_err(lost)?;
    channel.request_shell(true).await.map_err(lost)?;
    let clock = Clock::System;
    let mut replies = 0;
    let mut dialogue = Dialogue::new(cli, enable, commands, limits, clock.instant());
    while let Some(deadline) = dialogue.deadline() {
        let actions = tokio::select! {
            message = channel.wait() => match message {
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                    dialogue.on_bytes(&data, clock.instant())
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => dialogue.on_end(),
                Some(ChannelMsg::Success) => {
                    replies += 1;
                    Vec::new()
                }
                // Replies come in the order of the requests (RFC 4254, section 4). The first is
                // about the terminal, and a shell without one will do.
                Some(ChannelMsg::Failure) if replies == 0 => {
                    replies += 1;
                    Vec::new()
                }
                Some(ChannelMsg::Failure) => {
                    return Err(Outcome::Broken { why: "the device opens no shell".to_owned() });
                }
                Some(_) => Vec::new(),
            },
            () = sleep_until(Instant::from_std(deadline)) => dialogue.on_time(clock.instant()),
        };
        perform(&channel, actions).await?;
    }
    match dialogue.into_end() {
        End::Answered(outputs) => Ok(outputs),
        End::EnableRefused { why } | End::LoginRefused { why } => {
            Err(Outcome::LoginRefused { why })
        }
        End::Broken { why } => Err(Outcome::Broken { why }),
    }
}

async fn perform(channel: &Channel<Msg>, actions: Vec<Action>) -> Result<(), Outcome> {
    for action in actions {
        match action {
            Action::Type(text) => channel.data_bytes(text.into_bytes()).await.map_err(lost)?,
            Action::TypeSecret(secret) => {
                let line = format!("{}\n", secret.expose());
                channel.data_bytes(line.into_bytes()).await.map_err(lost)?;
            }
            // The device may have closed it first.
            Action::Close => {
                let _ = channel.close().await;
            }
        }
    }
    Ok(())
}

/// One exec request per command.
pub(super) async fn by_exec(
    handle: &Handle<Guard>,
    cli: &Cli,
    commands: &[String],
    limits: Limits,
) -> Result<Vec<Output>, Outcome> {
    let mut outputs = Vec::new();
    for command in commands {
        outputs.push(execute(handle, cli, command, limits).await?);
    }
    Ok(outputs)
}

/// What one exec request has brought so far.
#[derive(Debug, Default)]
struct Collected {
    out: Vec<u8>,
    err: Vec<u8>,
    status: Option<u32>,
    signal: Option<String>,
    refused: bool,
    too_much: bool,
    /// The device said that it is done: not the connection ended, but the channel.
    ended: bool,
}

async fn execute(
    handle: &Handle<Guard>,
    cli: &Cli,
    command: &str,
    limits: Limits,
) -> Result<Output, Outcome> {
    let mut channel = open(handle).await?;
    channel.exec(true, command).await.map_err(lost)?;
    let mut collected = Collected::default();
    loop {
        let Ok(message) = timeout(cli.command_timeout, channel.wait()).await else {
            return Err(silent(command, cli.command_timeout));
        };
        let Some(message) = message else { break };
        collected.take(message, limits.output_bytes_max);
        if collected.too_much || collected.refused {
            let _ = channel.close().await;
            break;
        }
    }
    let cut_off = !(collected.ended || collected.too_much || collected.refused);
    if cut_off && collected.status.is_none() {
        let why = format!("the device closed the session during the answer to `{command}`");
        return Err(Outcome::Broken { why });
    }
    Ok(collected.output(cli, limits))
}

impl Collected {
    fn take(&mut self, message: ChannelMsg, bytes_max: usize) {
        match message {
            ChannelMsg::Data { data } => self.out.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, .. } => self.err.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => self.status = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.signal = Some(format!("{signal_name:?}"));
            }
            ChannelMsg::Failure => self.refused = true,
            ChannelMsg::Eof | ChannelMsg::Close => self.ended = true,
            _ => {}
        }
        self.too_much = self.out.len() + self.err.len() > bytes_max;
    }

    fn output(self, cli: &Cli, limits: Limits) -> Output {
        let refused = |why: String| Output::Refused { why };
        if self.too_much {
            let limit = limits.output_bytes_max;
            return refused(format!("expected at most {limit} bytes, found more"));
        }
        if self.refused {
            return refused("the device takes no exec request".to_owned());
        }
        let said = || shown(&self.err);
        match (self.status, &self.signal) {
            (Some(0), _) => judged(cli, plain(&self.out)),
            (Some(status), _) => refused(format!("exit status {status}: {}", said())),
            (None, Some(signal)) => refused(format!("ended by signal {signal}: {}", said())),
            // RFC 4254, section 6.10 only recommends the exit status, and some devices send none;
            // but then nothing tells a whole answer from a cut one, except that it is not empty.
            (None, None) if self.out.is_empty() => {
                refused(format!("no answer and no exit status: {}", said()))
            }
            (None, None) => judged(cli, plain(&self.out)),
        }
    }
}

fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "")
}

/// The end of what went wrong, on one line.
fn shown(bytes: &[u8]) -> String {
    let text = plain(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    words.chars().filter(|c| !c.is_control()).take(WHY_CHARS_MAX).collect()
}

async fn open(handle: &Handle<Guard>) -> Result<Channel<Msg>, Outcome> {
    handle.channel_open_session().await.map_err(|error| match error {
        russh::Error::ChannelOpenFailure(reason) => {
            Outcome::Broken { why: format!("the device opens no session: {reason:?}") }
        }
        other => lost(other),
    })
}

fn lost(error: russh::Error) -> Outcome {
    Outcome::Broken { why: format!("the session was lost: {error}") }
}

fn silent(command: &str, limit: Duration) -> Outcome {
    let seconds = limit.as_secs_f32();
    let why = format!("no end of the answer to `{command}`, silent for {seconds} s");
    Outcome::Broken { why }
}
