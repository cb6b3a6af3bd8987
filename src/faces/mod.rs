//! They call us: the command line. A face translates; it never decides.

pub mod cli;
pub mod control;
