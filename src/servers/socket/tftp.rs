//! Sockets for TFTP: batches, the address that was asked, the pool of transfer ports.
