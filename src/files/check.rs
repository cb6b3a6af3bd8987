//! What only shows when the files are looked at together: templates against devices, addresses
//! against pools.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::thread;

use crate::complaint::{Complaint, Complaints, Place};
use crate::config::meant::Config;
use crate::domain::check::upstream;
use crate::domain::inventory::meant::{Device, Inventory};
use crate::domain::template::{RenderError, Renderer, Scratch};
use crate::files::disk;
use crate::platform::Platforms;

/// Renders every device of a plan.
pub struct Renders<'a> {
    pub renderer: &'a Renderer,
    pub inventory: &'a Inventory,
    /// Devices that cannot be judged, by index.
    pub incomplete: HashSet<usize>,
    /// Templates that were complained about already.
    pub broken: HashSet<String>,
}

/// One way in which a template fails, the first device it fails for, and for how many.
struct Failure {
    /// With which `greenlight render` shows it, the device first.
    arguments: String,
    count: usize,
}

type Failures = BTreeMap<RenderError, Failure>;

impl Renders<'_> {
    /// One complaint for each place and reason, however many devices meet it.
    pub fn complaints(
        &self,
        directory: &Path,
        sources: &BTreeMap<String, String>,
    ) -> Vec<Complaint> {
        let count = self.inventory.devices.len();
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
        let share = count.div_ceil(threads).max(SHARE_MIN);
        let mut failures = Failures::new();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..count)
                .step_by(share)
                .map(|first| scope.spawn(move || self.range(first, (first + share).min(count))))
                .collect();
            for worker in workers {
                let found = worker.join().expect("rendering does not panic");
                for (key, failure) in found {
                    match failures.get_mut(&key) {
                        Some(known) => known.count += failure.count,
                        None => drop(failures.insert(key, failure)),
                    }
                }
            }
        });
        let told = |(error, failure): (&RenderError, &Failure)| {
            let others = match failure.count {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let arguments = &failure.arguments;
            let device = arguments.split(' ').next().unwrap_or_default();
            let hint =
                format!("met by device `{device}`{others}; see `greenlight render {arguments}`");
            complaint(directory, sources, error, hint)
        };
        failures.iter().map(told).collect()
    }

    fn range(&self, first: usize, end: usize) -> Failures {
        let mut failures = Failures::new();
        let mut scratch = Scratch::default();
        for (index, device) in self.inventory.devices.iter().enumerate().take(end).skip(first) {
            if self.incomplete.contains(&index) {
                continue;
            }
            self.one(device, &mut scratch, &mut failures);
            if let Cow::Owned(configured) = device.configured() {
                self.one(&configured, &mut scratch, &mut failures);
            }
        }
        failures
    }

    /// Renders one template of one device.
    fn one(&self, device: &Device, scratch: &mut Scratch, failures: &mut Failures) {
        let Some(template) = &device.template else { return };
        if !self.renderer.names().contains(template) || self.broken.contains(template) {
            return;
        }
        if let Err(error) = self.renderer.try_render(device, self.inventory, scratch) {
            let flag = if device.is_configured() { " --configuration" } else { "" };
            let arguments = format!("{}{flag}", device.name);
            failures
                .entry(error)
                .and_modify(|failure| failure.count += 1)
                .or_insert(Failure { arguments, count: 1 });
        }
    }
}

/// Fewer devices are not worth a thread.
const SHARE_MIN: usize = 500;

/// A template that cannot be compiled, or not be rendered.
pub fn complaint(
    directory: &Path,
    sources: &BTreeMap<String, String>,
    error: &RenderError,
    hint: String,
) -> Complaint {
    let RenderError { template, line, column, message } = error;
    let line = *line;
    let source = sources.get(template).map_or("", String::as_str);
    let written = usize::try_from(line).ok().and_then(|line| source.lines().nth(line.max(1) - 1));
    let indent = written.map_or(0, |text| text.chars().take_while(|c| c.is_whitespace()).count());
    let column = match *column {
        0 => u32::try_from(indent + 1).unwrap_or(1),
        column => column,
    };
    let mut complaints = Complaints::about(&disk::name(&directory.join(template)));
    let place = if line == 0 { Place::default() } else { Place { line, column } };
    complaints.at(place, message.as_str(), hint);
    complaints.finish(source).remove(0)
}

/// Devices that are planned at an address of ours: they would not be given it, or take ours.
pub fn our_own_addresses(config: &Config, inventory: &Inventory) -> Vec<Complaint> {
    let ours = [
        config.dhcp.as_ref().map(|dhcp| ("dhcp", IpAddr::V4(dhcp.server_address))),
        config.dhcp6.as_ref().map(|dhcp6| ("dhcp6", IpAddr::V6(dhcp6.server_address))),
    ];
    let mut complaints = Vec::new();
    for (section, address) in ours.into_iter().flatten() {
        let device = match address {
            IpAddr::V4(address) => inventory.with_address(address),
            IpAddr::V6(address) => inventory.with_address6(address),
        };
        let Some(device) = device else { continue };
        let message = format!("`{}` has our own address {address}", device.name);
        let hint = format!("mend it here, or `{section}.server_address` of the configuration");
        let mut complaint = disk::complaint(&config.inventory, message, &hint);
        complaint.line = device.place.line;
        complaint.column = device.place.column;
        complaints.push(complaint);
    }
    complaints
}

/// Devices in service that were given a login to be asked whom they hear, and cannot be asked.
pub fn not_asked(
    config: &Config,
    (inventory, entered): (&Inventory, &[usize]),
    platforms: &Platforms,
) -> Vec<Complaint> {
    let mut remarks = Vec::new();
    for device in entered.iter().filter_map(|index| inventory.devices.get(*index)) {
        let far = |name: &str| inventory.device(name).is_some_and(|far| far.managed);
        let is_upstream = device.neighbours.iter().any(|cable| far(&cable.device));
        let Some(why) = upstream::not_askable(device, platforms).filter(|_| is_upstream) else {
            continue;
        };
        let name = &device.name;
        let message = format!("`{name}` has credentials and is not asked whom it hears: {why}");
        let mut remark = disk::complaint(&config.inventory, message, "");
        remark.line = device.place.line;
        remark.column = device.place.column;
        remarks.push(remark);
    }
    remarks
}

/// Planned addresses that no pool of ours could lease.
pub fn outside_pools(config: &Config, inventory: &Inventory) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |device: &Device, address: IpAddr, pools: &str| {
        let message = format!("the address {address} of `{}` lies in no pool", device.name);
        let hint = format!("add its subnet to `{pools}` of the configuration, or mend the address");
        let mut complaint = disk::complaint(&config.inventory, message, &hint);
        complaint.line = device.place.line;
        complaint.column = device.place.column;
        complaints.push(complaint);
    };
    for device in inventory.devices.iter().filter(|device| device.managed) {
        if let (Some(dhcp), Some(address)) = (&config.dhcp, device.address)
            && !dhcp.pools.iter().any(|pool| pool.subnet.contains(&address))
        {
            complain(device, address.into(), "dhcp.pools");
        }
        if let (Some(dhcp6), Some(address)) = (&config.dhcp6, device.address6)
            && !dhcp6.pools.iter().any(|pool| pool.subnet.contains(&address))
        {
            complain(device, address.into(), "dhcp6.pools");
        }
    }
    complaints
}
