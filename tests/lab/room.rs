//! A room with Greenlight and boxes that only ask: for an address, for a file. Whoever asks is
//! other people's program; nothing is proven by visits here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::net::Net;
use crate::server::Greenlight;
use crate::until;

/// Greenlight's address in every room.
pub const SERVER: &str = "10.77.0.1";
pub const SERVER_6: &str = "fd00:77::1";

/// Greenlight with its plan, in a network that stands already.
pub struct Room<'n> {
    pub net: &'n Net,
    pub greenlight: Greenlight,
    home: tempfile::TempDir,
    rendered: RefCell<BTreeMap<String, Vec<u8>>>,
}

/// As many lines as the plan says. `whole.j2` ends exactly with a block of 512 bytes.
const TEMPLATES: [(&str, &str); 2] = [
    (
        "box.j2",
        "\
hostname {{ device.name }}
{% for line in range(lines) %}
! {{ device.name }} says so in line {{ line }} of its own
{% endfor %}
",
    ),
    (
        "whole.j2",
        "\
{% for line in range(16) %}
! 23456789 123456789 123456789 123456789 123456789 123456789 12
{% endfor %}
",
    ),
];

const PLAN: &str = "\
defaults:
  platform: frr
  template: box.j2
  variables: { lines: 20 }
  credentials:
    - { username: netops, password: { env: LAB_PASSWORD } }
sites:
  lab: { title: The lab }
devices:
";

/// What a box got, or what its program said instead.
pub struct Fetched {
    pub bytes: Option<Vec<u8>>,
    pub code: Option<i32>,
    pub said: String,
}

impl<'n> Room<'n> {
    /// Starts Greenlight in `srv` with these sections of settings and these lines of devices. An
    /// image `system.bin` lies in the directory `images`.
    #[track_caller]
    pub fn open(net: &'n Net, settings: &str, devices: &[String]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| {
            std::fs::write(home.path().join(name), text).expect("it can be written");
        };
        std::fs::create_dir(home.path().join("templates")).expect("it can be written");
        for (name, text) in TEMPLATES {
            write(&format!("templates/{name}"), text);
        }
        let images = home.path().join("images");
        std::fs::create_dir(&images).expect("it can be written");
        std::fs::write(images.join("system.bin"), image()).expect("it can be written");
        let mut plan = PLAN.to_owned();
        for device in devices {
            plan.push_str(&format!("  - {{ site: lab, {device} }}\n"));
        }
        write("inventory.yaml", &plan);
        let settings = format!("data: data\nruns: {{ settle: 1h, back_deadline: 2h }}\n{settings}");
        let greenlight = Greenlight::start(net, "srv", home.path(), &settings);
        Self { net, greenlight, home, rendered: RefCell::default() }
    }

    /// A directory for what a box writes.
    pub fn place(&self, space: &str) -> PathBuf {
        let place = self.home.path().join(space);
        std::fs::create_dir_all(&place).expect("it can be written");
        place
    }

    /// Runs a command of Greenlight's and gives back what it prints.
    #[track_caller]
    pub fn greenlight(&self, words: &[&str]) -> String {
        match self.greenlight.order(self.net, words) {
            Ok(printed) => printed,
            Err(why) => {
                panic!("greenlight {}: {why}\n{}", words.join(" "), self.greenlight.log())
            }
        }
    }

    /// Waits until the log of a device holds this text so many times: what ends a transfer is
    /// written down after the box has all of it.
    #[track_caller]
    pub fn logs(&self, device: &str, text: &str, times: usize) {
        until(&format!("{device} has `{text}` in its log, {times} times"), 20, || {
            let log = self.greenlight(&["log", device]);
            if log.matches(text).count() == times { Ok(()) } else { Err(log) }
        });
    }

    /// The file that is planned for a device.
    #[track_caller]
    pub fn rendered(&self, device: &str) -> Vec<u8> {
        let render = || self.greenlight(&["render", device]).into_bytes();
        self.rendered.borrow_mut().entry(device.to_owned()).or_insert_with(render).clone()
    }

    /// Lets a box fetch with a line of shell that writes to `got`. The line finds `$HOST`, the same
    /// as `$URL_HOST` for a URL, and `$FILE`.
    pub fn fetch(&self, space: &str, line: &str, host: &str, file: &str) -> Fetched {
        let place = self.place(space);
        let got = place.join("got");
        let _ = std::fs::remove_file(&got);
        let url_host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let done = self
            .net
            .command(space, "timeout")
            .args(["60", "sh", "-c", line])
            .env("HOST", host)
            .env("URL_HOST", url_host)
            .env("FILE", file)
            .env("no_proxy", "*")
            .current_dir(&place)
            .output()
            .expect("a shell is installed");
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        Fetched { bytes: std::fs::read(got).ok(), code: done.status.code(), said }
    }

    /// Lets a box fetch, and demands the device's own rendered file to the last byte.
    #[track_caller]
    pub fn fetches_own(&self, (space, device): (&str, &str), line: &str, host: &str, file: &str) {
        self.fetches(space, line, (host, file), &self.rendered(device));
    }

    /// Lets a box fetch, and demands these bytes.
    #[track_caller]
    pub fn fetches(&self, space: &str, line: &str, (host, file): (&str, &str), expected: &[u8]) {
        let fetched = self.fetch(space, line, host, file);
        let same = fetched.bytes.as_deref() == Some(expected);
        assert!(
            same,
            "{space} with `{line}` from {host}: {:?} bytes of {}, exit code {:?}\n{}\n{}",
            fetched.bytes.map(|bytes| bytes.len()),
            expected.len(),
            fetched.code,
            fetched.said,
            self.greenlight.log(),
        );
    }
}

/// Bytes of every value in every order, the same at each call: two blocks more than a mebibyte, and
/// an odd one.
pub fn image() -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    (0..(1 << 20) + 1025).map(|_| next()).collect()
}
