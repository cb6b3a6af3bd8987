//! The SSH probe against a server we did not write: OpenSSH's sshd on loopback, as it comes and
//! restricted to what a switch of 2008 speaks. Needs root, for a user with a password must exist.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use greenlight::config::meant::Ssh;
use greenlight::entropy::Entropy;
use greenlight::platform::{Channel, Cli, Output, Platform, Platforms, Question};
use greenlight::probes::ssh;
use greenlight::secret::Secret;
use greenlight::service::probe::{Credential, Order, Outcome, Purpose};
use regex::Regex;

const LEGACY: &str = "\
HostKeyAlgorithms ssh-rsa
KexAlgorithms diffie-hellman-group14-sha1
Ciphers aes128-cbc,3des-cbc
MACs hmac-sha1
";

/// A user of this machine with a random password, deleted again at the end.
struct User {
    name: String,
    password: String,
}

impl User {
    fn create() -> Self {
        let name = format!("gl-test-{}", std::process::id());
        let password = format!("{:016x}", Entropy::System.next_u64());
        run(Command::new("useradd").args(["--no-create-home", "--shell", "/bin/sh", &name]));
        let user = Self { name, password };
        let mut chpasswd =
            Command::new("chpasswd").stdin(Stdio::piped()).spawn().expect("chpasswd is installed");
        let line = format!("{}:{}\n", user.name, user.password);
        chpasswd.stdin.take().expect("piped").write_all(line.as_bytes()).expect("it reads");
        assert!(chpasswd.wait().expect("it ends").success(), "chpasswd refused");
        user
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg(&self.name).status();
    }
}

/// One sshd of ours, ended by its id.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(directory: &Path, name: &str, key_type: &str, extra: &str) -> Self {
        let key = directory.join(format!("{name}_key"));
        let key = key.to_str().expect("a plain path");
        run(Command::new("ssh-keygen").args(["-q", "-t", key_type, "-N", "", "-f", key]));
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let config = directory.join(format!("{name}_config"));
        let port = address.port();
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {key}\nPidFile none\nUsePAM no\n\
             PasswordAuthentication yes\nKbdInteractiveAuthentication no\nPrintMotd no\n{extra}"
        );
        std::fs::write(&config, text).expect("the directory is ours");
        // sshd confines itself to this directory and wants it to be there.
        std::fs::create_dir_all("/run/sshd").expect("we are root");
        let mut process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd is installed");
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let listens = lines.by_ref().map_while(Result::ok).any(|line| {
            eprintln!("{name}: {line}");
            line.contains("Server listening on")
        });
        assert!(listens, "sshd ended before it listened");
        // Its messages are read on, or it would stop when the pipe is full.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { process, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("the program is installed");
    assert!(status.success(), "{command:?}: {status}");
}

/// The platform of the lab's devices, with the commands of a plain shell.
fn platform(channel: Channel) -> Platform {
    let shipped = Platforms::built_in().by_id.remove("frr").expect("it is built in");
    let mut platform = Arc::into_inner(shipped).expect("nobody else holds it");
    platform.cli = Cli {
        channel,
        prompts: vec![Regex::new(r"^\$\s?$").expect("it is a pattern")],
        enable: None,
        preparation: vec!["export LC_ALL=C".to_owned()],
        pagers: Vec::new(),
        errors: vec![Regex::new("not found").expect("it is a pattern")],
        command_timeout: Duration::from_secs(5),
        logout: "exit".to_owned(),
    };
    let commands = BTreeMap::from([
        (Question::Facts, "printf 'one\\ntwo\\n'"),
        (Question::Lldp, "no-such-command"),
        (Question::Interfaces, "printf '$ \\nafter a prompt\\n'"),
        (Question::Running, "seq 1 20000"),
        (Question::Saved, "yes | head -c 3000000"),
    ]);
    platform.questions.retain(|question, _| commands.contains_key(question));
    for (question, asked) in &mut platform.questions {
        asked.commands = vec![commands[question].to_owned()];
        asked.readers.truncate(1);
    }
    platform
}

