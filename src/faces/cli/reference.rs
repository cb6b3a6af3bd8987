//! `docs/configuration.md`, printed from the types of the two files.

use std::fmt::Write;

use serde_json::Value;

use crate::faces::cli::{Written, schema};

const HEAD: &str = "\
# Configuration

Printed from the types; a test fails when it is out of date. `UPDATE=1 cargo test --lib reference` \
prints it anew.

An operator writes two files, `greenlight.yaml` and `inventory.yaml`, and templates.
`greenlight check` complains about all of them at once, `greenlight render DEVICE` shows what a
device would get, and `greenlight schema config|inventory` prints a JSON Schema for editors.
Unknown keys are refused. Times carry a unit: `500ms`, `30s`, `10m`, `1h30m`, `2d`. A secret is
named, never written down: `{ env: NAME }`, `{ file: PATH }`, or `{ command: [PROGRAM, ...] }` for
what a program prints. Relative paths begin at the directory of the file they stand in.

What readers of YAML take differently is refused in variables: `no`, `on`, `y`, `010`, `0x1f`,
`1_000`, `20:30`, `17.10`. Quote it if it is text, or write the number or `true` and `false`.
Names, serials and versions are taken as written, with or without quotes.

";

const TEMPLATES: &str = "\
## Templates

Files below the template directory: `*.j2` in the language of Jinja2, `*.tera` in that of Tera.
A name without a value is an error, never an empty text. Variables of defaults, group, site and
device stand at the top level, the nearest value wins. Besides them:

| name | what it holds |
|---|---|
| `device` | `name`, `site`, `platform`, `serial`, `macs`, `address`, `location`, `software` |
| `device.neighbours` | a list; each has `local_port`, `device`, `port` |
| `site` | `name`, `title` |
| `secrets` | the secrets of defaults, group, site and device, by name |
| `software` | nothing, or `version`, `image`, `image_url`, `sha256`, `install` of the software planned |

| filter | `'192.0.2.10/24'` becomes |
|---|---|
| `ipaddr` | itself, or an error if it is no address; with a query, one of those below |
| `ipaddr(1)`, `ipaddr(-2)` | `192.0.2.1/24`, `192.0.2.254/24`; in Tera `ipaddr(query=\"1\")` |
| `ipv4` | as `ipaddr`, IPv4 only |
| `address` | `192.0.2.10` |
| `netmask`, `hostmask` | `255.255.255.0`, `0.0.0.255` |
| `prefix` | `24` |
| `network`, `broadcast` | `192.0.2.0`, `192.0.2.255` |
| `subnet` | `192.0.2.0/24` |
| `hosts` | the list of its hosts, up to 4094 |
| `cidr` | `'192.0.2.10' \\| cidr('255.255.255.0')` is `192.0.2.10/24`; in Tera `cidr(mask=...)` |

A text ends with an error after 4 MiB, and in Jinja2 after four million steps, so a loop that
does not end harms nobody. Tera counts no steps; there a `range` has at most 100 000 numbers.
";

/// The whole page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (of, title) in
        [(Written::Config, "greenlight.yaml"), (Written::Inventory, "inventory.yaml")]
    {
        let root = schema::value(of);
        let _ = writeln!(page, "## {title}\n");
        section(&mut page, &root);
        if let Some(definitions) = root.get("$defs").and_then(Value::as_object) {
            for (name, definition) in definitions {
                let _ = writeln!(page, "### {name}\n");
                section(&mut page, definition);
            }
        }
    }
    page.push_str(TEMPLATES);
    page
}

fn section(page: &mut String, of: &Value) {
    if let Some(description) = of.get("description").and_then(Value::as_str) {
        let _ = writeln!(page, "{}\n", joined(description));
    }
    if let Some(choices) = of.get("oneOf").and_then(Value::as_array) {
        page.push_str("| one of | value | meaning |\n|---|---|---|\n");
        for choice in choices {
            let meaning = choice.get("description").and_then(Value::as_str).unwrap_or_default();
            let properties = choice.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let _ = writeln!(page, "| `{name}` | {} | {} |", kind(property), joined(meaning));
            }
        }
        page.push('\n');
    } else {
        rows(page, of);
    }
}

fn rows(page: &mut String, of: &Value) {
    let Some(properties) = of.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> = of
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    page.push_str("| setting | value | meaning |\n|---|---|---|\n");
    for (name, property) in properties {
        let must = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let meaning = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let meaning = joined(meaning).replace('|', "\\|");
        let _ = writeln!(page, "| `{name}`{must} | {} | {meaning} |", kind(property));
    }
    page.push('\n');
}

/// The type of a setting in words.
fn kind(property: &Value) -> String {
    if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return format!("[{name}](#{})", name.to_ascii_lowercase());
    }
    if let Some(choices) = property.get("anyOf").and_then(Value::as_array) {
        let mut kinds: Vec<String> = Vec::new();
        for choice in choices {
            let kind = kind(choice);
            if kind != "nothing" && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        return kinds.join(" or ");
    }
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        let values = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`"));
        return values.collect::<Vec<_>>().join(" or ");
    }
    let types: Vec<&str> = match property.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => return "any value".to_owned(),
    };
    let words = types.iter().filter(|name| **name != "null").map(|name| match *name {
        "string" => "text".to_owned(),
        "integer" | "number" => "number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => match property.get("items") {
            Some(items) => format!("list of {}", kind(items)),
            None => "list".to_owned(),
        },
        "object" => match property.get("additionalProperties") {
            Some(Value::Object(_)) => {
                format!("by name: {}", kind(&property["additionalProperties"]))
            }
            Some(_) | None if property.get("properties").is_some() => fields(property),
            Some(_) | None => "values by name".to_owned(),
        },
        other => other.to_owned(),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" or ") }
}

fn fields(property: &Value) -> String {
    let names = property.get("properties").and_then(Value::as_object);
    let names: Vec<&str> =
        names.map(|names| names.keys().map(String::as_str).collect()).unwrap_or_default();
    format!("`{{ {} }}`", names.join(", "))
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_page_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page(), "docs/configuration.md is out of date: run with UPDATE=1");
    }

    #[test]
    fn the_shipped_schemas_are_what_the_types_say() {
        for (of, file) in [
            (Written::Inventory, "inventory.schema.json"),
            (Written::Config, "configs/greenlight.schema.json"),
        ] {
            let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, schema::text(of)).unwrap();
            }
            let written = std::fs::read_to_string(path).unwrap_or_default();
            assert!(written == schema::text(of), "{file} is out of date: run with UPDATE=1");
        }
    }
}
