//! We call them: people and systems that are told. Each outlet drains its rows of the outbox.

mod call;
pub mod hook;
pub mod slack;

#[cfg(test)]
mod wire;
