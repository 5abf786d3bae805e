//! What the clients of the simulation ask for.

use crate::world::World;
use crossbar_cluster::wamp::{Id, Message};
use crossbar_cluster::wire::{Dict, Payload, Value};

impl World {
    pub(crate) fn subscribe(&mut self, client: usize, topic: &str, options: Dict) -> Id {
        let request = self.clients[client].request();
        self.send(client, Message::Subscribe { request, options, topic: topic.to_owned() });
        request
    }

    pub(crate) fn unsubscribe(&mut self, client: usize, subscription: Id) {
        let request = self.clients[client].request();
        self.send(client, Message::Unsubscribe { request, subscription, options: Dict::new() });
    }

    pub(crate) fn register(&mut self, client: usize, procedure: &str, options: Dict) -> Id {
        let request = self.clients[client].request();
        self.send(client, Message::Register { request, options, procedure: procedure.to_owned() });
        request
    }

    pub(crate) fn unregister(&mut self, client: usize, registration: Id) {
        let request = self.clients[client].request();
        self.send(client, Message::Unregister { request, registration, options: Dict::new() });
    }

    pub(crate) fn publish(&mut self, client: usize, topic: &str, options: Dict, args: Vec<Value>) -> Id {
        let request = self.clients[client].request();
        let payload = Payload::from_values(args, Dict::new());
        self.send(client, Message::Publish { request, options, topic: topic.to_owned(), payload });
        request
    }

    pub(crate) fn call(&mut self, client: usize, procedure: &str, options: Dict, args: Vec<Value>) -> Id {
        self.call_with(client, procedure, options, args, Dict::new())
    }

    pub(crate) fn call_with(
        &mut self,
        client: usize,
        procedure: &str,
        options: Dict,
        args: Vec<Value>,
        kwargs: Dict,
    ) -> Id {
        let request = self.clients[client].request();
        let payload = Payload::from_values(args, kwargs);
        self.send(client, Message::Call { request, options, procedure: procedure.to_owned(), payload });
        request
    }

    pub(crate) fn cancel(&mut self, client: usize, request: Id, mode: &str) {
        self.send(client, Message::Cancel { request, options: Dict::new().with("mode", mode) });
    }

    /// Subscribes and waits for SUBSCRIBED. Gives the subscription.
    pub(crate) fn subscribed(&mut self, client: usize, topic: &str, policy: &str) -> Id {
        let request = self.subscribe(client, topic, Dict::new().with("match", policy));
        self.run(1_000);
        match self.clients[client].answers(request)[..] {
            [Message::Subscribed { subscription, .. }] => *subscription,
            ref other => panic!("expected SUBSCRIBED, got {other:?}"),
        }
    }

    /// Registers and waits for REGISTERED. Gives the registration.
    pub(crate) fn registered(&mut self, client: usize, procedure: &str, options: Dict) -> Id {
        let request = self.register(client, procedure, options);
        self.run(1_000);
        match self.clients[client].answers(request)[..] {
            [Message::Registered { registration, .. }] => *registration,
            ref other => panic!("expected REGISTERED, got {other:?}"),
        }
    }

    /// The one answer to a request, once it has come.
    pub(crate) fn answer(&mut self, client: usize, request: Id) -> Message {
        for _ in 0..100 {
            if !self.clients[client].answers(request).is_empty() {
                break;
            }
            self.run(100);
        }
        let finals = |message: &&&Message| !matches!(message, Message::Result { details, .. } if details.bool("progress") == Some(true));
        let answers = self.clients[client].answers(request);
        let answers: Vec<&&Message> = answers.iter().filter(finals).collect();
        match answers[..] {
            [answer] => (*answer).clone(),
            ref other => panic!("expected one answer, got {other:?}"),
        }
    }

    /// What a call gives: the arguments of the RESULT or the URI of the ERROR.
    pub(crate) fn called(&mut self, client: usize, procedure: &str, args: Vec<Value>) -> Result<Vec<Value>, String> {
        self.called_with(client, procedure, args, Dict::new())
    }

    pub(crate) fn called_with(
        &mut self,
        client: usize,
        procedure: &str,
        args: Vec<Value>,
        kwargs: Dict,
    ) -> Result<Vec<Value>, String> {
        let request = self.call_with(client, procedure, Dict::new(), args, kwargs);
        outcome(self.answer(client, request))
    }
}

pub(crate) fn outcome(answer: Message) -> Result<Vec<Value>, String> {
    match answer {
        Message::Result { payload, .. } => Ok(payload.args().expect("the router's arguments can be read")),
        Message::Error { error, .. } => Err(error),
        other => panic!("{other:?} does not answer a CALL"),
    }
}
