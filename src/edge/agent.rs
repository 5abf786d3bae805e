//! HAProxy's agent check: whoever connects is told in one line whether this node wants clients, and how much room it
//! has. So a drain reaches the load balancer by itself.

use crate::router::shard::Shard;
use crate::transport::listener::Listener;
use crate::transport::stream::Socket;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Answers for ever.
pub(super) async fn run_agent(shard: Rc<RefCell<Shard>>, listener: Listener) {
    loop {
        let (socket, _) = listener.accept().await;
        let line = answer(&mut shard.borrow_mut());
        tokio::task::spawn_local(async move {
            // A balancer that does not take the line asks again.
            let _ = tokio::time::timeout(ANSWER_MAX, write(socket, line)).await;
        });
    }
}

async fn write(mut socket: Socket, line: String) -> std::io::Result<()> {
    socket.write_all(line.as_bytes()).await?;
    socket.shutdown().await
}

fn answer(shard: &mut Shard) -> String {
    let uptime = shard.now().uptime;
    let room = (!shard.is_draining && !shard.is_joining).then(|| room(shard));
    shard.balancer.get_or_insert_default().answer(uptime, room)
}

/// How much of what this node can take is free, in percent: on the listener for clients that is fullest, or of the
/// descriptors that clients may have.
fn room(shard: &Shard) -> u32 {
    let clients = shard.listeners.iter().filter(|listener| !listener.is_mesh);
    let listeners =
        clients.map(|listener| free(listener.crowd.borrow().n_connections(), listener.limits().connections_max));
    listeners.chain([free(shard.n_client_connections(), shard.clients_max())]).min().unwrap_or(100)
}

fn free(used: usize, max: usize) -> u32 {
    let free = max.saturating_sub(used).saturating_mul(100).div_ceil(max.max(1));
    u32::try_from(free).unwrap_or(100)
}

/// A balancer takes one line at once.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_is_free() {
        assert_eq!(free(0, 1_000), 100);
        assert_eq!(free(10, 1_000), 99);
        assert_eq!(free(999, 1_000), 1);
        assert_eq!(free(1_000, 1_000), 0);
        assert_eq!(free(2_000, 1_000), 0);
        assert_eq!(free(0, 0), 0);
    }
}
