//! Listening sockets that outlive the process: what ends in good order leaves them with the service manager, and what
//! is started next finds them there, with the connections that came meanwhile waiting in them. So a restart refuses
//! nobody, while the ports of a node that was killed are closed like those of any dead program, and load balancers
//! look elsewhere.

use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The sockets that the service manager has passed (`LISTEN_FDS`): kept over a restart, or of a socket unit.
#[derive(Debug, Default)]
pub struct Inherited(Vec<TcpListener>);

impl Inherited {
    /// Takes what was passed to this process, once. What is no TCP socket is left alone.
    pub fn take_all() -> Inherited {
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).filter_map(|n| match passed.take_tcp_listener(n) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "the service manager has passed something else than a TCP socket");
                None
            }
        });
        Inherited(sockets.collect())
    }

    /// The socket that is bound to this address, if there is one.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.0.iter().position(|socket| socket.local_addr().is_ok_and(|bound| bound == address))?;
        Some(self.0.swap_remove(at))
    }

    /// What was not taken is closed, and the service manager keeps none of them any longer: from here on the ports are
    /// open exactly as long as this process lives.
    pub fn finish(self) {
        let unused: Vec<String> =
            self.0.iter().filter_map(|socket| Some(socket.local_addr().ok()?.to_string())).collect();
        if !unused.is_empty() {
            tracing::info!(addresses = unused.join(", "), "sockets that are not configured any more are closed");
        }
        notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(STORE_NAME)], &[]);
    }
}

/// The sockets that this process listens on, as far as they can be left behind: those of TCP. Empty without a service
/// manager, where a second descriptor would only keep ports open for nobody.
#[derive(Debug, Default)]
pub struct Handover(Vec<OwnedFd>);

impl Handover {
    /// Notes a socket.
    pub fn add(&mut self, socket: &impl AsFd) -> io::Result<()> {
        if has_manager() {
            self.0.push(socket.as_fd().try_clone_to_owned()?);
        }
        Ok(())
    }

    /// Leaves the sockets with the service manager. It gives them to the process that a restart starts, and closes them
    /// when there is none. Whether there is anything to go on accepting for.
    pub fn leave(&mut self) -> bool {
        let sockets = std::mem::take(&mut self.0);
        let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        !descriptors.is_empty() && notify(&[NotifyState::FdStore, NotifyState::FdName(STORE_NAME)], &descriptors)
    }
}

fn has_manager() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Whether the service manager was told; without one there is nobody to tell.
fn notify(states: &[NotifyState<'_>], descriptors: &[BorrowedFd<'_>]) -> bool {
    match sd_notify::notify_with_fds(states, descriptors) {
        Ok(()) => has_manager(),
        Err(error) => {
            tracing::warn!(%error, "systemd was not reached");
            false
        }
    }
}

/// One name for all: they are told apart by their addresses.
const STORE_NAME: &str = "listen";
