//! Which Tera templates do not come to an end? Tera has no limit of steps, so each is tried once on
//! a thread of its own before any device waits for it. A thread that does not come back is left
//! behind: the files are refused, and a command that only checks them ends anyway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::domain::inventory::meant::{Device, Inventory};
use crate::domain::template::Renderer;

/// For one text of one device: a thousand times what the longest known configuration takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The templates that did not end in time, each with the device it was tried for.
pub fn templates(renderer: &Arc<Renderer>, inventory: &Arc<Inventory>) -> Vec<(String, String)> {
    let mut firsts: BTreeMap<&str, &Arc<Device>> = BTreeMap::new();
    for device in &inventory.devices {
        for template in device.template.iter().chain(&device.configuration) {
            if template.ends_with(".tera") && renderer.names().contains(template) {
                firsts.entry(template).or_insert(device);
            }
        }
    }
    let tried = firsts.into_iter().map(|(template, device)| {
        let (done, waiting) = mpsc::channel();
        let tried = Device { template: Some(template.to_owned()), ..device.as_ref().clone() };
        let parts = (Arc::clone(renderer), Arc::clone(inventory), tried);
        std::thread::spawn(move || {
            let (renderer, inventory, device) = parts;
            drop(renderer.render_masked(&device, &inventory));
            // Nobody waits any more if it took too long.
            let _ = done.send(());
        });
        (template.to_owned(), device.name.clone(), waiting)
    });
    let tried: Vec<_> = tried.collect();
    let endless = tried.into_iter().filter(|(_, _, waiting)| {
        waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout)
    });
    endless.map(|(template, device, _)| (template, device)).collect()
}
