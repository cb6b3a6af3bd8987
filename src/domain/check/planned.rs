//! The plan the tests judge by: one access switch with its uplinks, and its neighbours in service.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::{Findings, Plan, judge};
use crate::domain::inventory::meant::{Device, Inventory, PlannedNeighbour};
use crate::platform::Platforms;
use crate::platform::observation::{Facts, Interface, Neighbour, Observation, Reading};

/// Read once: a property test makes many scenes.
static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::built_in);

pub(super) struct Scene {
    pub(super) inventory: Inventory,
    pub(super) rendered: String,
    pub(super) due: bool,
}

impl Scene {
    /// `acc-sw-17` with ports 49 and 50 to `dist-1` port 47 and `dist-2` port 48.
    pub(super) fn two_uplinks() -> Self {
        Self::cabled(&[("Gi1/0/49", "dist-1", "47"), ("Gi1/0/50", "dist-2", "48")])
    }

    /// `acc-sw-17` with these cables: port here, far device, far port.
    pub(super) fn cabled(cables: &[(&str, &str, &str)]) -> Self {
        let mut access = device("acc-sw-17");
        access.serial = Some("FDO1234".to_owned());
        access.software = Some(crate::domain::inventory::meant::Software::version("17.9.5"));
        access.neighbours = cables
            .iter()
            .map(|(local_port, device, port)| PlannedNeighbour {
                local_port: (*local_port).to_owned(),
                device: (*device).to_owned(),
                port: (*port).to_owned(),
            })
            .collect();
        let mut names: BTreeMap<&str, ()> = BTreeMap::new();
        names.extend(cables.iter().map(|(_, device, _)| (*device, ())));
        let others = names.into_keys().map(device);
        let inventory = Inventory::of(std::iter::once(access).chain(others));
        let rendered = "hostname acc-sw-17\nusername ops secret hunter2\n\
                        interface Gi1/0/49\n description to dist-1\n!\nend\n";
        let rendered = rendered.to_owned();
        Self { inventory, rendered, due: true }
    }

    /// The device sees everything as it was planned.
    pub(super) fn as_planned(&self) -> Observation {
        let device = &self.inventory.devices[0];
        let rows =
            |planned: &PlannedNeighbour| row(&planned.local_port, &planned.device, &planned.port);
        Observation {
            facts: Reading::Seen(Facts {
                hostname: Some(device.name.clone()),
                serials: device.serial.clone().into_iter().collect(),
                model: None,
                software: device.software.as_ref().map(|software| software.version.clone()),
            }),
            lldp: Reading::Seen(device.neighbours.iter().map(rows).collect()),
            cdp: Reading::NotAsked,
            interfaces: Reading::NotAsked,
            environment: Reading::NotAsked,
            running: Reading::Seen(self.rendered.clone()),
            saved: Reading::Seen(self.rendered.clone()),
            save: Reading::NotAsked,
            further: BTreeMap::new(),
        }
    }

    pub(super) fn judge(&self, seen: &Observation) -> Findings {
        judge(&self.plan(), seen)
    }

    pub(super) fn plan(&self) -> Plan<'_> {
        Plan {
            device: &self.inventory.devices[0],
            inventory: &self.inventory,
            platforms: &PLATFORMS,
            rendered: &self.rendered,
            neighbours_due: self.due,
        }
    }

    /// Changes a device of the inventory.
    pub(super) fn alter(&mut self, name: &str, change: impl FnOnce(&mut Device)) {
        let index = self.inventory.by_name[name];
        let device = Arc::get_mut(&mut self.inventory.devices[index]).expect("the only holder");
        change(device);
        for mac in &device.macs {
            self.inventory.by_mac.insert(*mac, index);
        }
    }
}

fn device(name: &str) -> Device {
    Device {
        site: "harbour".to_owned(),
        location: format!("the rack of {name}"),
        ..Device::named(name, "cisco_ios")
    }
}

/// One row as a device lists it, without times.
pub(super) fn row(local_port: &str, system_name: &str, port_id: &str) -> Neighbour {
    Neighbour {
        local_port: local_port.to_owned(),
        system_name: system_name.to_owned(),
        chassis_id: None,
        port_id: port_id.to_owned(),
        port_description: None,
        first_seen_seconds_ago: None,
        last_heard_seconds_ago: None,
    }
}

pub(super) fn link(name: &str, link_up: bool) -> Interface {
    Interface::new(name, link_up)
}
