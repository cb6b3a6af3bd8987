//! Hand-off by HTTP request or command.
