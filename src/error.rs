//! What goes wrong outside a device's run, as one table: code, page, hint.
//! Each code has a page in `docs/errors/`.

use std::fmt;

/// A code of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// `greenlight.yaml` cannot be used.
    Configuration,
    /// `inventory.yaml` or a template cannot be used.
    Inventory,
    /// A platform file cannot be used.
    Platform,
    /// A listen address cannot be taken.
    Listen,
    /// The store cannot be opened or written.
    Store,
    /// No device of that name.
    UnknownDevice,
    /// No server answers on the control socket.
    NoServer,
    /// The operation does not fit the state it met.
    NotNow,
    /// The request could not be understood.
    BadRequest,
    /// A secret named in the configuration cannot be read.
    Secret,
    /// What the demo or a test set out to show did not happen.
    Story,
}

impl Code {
    pub const ALL: [Code; 11] = [
        Code::Configuration,
        Code::Inventory,
        Code::Platform,
        Code::Listen,
        Code::Store,
        Code::UnknownDevice,
        Code::NoServer,
        Code::NotNow,
        Code::BadRequest,
        Code::Secret,
        Code::Story,
    ];

    /// Also the name of its page: `docs/errors/<name>.md`.
    pub fn name(self) -> &'static str {
        match self {
            Code::Configuration => "configuration",
            Code::Inventory => "inventory",
            Code::Platform => "platform",
            Code::Listen => "listen",
            Code::Store => "store",
            Code::UnknownDevice => "unknown-device",
            Code::NoServer => "no-server",
            Code::NotNow => "not-now",
            Code::BadRequest => "bad-request",
            Code::Secret => "secret",
            Code::Story => "story",
        }
    }

    /// The HTTP status of the control API.
    pub fn status(self) -> u16 {
        match self {
            Code::UnknownDevice => 404,
            Code::NotNow => 409,
            Code::BadRequest => 400,
            Code::Store | Code::NoServer => 503,
            Code::Configuration
            | Code::Inventory
            | Code::Platform
            | Code::Listen
            | Code::Secret
            | Code::Story => 500,
        }
    }
}

/// An error for a person: a code, what was expected and found, and the next move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    /// Begins small, ends without a stop, never holds a secret.
    pub message: String,
    /// The next move; may be empty.
    pub hint: String,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new() }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.name())?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
