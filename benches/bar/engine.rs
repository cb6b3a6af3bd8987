//! Our TFTP engine alone: it serves files from memory, without identity, rendering and durability,
//! which none of the peers has.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use greenlight::clock::Clock;
use greenlight::config::meant;
use greenlight::servers::files::Files;
use greenlight::servers::tftp;
use greenlight::service::serving::{Artifact, Ask, Refusal};
use tokio::sync::watch;

use super::servers::{FILES, content};

/// Serves forever.
pub fn serve(port: u16) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(forever(port));
}

async fn forever(port: u16) {
    let config = meant::Tftp {
        listen: vec![meant::Listen {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            interface: None,
        }],
        transfers_max: 4096,
        block_bytes_max: 1468,
        window_blocks_max: 16,
        timeout: Duration::from_secs(2),
        retries_max: 6,
        single_port: false,
        uploads: None,
    };
    let files: Vec<(&str, Arc<[u8]>)> =
        FILES.iter().map(|(name, bytes)| (*name, content(*bytes).into())).collect();
    let artifact = move |ask: Ask| {
        let file = files.iter().find(|(name, _)| *name == ask.name);
        let content = file.map(|(_, content)| content.clone());
        let refusal = Refusal::NotFound { why: "no such file".to_owned() };
        let answer = content.ok_or(refusal).map(|content| Artifact {
            device: "d".to_owned(),
            content,
            sha256: String::new(),
        });
        std::future::ready(answer)
    };
    let files = Files::new(artifact, |_| std::future::ready(()));
    let sockets = tftp::bind(&config).expect("the port is free");
    let (_stay, shutdown) = watch::channel(false);
    tftp::serve(sockets, config, files, Clock::System, shutdown).await;
}
