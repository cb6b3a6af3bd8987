//! Simulated devices: real DHCP, TFTP and SSH over sockets, with faults on demand. The demo, and
//! the other side of the tests.
