//! Where uploads are kept: `DIRECTORY/DEVICE/NAME`, with a few older versions beside. Every
//! function here may wait for the disk; the workers call them on threads of their own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::config::meant::Uploads;
use crate::proto::tftp::packet::ErrorCode;
use crate::proto::tftp::upload::Write;
use crate::servers::places::{Place, Places};
use crate::service::serving::Refusal;

/// Files that come in at the same time. Each holds up to 256 KiB of memory and one open file.
const UPLOADS_MAX: usize = 128;

/// Of one device: its configuration, a log, a crash file, each perhaps begun anew because an answer
/// was lost.
const UPLOADS_OF_ONE_MAX: usize = 8;

/// What uploads leave free of their file system: the store of the leases may lie on it, too.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// A name is cut here: NAME_MAX of Linux is 255, and the numbers of versions come behind it.
const NAME_BYTES_MAX: usize = 100;

/// Files that have not arrived whole begin with this; no name does, for names begin with no dot.
const PART: &str = ".part-";

/// The area of all uploads. Clones share it.
#[derive(Debug, Clone)]
pub struct Area {
    settings: Uploads,
    places: Places,
    next: Arc<AtomicU64>,
    /// Held while versions move.
    moving: Arc<Mutex<()>>,
}

/// A file that is arriving. Dropped before its end it leaves nothing behind.
#[derive(Debug)]
pub struct Part {
    area: Area,
    /// `None` once it is in its place.
    open: Option<Open>,
    directory: PathBuf,
    name: String,
    hasher: Sha256,
    bytes: u64,
    _place: Place,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
}

/// What became of a piece.
#[derive(Debug)]
pub enum Written {
    /// There is room for the next one.
    More(Box<Part>),
    /// The file is in its place and survives a power cut.
    Stored { name: String, bytes: u64, sha256: String },
}

/// Why the disk does not take it, as the writer hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: ErrorCode,
    pub why: String,
}

impl Refused {
    pub fn busy() -> Self {
        Self { code: ErrorCode::Undefined, why: "busy, send it again".to_owned() }
    }

    /// Our side broke.
    pub fn broken() -> Self {
        Self { code: ErrorCode::Undefined, why: "it could not be stored".to_owned() }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound { why } | Refusal::Forbidden { why } => {
                Self { code: ErrorCode::AccessViolation, why }
            }
            Refusal::Unavailable { why } => Self { code: ErrorCode::Undefined, why },
        }
    }
}

impl Area {
    /// Removes what a killed server left half written.
    pub fn new(settings: Uploads) -> Self {
        let places = Places::new(UPLOADS_MAX, UPLOADS_OF_ONE_MAX);
        let area = Self { settings, places, next: Arc::default(), moving: Arc::default() };
        if let Err(error) = area.sweep() {
            tracing::debug!(%error, "half written uploads could not be looked for");
        }
        area
    }

    /// Opens a place for a file of this sender, if it is one whose files are taken.
    pub fn admit(
        &self,
        sender: Result<String, Refusal>,
        name: &str,
    ) -> Result<(String, Box<Part>), Refused> {
        let device = sender?;
        let part = self.open(&device, name)?;
        Ok((device, part))
    }

    /// Opens a place for a file that `device` calls so.
    fn open(&self, device: &str, name: &str) -> Result<Box<Part>, Refused> {
        let refused = |code, why: &str| Refused { code, why: why.to_owned() };
        let name = harmless(name)
            .ok_or_else(|| refused(ErrorCode::AccessViolation, "the file has no name"))?;
        let directory = harmless(device)
            .map(|device| self.settings.directory.join(device))
            .ok_or_else(|| refused(ErrorCode::AccessViolation, "the device has no name"))?;
        let place = self.places.take(device).ok_or_else(Refused::busy)?;
        // Backups hold passwords: nobody reads them but the server's own user.
        let mut private = fs::DirBuilder::new();
        let made = private.recursive(true).mode(0o700).create(&directory);
        made.map_err(|error| cannot(&directory, &error))?;
        has_room(&directory)?;
        self.room_for(&directory, &name)?;
        let open = self.part(&directory).map_err(|error| cannot(&directory, &error))?;
        Ok(Box::new(Part {
            area: self.clone(),
            open: Some(open),
            directory,
            name,
            hasher: Sha256::new(),
            bytes: 0,
            _place: place,
        }))
    }

