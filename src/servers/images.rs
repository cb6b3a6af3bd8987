//! Images on disk for TFTP and HTTP: which file a name means, and its bytes piece by piece.
//!
//! A file is never in memory as a whole. Each reader has two pieces at most, and readers of the
//! same place share them. Every function that may wait for the disk says so.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OnceCell, Semaphore};

use crate::platform::software::{Digests, Hasher};
use crate::proto::tftp::content::PIECE_BYTES;
use crate::servers::places::{Place, Places};

/// Images that are read at the same time. With two pieces each this bounds their memory to 256 MiB,
/// whatever the size of the files; more readers are told to ask again.
pub const READERS_MAX: usize = 1024;

/// Of one device: it reads one image, or fetches the parts of one by HTTP, side by side; what it
/// left off and began anew counts until it is given up.
pub const READERS_OF_ONE_MAX: usize = 16;

/// Digests that are remembered: more than a site has images.
const DIGESTS_MAX: usize = 1024;

/// Reads of one image at the same time. Each place of the file has one of these locks, so that
/// readers who want the same piece at the same time wait for one read.
const LANES: usize = 16;

/// The number of piece entries of one image that are looked through for dead ones.
const PIECES_SWEPT: usize = 2 * READERS_MAX;

/// The directory of images. Clones share it.
#[derive(Debug, Clone)]
pub struct Images {
    root: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<HashMap<Key, Weak<Image>>>,
    digests: Mutex<HashMap<Key, Digests>>,
}

/// A version of a file. Whoever replaces a file makes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// One open file, shared by its readers.
#[derive(Debug)]
pub struct Image {
    key: Key,
    file: File,
    lanes: [Mutex<()>; LANES],
    pieces: Mutex<HashMap<u64, Weak<Vec<u8>>>>,
    digest: OnceCell<Digests>,
    shared: Arc<Shared>,
}

/// An image in the hands of one reader.
#[derive(Debug)]
pub struct Reading {
    image: Arc<Image>,
    _place: Place,
}

/// Why there is no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// No file that may be read has this name.
    NotThere,
    /// Too many readers, or too many of this device.
    Busy,
    /// It may be there, but cannot be opened at present: too many open files, a broken disk.
    Unreadable,
}

/// What an error means for the reader. A device that is told "no such file" may go on without it.
fn missing(error: &io::Error) -> Missing {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied};
    match error.kind() {
        NotFound | NotADirectory | InvalidFilename | InvalidInput | PermissionDenied => {
            Missing::NotThere
        }
        _ if error.raw_os_error() == Some(nix::libc::ELOOP) => Missing::NotThere,
        _ => {
            tracing::error!(%error, "an image cannot be opened");
            Missing::Unreadable
        }
    }
}

/// Images whose digests are computed at the same time: one disk is not faster with more.
const HASHING_MAX: usize = 2;

static HASHING: Semaphore = Semaphore::const_new(HASHING_MAX);

/// Counts the readers of this process: memory is one.
static PLACES: std::sync::LazyLock<Places> =
    std::sync::LazyLock::new(|| Places::new(READERS_MAX, READERS_OF_ONE_MAX));

impl Images {
    /// Of the files below `root`, which need not be there yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root, shared: Arc::default() }
    }

    /// Opens the file of this name for a device. Waits for the disk.
    pub fn find(&self, name: &str, device: &str) -> Result<Arc<Reading>, Missing> {
        let image = self.image(name)?;
        let place = PLACES.take(device).ok_or(Missing::Busy)?;
        Ok(Arc::new(Reading { image, _place: place }))
    }

    fn image(&self, name: &str) -> Result<Arc<Image>, Missing> {
        let relative = relative(name).ok_or(Missing::NotThere)?;
        let root = fs::canonicalize(&self.root).map_err(|error| missing(&error))?;
        // Links may point to where they like, as long as it is below the root.
        let path = fs::canonicalize(root.join(relative)).map_err(|error| missing(&error))?;
        // Opening anything but a file could wait for ever.
        let is_file = |path| fs::symlink_metadata(path).map(|found| found.is_file());
        if !path.starts_with(&root) || !is_file(&path).map_err(|error| missing(&error))? {
            return Err(Missing::NotThere);
        }
        let file = File::open(&path).map_err(|error| missing(&error))?;
        if !lies_below(&file, &root) {
            return Err(Missing::NotThere);
        }
        let key = Key::of(path, &file).map_err(|error| missing(&error))?;
        let mut open = locked(&self.shared.open);
        if let Some(image) = open.get(&key).and_then(Weak::upgrade) {
            return Ok(image);
        }
        open.retain(|_, image| image.strong_count() > 0);
        let image = Arc::new(Image {
            key: key.clone(),
            file,
            lanes: Default::default(),
            pieces: Mutex::default(),
            digest: OnceCell::new(),
            shared: Arc::clone(&self.shared),
        });
        open.insert(key, Arc::downgrade(&image));
        Ok(image)
    }
}

