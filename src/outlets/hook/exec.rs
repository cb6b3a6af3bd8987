//! The exec hook: a command without a shell, the event on its standard input, its last lines kept.

use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use super::{Attempt, envelope, tail};
use crate::service::outbox::HandoffPayload;

/// Of the output, the end is kept.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// `EX_TEMPFAIL` of sysexits.h: try again later.
const TRY_AGAIN: i32 = 75;
/// What a command left behind may hold its output open this long after its end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a command finds in its environment beside `GREENLIGHT_*`: our own may hold secrets.
const ENVIRONMENT: [&str; 8] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

pub struct Caller {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

/// Ends a command's whole process group, however we stop waiting for it.
struct Group(Option<Pid>);

impl Group {
    fn end(&mut self) {
        if let Some(group) = self.0.take() {
            // It may be gone already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

impl Caller {
    pub fn new(argv: &[String], timeout: Duration) -> Result<Self, String> {
        let (program, arguments) = argv.split_first().ok_or("argv is empty")?;
        Ok(Self { program: program.clone(), arguments: arguments.to_vec(), timeout })
    }

    /// Runs the command to its end, or to the end of our patience.
    pub async fn call(&self, payload: &HandoffPayload) -> Attempt {
        let mut child = match self.spawn(payload) {
            Ok(child) => child,
            // Nothing ran.
            Err(error) => {
                let why = format!("{} cannot be started: {error}", self.program);
                return Attempt::Again { after: Duration::ZERO, why };
            }
        };
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let mut group = Group(id.map(Pid::from_raw));
        tokio::spawn(feed(child.stdin.take(), envelope(payload)));
        let kept = Kept::default();
        let mut readers = JoinSet::new();
        readers.spawn(kept.clone().read(child.stdout.take()));
        readers.spawn(kept.clone().read(child.stderr.take()));
        let ended = tokio::time::timeout(self.timeout, child.wait()).await;
        if ended.is_err() {
            group.end();
        }
        // What a command left behind in its group may keep the output open. Only then is the
        // group's number surely still its own, for the command itself is reaped.
        if tokio::time::timeout(LAST_WORDS, closed(&mut readers)).await.is_err() {
            group.end();
            let _ = tokio::time::timeout(LAST_WORDS, closed(&mut readers)).await;
        }
        group.0 = None;
        let said = kept.text();
        let said = tail(&said);
        match ended {
            Err(_) => Attempt::Refused(
                format!("no end within {} s, stopped\n{said}", self.timeout.as_secs())
                    .trim_end()
                    .to_owned(),
            ),
            Ok(Err(error)) => Attempt::Refused(format!("its end was not seen: {error}")),
            Ok(Ok(status)) => match status.code() {
                Some(0) => Attempt::Accepted(said),
                Some(TRY_AGAIN) => Attempt::Again { after: Duration::ZERO, why: said },
                Some(code) => {
                    Attempt::Refused(format!("exit {code}\n{said}").trim_end().to_owned())
                }
                None => Attempt::Refused(format!("{status}\n{said}").trim_end().to_owned()),
            },
        }
    }

    fn spawn(&self, payload: &HandoffPayload) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("GREENLIGHT_EVENT", "device.ready")
            .env("GREENLIGHT_EVENT_ID", &payload.id)
            .env("GREENLIGHT_RUN", &payload.run)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, pointer) in
            [("DEVICE", "/device/name"), ("ADDRESS", "/device/address"), ("SITE", "/site")]
        {
            if let Some(value) = payload.data.pointer(pointer).and_then(|value| value.as_str()) {
                // A NUL would make the whole command impossible.
                command.env(format!("GREENLIGHT_{name}"), value.replace('\0', ""));
            }
        }
        command.spawn()
    }
}

async fn feed(stdin: Option<ChildStdin>, event: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        // A command need not read it.
        let _ = stdin.write_all(&event).await;
        let _ = stdin.shutdown().await;
    }
}

/// The end of what a command said, output and errors as they came.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    async fn read(self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut chunk = vec![0; 8192];
        while let Ok(count) = stream.read(&mut chunk).await {
            if count == 0 {
                return;
            }
            let mut kept = self.locked();
            kept.extend_from_slice(&chunk[..count]);
            // Trimmed in large steps, so that each byte is moved once or twice only.
            if kept.len() > 2 * OUTPUT_BYTES_MAX {
                let surplus = kept.len() - OUTPUT_BYTES_MAX;
                kept.drain(..surplus);
            }
        }
    }

    fn text(&self) -> String {
        let kept = self.locked();
        String::from_utf8_lossy(&kept[kept.len().saturating_sub(OUTPUT_BYTES_MAX)..]).into_owned()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn closed(readers: &mut JoinSet<()>) {
    while readers.join_next().await.is_some() {}
}
