//! What a box has in its flash: images, which of them it boots next, and how it fetches one.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::platform::software::Hasher;

/// How an image of a simulated system begins; its version follows, then a line end.
const MAGIC: &str = "SIMULATED IMAGE ";

/// An image of this version that is so many bytes long.
pub fn image(version: &str, bytes: usize) -> Vec<u8> {
    let mut image = format!("{MAGIC}{version}\n").into_bytes();
    let filler = (0_u32..).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    let missing = bytes.saturating_sub(image.len());
    image.extend(filler.take(missing));
    image
}

/// Fetches what a URL names, as the box in its place does.
pub type Fetch = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>> + Send + Sync,
>;

/// An image in the flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub bytes: usize,
    /// Lower-case hex.
    pub md5: String,
    version: Option<String>,
}

/// The images of a box at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    pub files: BTreeMap<String, Stored>,
    /// The image that it boots next.
    pub boot: Option<String>,
}

/// The flash of one box. Clones are the same.
#[derive(Clone, Default)]
pub struct Flash {
    contents: Arc<Mutex<Contents>>,
    reload: Arc<Notify>,
}

#[derive(Default)]
struct Contents {
    shelf: Shelf,
    fetch: Option<Fetch>,
    /// The seed of its host key, and whether the next boot keeps it.
    key: Option<([u8; 32], bool)>,
}

impl Flash {
    pub fn shelf(&self) -> Shelf {
        self.contents().shelf.clone()
    }

    /// Gives the box the means to fetch.
    pub fn connect(&self, fetch: Fetch) {
        self.contents().fetch = Some(fetch);
    }

    /// Without power nothing is fetched.
    pub fn disconnect(&self) {
        self.contents().fetch = None;
    }

    /// Fetches an image into this file. The answer is its length.
    pub async fn copy(&self, url: &str, file: &str) -> Result<usize, String> {
        let fetch = self.contents().fetch.clone().ok_or("no address yet")?;
        let bytes = fetch(url.to_owned()).await?;
        let mut hasher = Hasher::default();
        hasher.update(&bytes);
        let stored =
            Stored { bytes: bytes.len(), md5: hasher.finish().md5, version: version(&bytes) };
        self.contents().shelf.files.insert(file.to_owned(), stored);
        Ok(bytes.len())
    }

    pub fn boot_from(&self, file: Option<&str>) {
        self.contents().shelf.boot = file.map(str::to_owned);
    }

    /// The version that the next boot brings; `None` if it stays as it is.
    pub fn next_version(&self) -> Option<String> {
        let contents = self.contents();
        let file = contents.shelf.boot.as_ref()?;
        contents.shelf.files.get(file)?.version.clone()
    }

    /// The box is told to reload; it keeps its host key.
    pub fn reload(&self) {
        if let Some((_, keep)) = &mut self.contents().key {
            *keep = true;
        }
        self.reload.notify_one();
    }

    /// Returns when the box is told to reload.
    pub async fn told_to_reload(&self) {
        self.reload.notified().await;
    }

    /// The seed of the host key of this boot: a new one, unless the boot was a reload.
    pub fn host_key(&self, fresh: [u8; 32]) -> [u8; 32] {
        let mut contents = self.contents();
        let seed = contents.key.filter(|(_, keep)| *keep).map_or(fresh, |(seed, _)| seed);
        contents.key = Some((seed, false));
        seed
    }

    /// Another box: nothing of this one is left.
    pub fn empty(&self) {
        *self.contents() = Contents::default();
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing is left half done under this lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Flash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flash").field(&self.contents().shelf).finish()
    }
}

fn version(image: &[u8]) -> Option<String> {
    let rest = image.strip_prefix(MAGIC.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_image_brings_its_version_and_anything_else_brings_none() {
        let flash = Flash::default();
        assert!(flash.copy("http://x/a", "a").await.is_err(), "without an address");
        flash.connect(Arc::new(|url| {
            Box::pin(async move {
                Ok(if url.ends_with('a') { image("17.9.5", 100) } else { b"text".to_vec() })
            })
        }));
        assert_eq!(flash.copy("http://x/a", "a").await, Ok(100));
        assert_eq!(flash.copy("http://x/b", "b").await, Ok(4));
        for (file, version) in [("a", Some("17.9.5")), ("b", None), ("c", None)] {
            flash.boot_from(Some(file));
            assert_eq!(flash.next_version().as_deref(), version, "{file}");
        }
    }

    #[test]
    fn a_reload_keeps_the_host_key_and_a_power_cycle_does_not() {
        let flash = Flash::default();
        assert_eq!(flash.host_key([1; 32]), [1; 32]);
        assert_eq!(flash.host_key([2; 32]), [2; 32]);
        flash.reload();
        assert_eq!(flash.host_key([3; 32]), [2; 32]);
        assert_eq!(flash.host_key([4; 32]), [4; 32]);
    }
}
