//! Messages to bytes and back, from one table: which elements follow each code, and of which type they are.

use super::message::{Code, Message, code};
use super::{Id, options};
use crate::limits::ID_MAX;
use crate::wire::{Dict, Elements, Kind, Payload, Serializer, Value, WireError, Writer};

/// Why bytes are not a WAMP message. Always the peer's fault: an ABORT tells it the sentence and it loses its session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtocolError(pub String);

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For a client: all of the message in one serializer.
    Client(Serializer),
    /// For another node: the envelope in CBOR. In place of `Arguments` and `ArgumentsKw` stand the number of the
    /// serializer in which they came and, as one binary, the list of the two in that serializer.
    Link,
}

impl Form {
    /// The serializer of the envelope.
    pub const fn serializer(self) -> Serializer {
        match self {
            Form::Client(serializer) => serializer,
            Form::Link => Serializer::Cbor,
        }
    }
}

impl From<Serializer> for Form {
    fn from(serializer: Serializer) -> Form {
        Form::Client(serializer)
    }
}

/// Reads one message, with types, ids and known options checked.
pub fn decode(form: impl Into<Form>, bytes: &[u8], depth_max: usize) -> Result<Message, ProtocolError> {
    let form = form.into();
    let split = Elements::split(form.serializer(), bytes, depth_max);
    let elements = split.map_err(|error| ProtocolError(error.to_string()))?;
    if elements.is_empty() {
        return Err(ProtocolError("an empty list is no message".to_owned()));
    }
    let code = elements.uint(0).map_err(|error| ProtocolError(format!("the message type: {error}")))?;
    read(code, Envelope { form, elements, depth_max })
}

/// Appends one message to `out`. For a client, a payload of another serializer is transcoded.
pub fn encode(message: &Message, form: impl Into<Form>, out: &mut Vec<u8>) {
    write(message, form.into(), out);
}

/// Reads the list of a payload's elements that another node has sent, as `Payload::to_list` writes it, and checks every
/// byte of it. `is_passthru` allows one binary in place of the positional arguments.
pub fn read_payload(number: u64, list: &[u8], depth_max: usize, is_passthru: bool) -> Result<Payload, ProtocolError> {
    let serializer = Serializer::from_number(number);
    let serializer = serializer.ok_or_else(|| ProtocolError(format!("{number} is the number of no serializer")))?;
    let split = Elements::split(serializer, list, depth_max);
    let elements = split.map_err(|error| ProtocolError(format!("the arguments: {error}")))?;
    if elements.len() > 2 {
        return Err(ProtocolError(format!("{} arguments elements, at most 2", elements.len())));
    }
    let payload = payload_at(&elements, 0, is_passthru);
    payload.map_err(|(part, expected, got)| {
        ProtocolError(format!("{} must be {expected}, got {got}", part.unwrap_or("Arguments")))
    })
}

/// The table. Each line is a form of the specification: the elements after the code in their order, each with its type
/// and the word for it in error messages. A type is a method of `Reader`, a method of `Sink` and a function of `width`.
macro_rules! messages {
    ($($variant:ident = $code:ident [$($field:ident: $type:ident $label:literal),*];)*) => {
        fn read(code: Code, Envelope { form, elements, depth_max }: Envelope) -> Result<Message, ProtocolError> {
            match code {
                $(code::$code => {
                    let name = stringify!($code);
                    let mut reader = Reader { form, code, name, elements, depth_max, at: 1, passthru: false };
                    $(let $field = reader.$type($label)?;)*
                    reader.finish()?;
                    Ok(Message::$variant { $($field),* })
                })*
                _ => Err(ProtocolError(format!("{code} is not the type of any message"))),
            }
        }

        fn write(message: &Message, form: Form, out: &mut Vec<u8>) {
            match message {
                $(Message::$variant { $($field),* } => {
                    let elements = 1_usize$(.saturating_add(width::$type($field, form)))*;
                    let mut sink = Sink { form, writer: Writer::list(form.serializer(), elements, out) };
                    sink.writer.uint(code::$code);
                    $(sink.$type($field);)*
                    sink.writer.finish();
                })*
            }
        }
    };
}

