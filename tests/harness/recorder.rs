//! Somebody between two programs who passes everything on and keeps a copy.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens as long as the test runs.
pub struct Recorder {
    /// Where it listens.
    pub address: String,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// Passes on what comes to and from this address.
    pub fn start(to: &str) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (seen, to) = (Arc::<Mutex<Vec<u8>>>::default(), to.to_owned());
        let all = seen.clone();
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                // A connection that is not taken on is closed.
                let Ok(far) = TcpStream::connect(&to) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let seen = all.clone();
                    std::thread::spawn(move || pass_on(from, to, &seen));
                }
            }
        });
        Recorder { address, seen }
    }

    /// Everything so far, of all connections and both directions.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, seen: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1 << 16];
    while let Ok(n) = from.read(&mut buffer) {
        seen.lock().expect("nobody panics with it").extend_from_slice(&buffer[..n]);
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
