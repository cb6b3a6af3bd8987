//! The command-line dialogue with a device, as a machine: bytes and time in, keystrokes and answers out.
