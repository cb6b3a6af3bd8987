//! The running configuration against the rendered one.
