//! Greenlight itself, as a process in a namespace.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::net::{Net, Running};
use crate::slack::TOKEN;
use crate::until;

/// What plans and configurations refer to.
const SECRETS: [(&str, &str); 2] = [("LAB_PASSWORD", "lab-password"), ("LAB_SLACK_TOKEN", TOKEN)];

/// A server under its own settings.
pub struct Greenlight {
    process: Running,
    space: String,
    home: PathBuf,
    config: PathBuf,
}

impl Greenlight {
    /// Starts one in a namespace with these settings, and waits until it answers. What the settings
    /// refer to stands in `home` already.
    #[track_caller]
    pub fn start(net: &Net, space: &str, home: &Path, settings: &str) -> Self {
        let config = home.join("greenlight.yaml");
        std::fs::write(&config, settings).expect("the lab's directory can be written");
        let log = File::create(home.join("serve.log")).expect("the lab's directory can be written");
        let process = net
            .command(space, env!("CARGO_BIN_EXE_greenlight"))
            .args(["serve", "--config"])
            .arg(&config)
            .envs(SECRETS)
            .env("NO_PROXY", "*")
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("greenlight runs");
        let process = Running(process);
        let server = Self { process, space: space.to_owned(), home: home.to_owned(), config };
        until("Greenlight answers", 30, || {
            server.order(net, &["status"]).map_err(|complaint| complaint + &server.log())
        });
        server
    }

    /// Runs a command beside it; what that prints, or complains.
    pub fn order(&self, net: &Net, words: &[&str]) -> Result<String, String> {
        let done = net
            .command(&self.space, env!("CARGO_BIN_EXE_greenlight"))
            .args(words)
            .arg("--config")
            .arg(&self.config)
            .envs(SECRETS)
            .output()
            .expect("greenlight runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    pub fn is_running(&mut self) -> bool {
        self.process.0.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// The last forty lines of what it logged.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.home.join("serve.log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(40).collect();
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
