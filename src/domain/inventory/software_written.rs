//! The `software` key of an inventory as written: a version alone, or a version with its image.

use std::sync::Arc;

use schemars::JsonSchema;

use crate::complaint::Complaints;
use crate::domain::inventory::software::{Image, Install, Software};
use crate::written::fields::{self, Fields};
use crate::written::{At, Node, Value, shown};

/// The `software` key as written.
#[derive(Debug, Clone)]
pub struct WrittenSoftware(pub Arc<Software>);

/// The software version planned, compared exactly with what the device says: the version alone, or
/// the version with the image that brings it.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes a spelling to editors")]
enum Spelling {
    Version(String),
    Planned(WithImage),
}

/// A version with the image that brings it.
#[derive(JsonSchema)]
#[schemars(rename = "Software", deny_unknown_fields)]
#[expect(dead_code, reason = "describes a spelling to editors")]
struct WithImage {
    /// The version, compared exactly with what the device says.
    version: String,
    /// The image's file name below the images directory.
    image: Option<String>,
    /// SHA-256 of the image, 64 hex digits. `greenlight check` and every upgrade compare it.
    sha256: Option<String>,
    /// `auto`: a device with another version is upgraded to this image and proven again. `never`:
    /// the image is served and nothing more. Default `never`.
    install: Option<String>,
}

impl JsonSchema for WrittenSoftware {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Spelling::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Spelling::json_schema(generator)
    }
}

/// Reads a version, or the settings of a version with its image.
pub fn read(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenSoftware> {
    if matches!(node.value, Value::Scalar { .. }) {
        let version = fields::text(node, "software", complaints)?;
        return Some(WrittenSoftware(Software::version(&version.value)));
    }
    let mut fields = Fields::of(node, "software section", complaints)?;
    let version = fields
        .require("version", complaints)
        .and_then(|node| fields::text(node, "version", complaints));
    let image = fields.text("image", complaints);
    let sha256 = fields.text("sha256", complaints);
    let install = fields.text("install", complaints);
    fields.close(complaints);
    let sha256 = sha256.and_then(|text| digest(&text, complaints));
    let install = install.map_or(Install::Never, |text| installs(&text, complaints));
    let version = version?.value;
    let Some(image) = image.filter(|image| is_plain(image, complaints)) else {
        if install == Install::Auto {
            let hint = "write `image:`, its file name below the images directory";
            complaints.at(node.place, "an image that is not named cannot be installed", hint);
        }
        return Some(WrittenSoftware(Software::version(&version)));
    };
    if install == Install::Auto && sha256.is_none() {
        let hint = "write `sha256:`, as `sha256sum` prints it";
        let message = format!("`{}` is installed only with its SHA-256 known", image.value);
        complaints.at(image.place, message, hint);
    }
    let image = Image { name: image.value, sha256, install, place: image.place };
    Some(WrittenSoftware(Arc::new(Software { version, image: Some(image) })))
}

fn digest(text: &At<String>, complaints: &mut Complaints) -> Option<String> {
    let digits = text.value.to_ascii_lowercase();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(digits);
    }
    let message = format!("`sha256` expects 64 hex digits, found `{}`", shown(&text.value));
    complaints.at(text.place, message, "copy what `sha256sum` prints");
    None
}

fn installs(text: &At<String>, complaints: &mut Complaints) -> Install {
    match text.value.as_str() {
        "auto" => Install::Auto,
        "never" => Install::Never,
        other => {
            let message = format!("`install` expects auto or never, found `{}`", shown(other));
            complaints.at(text.place, message, "`never` is the default");
            Install::Never
        }
    }
}

fn is_plain(image: &At<String>, complaints: &mut Complaints) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    let part =
        |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && part.chars().all(fits);
    let plain = image.value.len() <= 200 && image.value.split('/').all(part);
    if !plain {
        let message = format!("`{}` cannot be an image's name", shown(&image.value));
        let hint = "use letters, digits, `.`, `_`, `+` and `-`; `/` between directories";
        complaints.at(image.place, message, hint);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::written;

    fn planned(software: &str) -> (Option<Arc<Software>>, Vec<String>) {
        let text = format!(
            "sites: {{ a: {{}} }}\ndevices:\n  - {{ name: d, site: a, software: {software} }}\n"
        );
        let mut complaints = Complaints::about("inventory.yaml");
        let inventory = written::read(&text, &mut complaints);
        let software = inventory.devices[0].layer.software.clone();
        let told = complaints.finish(&text).into_iter().map(|told| told.message).collect();
        (software.map(|software| software.0), told)
    }

    #[test]
    fn a_plain_version_is_what_it_always_was() {
        let (software, told) = planned("15.2(7)E8");
        assert_eq!((software, told), (Some(Software::version("15.2(7)E8")), Vec::new()));
    }

    #[test]
    fn a_version_with_its_image_is_installed_only_when_that_is_written() {
        let digits = "AB".repeat(32);
        let (software, told) = planned(&format!(
            "{{ version: 17.9.5, image: cat9k/a.bin, sha256: {digits}, install: auto }}"
        ));
        assert_eq!(told, Vec::<String>::new());
        let software = software.unwrap();
        let image = software.installable().expect("it may be installed");
        assert_eq!((image.name.as_str(), image.file()), ("cat9k/a.bin", "a.bin"));
        assert_eq!(image.sha256, Some("ab".repeat(32)));
        let (software, told) = planned("{ version: 17.9.5, image: a.bin }");
        assert_eq!((software.unwrap().installable(), told), (None, Vec::new()));
    }

    #[test]
    fn what_could_end_in_a_wrong_installation_is_complained_about() {
        for (software, complaint) in [
            ("{ image: a.bin }", "this software section lacks `version`"),
            ("{ version: 1, install: auto }", "an image that is not named cannot be installed"),
            (
                "{ version: 1, image: a.bin, install: auto }",
                "`a.bin` is installed only with its SHA-256 known",
            ),
            ("{ version: 1, image: a.bin, sha256: abc }", "`sha256` expects 64 hex digits"),
            ("{ version: 1, install: soon }", "`install` expects auto or never, found `soon`"),
            ("{ version: 1, image: ../a }", "`../a` cannot be an image's name"),
            ("{ version: 1, image: 'a b' }", "`a b` cannot be an image's name"),
            ("{ version: 1, image: 'a;reload' }", "`a;reload` cannot be an image's name"),
            ("{ version: 1, image: /a }", "`/a` cannot be an image's name"),
            ("{ version: 1, imgae: a }", "this software section has no setting `imgae`"),
            ("[1]", "expected the settings of this software section"),
        ] {
            let (_, told) = planned(software);
            let found = told.iter().any(|told| told.starts_with(complaint));
            assert!(found, "{software}: {told:?}");
        }
    }
}
