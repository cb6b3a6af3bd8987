//! A small HTTP/1.1 server for the tests of the outlets: it hears one request a connection and
//! answers, or hangs up.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A parameter of a form, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let form = String::from_utf8(self.body.clone()).unwrap();
        let url = reqwest::Url::parse(&format!("http://x/?{form}")).unwrap();
        url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// What is answered.
pub(crate) enum Said {
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    HangUp,
}

impl Said {
    pub fn text(status: u16, body: &str) -> Self {
        Said::Answer { status, headers: Vec::new(), body: body.to_owned() }
    }
}

pub(crate) type Handler = Arc<dyn Fn(Heard) -> Said + Send + Sync>;

/// Serves until the runtime ends.
pub(crate) async fn serve(handler: Handler) -> SocketAddr {
    serve_at("127.0.0.1:0".parse().unwrap(), handler).await
}

pub(crate) async fn serve_at(address: SocketAddr, handler: Handler) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(one(stream, handler.clone()));
        }
    });
    address
}

async fn one(mut stream: TcpStream, handler: Handler) {
    let Some(heard) = read(&mut stream).await else { return };
    if let Said::Answer { status, headers, body } = handler(heard) {
        let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut heard = Heard { method, target, headers, body: bytes[head_end + 4..].to_vec() };
    let length = heard.header("content-length").map_or(0, |text| text.parse().unwrap());
    while heard.body.len() < length {
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        heard.body.extend_from_slice(&chunk[..count]);
    }
    Some(heard)
}
