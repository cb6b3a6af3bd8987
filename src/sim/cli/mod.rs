//! How a simulated box answers on its command line, in the words and layouts of its system.
//!
//! [`answer`] is what a command brings, [`shell`] the terminal around it (echo, prompt, pages,
//! enable) and [`server`] the SSH server in front. Nothing here changes a box, except that it may
//! be told to save, to fetch an image and to boot it.

pub mod arista_eos;
pub mod cisco_ios;
pub mod frr;
pub mod images;
pub mod server;
pub mod shell;

use crate::address::Mac;
use crate::sim::chassis::Kind;
use crate::sim::inside::View;

/// What a command brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Output; every line ends in `\n`.
    Text(String),
    /// The system does not know the command. `at` is the column of the first letter that it minds.
    Unknown {
        at: usize,
    },
    /// Output, and the running configuration becomes the saved one.
    Save(String),
    /// Paging is off (zero) or on.
    PageLength(usize),
    /// The session wants to become privileged, or gives that up.
    Enable,
    Disable,
    /// It fetches an image into its flash.
    Copy {
        url: String,
        file: String,
    },
    /// Configuration mode, after this text.
    Configure(String),
    /// It boots anew. `asks`: after a question.
    Reload {
        asks: bool,
    },
    /// The session ends.
    Logout,
}

/// What the box answers to this command line.
pub fn answer(view: &View, privileged: bool, command: &str) -> Answer {
    match view.chassis.kind {
        Kind::CiscoIos => cisco_ios::answer(view, privileged, command),
        Kind::AristaEos => arista_eos::answer(view, privileged, command),
        Kind::Frr => frr::answer(view, command),
    }
}

/// `001b.21aa.bbcc`, as Cisco and Arista print it.
fn dotted(mac: Mac) -> String {
    let [a, b, c, d, e, f] = mac.octets();
    format!("{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{f:02x}")
}

/// One space between words, none around them.
fn squeezed(command: &str) -> String {
    command.split_whitespace().collect::<Vec<_>>().join(" ")
}
