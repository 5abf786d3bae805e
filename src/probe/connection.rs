//! One session of a client and its life: it is opened, subscribes, listens, and is opened again when it is lost.

use super::client::Client;
use super::clock::monotonic_ns;
use super::incoming::Listening;
use super::lines::{self, Counted};
use super::link::{Link, Lost, decode};
use super::publishing::{PROCEDURES, Publisher, TOPIC, make_again};
use super::state::{Pending, State};
use crate::transport::connect::Url;
use crate::wamp::Message;
use crate::wire::{Dict, Payload};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

/// One session of a client process.
pub(super) struct Connection {
    // Static after construction.
    pub client: Rc<Client>,
    /// `publisher0.3`
    pub name: String,
    pub url: Url,
    // Changed by the connection's own task and its publishing loops, never across an await.
    pub state: RefCell<State>,
    is_leaving: Cell<bool>,
    /// What the last line of this session said.
    said: Cell<Counted>,
    /// The session was opened or lost, or a publishing loop has all of its answers.
    pub changed: Notify,
}

impl Connection {
    pub(super) fn new(client: Rc<Client>, name: String, url: Url, publishers: Vec<Publisher>) -> Connection {
        let state = State::new(&client.settings, publishers);
        Connection {
            client,
            name,
            url,
            state: RefCell::new(state),
            is_leaving: Cell::new(false),
            said: Cell::default(),
            changed: Notify::new(),
        }
    }

    /// Keeps the session open until it is told to leave.
    pub(super) async fn run(self: Rc<Connection>) {
        let mut attempts = 0;
        while !self.is_leaving.get() {
            attempts += 1;
            match Link::open(&self.url, &self.client.settings.realm, OPENING_BUFFER_BYTES).await {
                Ok(link) => {
                    self.open(link, attempts);
                    let lost = self.listen().await;
                    self.lose(&lost);
                    attempts = 0;
                }
                Err(error) => self.client.note_failure(&self.name, &error.to_string()),
            }
            if !self.is_leaving.get() {
                // Full jitter: those that were lost together do not come back together.
                let ceiling = BACKOFF_MIN.saturating_mul(1 << attempts.min(BACKOFF_DOUBLINGS_MAX)).min(BACKOFF_MAX);
                tokio::time::sleep(ceiling.mul_f64(rand::random())).await;
            }
        }
    }

    /// Says goodbye; the task ends when the router has answered, or at once when the session is lost anyway.
    pub(super) fn leave(&self) {
        self.is_leaving.set(true);
        if let Some(link) = &mut self.state.borrow_mut().link {
            link.out.goodbye();
            // If it cannot be written, the reader finds out.
            let _ = link.flush();
        }
    }

    /// What this session has to say of the last period.
    pub(super) fn lines_of_period(&self, seconds: f64) -> Vec<String> {
        let now = self.state.borrow().counted();
        let since = now.since(&self.said.replace(now));
        let mut lines = vec![lines::events(&self.name, &since, seconds)];
        if since.calls_issued > 0 {
            lines.push(lines::calls(&self.name, &since, seconds));
        }
        lines
    }

    /// Welcome: subscribes, and asks who can be called.
    fn open(&self, mut link: Link, attempts: u32) {
        let client = &self.client;
        let (session, details) = (link.welcome.session, &link.welcome.details);
        client.say(|| lines::connected(&self.name, &client.batch, &client.settings.realm, session, details));
        let mut state = self.state.borrow_mut();
        let request = link.out.request();
        let options = Dict::new().with("match", "exact");
        link.out.send(&Message::Subscribe { request, options, topic: TOPIC.to_owned() });
        state.pending.insert(request, Pending::Subscribe);
        for procedure in PROCEDURES {
            let request = link.out.request();
            let payload = Payload::from_values(vec![procedure.into()], Dict::new());
            let lookup = "wamp.registration.lookup".to_owned();
            link.out.send(&Message::Call { request, options: Dict::new(), procedure: lookup, payload });
            state.pending.insert(request, Pending::Lookup(procedure));
        }
        // If it cannot be written, the reader finds out.
        let _ = link.flush();
        state.open(link, attempts);
    }

    /// Hears what there is to hear until the session is lost.
    async fn listen(&self) -> Lost {
        loop {
            let ready = poll_fn(|cx| match &mut self.state.borrow_mut().link {
                Some(link) => link.poll_ready(cx),
                None => Poll::Ready(Ok(())),
            });
            if let Err(error) = ready.await {
                return error.into();
            }
            if let Err(lost) = self.read() {
                return lost;
            }
        }
    }

    /// Takes what has arrived.
    fn read(&self) -> Result<(), Lost> {
        let client = &*self.client;
        let mut state = self.state.borrow_mut();
        let was_open = state.is_open();
        let mut is_changed = false;
        let read = {
            let (mut buffer, mut latencies) = (client.buffer.borrow_mut(), client.latencies.borrow_mut());
            let mut cx = Listening::now(&client.filling, &mut latencies);
            let Some(mut link) = state.link.take() else { return Err(Lost::new("wamp.close.transport_lost")) };
            let read = link.read(&mut buffer, |out, bytes| {
                if state.heard.hear(&mut cx, bytes)? {
                    return Ok(());
                }
                is_changed = true;
                state.handle_message(out, decode(bytes)?, cx.now_ns)
            });
            state.link = Some(link);
            read
        };
        if !was_open && state.is_open() {
            client.say(|| lines::ready(&self.name, &client.settings));
            make_again(&mut state);
        }
        if is_changed {
            self.changed.notify_waiters();
        }
        read
    }

    /// The session is over. What it had asked will not be answered any more.
    fn lose(&self, lost: &Lost) {
        let mut state = self.state.borrow_mut();
        self.client.say(|| lines::leaving(&self.name, &lost.reason));
        if let Some(mut link) = state.link.take() {
            // The answer to the router's own GOODBYE may still be waiting.
            let _ = link.flush();
            link.shutdown();
            if !self.is_leaving.get() {
                let at = self.client.seconds_since_start();
                state.lose(&self.name, at, link.node(), &lost.reason, monotonic_ns());
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// What is read into before WELCOME.
const OPENING_BUFFER_BYTES: usize = 4 << 10;
/// The first attempt to come back waits at most twice this long.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// No attempt waits longer: an edge that is back is to be used within two seconds.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
const BACKOFF_DOUBLINGS_MAX: u32 = 10;
