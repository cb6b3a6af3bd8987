//! Templates: `*.j2` by minijinja, `*.tera` by tera, behind one renderer. From a device of the plan to
//! the text it is served. No file is opened and no secret is fetched here: both are handed in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::domain::inventory::meant::{Device, Inventory};
use crate::secret::Secret;

mod jinja;
mod network;
#[cfg(feature = "tera")]
mod tera;

/// All templates, compiled; shared by threads.
pub struct Renderer {
    jinja: jinja::Engine,
    #[cfg(feature = "tera")]
    tera: tera::Engine,
    names: BTreeSet<String>,
    secrets: HashMap<String, Arc<ResolvedSecrets>>,
}

/// The secrets of one device's template by name: each fetched, or the reason why it could not be.
pub type ResolvedSecrets = BTreeMap<String, Result<Secret, String>>;

/// A template that cannot be compiled, or not be rendered for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError {
    /// Its file name below the template directory; empty if the device has none.
    pub template: String,
    /// From 1; 0 where the engine tells no line.
    pub line: u32,
    /// Begins small, ends without a stop, holds no secret.
    pub message: String,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.template.is_empty(), self.line) {
            (true, _) => f.write_str(&self.message),
            (false, 0) => write!(f, "{}: {}", self.template, self.message),
            (false, line) => write!(f, "{}:{line}: {}", self.template, self.message),
        }
    }
}

impl std::error::Error for RenderError {}

/// The largest configuration that is served. The biggest chassis configurations known to us have
/// about a tenth of it, and a template that grows without end must stop somewhere.
pub const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// What stands where a secret would, unless somebody asked to see it.
pub const MASK: &str = "********";

impl Renderer {
    /// Compiles all sources, by file name. Those that cannot be compiled are told, the others are there.
    pub fn new(sources: &BTreeMap<String, String>) -> (Self, Vec<RenderError>) {
        let mut errors = Vec::new();
        let jinja_sources = sources.iter().filter(|(name, _)| name.ends_with(".j2"));
        let jinja = jinja::Engine::new(jinja_sources, &mut errors);
        #[cfg(feature = "tera")]
        let tera = {
            let tera_sources = sources.iter().filter(|(name, _)| name.ends_with(".tera"));
            tera::Engine::new(tera_sources, &mut errors)
        };
        let renderer = Self {
            jinja,
            #[cfg(feature = "tera")]
            tera,
            names: sources.keys().cloned().collect(),
            secrets: HashMap::new(),
        };
        (renderer, errors)
    }

    /// Hands in the secrets, by device name.
    pub fn with_secrets(mut self, secrets: HashMap<String, Arc<ResolvedSecrets>>) -> Self {
        self.secrets = secrets;
        self
    }

    /// The file names of all templates.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// What the device is served. Holds secrets.
    pub fn render(&self, device: &Device, inventory: &Inventory) -> Result<String, RenderError> {
        self.render_with(device, inventory, |secret| match secret {
            Ok(secret) => Ok(secret.expose().to_owned()),
            Err(why) => Err(why.clone()),
        })
    }

    /// The same with [`MASK`] in the place of each secret; it needs none of them.
    pub fn render_masked(
        &self,
        device: &Device,
        inventory: &Inventory,
    ) -> Result<String, RenderError> {
        self.render_with(device, inventory, |_| Ok(MASK.to_owned()))
    }

    fn render_with(
        &self,
        device: &Device,
        inventory: &Inventory,
        open: impl Fn(&Result<Secret, String>) -> Result<String, String>,
    ) -> Result<String, RenderError> {
        let error = |template: &str, message: String| RenderError {
            template: template.to_owned(),
            line: 0,
            message,
        };
        let Some(template) = &device.template else {
            return Err(error("", format!("device `{}` has no template", device.name)));
        };
        let mut secrets = Map::new();
        for (name, secret) in self.secrets.get(&device.name).iter().flat_map(|set| set.iter()) {
            let text = open(secret).map_err(|why| error(template, format!("{why}, for {name}")))?;
            secrets.insert(name.clone(), Value::from(text));
        }
        let context = context(device, inventory, secrets);
        if template.ends_with(".j2") {
            return self.jinja.render(template, context);
        }
        #[cfg(feature = "tera")]
        if template.ends_with(".tera") {
            return self.tera.render(template, context);
        }
        Err(error(template, "no engine renders files of this name".to_owned()))
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("names", &self.names).finish_non_exhaustive()
    }
}

/// What a template knows: the variables, then `device`, `site` and `secrets`.
fn context(
    device: &Device,
    inventory: &Inventory,
    secrets: Map<String, Value>,
) -> Map<String, Value> {
    let mut context = device.variables.clone();
    let neighbours: Vec<Value> = device
        .neighbours
        .iter()
        .map(|neighbour| {
            json!({
                "local_port": neighbour.local_port,
                "device": neighbour.device,
                "port": neighbour.port,
            })
        })
        .collect();
    let site = inventory.sites.get(&device.site);
    context.insert(
        "device".to_owned(),
        json!({
            "name": device.name,
            "site": device.site,
            "platform": device.platform,
            "serial": device.serial,
            "macs": device.macs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "address": device.address.map(|address| address.to_string()),
            "location": device.location,
            "software": device.software,
            "neighbours": neighbours,
        }),
    );
    context.insert(
        "site".to_owned(),
        json!({ "name": device.site, "title": site.map_or(&device.site, |site| &site.title) }),
    );
    context.insert("secrets".to_owned(), Value::Object(secrets));
    context
}

/// Collects what an engine writes, up to [`OUTPUT_BYTES_MAX`].
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl Bounded {
    fn text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.full = true;
            return Err(io::Error::other("the output is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_long() -> String {
    format!("the rendered text passes {} MiB; does a loop never end?", OUTPUT_BYTES_MAX >> 20)
}
