//! Are the directories that the configuration names there, and are the images in them the planned
//! ones?

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::complaint::{Complaint, Complaints};
use crate::domain::inventory::meant::{Device, Image};
use crate::files::{Loaded, disk};
use crate::platform::software::Hasher;

/// Read at once while a digest is computed.
const PIECE_BYTES: usize = 1 << 20;

/// Where the digests of earlier looks are kept, below the data directory.
const KEPT: &str = "image-digests";

/// More than a site has images: a longer file is no list of ours.
const KEPT_BYTES_MAX: u64 = 1 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub complaints: Vec<Complaint>,
    pub remarks: Vec<Complaint>,
}

/// How far a look at an image has come: its name, bytes read, bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Looks at the directories of images and uploads, and at every planned image. An image is read
/// once; the next look knows it by its size and time.
pub fn look(loaded: &Loaded, progress: Progress<'_>) -> Found {
    let mut found = Found::default();
    let config = &loaded.config;
    if let Some(images) = &config.images
        && let Err(error) = fs::read_dir(images)
    {
        let hint = "`images:` in greenlight.yaml names it";
        found.complaints.push(disk::complaint(images, format!("cannot be read: {error}"), hint));
    }
    let uploads = config.tftp.as_ref().and_then(|tftp| tftp.uploads.as_ref());
    if let Some(uploads) = uploads {
        found.complaints.extend(writable(&uploads.directory));
    }
    let mut kept = Kept::read(&config.data);
    let mut seen: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    let mut complaints = Complaints::about(&disk::name(&config.inventory));
    let mut remarks = Complaints::about(&disk::name(&config.inventory));
    for device in &loaded.inventory.devices {
        let Some(image) = device.software.as_ref().and_then(|s| s.image.as_ref()) else {
            continue;
        };
        no_way(loaded, device, image, &mut remarks);
        if !seen.insert((&image.name, image.sha256.as_deref())) {
            continue;
        }
        let directory = config.images.as_deref();
        if let Err((message, hint)) = is_planned(directory, image, &mut kept, progress) {
            complaints.at(image.place, message, hint);
        }
    }
    kept.write(&config.data);
    found.complaints.extend(complaints.finish(""));
    found.remarks.extend(remarks.finish(""));
    found.remarks.dedup();
    found
}

/// A platform that cannot install an image is told once for each place.
fn no_way(loaded: &Loaded, device: &Device, image: &Image, remarks: &mut Complaints) {
    let installs = device.software.as_ref().is_some_and(|s| s.installable().is_some());
    let platform = loaded.platforms.get(&device.platform);
    if installs && platform.is_some_and(|platform| platform.software.is_none()) {
        let message = format!(
            "`{}` is not installed by itself: {} has no way to install one",
            image.name, device.platform
        );
        remarks.at(image.place, message, "write `install: never`, or a `software` section for it");
    }
}

type Wrong = (String, &'static str);

fn is_planned(
    directory: Option<&Path>,
    image: &Image,
    kept: &mut Kept,
    progress: Progress<'_>,
) -> Result<(), Wrong> {
    let name = &image.name;
    let Some(directory) = directory else {
        let hint = "write `images:` in greenlight.yaml";
        return Err((format!("`{name}` is planned and no images directory is"), hint));
    };
    let path = directory.join(name);
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            let hint = "copy the image there, or correct its name";
            (format!("`{name}` is not in {}", disk::name(directory)), hint)
        }
        _ => (format!("`{name}` cannot be read: {error}"), "see its owner and mode"),
    };
    let file = File::open(&path).map_err(told)?;
    if !file.metadata().map_err(told)?.is_file() {
        return Err((format!("`{name}` is no file"), "name a file below the images directory"));
    }
    let Some(planned) = &image.sha256 else { return Ok(()) };
    let found = kept.digest(&path, file, &mut |done, all| progress(name, done, all));
    let found = found.map_err(told)?;
    if found == *planned {
        return Ok(());
    }
    let message = format!("`{name}` has SHA-256 {found}, planned is {planned}");
    Err((message, "fetch the image again, or correct `sha256:`"))
}

/// Uploads make their directory when the first one comes: what is there of it must take files.
fn writable(directory: &Path) -> Option<Complaint> {
    let hint = "`tftp.uploads.directory` in greenlight.yaml names it";
    let there = directory.ancestors().find(|path| path.exists())?;
    if !there.is_dir() {
        let message = "is no directory, so that uploads cannot be kept";
        return Some(disk::complaint(there, message, hint));
    }
    // Named as the server names what has not arrived whole, so that it would sweep it away.
    let trial = there.join(format!(".part-check-{}", std::process::id()));
    let made = File::create_new(&trial);
    // It was only to be made.
    let _ = fs::remove_file(&trial);
    let error = made.err()?;
    Some(disk::complaint(there, format!("takes no uploads: {error}"), hint))
}