impl Key {
    fn of(path: PathBuf, file: &File) -> io::Result<Self> {
        let told = file.metadata()?;
        if !told.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let modified = (told.mtime(), told.mtime_nsec());
        Ok(Self { path, inode: told.ino(), bytes: told.len(), modified })
    }
}

impl Reading {
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image)
    }
}

impl Image {
    pub fn bytes(&self) -> u64 {
        self.key.bytes
    }

    /// The same for the same version of a file, another one for every other.
    pub fn tag(&self) -> String {
        let Key { inode, bytes, modified: (seconds, nanos), .. } = &self.key;
        format!("{inode:x}-{bytes:x}-{seconds:x}-{nanos:x}")
    }

    /// A piece that some reader still has.
    pub fn kept(&self, index: u64) -> Option<Arc<Vec<u8>>> {
        locked(&self.pieces).get(&index).and_then(Weak::upgrade)
    }

    /// A piece of [`PIECE_BYTES`], or the rest of the file. Waits for the disk. A file that was
    /// written to since it was opened is an error: its pieces would be of different versions.
    pub fn read(&self, index: u64) -> io::Result<Arc<Vec<u8>>> {
        // The remainder is below LANES.
        let _lane = locked(&self.lanes[(index % LANES as u64) as usize]);
        if let Some(piece) = self.kept(index) {
            return Ok(piece);
        }
        let start = index.saturating_mul(PIECE_BYTES as u64);
        let length = self.key.bytes.saturating_sub(start).min(PIECE_BYTES as u64);
        // At most PIECE_BYTES.
        let mut piece = vec![0; length as usize];
        self.file.read_exact_at(&mut piece, start)?;
        self.same()?;
        let piece = Arc::new(piece);
        let mut pieces = locked(&self.pieces);
        if pieces.len() >= PIECES_SWEPT {
            pieces.retain(|_, piece| piece.strong_count() > 0);
        }
        pieces.insert(index, Arc::downgrade(&piece));
        Ok(piece)
    }

    /// SHA-256 of the file in lower-case hex, computed once for each version of it. Empty if the
    /// file cannot be read or has changed.
    pub async fn sha256(self: Arc<Self>) -> String {
        self.digests().await.unwrap_or_default().sha256
    }

    /// The digests, if they were computed already.
    pub fn known(&self) -> Option<Digests> {
        locked(&self.shared.digests).get(&self.key).cloned()
    }

    /// The digests of the file, computed once for each version of it. `None` if the file cannot be
    /// read or has changed.
    pub async fn digests(self: Arc<Self>) -> Option<Digests> {
        if let Some(known) = self.known() {
            return Some(known);
        }
        let image = Arc::clone(&self);
        let compute = || async {
            let _turn = HASHING.acquire().await;
            let computed = tokio::task::spawn_blocking(move || image.compute()).await;
            computed.ok().and_then(Result::ok).ok_or(())
        };
        // What could not be read is tried again by the next one who asks.
        let digest = self.digest.get_or_try_init(compute).await.ok()?.clone();
        let mut digests = locked(&self.shared.digests);
        if digests.len() >= DIGESTS_MAX {
            digests.clear();
        }
        digests.insert(self.key.clone(), digest.clone());
        Some(digest)
    }

    fn compute(&self) -> io::Result<Digests> {
        let (mut hasher, mut piece, mut offset) = (Hasher::default(), vec![0; PIECE_BYTES], 0);
        loop {
            let length = self.file.read_at(&mut piece, offset)?;
            if length == 0 {
                break;
            }
            hasher.update(&piece[..length]);
            offset += length as u64;
        }
        self.same()?;
        Ok(hasher.finish())
    }

    fn same(&self) -> io::Result<()> {
        if Key::of(self.key.path.clone(), &self.file)? == self.key {
            Ok(())
        } else {
            Err(io::Error::other("the file has changed"))
        }
    }
}

