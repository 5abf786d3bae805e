//! Just enough HTTP/1.1 to look at pages and to open a WebSocket.

use super::io::{Endpoint, Io};
use std::io::{Read, Write};

/// A response, and what came behind its head.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

/// `GET path`, with further header lines; the connection is closed afterwards.
pub fn fetch(endpoint: &Endpoint, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut io = endpoint.connect();
    request(&mut io, path, &[headers, &[("Connection", "close")]].concat());
    let mut response = read_head(&mut io).expect("a response");
    response.body.extend(io.read_to_close());
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = unchunk(&response.body);
    }
    response
}

pub fn request(io: &mut Io, path: &str, headers: &[(&str, &str)]) {
    let mut text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    io.write_all(text.as_bytes()).expect("the request can be sent");
}

/// Reads the head of a response; `body` is what has arrived behind it. None when the connection was closed instead.
pub fn read_head(io: &mut Io) -> Option<Response> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
            return Some(Response { status, head, body: bytes[end + 4..].to_vec() });
        }
        match io.read(&mut buffer) {
            Ok(0) => return None,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if super::io::is_closed(&error) => return None,
            Err(error) => panic!("no response: {error}, after {:?}", bytes.escape_ascii().to_string()),
        }
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").expect("a chunk begins with its length");
        let length = std::str::from_utf8(&rest[..end]).expect("hex digits");
        let length = usize::from_str_radix(length.trim(), 16).expect("hex digits");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
}