    /// A device has so many names at most: it must not fill the directory.
    fn room_for(&self, directory: &Path, name: &str) -> Result<(), Refused> {
        if directory.join(name).symlink_metadata().is_ok() {
            return Ok(());
        }
        let entries = fs::read_dir(directory).map_err(|error| cannot(directory, &error))?;
        let is_newest = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            !name.starts_with('.') && !name.ends_with('~')
        };
        let names = entries.flatten().filter(is_newest).count();
        if names < self.settings.names_max {
            return Ok(());
        }
        let why = format!("this device has {names} files here already");
        Err(Refused { code: ErrorCode::DiskFull, why })
    }

    fn part(&self, directory: &Path) -> io::Result<Open> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!("{PART}{}-{number}", std::process::id()));
            // Never through a link and never over a file: it must be new.
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(Open { file, path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn sweep(&self) -> io::Result<()> {
        for device in fs::read_dir(&self.settings.directory)? {
            let Ok(files) = fs::read_dir(device?.path()) else { continue };
            for file in files.flatten() {
                if file.file_name().to_string_lossy().starts_with(PART) {
                    fs::remove_file(file.path())?;
                }
            }
        }
        Ok(())
    }

    /// Moves older versions one further and the newest beside them, where it also stays: there is
    /// no moment without a file of this name.
    fn make_room(&self, directory: &Path, name: &str) -> io::Result<()> {
        let newest = directory.join(name);
        let older = |number: u32| directory.join(format!("{name}~{number}~"));
        if self.settings.versions < 2 || newest.symlink_metadata().is_err() {
            return Ok(());
        }
        for number in (1..self.settings.versions - 1).rev() {
            gone_is_fine(fs::rename(older(number), older(number + 1)))?;
        }
        gone_is_fine(fs::remove_file(older(1)))?;
        // A file system without hard links has such a moment.
        fs::hard_link(&newest, older(1)).or_else(|_| fs::rename(&newest, older(1)))
    }
}

impl Part {
    /// The name under which it will be found.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does what the machine wants done.
    pub fn write(mut self: Box<Self>, write: &Write) -> Result<Written, Refused> {
        let (Write::Append(piece) | Write::Finish(piece)) = write;
        let Some(Open { file, .. }) = &mut self.open else {
            return Err(Refused { code: ErrorCode::Undefined, why: "it has ended".to_owned() });
        };
        has_room(&self.directory)?;
        file.write_all(piece).map_err(|error| cannot(&self.directory, &error))?;
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
        match write {
            Write::Append(_) => Ok(Written::More(self)),
            Write::Finish(_) => {
                self.put_in_place().map_err(|error| cannot(&self.directory, &error))?;
                let digest = std::mem::take(&mut self.hasher).finalize();
                let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(Written::Stored { name: self.name.clone(), bytes: self.bytes, sha256 })
            }
        }
    }

    /// Durable when this returns: the file is flushed, then its name, then the name of its
    /// directory.
    fn put_in_place(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        open.file.sync_all()?;
        // A panic under this lock leaves nothing half done that the next one would not see.
        let moving = self.area.moving.lock().unwrap_or_else(PoisonError::into_inner);
        self.area.make_room(&self.directory, &self.name)?;
        fs::rename(&open.path, self.directory.join(&self.name))?;
        drop(moving);
        self.open = None;
        File::open(&self.directory)?.sync_all()?;
        let area = &self.area.settings.directory;
        File::open(area)?.sync_all()?;
        // The area itself may be new, too.
        let above = area.parent().filter(|above| !above.as_os_str().is_empty());
        above.map_or(Ok(()), |above| File::open(above)?.sync_all())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Some(Open { file, path }) = self.open.take() else { return };
        let remove = move || {
            drop(file);
            if let Err(error) = fs::remove_file(&path) {
                tracing::debug!(%error, path = %path.display(), "a broken upload stays");
            }
        };
        // A large file takes its time to go: not on the thread that serves others.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// The last component of a foreign name, with harmless characters alone: letters, digits, `.`, `-`,
/// `_` and `+`; others become `_`. `None` if nothing is left that could be read.
fn harmless(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).find(|part| !part.is_empty())?;
    let mut clean: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-+".contains(c) { c } else { '_' })
        .take(NAME_BYTES_MAX)
        .collect();
    if clean.starts_with(['.', '-']) {
        clean.replace_range(..1, "_");
    }
    clean.contains(|c: char| c.is_ascii_alphanumeric()).then_some(clean)
}

/// Refuses what would fill the file system. One that does not tell its size has room.
fn has_room(directory: &Path) -> Result<(), Refused> {
    let Ok(told) = nix::sys::statvfs::statvfs(directory) else { return Ok(()) };
    let free = told.blocks_available().saturating_mul(told.fragment_size());
    if free >= FREE_BYTES_MIN {
        return Ok(());
    }
    tracing::error!(directory = %directory.display(), free, "no upload is taken: too little is free");
    Err(Refused { code: ErrorCode::DiskFull, why: "the disk is full".to_owned() })
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn cannot(directory: &Path, error: &io::Error) -> Refused {
    tracing::error!(%error, directory = %directory.display(), "an upload could not be stored");
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    if full {
        Refused { code: ErrorCode::DiskFull, why: "the disk is full".to_owned() }
    } else {
        Refused::broken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(directory: &Path, versions: u32) -> Area {
        let directory = directory.to_owned();
        Area::new(Uploads { directory, bytes_max: 1000, versions, names_max: 3 })
    }

    fn store(area: &Area, name: &str, bytes: &[u8]) -> Result<Written, Refused> {
        let part = area.open("sw1", name)?;
        let Written::More(part) = part.write(&Write::Append(bytes.to_vec()))? else { panic!() };
        part.write(&Write::Finish(Vec::new()))
    }

    fn listed(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn names_become_one_harmless_component() {
        for (name, expected) in [
            ("sw1-confg", Some("sw1-confg")),
            ("../../etc/passwd", Some("passwd")),
            ("a\\b\\running.cfg", Some("running.cfg")),
            ("/", None),
            ("", None),
            ("..", None),
            (".part-1-1", Some("_part-1-1")),
            ("-rf", Some("_rf")),
            ("caf\u{e9} \u{1b}[2J~1~", Some("caf____2J_1_")),
        ] {
            assert_eq!(harmless(name).as_deref(), expected, "{name:?}");
        }
        assert_eq!(harmless(&"x".repeat(5000)).unwrap().len(), NAME_BYTES_MAX);
    }

    #[test]
    fn one_device_that_sends_without_end_leaves_places_for_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let area = area(folder.path(), 3);
        let open = |device: &str| area.open(device, "confg");
        let mut parts: Vec<_> = (0..UPLOADS_OF_ONE_MAX).map(|_| open("sw1").unwrap()).collect();
        assert_eq!(open("sw1").unwrap_err(), Refused::busy());
        assert!(open("sw2").is_ok());
        parts.pop();
        assert!(open("sw1").is_ok());
    }

    #[test]
    fn a_few_versions_are_kept_and_the_newest_has_the_plain_name() {
        let folder = tempfile::tempdir().unwrap();
        let area = area(folder.path(), 3);
        for text in ["one", "two", "three", "four"] {
            let stored = store(&area, "x/confg", text.as_bytes()).unwrap();
            let Written::Stored { name, bytes, .. } = stored else { panic!() };
            assert_eq!((name.as_str(), bytes), ("confg", text.len() as u64));
        }
        let device = folder.path().join("sw1");
        assert_eq!(listed(&device), ["confg", "confg~1~", "confg~2~"]);
        let read = |name: &str| fs::read_to_string(device.join(name)).unwrap();
        assert_eq!([read("confg"), read("confg~1~"), read("confg~2~")], ["four", "three", "two"]);
    }

    #[test]
    fn with_one_version_the_newest_takes_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let area = area(folder.path(), 1);
        store(&area, "confg", b"one").unwrap();
        store(&area, "confg", b"two").unwrap();
        assert_eq!(listed(&folder.path().join("sw1")), ["confg"]);
        assert_eq!(fs::read(folder.path().join("sw1/confg")).unwrap(), b"two");
    }

    #[test]
    fn a_broken_upload_leaves_nothing_and_the_old_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let area = area(folder.path(), 3);
        store(&area, "confg", b"one").unwrap();
        let part = area.open("sw1", "confg").unwrap();
        let Ok(Written::More(part)) = part.write(&Write::Append(b"half".to_vec())) else {
            panic!()
        };
        assert_eq!(listed(&folder.path().join("sw1")).len(), 2);
        drop(part);
        assert_eq!(listed(&folder.path().join("sw1")), ["confg"]);
        assert_eq!(fs::read(folder.path().join("sw1/confg")).unwrap(), b"one");
    }

    #[test]
    fn what_a_killed_server_left_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sw1")).unwrap();
        fs::write(folder.path().join("sw1/.part-1-1"), b"half").unwrap();
        fs::write(folder.path().join("sw1/confg"), b"whole").unwrap();
        area(folder.path(), 3);
        assert_eq!(listed(&folder.path().join("sw1")), ["confg"]);
    }

    #[test]
    fn a_device_cannot_fill_the_directory_with_names() {
        let folder = tempfile::tempdir().unwrap();
        let area = area(folder.path(), 3);
        for name in ["a", "b", "c", "a"] {
            store(&area, name, b"x").unwrap();
        }
        let refused = store(&area, "d", b"x").unwrap_err();
        assert_eq!(refused.code, ErrorCode::DiskFull);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, b"precious").unwrap();
        let area = area(&folder.path().join("area"), 1);
        fs::create_dir_all(folder.path().join("area/sw1")).unwrap();
        std::os::unix::fs::symlink(&outside, folder.path().join("area/sw1/confg")).unwrap();
        store(&area, "confg", b"new").unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
        assert_eq!(fs::read(folder.path().join("area/sw1/confg")).unwrap(), b"new");
    }
}
