//! The whole terminal for one live picture: the alternate screen, no cursor, keys without Enter; all of it put back at
//! the end.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, IsTerminal, Read, Write};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A terminal that was taken over.
#[derive(Debug)]
pub(super) struct Screen {
    /// How its keys were before; None where standard input is no terminal.
    before: Option<Termios>,
    keys: UnboundedReceiver<u8>,
}

impl Screen {
    /// Takes over the terminal.
    pub(super) fn open() -> io::Result<Screen> {
        let before = io::stdin().is_terminal().then(|| tcgetattr(io::stdin())).transpose()?;
        let (sender, keys) = unbounded_channel();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
            // A read cannot be given up, so that it must not be one that the runtime waits for.
            std::thread::spawn(move || {
                for key in io::stdin().lock().bytes().map_while(Result::ok) {
                    if sender.send(key).is_err() {
                        return;
                    }
                }
            });
        }
        let screen = Screen { before, keys };
        write(ENTER)?;
        Ok(screen)
    }

    /// Shows these lines, as far as they fit.
    pub(super) fn show(&self, text: &str) -> io::Result<()> {
        let (rows, columns) = size();
        let mut out = String::from(HOME);
        for (n, line) in text.lines().take(rows).enumerate() {
            if n > 0 {
                out.push('\n');
            }
            out.extend(line.chars().take(columns));
            out.push_str(REST_OF_LINE);
        }
        out.push_str(REST_OF_SCREEN);
        write(&out)
    }

    /// Waits until `q` is pressed; for ever where there are no keys.
    pub(super) async fn quit(&mut self) {
        loop {
            match self.keys.recv().await {
                Some(b'q' | b'Q') => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing put back.
        let _ = write(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";
