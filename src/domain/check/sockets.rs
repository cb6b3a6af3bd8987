//! Which sockets does an act touch? Two acts at one socket, told to two people, undo each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Findings, Problem, Verdict, most_urgent};

/// One socket of one device, in one spelling: equal if and only if they are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Socket {
    /// In lower case.
    pub device: String,
    /// Canonical by the platform of the device.
    pub port: String,
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.device, self.port)
    }
}

impl Problem {
    /// The sockets that plugs leave or enter by the act that it asks for; none where it asks for no
    /// plug to be moved.
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    pub(super) fn at_sockets(self, sockets: Vec<Socket>) -> Self {
        Self { sockets, ..self }
    }
}

impl Findings {
    /// The cable problem that would be told, if one would be.
    pub fn urgent_of_cables(&self) -> Option<&Problem> {
        most_urgent(self).filter(|problem| problem.fault.is_of_cables())
    }

    /// The same, with the cable problem that would be told not decided: somebody is at work there.
    pub fn giving_way(&self, why: String) -> Findings {
        let mut findings = self.clone();
        let Some(problem) = self.urgent_of_cables().cloned() else { return findings };
        for (_, verdict) in &mut findings.verdicts {
            if matches!(verdict, Verdict::Fail(found) if *found == problem) {
                *verdict = Verdict::unknown(why.clone());
            }
        }
        findings.gives_way = Some(Box::new(problem));
        findings
    }
}