messages! {
    Hello = HELLO [realm: string "Realm", details: dict "Details"];
    Welcome = WELCOME [session: id "Session", details: dict "Details"];
    Abort = ABORT [details: dict "Details", reason: string "Reason", payload: payload "Arguments"];
    Challenge = CHALLENGE [method: string "AuthMethod", extra: dict "Extra"];
    Authenticate = AUTHENTICATE [signature: string "Signature", extra: dict "Extra"];
    Goodbye = GOODBYE [details: dict "Details", reason: string "Reason"];
    Error = ERROR [
        request_type: request_type "Type", request: id "Request", details: dict "Details", error: string "Error",
        payload: payload "Arguments"
    ];
    Publish = PUBLISH [
        request: id "Request", options: dict "Options", topic: string "Topic", payload: payload "Arguments"
    ];
    Published = PUBLISHED [request: id "Request", publication: id "Publication"];
    Subscribe = SUBSCRIBE [request: id "Request", options: dict "Options", topic: string "Topic"];
    Subscribed = SUBSCRIBED [request: id "Request", subscription: id "Subscription"];
    Unsubscribe = UNSUBSCRIBE [
        request: id "Request", subscription: given_id "Subscription", options: dict_unless_empty "Options"
    ];
    Unsubscribed = UNSUBSCRIBED [request: id_or_zero "Request", details: dict_unless_empty "Details"];
    Event = EVENT [
        subscription: id "Subscription", publication: id "Publication", details: dict "Details",
        payload: payload "Arguments"
    ];
    Call = CALL [
        request: id "Request", options: dict "Options", procedure: string "Procedure", payload: payload "Arguments"
    ];
    Cancel = CANCEL [request: id "Request", options: dict "Options"];
    Result = RESULT [request: id "Request", details: dict "Details", payload: payload "Arguments"];
    Register = REGISTER [request: id "Request", options: dict "Options", procedure: string "Procedure"];
    Registered = REGISTERED [request: id "Request", registration: id "Registration"];
    Unregister = UNREGISTER [
        request: id "Request", registration: given_id "Registration", options: dict_unless_empty "Options"
    ];
    Unregistered = UNREGISTERED [request: id_or_zero "Request", details: dict_unless_empty "Details"];
    Invocation = INVOCATION [
        request: id "Request", registration: id "Registration", details: dict "Details", payload: payload "Arguments"
    ];
    Interrupt = INTERRUPT [request: id "Request", options: dict "Options"];
    Yield = YIELD [request: id "Request", options: dict "Options", payload: payload "Arguments"];
    EventReceived = EVENT_RECEIVED [publication: given_id "Publication"];
}

/// The elements of a message, and how they are to be read.
struct Envelope<'a> {
    form: Form,
    elements: Elements<'a>,
    depth_max: usize,
}

/// Reads the elements of one message in order, each as the type that the table says.
struct Reader<'a> {
    form: Form,
    code: Code,
    name: &'static str,
    elements: Elements<'a>,
    depth_max: usize,
    /// The element that is read next.
    at: usize,
    /// The options or details say that the application's payload is one opaque binary.
    passthru: bool,
}

