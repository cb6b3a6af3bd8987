//! The SSH probe against a server we did not write: OpenSSH's sshd on loopback, as it comes and
//! restricted to what a switch of 2008 speaks, entered by password, by keyboard-interactive, by
//! keys of every kind, and through a jump host. Needs root, for a user with a password must exist.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenlight::config::meant::Ssh;
use greenlight::entropy::Entropy;
use greenlight::platform::{Channel, Cli, Legacy, Output, Platform, Platforms, Question};
use greenlight::probes::ssh;
use greenlight::secret::Secret;
use greenlight::service::probe::{Credential, Jump, Order, Outcome, PrivateKey, Purpose};
use regex::Regex;

const LEGACY: &str = "\
HostKeyAlgorithms ssh-rsa
KexAlgorithms diffie-hellman-group14-sha1
Ciphers aes128-cbc,3des-cbc
MACs hmac-sha1
";

/// The oldest that OpenSSH still has: a DSA host key, group 1, 3DES.
const OLDEST: &str = "\
HostKeyAlgorithms ssh-dss
KexAlgorithms diffie-hellman-group1-sha1
Ciphers 3des-cbc
MACs hmac-sha1
";

/// A user of this machine with a random password, deleted again at the end.
struct User {
    name: String,
    password: String,
}