fn order(server: &Server, user: &User, channel: Channel) -> Order {
    Order {
        target: server.address,
        platform: Arc::new(platform(channel)),
        credentials: vec![Credential {
            username: user.name.clone(),
            password: Secret::new(user.password.clone()),
            enable: None,
        }],
        pinned_host_key: None,
        further: Vec::new(),
        purpose: Purpose::Observe,
        deadline: Duration::from_secs(30),
    }
}

fn settings() -> Ssh {
    Ssh {
        connect_timeout: Duration::from_secs(5),
        visit_timeout: Duration::from_secs(30),
        output_bytes_max: 1_000_000,
    }
}

async fn everything_is_answered(order: &Order) {
    let answers = ssh::answers(order, &settings()).await.expect("the visit gets to its end");
    let only = |question: Question| match &answers[&question][..] {
        [output] => output.clone(),
        other => panic!("one command was asked, {} answers came", other.len()),
    };
    let text = |text: &str| Output::Text(text.to_owned());
    let refused = |question: Question| match only(question) {
        Output::Refused { why } => why,
        Output::Text(text) => panic!("{question:?} is to be refused, found {text:?}"),
    };
    assert_eq!(only(Question::Facts), text("one\ntwo\n"));
    assert!(refused(Question::Lldp).contains("not found"));
    let Output::Text(prompt_in_data) = only(Question::Interfaces) else { panic!("it is text") };
    let lines: Vec<&str> = prompt_in_data.lines().map(str::trim_end).collect();
    assert_eq!(lines, ["$", "after a prompt"]);
    let numbers: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    assert!(only(Question::Running) == text(&numbers), "20000 lines arrive whole");
    assert!(refused(Question::Saved).starts_with("expected at most 1000000 bytes"));
}

async fn the_key_is_pinned(server: &Server, other: &Server, user: &User) {
    let prober = ssh::prober(settings());
    let mut order = order(server, user, Channel::Exec);
    let first = prober(order.clone()).await;
    assert!(matches!(first.outcome, Outcome::Observed(_)), "{first:?}");
    order.pinned_host_key = first.host_key;
    let second = prober(order.clone()).await;
    assert!(matches!(second.outcome, Outcome::Observed(_)), "{second:?}");
    order.target = other.address;
    let third = prober(order).await;
    assert!(matches!(third.outcome, Outcome::HostKeyChanged { .. }), "{third:?}");
}

async fn a_wrong_password_is_refused(server: &Server, user: &User) {
    let mut order = order(server, user, Channel::Exec);
    order.credentials[0].password = Secret::new("wrong-password");
    let report = ssh::prober(settings())(order).await;
    let Outcome::LoginRefused { why } = &report.outcome else { panic!("{report:?}") };
    assert!(!why.contains("wrong-password"), "{why}");
}

// One test, for the user is one: two at a time would change each other's password.
#[tokio::test]
#[ignore = "makes a user for its login, which needs root; ./test runs it with the lab"]
async fn openssh_is_visited_as_it_comes_and_restricted_to_legacy_algorithms() {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "this test needs root: it creates a user with a password and starts sshd"
    );
    let directory = tempfile::tempdir().expect("a directory for keys");
    let user = User::create();
    let modern = Server::start(directory.path(), "modern", "ed25519", "");
    let legacy = Server::start(directory.path(), "legacy", "rsa", LEGACY);
    for server in [&modern, &legacy] {
        for channel in [Channel::Shell, Channel::Exec] {
            eprintln!("visiting {} by {channel:?}", server.address);
            everything_is_answered(&order(server, &user, channel)).await;
        }
        a_wrong_password_is_refused(server, &user).await;
    }
    the_key_is_pinned(&modern, &legacy, &user).await;
}