impl Reader<'_> {
    fn id(&mut self, field: &str) -> Result<Id, ProtocolError> {
        let id = self.uint(field)?;
        if (1..=ID_MAX).contains(&id) { Ok(id) } else { Err(self.wrong(field, "an id from 1 to 2^53", id)) }
    }

    /// An id that this router gave out. Clients in JavaScript return a large one as a float.
    fn given_id(&mut self, field: &str) -> Result<Id, ProtocolError> {
        let whole = match self.elements.value(self.at) {
            Ok(value @ Value::Float(_)) => value.as_uint().filter(|id| (1..=ID_MAX).contains(id)),
            _ => None,
        };
        match whole {
            Some(id) => self.next(field).map(|_| id),
            None => self.id(field),
        }
    }

    /// A request that was answered, or 0 in a message that the router sends unasked.
    fn id_or_zero(&mut self, field: &str) -> Result<Id, ProtocolError> {
        let id = self.uint(field)?;
        if id <= ID_MAX { Ok(id) } else { Err(self.wrong(field, "an id up to 2^53", id)) }
    }

    /// The type of a request that can fail. Who may send which of them is the session's to say.
    fn request_type(&mut self, field: &str) -> Result<Code, ProtocolError> {
        let code = self.uint(field)?;
        if REQUEST_TYPES.contains(&code) { Ok(code) } else { Err(self.wrong(field, "the type of a request", code)) }
    }

    fn uint(&mut self, field: &str) -> Result<u64, ProtocolError> {
        let at = self.next(field)?;
        self.elements.uint(at).map_err(|error| self.mistyped(field, error))
    }

    fn string(&mut self, field: &str) -> Result<String, ProtocolError> {
        let at = self.next(field)?;
        self.elements.string(at).map_err(|error| self.mistyped(field, error))
    }

    fn dict(&mut self, field: &str) -> Result<Dict, ProtocolError> {
        let at = self.next(field)?;
        let dict = self.elements.dict(at, options::names()).map_err(|error| self.mistyped(field, error))?;
        options::check(self.code, &dict).map_err(|error| ProtocolError(format!("{}.{field}.{error}", self.name)))?;
        self.passthru = options::is_passthru(&dict);
        Ok(dict)
    }

    fn dict_unless_empty(&mut self, field: &str) -> Result<Dict, ProtocolError> {
        match self.elements.kind(self.at) {
            None => Ok(Dict::new()),
            Some(Kind::Null) => self.next(field).map(|_| Dict::new()),
            Some(_) => self.dict(field),
        }
    }

    /// Arguments and ArgumentsKw, each of which may be absent. Null is absent, too: clients in Go and others send it
    /// for what a call does not have.
    fn payload(&mut self, field: &str) -> Result<Payload, ProtocolError> {
        let at = self.at;
        self.at = self.elements.len().min(at.saturating_add(2));
        match self.form {
            Form::Client(_) => {
                let payload = payload_at(&self.elements, at, self.passthru);
                payload.map_err(|(part, expected, got)| self.wrong(part.unwrap_or(field), expected, got))
            }
            Form::Link if at == self.at => Ok(Payload::empty()),
            Form::Link => {
                let number = self.elements.uint(at).map_err(|error| self.mistyped(field, error))?;
                let list = self.elements.bytes(at.saturating_add(1)).map_err(|error| self.mistyped(field, error))?;
                read_payload(number, list, self.depth_max, self.passthru)
                    .map_err(|ProtocolError(what)| ProtocolError(format!("{}.{field}: {what}", self.name)))
            }
        }
    }

    fn finish(&self) -> Result<(), ProtocolError> {
        if self.at == self.elements.len() {
            return Ok(());
        }
        Err(ProtocolError(format!("{} has {} elements, at most {}", self.name, self.elements.len(), self.at)))
    }

    fn next(&mut self, field: &str) -> Result<usize, ProtocolError> {
        if self.at >= self.elements.len() {
            return Err(ProtocolError(format!("{}.{field} is missing", self.name)));
        }
        let at = self.at;
        self.at = at.saturating_add(1);
        Ok(at)
    }

    fn mistyped(&self, field: &str, error: WireError) -> ProtocolError {
        match error {
            WireError::WrongType { expected, got } => self.wrong(field, expected, got),
            error => ProtocolError(format!("{}.{field}: {error}", self.name)),
        }
    }

    fn wrong(&self, field: &str, expected: &str, got: impl std::fmt::Display) -> ProtocolError {
        ProtocolError(format!("{}.{field} must be {expected}, got {got}", self.name))
    }
}

