//! The words a platform file may use for what its commands tell.

use crate::platform::Question;

/// One thing a row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Hostname,
    Serial,
    Model,
    Software,
    LocalPort,
    SystemName,
    ChassisId,
    PortId,
    PortDescription,
    /// Time since the neighbour appeared, as lldpd writes it: `0 day, 00:00:12`.
    FirstSeenClock,
    /// Time until the neighbour is forgotten, in seconds.
    RemainingSeconds,
    Name,
    /// A link's state in the platform's words.
    Link,
    /// A link's speed: a number with its unit, or in megabits per second.
    Speed,
    /// A link's speed in bits per second.
    BitsPerSecond,
    /// Words that hold `full` or `half`.
    Duplex,
    /// Damaged frames received.
    InputErrors,
    /// How often the link has come or gone.
    LinkChanges,
    /// A power supply, a fan, a thermometer.
    Part,
    /// Words that begin with `power`, `fan` or `temp`.
    Kind,
    /// A part's state in the platform's words.
    State,
    /// The whole output.
    Text,
}

impl Field {
    const ALL: [Field; 22] = [
        Field::Hostname,
        Field::Serial,
        Field::Model,
        Field::Software,
        Field::LocalPort,
        Field::SystemName,
        Field::ChassisId,
        Field::PortId,
        Field::PortDescription,
        Field::FirstSeenClock,
        Field::RemainingSeconds,
        Field::Name,
        Field::Link,
        Field::Speed,
        Field::BitsPerSecond,
        Field::Duplex,
        Field::InputErrors,
        Field::LinkChanges,
        Field::Part,
        Field::Kind,
        Field::State,
        Field::Text,
    ];

    /// As platform files write it.
    pub fn name(self) -> &'static str {
        match self {
            Field::Hostname => "hostname",
            Field::Serial => "serial",
            Field::Model => "model",
            Field::Software => "software",
            Field::LocalPort => "local_port",
            Field::SystemName => "system_name",
            Field::ChassisId => "chassis_id",
            Field::PortId => "port_id",
            Field::PortDescription => "port_description",
            Field::FirstSeenClock => "first_seen_clock",
            Field::RemainingSeconds => "remaining_seconds",
            Field::Name => "name",
            Field::Link => "link",
            Field::Speed => "speed",
            Field::BitsPerSecond => "bits_per_second",
            Field::Duplex => "duplex",
            Field::InputErrors => "input_errors",
            Field::LinkChanges => "link_changes",
            Field::Part => "part",
            Field::Kind => "kind",
            Field::State => "state",
            Field::Text => "text",
        }
    }

    /// The field of this name, whatever its case: TextFSM values are written in capitals.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(name))
    }

    /// Whether it tells how a link runs.
    pub fn is_detail(self) -> bool {
        match self {
            Field::Speed
            | Field::BitsPerSecond
            | Field::Duplex
            | Field::InputErrors
            | Field::LinkChanges => true,
            Field::Hostname
            | Field::Serial
            | Field::Model
            | Field::Software
            | Field::LocalPort
            | Field::SystemName
            | Field::ChassisId
            | Field::PortId
            | Field::PortDescription
            | Field::FirstSeenClock
            | Field::RemainingSeconds
            | Field::Name
            | Field::Link
            | Field::Part
            | Field::Kind
            | Field::State
            | Field::Text => false,
        }
    }

    /// The fields that make sense for a question.
    pub fn of(question: Question) -> &'static [Field] {
        match question {
            Question::Facts => &[Field::Hostname, Field::Serial, Field::Model, Field::Software],
            Question::Lldp | Question::Cdp => &[
                Field::LocalPort,
                Field::SystemName,
                Field::ChassisId,
                Field::PortId,
                Field::PortDescription,
                Field::FirstSeenClock,
                Field::RemainingSeconds,
            ],
            Question::Interfaces => &[
                Field::Name,
                Field::Link,
                Field::Speed,
                Field::BitsPerSecond,
                Field::Duplex,
                Field::InputErrors,
                Field::LinkChanges,
            ],
            Question::Environment => &[Field::Part, Field::Kind, Field::State],
            Question::Running | Question::Saved | Question::Save => &[],
        }
    }
}
