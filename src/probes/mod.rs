//! We call them: visits to devices.

pub mod ssh;
