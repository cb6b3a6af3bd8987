//! Which address a client gets.
