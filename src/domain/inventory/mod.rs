//! The plan: which devices, where, with what, next to whom.

pub mod meant;
