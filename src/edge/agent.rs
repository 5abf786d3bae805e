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
        let line = answer(&shard.borrow());
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

fn answer(shard: &Shard) -> String {
    let connections: usize = shard.listeners.iter().map(|listener| listener.connections.get()).sum();
    let connections_max: usize = shard.listeners.iter().map(|listener| listener.limits().connections_max).sum();
    let descriptors_max = usize::try_from(shard.node.descriptors_max).unwrap_or(usize::MAX);
    line(shard.is_draining, connections, connections_max.min(descriptors_max))
}

/// What the balancer is told. `ready` takes back an earlier `drain`.
fn line(is_draining: bool, connections: usize, connections_max: usize) -> String {
    if is_draining {
        return "drain\n".to_owned();
    }
    // In steps, so that the weights of nodes that are far from full are equal and only their connections count. A
    // weight of zero would be a drain.
    let tenths = (connections_max.saturating_sub(connections) * 10).div_ceil(connections_max.max(1));
    format!("ready up {}%\n", (tenths * 10).max(1))
}

/// A balancer takes one line at once.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_follows_the_room_that_is_left() {
        assert_eq!(line(false, 0, 1_000), "ready up 100%\n");
        assert_eq!(line(false, 99, 1_000), "ready up 100%\n");
        assert_eq!(line(false, 250, 1_000), "ready up 80%\n");
        assert_eq!(line(false, 2_000, 1_000), "ready up 1%\n");
        assert_eq!(line(false, 0, 0), "ready up 1%\n");
        assert_eq!(line(true, 0, 1_000), "drain\n");
    }
}
