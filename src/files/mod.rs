//! Reads from disk what the operator wrote, checks all of it together, and hands it over as meant.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::complaint::Complaint;
use crate::config::meant::Config;
use crate::config::resolve::configure;
use crate::domain::inventory::meant::Inventory;
use crate::domain::inventory::resolve::{Known, Planned, plan};
use crate::domain::template::Renderer;
use crate::platform::Platforms;

mod check;
mod disk;
mod secrets;

pub use secrets::secret;

/// Everything a server needs to begin.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub inventory: Arc<Inventory>,
    pub platforms: Arc<Platforms>,
    /// Holds the secrets of the templates, as far as they could be read.
    pub renderer: Arc<Renderer>,
    /// What is no mistake in the files and still deserves a look: secrets that cannot be read here.
    pub remarks: Vec<Complaint>,
}

/// Reads the configuration and all that it names, and renders every device once. All complaints
/// about all files come together.
pub fn load(config_path: &Path) -> Result<Loaded, Vec<Complaint>> {
    let text = disk::text(config_path, disk::CONFIGURATION_BYTES_MAX).map_err(|why| vec![why])?;
    let directory = config_path.parent().unwrap_or(Path::new(""));
    let (config, mut complaints) = configure(&disk::name(config_path), &text, directory);
    let platforms = platforms(config.platforms.as_deref(), &mut complaints);
    let sources = disk::templates(&config.templates, &mut complaints);
    let (renderer, errors) = Renderer::new(&sources);
    for error in &errors {
        complaints.push(check::compile_complaint(&config.templates, &sources, error));
    }
    let Planned { inventory, secrets, incomplete } =
        match disk::text(&config.inventory, disk::INVENTORY_BYTES_MAX) {
            Err(why) => {
                complaints.push(why);
                return Err(complaints);
            }
            Ok(text) => {
                let known = Known {
                    platforms: &platforms.by_id.keys().cloned().collect::<BTreeSet<_>>(),
                    templates: renderer.names(),
                    canonical_port: &|platform, port| match platforms.get(platform) {
                        Some(platform) => platform.canonical_port(port),
                        None => port.to_owned(),
                    },
                    directory: config.inventory.parent().unwrap_or(Path::new("")),
                };
                let (planned, found) = plan(&disk::name(&config.inventory), &text, &known);
                complaints.extend(found);
                planned
            }
        };
    let mut fetched = secrets::Fetched::default();
    let renderer = renderer.with_secrets(fetched.all(secrets));
    let broken = errors.into_iter().map(|error| error.template).collect();
    let renders = check::Renders { renderer: &renderer, inventory: &inventory, incomplete, broken };
    complaints.extend(renders.complaints(&config.templates, &sources));
    complaints.extend(check::outside_pools(&config, &inventory));
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let remarks = fetched.remarks(&config, &inventory);
    Ok(Loaded {
        config,
        inventory: Arc::new(inventory),
        platforms: Arc::new(platforms),
        renderer: Arc::new(renderer),
        remarks,
    })
}

/// The built-in platforms, and the operator's directory over them.
fn platforms(directory: Option<&Path>, complaints: &mut Vec<Complaint>) -> Platforms {
    let platforms = Platforms::default();
    if let Some(directory) = directory
        && !directory.is_dir()
    {
        complaints.push(disk::complaint(directory, "this is no directory", "see `platforms:`"));
    }
    platforms
}
