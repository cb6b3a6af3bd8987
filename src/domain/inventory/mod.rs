//! The plan: which devices, where, with what, next to whom. `written` reads `inventory.yaml` and
//! keeps every place, `parts` does so for a long
//! text piece by piece, `resolve` turns it into `meant` or into complaints. No file is opened here.

pub mod access;
mod addresses;
pub mod cables;
pub mod expected;
pub mod expected_written;
pub mod expecting;
pub mod meant;
pub mod parts;
pub mod resolve;
pub mod software;
pub mod software_written;
pub mod written;
