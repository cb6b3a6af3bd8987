//! Simulated devices: real DHCP, TFTP and SSH over sockets, with faults on demand. The demo, and
//! the other side of the tests.
//!
//! [`cabling`] says who is plugged where, [`chassis`] what a box is, [`running`] how it keeps its
//! configuration, [`inside`] what it knows at this moment and [`cli`] how it answers.
//! No judgement about Greenlight stands here: a device only behaves.

pub mod cabling;
pub mod chassis;
pub mod cli;
pub mod device;
pub mod diary;
pub mod flash;
pub mod hands;
pub mod inside;
pub mod running;
