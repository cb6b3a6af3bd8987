//! What the operator asked of us: `greenlight.yaml` as written and as meant.

pub mod meant;
