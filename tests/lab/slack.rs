//! Slack's side: a stand-in that nobody here wrote (npm `emulate`), on loopback inside a namespace.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::net::Net;
use crate::until;

/// Greenlight's bot token at the stand-in.
pub const TOKEN: &str = "xoxb-lab";

const SEED: &str = "\
slack:
  team: { name: Lab, domain: lab }
  users:
    - { name: greenlight, real_name: Greenlight }
  channels:
    - { name: provisioning, topic: Racks }
  bots:
    - { name: greenlight }
  tokens:
    - { token: xoxb-lab, user: greenlight, scopes: [chat:write, channels:read, channels:history] }
  strict_scopes: true
";

/// The stand-in, while it runs.
pub struct Slack {
    /// The id of the channel `provisioning`.
    pub channel: String,
    server: Child,
}

/// One thread: the parent message and its replies, as JSON.
pub struct Thread {
    pub parent: Value,
    pub replies: Vec<Value>,
}

impl Slack {
    pub const API: &str = "http://127.0.0.1:4003/api/";

    pub fn start(net: &Net, space: &str, home: &Path) -> Self {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab");
        let program = installed.join("node_modules/emulate/dist/index.js");
        assert!(program.exists(), "the Slack stand-in is missing; run tests/lab/prepare");
        let seed = home.join("slack.yaml");
        std::fs::write(&seed, SEED).expect("the lab's directory can be written");
        let server = net
            .command(space, installed.join("node"))
            .arg(program)
            .args(["start", "--service", "slack", "--port", "4003", "--seed"])
            .arg(seed)
            .env("NO_UPDATE_NOTIFIER", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the stand-in's node runs");
        let mut slack = Self { channel: String::new(), server };
        slack.channel = until("the Slack stand-in answers", 30, || {
            let answer = call(net, space, "conversations.list", &[]);
            let channels = answer["channels"].as_array().cloned().unwrap_or_default();
            let ours = channels.iter().find(|channel| channel["name"] == "provisioning");
            ours.and_then(|channel| channel["id"].as_str().map(str::to_owned))
                .ok_or_else(|| answer.to_string())
        });
        slack
    }

    /// Every thread of the channel, the oldest first.
    pub fn threads(&self, net: &Net, space: &str) -> Vec<Thread> {
        let channel = ("channel", self.channel.as_str());
        let history = call(net, space, "conversations.history", &[channel]);
        let mut parents = history["messages"].as_array().cloned().unwrap_or_default();
        parents.retain(|message| {
            message["thread_ts"].is_null() || message["thread_ts"] == message["ts"]
        });
        parents.reverse();
        let mut threads = Vec::new();
        for parent in parents {
            let ts = parent["ts"].as_str().unwrap_or_default();
            let answer = call(net, space, "conversations.replies", &[channel, ("ts", ts)]);
            let mut replies = answer["messages"].as_array().cloned().unwrap_or_default();
            replies.retain(|message| message["ts"] != parent["ts"]);
            threads.push(Thread { parent, replies });
        }
        threads
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Calls a method as the bot.
pub fn call(net: &Net, space: &str, method: &str, arguments: &[(&str, &str)]) -> Value {
    let mut command = net.command(space, "curl");
    command.args(["-s", "-m", "5", "--noproxy", "*", "-X", "POST"]);
    command.args(["-H", &format!("Authorization: Bearer {TOKEN}")]);
    for (name, value) in arguments {
        command.args(["-d", &format!("{name}={value}")]);
    }
    let done = command.arg(format!("{}{method}", Slack::API)).output().expect("curl is installed");
    serde_json::from_slice(&done.stdout).unwrap_or_default()
}