/// What earlier looks computed. A file is the same while path, size and time are.
struct Kept {
    known: BTreeMap<(PathBuf, u64, i128), String>,
    changed: bool,
}

impl Kept {
    fn read(data: &Path) -> Self {
        let mut text = String::new();
        let file = File::open(data.join(KEPT));
        // What cannot be read is computed anew.
        let read = file.and_then(|file| file.take(KEPT_BYTES_MAX).read_to_string(&mut text));
        let lines = if read.is_ok() { text.lines() } else { "".lines() };
        let known = lines.filter_map(|line| {
            let mut parts = line.splitn(4, ' ');
            let digest = parts.next()?.to_owned();
            let bytes = parts.next()?.parse().ok()?;
            let modified = parts.next()?.parse().ok()?;
            Some(((PathBuf::from(parts.next()?), bytes, modified), digest))
        });
        Self { known: known.collect(), changed: false }
    }

    fn digest(
        &mut self,
        path: &Path,
        mut file: File,
        progress: &mut dyn FnMut(u64, u64),
    ) -> io::Result<String> {
        let told = file.metadata()?;
        let modified = i128::from(told.mtime()) * 1_000_000_000 + i128::from(told.mtime_nsec());
        let key = (fs::canonicalize(path)?, told.len(), modified);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let (mut hasher, mut piece, mut done) = (Hasher::default(), vec![0; PIECE_BYTES], 0);
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                break;
            }
            hasher.update(&piece[..length]);
            done += length as u64;
            progress(done, told.len());
        }
        let digest = hasher.finish().sha256;
        self.known.retain(|(known, ..), _| *known != key.0);
        self.known.insert(key, digest.clone());
        self.changed = true;
        Ok(digest)
    }

    fn write(&self, data: &Path) {
        if !self.changed {
            return;
        }
        let line = |((path, bytes, modified), digest): (&(PathBuf, u64, i128), &String)| {
            format!("{digest} {bytes} {modified} {}\n", path.display())
        };
        let text: String = self.known.iter().map(line).collect();
        // Without it the next look takes as long as this one.
        let _ = fs::write(data.join(KEPT), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::load;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn site(software: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "greenlight.yaml",
            "images: images\ntftp: { uploads: { directory: backups } }\ndata: data\n",
        );
        write("images/a.bin", "abc");
        write("data/x", "");
        write("templates/a.j2", "x\n");
        write("p", "secret");
        let inventory = format!(
            "sites: {{ s: {{}} }}\ndefaults:\n  template: a.j2\n  platform: cisco_ios\n  \
             credentials: [{{ username: u, password: {{ file: p }} }}]\n  software: {software}\n\
             devices:\n  - {{ name: a, site: s, serial: A1 }}\n  \
             - {{ name: b, site: s, serial: B1, platform: frr }}\n"
        );
        write("inventory.yaml", &inventory);
        folder
    }

    fn looked(folder: &tempfile::TempDir) -> (Vec<String>, Vec<String>, u64) {
        let loaded = load(&folder.path().join("greenlight.yaml"));
        let loaded = loaded.unwrap_or_else(|list| panic!("{list:?}"));
        let mut read = 0;
        let Found { complaints, remarks } = look(&loaded, &mut |_, done, _| read = done);
        let told = |list: Vec<Complaint>| list.into_iter().map(|told| told.message).collect();
        (told(complaints), told(remarks), read)
    }

    #[test]
    fn the_planned_image_passes_and_is_read_once() {
        let planned = format!("{{ version: 1, image: a.bin, sha256: {DIGEST}, install: auto }}");
        let folder = site(&planned);
        let (complaints, remarks, read) = looked(&folder);
        assert_eq!((complaints, read), (Vec::<String>::new(), 3));
        assert_eq!(remarks, ["`a.bin` is not installed by itself: frr has no way to install one"]);
        assert_eq!(looked(&folder).2, 0, "its digest was kept");
        fs::write(folder.path().join("images/a.bin"), "abcd").unwrap();
        let (complaints, _, read) = looked(&folder);
        assert!(complaints[0].starts_with("`a.bin` has SHA-256 88d4266f"), "{complaints:?}");
        assert_eq!(read, 4, "another size is another file");
    }

    #[test]
    fn a_missing_image_and_directories_that_cannot_be_used_are_complained_about() {
        let folder = site("{ version: 1, image: b.bin }");
        let (complaints, ..) = looked(&folder);
        assert!(complaints[0].starts_with("`b.bin` is not in "), "{complaints:?}");
        fs::remove_dir_all(folder.path().join("images")).unwrap();
        fs::write(folder.path().join("backups"), "a file").unwrap();
        let (complaints, ..) = looked(&folder);
        assert!(complaints[0].starts_with("cannot be read: "), "{complaints:?}");
        assert_eq!(complaints[1], "is no directory, so that uploads cannot be kept");
    }
}
