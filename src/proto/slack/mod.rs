//! What Slack is told and what it answers, as bytes: payloads, sizes, escapes, refusals and speed.
//! No connection is here: `outlets/slack` has it.

pub mod answer;
pub mod message;
pub mod pacing;
pub mod text;
