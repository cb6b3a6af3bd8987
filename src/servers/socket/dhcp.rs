//! Sockets for DHCP: one per interface, broadcast, the interface of arrival.
