//! We call them: people and systems that are told. Each outlet drains its rows of the outbox.

pub mod hook;
pub mod slack;
