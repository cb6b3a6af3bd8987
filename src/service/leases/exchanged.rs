//! Does a new plan mean another box?

use crate::address::Mac;
use crate::domain::inventory::meant::Device;

/// Another box is planned in this device's place: what the port of the former one was promised must
/// not keep the new one waiting. A plan that only learns more of a box means the same one.
pub fn is_another_box((before, port): (&Device, Option<Mac>), after: &Device) -> bool {
    let serial = matches!((&before.serial, &after.serial), (Some(old), Some(new)) if old != new);
    let planned = |device: &Device| port.is_some_and(|port| device.macs.contains(&port));
    before.name == after.name && !planned(after) && (serial || planned(before))
}
