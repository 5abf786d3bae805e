//! The callee of the original: one procedure per node's container, which returns the fingerprint of the payload that it
//! was called with. Any number of them share a procedure, and the router chooses at random.

use super::clock::timestamp;
use super::link::{Link, Lost, Outgoing, decode};
use super::publishing::fingerprint;
use super::settings::Settings;
use crate::admin::stdout::print;
use crate::transport::connect::Url;
use crate::wamp::Message;
use crate::wire::{Dict, Payload, Value};
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};

/// Serves the procedures of these containers (`node1.container1`) at the first URL until SIGINT or SIGTERM.
pub fn run_backend(settings: &Settings, containers: &[String]) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let urls = settings.urls.iter().map(|url| url.parse()).collect::<Result<Vec<Url>, _>>()?;
        for index in 0..settings.sessions_per_client() {
            let url = urls[index % urls.len()].clone();
            let backend = Backend { url, realm: settings.realm.clone(), containers: containers.to_vec() };
            tokio::task::spawn_local(backend.run());
        }
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

/// One session that can be called.
struct Backend {
    url: Url,
    realm: String,
    containers: Vec<String>,
}

/// Prints a line with the time. A backend goes on serving where nobody reads it.
fn say(text: &str) {
    let _ = print(format!("{} {text}\n", timestamp()));
}

impl Backend {
    /// Serves, and comes back whenever the session is lost.
    async fn run(self) {
        loop {
            let failure = match self.serve().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            say(&format!("Backend at {}: {failure}", self.url));
            tokio::time::sleep(RETRY_MAX.mul_f64(rand::random())).await;
        }
    }

    async fn serve(&self) -> anyhow::Result<std::convert::Infallible> {
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut link = Link::open(&self.url, &self.realm, buffer.len()).await?;
        let mut procedures = Vec::new();
        for container in &self.containers {
            let procedure = format!("{container}.proc1");
            let request = link.out.request();
            let options = Dict::new().with("match", "exact").with("invoke", "random");
            link.out.send(&Message::Register { request, options, procedure: procedure.clone() });
            procedures.push(Registration { request, procedure, container: container.clone(), id: 0 });
        }
        link.flush()?;
        loop {
            link.ready().await?;
            link.read(&mut buffer, |out, bytes| self.handle_message(out, &mut procedures, decode(bytes)?))?;
        }
    }

    fn handle_message(
        &self,
        out: &mut Outgoing,
        procedures: &mut [Registration],
        message: Message,
    ) -> Result<(), Lost> {
        match message {
            Message::Registered { request, registration } => {
                if let Some(procedure) = procedures.iter_mut().find(|procedure| procedure.request == request) {
                    procedure.id = registration;
                    say(&format!("Backend procedure registered at {}", procedure.procedure));
                }
                Ok(())
            }
            Message::Invocation { request, registration, payload, .. } => {
                let container = procedures.iter().find(|procedure| procedure.id == registration);
                let container = container.map_or("", |procedure| procedure.container.as_str());
                out.send(&self.answer(request, container, &payload));
                Ok(())
            }
            Message::Goodbye { reason, .. } => {
                out.agree_to_goodbye();
                Err(Lost::new(reason))
            }
            Message::Error { error, .. } => Err(Lost::new(error)),
            _ => Ok(()),
        }
    }

    /// As the original: one list of fingerprint, process, container and URL.
    fn answer(&self, request: u64, container: &str, payload: &Payload) -> Message {
        let args = payload.args().unwrap_or_default();
        let result = vec![
            Value::Bytes(fingerprint(args.last())),
            std::process::id().into(),
            container.into(),
            self.url.to_string().into(),
        ];
        let payload = Payload::from_values(vec![result.into()], Dict::new());
        Message::Yield { request, options: Dict::new(), payload }
    }
}

/// One procedure that was registered.
struct Registration {
    request: u64,
    procedure: String,
    container: String,
    /// 0 before REGISTERED.
    id: u64,
}

const READ_BUFFER_BYTES: usize = 64 << 10;
const RETRY_MAX: Duration = Duration::from_secs(1);
