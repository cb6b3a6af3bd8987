//! The working example that `init` writes: the shipped files themselves.

use crate::faces::cli::{Written, schema};

/// One file of the example: its path below the directory, and its text.
pub type File = (&'static str, String);

const CONFIG: &str = include_str!("../../../configs/greenlight.yaml");
const INVENTORY: &str = include_str!("../../../inventory.yaml");

/// The shipped templates.
pub const TEMPLATES: [(&str, &str); 3] = [
    ("templates/cisco_ios.j2", include_str!("../../../templates/cisco_ios.j2")),
    ("templates/arista_eos.tera", include_str!("../../../templates/arista_eos.tera")),
    ("templates/frr.j2", include_str!("../../../templates/frr.j2")),
];

/// All files of the example, laid out as in the repository.
pub fn files() -> Vec<File> {
    let mut files = vec![
        ("configs/greenlight.yaml", CONFIG.to_owned()),
        ("configs/greenlight.schema.json", schema::text(Written::Config)),
        ("inventory.yaml", INVENTORY.to_owned()),
        ("inventory.schema.json", schema::text(Written::Inventory)),
    ];
    files.extend(TEMPLATES.map(|(name, text)| (name, text.to_owned())));
    files
}
