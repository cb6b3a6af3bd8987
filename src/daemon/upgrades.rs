//! The images of this server for whoever upgrades devices: their digests, and where they are.

use std::sync::Arc;

use crate::config::reach::Reach;
use crate::domain::inventory::meant::Inventory;
use crate::servers::images::{Images, Missing};
use crate::service::upgrade::{self, Known};

/// Looks images up by name.
pub fn images(images: Option<Images>, reach: Reach) -> upgrade::Images {
    let Some(images) = images else { return upgrade::no_images() };
    Arc::new(move |name| {
        let (images, reach) = (images.clone(), reach.clone());
        Box::pin(async move { known(images, &reach, name).await })
    })
}

async fn known(images: Images, reach: &Reach, name: String) -> Result<Known, String> {
    let digests = digests(images, &name).await?;
    let base = reach.best().ok_or("neither HTTP nor TFTP is served at a known address")?;
    let tftp = reach.tftp.as_deref().unwrap_or(base);
    Ok(Known {
        sha256: digests.sha256,
        md5: digests.md5,
        image_url: format!("{base}{name}"),
        tftp_url: format!("{tftp}{name}"),
    })
}

/// Who reads an image to compute its digests, where places are counted by device.
const OURSELVES: &str = "";

async fn digests(images: Images, name: &str) -> Result<crate::platform::software::Digests, String> {
    let wanted = name.to_owned();
    let found = tokio::task::spawn_blocking(move || images.find(&wanted, OURSELVES)).await;
    match found.unwrap_or(Err(Missing::NotThere)) {
        Ok(reading) => {
            let digests = reading.image().digests().await;
            digests.ok_or_else(|| format!("{name} cannot be read, or changes while it is read"))
        }
        Err(Missing::NotThere) => Err(format!("{name} is not in the images directory")),
        Err(Missing::Busy) => Err(format!("{name} has too many readers")),
        Err(Missing::Unreadable) => Err(format!("{name} cannot be opened")),
    }
}

/// Computes the digests of all images of the plan, one after the other, so that they are known when
/// they are needed.
pub async fn look_ahead(images: Images, inventory: Arc<Inventory>) {
    let planned = inventory.devices.iter().filter_map(|device| device.software.as_ref());
    let names = planned.filter_map(|software| software.image.as_ref());
    let names: std::collections::BTreeMap<String, Option<String>> =
        names.map(|image| (image.name.clone(), image.sha256.clone())).collect();
    for (name, planned) in names {
        match digests(images.clone(), &name).await {
            Ok(found) if planned.as_ref().is_none_or(|planned| *planned == found.sha256) => {
                tracing::info!(name, sha256 = found.sha256, "an image is ready");
            }
            Ok(found) => {
                tracing::warn!(name, sha256 = found.sha256, planned, "an image is not as planned");
            }
            Err(why) => tracing::warn!(name, why, "an image of the plan cannot be served"),
        }
    }
}