impl User {
    fn create() -> Self {
        static USERS: AtomicUsize = AtomicUsize::new(0);
        let number = USERS.fetch_add(1, Ordering::SeqCst);
        let name = format!("gl-test-{}-{number}", std::process::id());
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
        // Sessions outlive their server for a moment, and a user with a session stays.
        for _ in 0..100 {
            let deleted = Command::new("userdel").arg(&self.name).stderr(Stdio::null()).status();
            if deleted.is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("the user {} is still there", self.name);
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
            "{extra}ListenAddress 127.0.0.1\nPort {port}\nHostKey {key}\nPidFile none\nUsePAM no\n\
             PasswordAuthentication yes\nKbdInteractiveAuthentication no\nPrintMotd no\n"
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
        chatter: Vec::new(),
        command_timeout: Duration::from_secs(5),
        logout: "exit".to_owned(),
        legacy: Legacy::Last,
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
            password: Some(Secret::new(user.password.clone())),
            key: None,
            enable: None,
        }],
        jumps: Vec::new(),
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
    order.credentials[0].password = Some(Secret::new("wrong-password"));
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

/// A key pair of the user in one of the formats of ssh-keygen.
fn key(directory: &Path, name: &str, options: &[&str], passphrase: Option<&str>) -> PrivateKey {
    let path = directory.join(name);
    let path = path.to_str().expect("a plain path");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-N", passphrase.unwrap_or(""), "-f", path]).args(options);
    run(&mut keygen);
    let read = |path: &str| std::fs::read_to_string(path).expect("ssh-keygen wrote it");
    let authorized = directory.join("authorized");
    let mut all = std::fs::read_to_string(&authorized).unwrap_or_default();
    all += &read(&format!("{path}.pub"));
    std::fs::write(authorized, all).expect("the directory is ours");
    let passphrase = passphrase.map(Secret::new);
    PrivateKey { text: Secret::new(read(path).trim_end()), passphrase }
}

/// Visits with this login alone, and returns what became of it.
async fn entered(order: &Order) -> Outcome {
    let outcome = ssh::prober(settings())(order.clone()).await.outcome;
    if let Outcome::LoginRefused { why } | Outcome::OurSide { why } = &outcome {
        eprintln!("{}: {why}", order.target);
    }
    outcome
}

async fn keys_of_every_kind_are_taken(directory: &Path, keys_only: &str, user: &User) {
    let keys = [
        ("ed25519 in OpenSSH's format", key(directory, "a", &["-t", "ed25519"], None)),
        ("ed25519 behind a passphrase", key(directory, "b", &["-t", "ed25519"], Some("a b c d"))),
        ("ecdsa in PKCS#8", key(directory, "c", &["-t", "ecdsa", "-m", "PKCS8"], None)),
        ("ecdsa in SEC 1", key(directory, "d", &["-t", "ecdsa", "-m", "PEM"], None)),
        ("rsa in PKCS#1", key(directory, "e", &["-t", "rsa", "-m", "PEM"], None)),
        (
            "rsa in PKCS#8 behind a passphrase",
            key(directory, "f", &["-t", "rsa", "-m", "PKCS8"], Some("a pass phrase")),
        ),
    ];
    let modern = Server::start(directory, "keys", "ed25519", keys_only);
    let sha1 = format!("{LEGACY}PubkeyAcceptedAlgorithms ssh-rsa\n{keys_only}");
    let sha1 = Server::start(directory, "sha1", "rsa", &sha1);
    for (name, key) in keys {
        let mut order = order(&modern, user, Channel::Exec);
        order.credentials[0].password = None;
        order.credentials[0].key = Some(key);
        let outcome = entered(&order).await;
        assert!(matches!(outcome, Outcome::Observed(_)), "{name}: {outcome:?}");
        order.target = sha1.address;
        let outcome = entered(&order).await;
        match name.starts_with("rsa") {
            true => assert!(matches!(outcome, Outcome::Observed(_)), "{name}: {outcome:?}"),
            false => assert!(matches!(outcome, Outcome::LoginRefused { .. }), "{name}"),
        }
    }
}

async fn other_users_get_their_turn(directory: &Path, user: &User) {
    let strict = Server::start(directory, "strict", "ed25519", "MaxAuthTries 2\n");
    let mut order = order(&strict, user, Channel::Exec);
    let stale = |name: &str| Credential {
        username: name.to_owned(),
        password: Some(Secret::new("stale")),
        key: None,
        enable: None,
    };
    order.credentials.insert(0, stale("nobody-here"));
    order.credentials.insert(1, stale("nor-here"));
    let outcome = entered(&order).await;
    assert!(matches!(outcome, Outcome::Observed(_)), "{outcome:?}");
}

async fn a_jump_host_is_passed_or_blamed(directory: &Path, keys_only: &str, user: &User) {
    let device = Server::start(directory, "behind", "ed25519", "");
    let open = Server::start(directory, "jump", "ed25519", keys_only);
    let shut = Server::start(directory, "shut", "rsa", "AllowTcpForwarding no\n");
    let jump = |server: &Server, credentials: Vec<Credential>| Jump {
        host: "localhost".to_owned(),
        port: server.address.port(),
        credentials,
        host_key: None,
    };
    let mut order = order(&device, user, Channel::Shell);
    let password = order.credentials.clone();
    let mut by_key = password.clone();
    by_key[0].password = None;
    by_key[0].key = Some(key(directory, "g", &["-t", "ed25519"], None));
    order.jumps = vec![jump(&open, by_key.clone())];
    everything_is_answered(&order).await;
    order.target.set_port(1);
    assert!(matches!(entered(&order).await, Outcome::Unreachable { .. }));
    order.target = device.address;
    order.jumps = vec![jump(&open, password.clone())];
    assert!(matches!(entered(&order).await, Outcome::OurSide { .. }), "it takes keys alone");
    order.jumps = vec![jump(&open, by_key), jump(&shut, password)];
    let Outcome::OurSide { why } = entered(&order).await else { panic!("it forwards nothing") };
    assert!(why.contains("opens no way"), "{why}");
}

#[tokio::test]
#[ignore = "makes a user for its login, which needs root; ./test runs it with the lab"]
async fn openssh_is_entered_by_every_method_and_through_a_jump_host() {
    assert!(nix::unistd::Uid::effective().is_root(), "this test needs root: it starts sshd");
    let directory = tempfile::tempdir().expect("a directory for keys");
    let directory = directory.path();
    // sshd reads the authorized keys as the user.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory, open).expect("the directory is ours");
    let user = User::create();
    let authorized = directory.join("authorized");
    let keys_only = format!(
        "PasswordAuthentication no\nStrictModes no\nAuthorizedKeysFile {}\n",
        authorized.display()
    );
    keys_of_every_kind_are_taken(directory, &keys_only, &user).await;

    let oldest = Server::start(directory, "oldest", "dsa", OLDEST);
    let outcome = entered(&order(&oldest, &user, Channel::Exec)).await;
    assert!(matches!(outcome, Outcome::Observed(_)), "{outcome:?}");

    let asking = "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n";
    let asking = Server::start(directory, "asking", "ed25519", asking);
    let outcome = entered(&order(&asking, &user, Channel::Exec)).await;
    assert!(matches!(outcome, Outcome::Observed(_)), "{outcome:?}");

    other_users_get_their_turn(directory, &user).await;
    a_jump_host_is_passed_or_blamed(directory, &keys_only, &user).await;
}
