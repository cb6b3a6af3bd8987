//! Which software is planned for a device, and may Greenlight install it?

use std::fmt;
use std::sync::Arc;

use crate::complaint::Place;

/// The software planned for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// Compared exactly with what the device says.
    pub version: String,
    /// The file that brings this version, if the plan names one.
    pub image: Option<Image>,
}

/// A file of the images directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Below the images directory: letters, digits, `.`, `_`, `+`, `-` and `/` alone, because it
    /// becomes a part of commands and URLs.
    pub name: String,
    /// Lower-case hex. There in any case where [`Install::Auto`] is planned.
    pub sha256: Option<String>,
    pub install: Install,
    /// Where it is written.
    pub place: Place,
}

/// Who installs the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// Greenlight does, when a device runs another version.
    Auto,
    /// Nobody of ours does.
    Never,
}

impl Software {
    /// A version without an image.
    pub fn version(version: &str) -> Arc<Self> {
        Arc::new(Self { version: version.to_owned(), image: None })
    }

    /// The image that Greenlight may install by itself.
    pub fn installable(&self) -> Option<&Image> {
        self.image.as_ref().filter(|image| image.install == Install::Auto)
    }
}

impl Image {
    /// The last part of its name: what the file is called on a device.
    pub fn file(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}
