//! The plan: which devices, where, with what, next to whom. `written` reads `inventory.yaml` and
//! keeps every place, `resolve` turns it into `meant` or into complaints. No file is opened here.

pub mod cables;
pub mod meant;
pub mod resolve;
pub mod written;
