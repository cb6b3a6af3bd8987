//! What is true, and what follows from it. Pure: no await, no socket, no file, no clock, no chance.

pub mod check;
pub mod compare;
pub mod fault;
pub mod inventory;
pub mod notice;
pub mod run;
pub mod template;
