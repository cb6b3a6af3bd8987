//! At which URLs do devices reach our files?

use std::net::{IpAddr, SocketAddr};

use crate::config::meant::{Config, Listen};

/// The port of HTTP that a URL leaves out (RFC 9110 section 4.2.1).
const HTTP_PORT: u16 = 80;

/// Where files are served, each with its last slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// `http://192.0.2.2:8080/`.
    pub http: Option<String>,
    /// `tftp://192.0.2.2/`. Without a port: devices know but one.
    pub tftp: Option<String>,
}

impl Reach {
    /// By HTTP where it is served, otherwise by TFTP.
    pub fn best(&self) -> Option<&str> {
        self.http.as_deref().or(self.tftp.as_deref())
    }
}

impl Config {
    /// The URLs as this configuration says them; `http_port` is the one really listened at, where
    /// that is known. Nothing where no address of ours is written.
    pub fn reach(&self, http_port: Option<u16>) -> Reach {
        let Some(address) = self.own_address() else { return Reach::default() };
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let listen = self.http.as_ref().and_then(|http| http.listen.first());
        let http = listen.map(|listen| match http_port.unwrap_or(listen.address.port()) {
            HTTP_PORT => format!("http://{host}/"),
            port => format!("http://{host}:{port}/"),
        });
        Reach { http, tftp: self.tftp.as_ref().map(|_| format!("tftp://{host}/")) }
    }

    /// The address that DHCP tells devices, or else one at which files are served.
    fn own_address(&self) -> Option<IpAddr> {
        let dhcp = self.dhcp.as_ref().map(|dhcp| IpAddr::V4(dhcp.server_address));
        let dhcp6 = self.dhcp6.as_ref().map(|dhcp6| IpAddr::V6(dhcp6.server_address));
        let http = self.http.as_ref().map(|http| &http.listen);
        let tftp = self.tftp.as_ref().map(|tftp| &tftp.listen);
        let named = |listen: &Vec<Listen>| {
            let addresses = listen.iter().map(|listen| listen.address);
            addresses.map(|address: SocketAddr| address.ip()).find(|ip| !ip.is_unspecified())
        };
        dhcp.or(dhcp6).or_else(|| http.and_then(named)).or_else(|| tftp.and_then(named))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::resolve::configure;

    fn reach(text: &str, port: Option<u16>) -> Reach {
        configure("greenlight.yaml", text, Path::new("/x")).0.reach(port)
    }

    #[test]
    fn files_are_where_dhcp_says_that_we_are() {
        let dhcp = "dhcp: { server_address: 192.0.2.2, pools: [{ subnet: 192.0.2.0/24 }] }\n";
        let both = format!("{dhcp}tftp: {{}}\nhttp: {{ listen: ['0.0.0.0:8080'] }}\n");
        let url = |text: &str| Some(text.to_owned());
        let found = reach(&both, None);
        assert_eq!(found.best(), Some("http://192.0.2.2:8080/"));
        assert_eq!(found.tftp, url("tftp://192.0.2.2/"));
        assert_eq!(reach(&both, Some(80)).http, url("http://192.0.2.2/"));
        let tftp = reach(&format!("{dhcp}tftp: {{}}\n"), None);
        assert_eq!(tftp.best(), Some("tftp://192.0.2.2/"));
    }

    #[test]
    fn without_dhcp_the_address_that_is_listened_at_is_told_or_none() {
        let one = "http: { listen: ['[2001:db8::2]:8080'] }\n";
        assert_eq!(reach(one, None).best(), Some("http://[2001:db8::2]:8080/"));
        assert_eq!(reach("http: { listen: ['0.0.0.0:80'] }\n", None), Reach::default());
    }
}