/// A foreign name as a path below a directory. `None` for names that leave it, and for hidden
/// files.
fn relative(name: &str) -> Option<&Path> {
    let name = name.trim_start_matches('/');
    let harmless = |part: &str| !part.is_empty() && !part.starts_with('.');
    let fine = !name.contains('\0') && name.split('/').all(harmless);
    fine.then_some(Path::new(name))
}

/// Whether this open file is below the directory, whatever was renamed meanwhile.
fn lies_below(file: &File, root: &Path) -> bool {
    match fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Ok(path) => path.starts_with(root),
        // Without /proc the look before opening it has to do.
        Err(_) => true,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Images) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("images/eos")).unwrap();
        fs::write(folder.path().join("images/eos/EOS.swi"), vec![7; 300_000]).unwrap();
        fs::write(folder.path().join("secret"), b"secret").unwrap();
        let images = Images::new(folder.path().join("images"));
        (folder, images)
    }

    #[test]
    fn a_name_means_a_file_below_the_directory_and_nothing_else() {
        let (folder, images) = folder();
        let root = folder.path().join("images");
        std::os::unix::fs::symlink("EOS.swi", root.join("eos/latest")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("etc")).unwrap();
        fs::write(root.join(".hidden"), b"x").unwrap();
        for name in ["eos/EOS.swi", "/eos/EOS.swi", "eos/latest"] {
            assert_eq!(images.find(name, "sw1").unwrap().image().bytes(), 300_000, "{name}");
        }
        for name in [
            "../secret",
            "eos/../../secret",
            "out",
            "etc/passwd",
            "/etc/passwd",
            ".hidden",
            "eos",
            "",
            "/",
            "eos/./EOS.swi",
            "eos//EOS.swi",
            "eos/EOS.swi/",
            "nothing",
            "a\0b",
            "..\\secret",
        ] {
            assert_eq!(images.find(name, "sw1").err(), Some(Missing::NotThere), "{name:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_now_is_not_told_as_missing() {
        let told = |number| missing(&io::Error::from_raw_os_error(number));
        assert_eq!(told(nix::libc::ENOENT), Missing::NotThere);
        assert_eq!(told(nix::libc::ELOOP), Missing::NotThere);
        assert_eq!(told(nix::libc::EMFILE), Missing::Unreadable);
        assert_eq!(told(nix::libc::EIO), Missing::Unreadable);
    }

    #[test]
    fn one_device_that_begins_without_end_leaves_places_for_the_others() {
        let (_folder, images) = folder();
        let find = |device: &str| images.find("eos/EOS.swi", device);
        let mut held: Vec<_> = (0..READERS_OF_ONE_MAX).map(|_| find("greedy").unwrap()).collect();
        assert_eq!(find("greedy").err(), Some(Missing::Busy));
        assert!(find("modest").is_ok());
        held.pop();
        assert!(find("greedy").is_ok());
    }

    #[test]
    fn readers_of_one_file_share_what_one_of_them_has() {
        let (_folder, images) = folder();
        let (one, two) =
            (images.find("eos/EOS.swi", "sw1").unwrap(), images.find("eos/latest", "sw1"));
        assert!(two.is_err());
        let two = images.find("/eos/EOS.swi", "sw1").unwrap();
        assert!(Arc::ptr_eq(&one.image(), &two.image()));
        let piece = one.image().read(0).unwrap();
        assert!(Arc::ptr_eq(&piece, &two.image().read(0).unwrap()));
        assert!(Arc::ptr_eq(&piece, &two.image().kept(0).unwrap()));
        assert_eq!((piece.len(), one.image().read(2).unwrap().len()), (PIECE_BYTES, 37_856));
        drop(piece);
        assert_eq!(one.image().kept(0), None, "nobody has it any more");
    }

    #[tokio::test]
    async fn a_file_that_changes_is_broken_off_and_a_new_version_is_another_image() {
        let (folder, images) = folder();
        let path = folder.path().join("images/eos/EOS.swi");
        let old = images.find("eos/EOS.swi", "sw1").unwrap().image();
        let before = old.clone().sha256().await;
        assert_eq!(before.len(), 64);
        fs::write(&path, vec![8; 300_001]).unwrap();
        assert!(old.read(0).is_err());
        let new = images.find("eos/EOS.swi", "sw1").unwrap().image();
        assert_ne!((new.tag(), new.bytes()), (old.tag(), old.bytes()));
        assert_ne!(new.sha256().await, before);
    }
}
