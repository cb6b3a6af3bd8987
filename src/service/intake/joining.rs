//! Whom do the clues of an asker name?

use std::sync::Arc;

use crate::domain::inventory::meant::{Device, Inventory};
use crate::service::intake::{Clues, Identity};

/// Joins clues to a plan: serial, then MAC, then position. `None` if they name nobody.
pub fn joined(inventory: &Inventory, clues: &Clues) -> Option<Identity> {
    let by_serial = clues.serial.as_deref().and_then(|serial| inventory.with_serial(serial));
    let by_mac = clues.mac.and_then(|mac| inventory.with_mac(mac));
    let by_position = clues.position.as_ref().and_then(|position| inventory.at_position(position));
    let named = [("serial", by_serial), ("MAC", by_mac), ("position", by_position)];
    let mut found: Option<(&str, &Arc<Device>)> = None;
    for (clue, device) in named {
        let Some(device) = device else { continue };
        match found {
            None => found = Some((clue, device)),
            Some((first, other)) if other.name != device.name => {
                let detail = format!("{first} says {}, {clue} says {}", other.name, device.name);
                return Some(Identity::Conflict { detail });
            }
            Some(_) => {}
        }
    }
    found.map(|(_, device)| Identity::Device(Arc::clone(device)))
}

/// Somebody whom no plan knows: a network device if it asks like one.
pub fn unplanned(clues: &Clues) -> Identity {
    match &clues.platform {
        Some(platform) => Identity::Stranger { description: describe(platform, clues) },
        None => Identity::Nobody,
    }
}

fn describe(platform: &str, clues: &Clues) -> String {
    let mut text = format!("a {platform} device");
    if let Some(serial) = &clues.serial {
        text.push_str(&format!(", serial {serial}"));
    }
    if let Some(mac) = clues.mac {
        text.push_str(&format!(", MAC {mac}"));
    }
    if let Some(position) = &clues.position {
        text.push_str(&format!(", at {}", position.shown()));
    }
    text
}
