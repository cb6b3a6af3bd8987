//! Which file a known device is served by the name it asks for, and why.

use std::borrow::Cow;
use std::sync::Arc;

use super::Ground;
use crate::domain::inventory::meant::Device;
use crate::faces::cli::explained::Explained;
use crate::files::Loaded;

/// How a server says no.
pub struct Words {
    /// There is no such file.
    pub missing: &'static str,
    /// There is one, and not now.
    pub unready: &'static str,
}

/// Says what this device gets by this name.
pub fn planned(
    plan: &Loaded,
    ground: &Ground,
    (device, name): (&Arc<Device>, &str),
    words: &Words,
    explained: &mut Explained,
) {
    explained.answer = words.missing.to_owned();
    if !device.managed || device.template.is_none() {
        return explained.why.push("no file is planned for this device".to_owned());
    }
    let Some(platform) = ground.platforms.get(&device.platform) else { return };
    let configured =
        device.configuration.is_some() && platform.asks_configuration(&device.name, name);
    if !configured && !platform.may_ask(&device.name, name) {
        let why =
            format!("{} asks for no such file; an image of this name may be there", platform.id);
        return explained.why.push(why);
    }
    let (asked, flag) = match configured {
        true => (device.configured(), " --configuration"),
        false => (Cow::Borrowed(device.as_ref()), ""),
    };
    if let Err(error) = plan.renderer.render_masked(&asked, &plan.inventory) {
        explained.answer = words.unready.to_owned();
        return explained.why.push(format!("its configuration does not render: {error}"));
    }
    explained.answer = match platform.digest_of(name) {
        Some(of) => format!("the digest of {of}"),
        None => {
            format!("its configuration, as `greenlight render {}{flag}` shows it", device.name)
        }
    };
    explained.why.push(format!("{} may ask for it by this name", platform.id));
}

/// Says who asks by such a name, where there is no plan.
pub fn names(ground: &Ground, name: &str, explained: &mut Explained) {
    let platforms = ground.platforms.by_id.values().filter(|platform| platform.knows_file(name));
    let ids: Vec<&str> = platforms.map(|platform| platform.id.as_str()).collect();
    explained.why.push(match ids.is_empty() {
        true => "no platform asks by such a name of itself".to_owned(),
        false => format!("asked by such a name: {}", ids.join(", ")),
    });
}