/// The payload whose elements begin at `at`, or which of them is wrong (the positional arguments where no part is
/// named), what it must be and what it is. Both may be absent; null is absent, too: clients in Go and others send it
/// for what a call does not have.
fn payload_at(elements: &Elements, at: usize, is_passthru: bool) -> Result<Payload, WrongPart> {
    let (args, kwargs) = (at, at.saturating_add(1));
    let present = |index| elements.kind(index).filter(|kind| *kind != Kind::Null);
    let kind_name = |index| elements.value(index).map_or("nothing", |value| value.kind_name());
    match (present(args), present(kwargs)) {
        (None | Some(Kind::List), None | Some(Kind::Dict)) => {}
        // JSON has no binary, and not every client that sends a string there begins it with U+0000.
        (Some(Kind::Bytes | Kind::String), None) if is_passthru => {}
        (None | Some(Kind::List), Some(_)) => return Err((Some("ArgumentsKw"), "dict", kind_name(kwargs))),
        (Some(_), _) => return Err((None, "list", kind_name(args))),
    }
    let raw = |index| present(index).and_then(|_| elements.raw(index)).unwrap_or_default();
    Ok(Payload::from_raw(elements.serializer(), raw(args), raw(kwargs)))
}

/// The name of an element of a payload, what it must be, and what it is.
type WrongPart = (Option<&'static str>, &'static str, &'static str);

/// How many elements a field takes.
mod width {
    use super::{Code, Dict, Form, Id, Payload};

    pub(super) fn id(_: &Id, _: Form) -> usize {
        1
    }
    pub(super) fn given_id(_: &Id, _: Form) -> usize {
        1
    }
    pub(super) fn id_or_zero(_: &Id, _: Form) -> usize {
        1
    }
    pub(super) fn request_type(_: &Code, _: Form) -> usize {
        1
    }
    pub(super) fn string(_: &str, _: Form) -> usize {
        1
    }
    pub(super) fn dict(_: &Dict, _: Form) -> usize {
        1
    }
    pub(super) fn dict_unless_empty(dict: &Dict, _: Form) -> usize {
        usize::from(!dict.is_empty())
    }
    pub(super) fn payload(payload: &Payload, form: Form) -> usize {
        match form {
            Form::Client(_) => payload.n_elements(),
            Form::Link if payload.is_empty() => 0,
            Form::Link => 2,
        }
    }
}

/// Writes the elements of one message in order.
struct Sink<'b> {
    form: Form,
    writer: Writer<'b>,
}

impl Sink<'_> {
    fn id(&mut self, id: &Id) {
        self.writer.uint(*id);
    }

    fn given_id(&mut self, id: &Id) {
        self.writer.uint(*id);
    }

    fn id_or_zero(&mut self, id: &Id) {
        self.writer.uint(*id);
    }

    fn request_type(&mut self, code: &Code) {
        self.writer.uint(*code);
    }

    fn string(&mut self, value: &str) {
        self.writer.string(value);
    }

    fn dict(&mut self, dict: &Dict) {
        self.writer.dict(dict);
    }

    fn dict_unless_empty(&mut self, dict: &Dict) {
        if !dict.is_empty() {
            self.writer.dict(dict);
        }
    }

    fn payload(&mut self, payload: &Payload) {
        match self.form {
            Form::Client(_) => payload.write(&mut self.writer),
            Form::Link if payload.is_empty() => {}
            Form::Link => {
                self.writer.uint(payload.serializer().number().into()).bytes(&payload.to_list());
            }
        }
    }
}

/// What ERROR may answer: six requests of a client, and the router's INVOCATION.
const REQUEST_TYPES: [Code; 7] =
    [code::PUBLISH, code::SUBSCRIBE, code::UNSUBSCRIBE, code::CALL, code::REGISTER, code::UNREGISTER, code::INVOCATION];

#[cfg(test)]
mod tests;
