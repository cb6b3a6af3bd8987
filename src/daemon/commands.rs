//! The commands that talk to a running server, or are one.

use std::path::{Path, PathBuf};

use crate::error::{Code, Error};
use crate::faces::cli::{self, report};
use crate::faces::control::{client, show};
use crate::files::{self, Loaded};
use crate::service::operations::{Log, Status};

/// Loads the files or shows what is wrong with them.
pub fn load(config: &Path) -> Result<Loaded, Error> {
    files::load(config).map_err(|complaints| {
        eprint!("{}", report::text(&complaints));
        Error::new(Code::Configuration, "the files have complaints")
            .hint("`greenlight check` shows them again")
    })
}

/// Where the server of this configuration listens. Read without the inventory: a server that runs
/// can be asked while its plan is being edited.
fn socket(config: &Path) -> Result<PathBuf, Error> {
    files::configuration(config).map(|config| config.socket).map_err(|complaints| {
        eprint!("{}", report::text(&complaints));
        Error::new(Code::Configuration, "the configuration has complaints")
    })
}

pub async fn status(config: &Path, output: &cli::Output) -> Result<(), Error> {
    let socket = socket(config)?;
    let status: Status = client::ask(&socket, "GET", "/v1/status").await?;
    print(&if output.json { json(&status) } else { show::status(&status) });
    Ok(())
}

pub async fn log(config: &Path, log: &cli::Log) -> Result<(), Error> {
    let socket = socket(config)?;
    let path = format!("/v1/devices/{}/log?last={}", client::segment(&log.device), log.number);
    let answer: Log = client::ask(&socket, "GET", &path).await?;
    print(&if log.json { json(&answer) } else { show::log(&answer) });
    if log.follow {
        follow(&socket, Some(&log.device), log.json).await?;
    }
    Ok(())
}

pub async fn watch(config: &Path, output: &cli::Output) -> Result<(), Error> {
    follow(&socket(config)?, None, output.json).await
}

pub async fn act(config: &Path, act: &str, device: &cli::Device) -> Result<(), Error> {
    acted(&socket(config)?, act, &device.device).await
}

/// Each of them, even if one is refused; the last refusal is the answer.
pub async fn expect(config: &Path, cli::Devices { devices }: &cli::Devices) -> Result<(), Error> {
    let socket = socket(config)?;
    let mut outcome = Ok(());
    for device in devices {
        if let Err(refused) = acted(&socket, "expect", device).await
            && let Err(earlier) = std::mem::replace(&mut outcome, Err(refused))
        {
            eprintln!("greenlight: {earlier}");
        }
    }
    outcome
}

async fn acted(socket: &Path, act: &str, device: &str) -> Result<(), Error> {
    let path = format!("/v1/devices/{}/{act}", client::segment(device));
    let answer: serde_json::Value = client::ask(socket, "POST", &path).await?;
    let done = answer.get("done").and_then(|done| done.as_str()).unwrap_or_default();
    print(&format!("{device}: {done}"));
    Ok(())
}

async fn follow(socket: &Path, device: Option<&str>, json: bool) -> Result<(), Error> {
    client::lines(socket, "/v1/events", |line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let its = event.get("device").and_then(|device| device.as_str());
        if device.is_none() || its.is_none() || its == device {
            return print(&if json { line.to_owned() } else { show::event(line) });
        }
        true
    })
    .await
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("our own answers are JSON")
}

/// To standard output, with a line end. False: the reader went away, as `head` does, which is no
/// error.
fn print(text: &str) -> bool {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").is_ok()
}
