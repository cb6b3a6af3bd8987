//! JSON Schemas of the files an operator writes, from the written types.

use serde_json::Value;

use crate::config::written::WrittenConfig;
use crate::domain::inventory::written::WrittenInventory;
use crate::faces::cli::Written;

/// The schema as a value.
pub fn value(of: Written) -> Value {
    let schema = match of {
        Written::Inventory => schemars::schema_for!(WrittenInventory),
        Written::Config => schemars::schema_for!(WrittenConfig),
    };
    schema.to_value()
}

/// The schema as it is printed and shipped.
pub fn text(of: Written) -> String {
    let mut text = serde_json::to_string_pretty(&value(of)).expect("a schema is plain JSON");
    text.push('\n');
    text
}
