//! Files of the operator: bounded in size, named in complaints as they were named to us.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use crate::complaint::Complaint;

/// A hundred times the complete example.
pub const CONFIGURATION_BYTES_MAX: u64 = 1 << 20;

/// A million devices at 250 bytes each, and room for long ones.
pub const INVENTORY_BYTES_MAX: u64 = 1 << 30;

/// For a template or a platform file: as much as the longest text that is served.
pub const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Directories inside directories that are looked into.
const DEPTH_MAX: usize = 4;

/// How a file is called in complaints: without `x/..`, where that is the same file.
pub fn name(path: &Path) -> String {
    let mut short = PathBuf::new();
    for part in path.components() {
        let steps_back = matches!(part, Component::ParentDir)
            && matches!(short.components().next_back(), Some(Component::Normal(_)));
        if steps_back {
            short.pop();
        } else {
            short.push(part);
        }
    }
    let same = |short: &Path| Some(short.canonicalize().ok()? == path.canonicalize().ok()?);
    if same(&short) == Some(true) { short.display() } else { path.display() }.to_string()
}

pub fn complaint(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Complaint {
    Complaint {
        file: name(path),
        line: 0,
        column: 0,
        message: message.into(),
        hint: hint.into(),
        excerpt: String::new(),
    }
}

/// The text of a file, in UTF-8.
pub fn text(path: &Path, bytes_max: u64) -> Result<String, Complaint> {
    let unreadable =
        |error: std::io::Error| complaint(path, format!("cannot be read: {error}"), "");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        return Err(complaint(path, format!("is larger than {bytes_max} bytes"), ""));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let mut found = complaint(path, "is not UTF-8 text", "save the file as UTF-8");
        found.line = u32::try_from(line).unwrap_or(u32::MAX);
        found.column = 1;
        found
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// All files below a directory whose names end in one of `endings`, by name.
pub fn texts(
    directory: &Path,
    endings: &[&str],
    complaints: &mut Vec<Complaint>,
) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut open = vec![(directory.to_owned(), String::new(), 0)];
    while let Some((path, prefix, depth)) = open.pop() {
        let listing = match std::fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) => {
                complaints.push(complaint(&path, format!("cannot be read: {error}"), ""));
                continue;
            }
        };
        for entry in listing.flatten() {
            let Ok(file_name) = entry.file_name().into_string() else { continue };
            let name = format!("{prefix}{file_name}");
            let path = entry.path();
            if path.is_dir() && depth < DEPTH_MAX {
                open.push((path, format!("{name}/"), depth + 1));
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                match text(&path, TEXT_BYTES_MAX) {
                    Ok(source) => drop(sources.insert(name, source)),
                    Err(why) => complaints.push(why),
                }
            }
        }
    }
    sources
}
