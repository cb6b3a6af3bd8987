//! A DHCP client of others at work in a box. `device/ask.sh` starts it, and what it was told is
//! read here.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::room::Room;
use crate::until;

/// One of the clients that `device/ask.sh` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Udhcpc,
    Dhclient,
    Dhcpcd,
    Networkd,
}

/// Names and values, as the client spells them.
pub type Told = BTreeMap<String, String>;

/// A client under way. Dropping it kills it, and gives nothing back.
pub struct Asking<'r> {
    room: &'r Room<'r>,
    client: Client,
    space: String,
    place: PathBuf,
    process: Child,
}

impl Client {
    fn word(self) -> &'static str {
        match self {
            Client::Udhcpc => "udhcpc",
            Client::Dhclient => "dhclient",
            Client::Dhcpcd => "dhcpcd",
            Client::Networkd => "networkd",
        }
    }
}

impl<'r> Asking<'r> {
    pub fn start(room: &'r Room<'r>, space: &str, client: Client) -> Self {
        let place = room.place(space);
        let log = File::create(place.join("client.log")).expect("it can be written");
        let mut command = Self::command(room, space, client);
        let error = log.try_clone().expect("a file can be shared");
        let process = command.stdout(log).stderr(error).spawn().expect("unshare is installed");
        Self { room, client, space: space.to_owned(), place, process }
    }

    fn command(room: &Room<'_>, space: &str, client: Client) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/device/ask.sh");
        let mut command = room.net.command(space, "unshare");
        command.args(["--mount", "--propagation", "private", "--", "bash"]);
        command.arg(script).arg(client.word());
        command.current_dir(room.place(space)).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
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
                Client::Networkd => self.lease_file(),
                Client::Udhcpc | Client::Dhclient | Client::Dhcpcd => {
                    let events = ["bound", "renew", "BOUND", "RENEW", "REBOOT"];
                    let bound = |one: &Told| events.contains(&one["event"].as_str());
                    self.news().into_iter().rfind(bound)
                }
            };
            told.ok_or_else(|| self.log())
        })
    }

    fn lease_file(&self) -> Option<Told> {
        let entry = std::fs::read_dir(self.place.join("leases")).ok()?.next()?.ok()?;
        let told = pairs(&std::fs::read_to_string(entry.path()).ok()?);
        told.contains_key("ADDRESS").then_some(told)
    }

    /// How often its lease was made longer.
    pub fn renewals(&self) -> usize {
        match self.client {
            Client::Udhcpc => self.count("event", "renew"),
            Client::Dhclient | Client::Dhcpcd => self.count("event", "RENEW"),
            Client::Networkd => {
                let log = self.log();
                let asked = log.split("DHCPv4 client: REQUEST (renewing)").skip(1);
                asked.filter(|rest| rest.contains("DHCPv4 client: ACK")).count()
            }
        }
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
            Client::Dhclient => {
                let mut command = Self::command(self.room, &self.space, self.client);
                let done = command.arg("-r").output().expect("unshare is installed");
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
            Client::Dhcpcd => self.signal("ALRM"),
            Client::Networkd => self.signal("TERM"),
        }
        until(&format!("{:?} ends", self.client), 10, || match self.process.try_wait() {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err(self.log()),
        });
    }

    /// The process is the client itself: every step before it gave its place away (`exec`).
    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let done = Command::new("kill").args(["-s", name, &id]).status().expect("kill is there");
        assert!(done.success(), "{:?} is gone: {}", self.client, self.log());
    }

    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.place.join("client.log")).unwrap_or_default();
        format!("{log}\n{}", self.room.greenlight.log())
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pairs(text: &str) -> Told {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
