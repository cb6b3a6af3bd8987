//! A DHCP client of others at work in a box. `device/ask.sh` starts it, and what it was told is
//! read here.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::net::Running;
use crate::room::Room;
use crate::until;

/// One of the clients that `device/ask.sh` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Udhcpc,
    Dhclient,
    Dhcpcd,
    Networkd,
    Dhclient6,
    /// Has an address already and asks only what else there is.
    Stateless6,
    Dhcpcd6,
    /// With a DUID of this kind.
    Networkd6(&'static str),
}

/// Names and values, as the client spells them.
pub type Told = BTreeMap<String, String>;

/// A client under way. Dropping it kills it, and gives nothing back.
pub struct Asking<'r> {
    room: &'r Room<'r>,
    client: Client,
    space: String,
    place: PathBuf,
    process: Running,
}

impl Client {
    /// What `ask.sh` is told.
    fn words(self) -> Vec<&'static str> {
        match self {
            Client::Udhcpc => vec!["udhcpc"],
            Client::Dhclient => vec!["dhclient"],
            Client::Dhcpcd => vec!["dhcpcd"],
            Client::Networkd => vec!["networkd"],
            Client::Dhclient6 => vec!["dhclient6"],
            Client::Stateless6 => vec!["dhclient6", "-d", "-S"],
            Client::Dhcpcd6 => vec!["dhcpcd6"],
            Client::Networkd6(duid) => vec!["networkd6", duid],
        }
    }
}

impl<'r> Asking<'r> {
    pub fn start(room: &'r Room<'r>, space: &str, client: Client) -> Self {
        let place = room.place(space);
        let log = File::create(place.join("client.log")).expect("it can be written");
        let mut command = script(room, space, &client.words());
        let error = log.try_clone().expect("a file can be shared");
        let process = command.stdout(log).stderr(error).spawn().expect("unshare is installed");
        Self { room, client, space: space.to_owned(), place, process: Running(process) }
    }

    /// Everything it was told, one list of names and values for each occasion.
    fn news(&self) -> Vec<Told> {
        let text = std::fs::read_to_string(self.place.join("news")).unwrap_or_default();
        // What stands behind the last empty line is being written.
        let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
        whole.split("\n\n").map(pairs).filter(|one| !one.is_empty()).collect()
    }

    /// What it was told with its address.
    #[track_caller]
    pub fn told(&self) -> Told {
        until(&format!("{:?} in {} has an address", self.client, self.space), 20, || {
            let told = match self.client {
                Client::Networkd => self.state("leases", "ADDRESS"),
                Client::Networkd6(_) => self.state("links", "DNS"),
                Client::Udhcpc
                | Client::Dhclient
                | Client::Dhcpcd
                | Client::Dhclient6
                | Client::Stateless6
                | Client::Dhcpcd6 => {
                    let events = ["bound", "renew", "BOUND", "RENEW", "REBOOT", "BOUND6", "RENEW6"];
                    let bound = |one: &Told| events.contains(&one["event"].as_str());
                    self.news().into_iter().rfind(bound)
                }
            };
            told.ok_or_else(|| self.log())
        })
    }

    /// A file of systemd-networkd's in which this name has a value.
    fn state(&self, directory: &str, name: &str) -> Option<Told> {
        let files = std::fs::read_dir(self.place.join(directory)).ok()?;
        let texts = files.flatten().filter_map(|one| std::fs::read_to_string(one.path()).ok());
        let filled = |told: &Told| told.get(name).is_some_and(|value| !value.is_empty());
        texts.map(|text| pairs(&text)).find(filled)
    }

    /// The IPv6 address that it took, which is not the one of its link.
    #[track_caller]
    pub fn address6(&self) -> String {
        let words = ["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global"];
        until(&format!("{:?} in {} has an address", self.client, self.space), 20, || {
            let shown = self.room.net.run(&self.space, &words);
            let mut words = shown.split_whitespace().skip_while(|word| *word != "inet6").skip(1);
            let address = words.next().and_then(|word| word.split('/').next());
            address.map(str::to_owned).ok_or_else(|| self.log())
        })
    }

    /// How often its lease was made longer.
    pub fn renewals(&self) -> usize {
        match self.client {
            Client::Udhcpc => self.count("event", "renew"),
            Client::Dhclient | Client::Dhcpcd => self.count("event", "RENEW"),
            Client::Dhclient6 | Client::Stateless6 | Client::Dhcpcd6 => {
                self.count("event", "RENEW6")
            }
            Client::Networkd => {
                let asked = "DHCPv4 client: REQUEST (renewing)";
                self.answered(asked, "DHCPv4 client: ACK")
            }
            Client::Networkd6(_) => self.answered("DHCPv6 client: Sent Renew", "renew -> bound"),
        }
    }

    /// How often its own log has a question that an answer comes behind.
    fn answered(&self, question: &str, answer: &str) -> usize {
        self.log().split(question).skip(1).filter(|rest| rest.contains(answer)).count()
    }

    fn count(&self, name: &str, value: &str) -> usize {
        self.news().iter().filter(|one| one.get(name).is_some_and(|it| it == value)).count()
    }

    /// Asks udhcpc to renew at once; the others wait until half of their time is over.
    pub fn renew_now(&self) {
        assert_eq!(self.client, Client::Udhcpc);
        self.signal("USR1");
    }

    /// Gives the address back and ends the client.
    pub fn release(mut self) {
        match self.client {
            Client::Udhcpc => {
                self.signal("USR2");
                until("udhcpc lets go", 10, || match self.news().last() {
                    Some(last) if last["event"] == "deconfig" => Ok(()),
                    Some(_) | None => Err(self.log()),
                });
                self.signal("TERM");
            }
            Client::Dhclient | Client::Dhclient6 | Client::Stateless6 => {
                let mut command = script(self.room, &self.space, &self.client.words());
                let done = command.arg("-r").output().expect("unshare is installed");
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
            Client::Dhcpcd | Client::Dhcpcd6 => self.signal("ALRM"),
            Client::Networkd | Client::Networkd6(_) => self.signal("TERM"),
        }
        until(&format!("{:?} ends", self.client), 10, || match self.process.0.try_wait() {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err(self.log()),
        });
    }

    /// The process is the client itself: every step before it gave its place away (`exec`).
    fn signal(&self, name: &str) {
        let id = self.process.0.id().to_string();
        let done = Command::new("kill").args(["-s", name, &id]).status().expect("kill is there");
        assert!(done.success(), "{:?} is gone: {}", self.client, self.log());
    }

    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.place.join("client.log")).unwrap_or_default();
        format!("{log}\n{}", self.room.greenlight.log())
    }
}

/// `device/ask.sh` in a box's own directory, with a mount namespace of its own.
pub fn script(room: &Room<'_>, space: &str, words: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/device/ask.sh");
    let mut command = room.net.command(space, "unshare");
    command.args(["--mount", "--propagation", "private", "--", "bash"]);
    command.arg(script).args(words);
    command.current_dir(room.place(space)).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn pairs(text: &str) -> Told {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
