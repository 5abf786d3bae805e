//! The parameters of permessage-deflate in `Sec-WebSocket-Extensions`: offered by the client, answered by the server.

use super::{Context, DeflateConfig, DeflateParams, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use std::fmt::Write;

const EXTENSION: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// Why a client fails the connection over the server's answer to its offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    #[error("the server's Sec-WebSocket-Extensions cannot be read")]
    Malformed,
    #[error("the server agreed to the extension {0}, which was not offered to it")]
    NotOffered(String),
    #[error("the server's parameter {0} of permessage-deflate is not an answer to the offer")]
    Parameter(String),
}

/// Takes the first offer that can be met, out of the values of the client's `Sec-WebSocket-Extensions` headers.
///
/// Returns what is agreed on and the value of the server's own header, or `None` if the connection is to do without.
pub fn negotiate_server<'o>(
    offers: impl IntoIterator<Item = &'o str>,
    config: &DeflateConfig,
) -> Option<(DeflateParams, String)> {
    let offers = offers.into_iter().filter_map(read_extensions).flatten();
    offers.filter(|offer| offer.name == EXTENSION).find_map(|offer| accept(&offer.parameters, config))
}

/// The value of a client's `Sec-WebSocket-Extensions` header.
pub fn client_offer(config: &DeflateConfig) -> String {
    let mut offer = String::from(EXTENSION);
    let client_window_bits = (config.client_window_bits_max < WINDOW_BITS_MAX).then_some(config.client_window_bits_max);
    write_flag(&mut offer, SERVER_NO_CONTEXT_TAKEOVER, config.server_no_context_takeover);
    write_flag(&mut offer, CLIENT_NO_CONTEXT_TAKEOVER, config.client_no_context_takeover);
    write_window_bits(&mut offer, SERVER_MAX_WINDOW_BITS, config.server_window_bits_max, false);
    // Without a value it says that the server may choose, which older servers insist on.
    write_flag(&mut offer, CLIENT_MAX_WINDOW_BITS, client_window_bits.is_none());
    write_window_bits(&mut offer, CLIENT_MAX_WINDOW_BITS, config.client_window_bits_max, false);
    offer
}

/// Reads the server's answer to [`client_offer`]: the values of its `Sec-WebSocket-Extensions` headers.
///
/// Returns what is agreed on, or `None` if the server wants to do without.
pub fn negotiate_client<'r>(
    response: impl IntoIterator<Item = &'r str>,
    config: &DeflateConfig,
) -> Result<Option<DeflateParams>, NegotiationError> {
    let mut agreed = None;
    for value in response {
        for extension in read_extensions(value).ok_or(NegotiationError::Malformed)? {
            if extension.name != EXTENSION || agreed.is_some() {
                return Err(NegotiationError::NotOffered(extension.name.to_owned()));
            }
            agreed = Some(confirm(&extension.parameters, config)?);
        }
    }
    Ok(agreed)
}

/// Meets one offer, as a server; returns what is then agreed on and the answer that says so.
fn accept(offer: &[Parameter<'_>], config: &DeflateConfig) -> Option<(DeflateParams, String)> {
    let wishes = Wishes::read(offer).ok()?;
    let server_window_bits = wishes.server_window_bits.unwrap_or(WINDOW_BITS_MAX).min(config.server_window_bits_max);
    if server_window_bits < WINDOW_BITS_MIN {
        return None;
    }
    // A client that did not mention its window cannot be asked for a smaller one.
    let client_window_bits = match wishes.client_window_bits {
        Some(bits) => bits.unwrap_or(WINDOW_BITS_MAX).min(config.client_window_bits_max),
        None => WINDOW_BITS_MAX,
    };
    let params = DeflateParams {
        outbound: Context {
            window_bits: server_window_bits,
            takeover: !(wishes.server_no_context_takeover || config.server_no_context_takeover),
        },
        inbound: Context {
            window_bits: client_window_bits,
            takeover: !(wishes.client_no_context_takeover || config.client_no_context_takeover),
        },
        level: config.level,
        message_bytes_min: config.message_bytes_min,
    };

    let mut answer = String::from(EXTENSION);
    write_flag(&mut answer, SERVER_NO_CONTEXT_TAKEOVER, !params.outbound.takeover);
    write_flag(&mut answer, CLIENT_NO_CONTEXT_TAKEOVER, !params.inbound.takeover);
    // Who has offered a value is answered with one, also where it says no more than the default: RFC 7692, section
    // 7.1.2.1, wants it of the server's window, and some clients fail the connection without it.
    let is_server_window_offered = wishes.server_window_bits.is_some();
    let is_client_window_offered = matches!(wishes.client_window_bits, Some(Some(_)));
    write_window_bits(&mut answer, SERVER_MAX_WINDOW_BITS, server_window_bits, is_server_window_offered);
    write_window_bits(&mut answer, CLIENT_MAX_WINDOW_BITS, client_window_bits, is_client_window_offered);
    Some((params, answer))
}

/// Checks an answer, as a client, against what [`client_offer`] asked for.
fn confirm(answer: &[Parameter<'_>], config: &DeflateConfig) -> Result<DeflateParams, NegotiationError> {
    let wrong = |name: &str| NegotiationError::Parameter(name.to_owned());
    let wishes = Wishes::read(answer).map_err(|name| wrong(&name))?;
    let server_window_bits = wishes.server_window_bits.unwrap_or(WINDOW_BITS_MAX);
    if server_window_bits > config.server_window_bits_max {
        return Err(wrong(SERVER_MAX_WINDOW_BITS));
    }
    if config.server_no_context_takeover && !wishes.server_no_context_takeover {
        return Err(wrong(SERVER_NO_CONTEXT_TAKEOVER));
    }
    let client_window_bits = match wishes.client_window_bits {
        Some(Some(bits)) if bits >= WINDOW_BITS_MIN => bits.min(config.client_window_bits_max),
        Some(_) => return Err(wrong(CLIENT_MAX_WINDOW_BITS)),
        None => config.client_window_bits_max,
    };
    Ok(DeflateParams {
        outbound: Context {
            window_bits: client_window_bits,
            takeover: !(wishes.client_no_context_takeover || config.client_no_context_takeover),
        },
        inbound: Context { window_bits: server_window_bits, takeover: !wishes.server_no_context_takeover },
        level: config.level,
        message_bytes_min: config.message_bytes_min,
    })
}

fn write_flag(header: &mut String, name: &str, is_set: bool) {
    if is_set {
        let _ = write!(header, "; {name}");
    }
}

/// Writes the size of a window. The largest is the default, and written only where it `is_due` all the same.
fn write_window_bits(header: &mut String, name: &str, bits: u8, is_due: bool) {
    if is_due || bits < WINDOW_BITS_MAX {
        let _ = write!(header, "; {name}={bits}");
    }
}

/// The parameters of one offer or answer.
#[derive(Debug, Default)]
struct Wishes {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_window_bits: Option<u8>,
    /// Clients may mention it without a value.
    client_window_bits: Option<Option<u8>>,
}

impl Wishes {
    /// Reads parameters of which each may stand once. The error is the name of one that is unknown, repeated or
    /// invalid.
    fn read(parameters: &[Parameter<'_>]) -> Result<Wishes, String> {
        let mut wishes = Wishes::default();
        for Parameter { name, value } in parameters {
            let is_repeated = match (*name, value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => std::mem::replace(&mut wishes.server_no_context_takeover, true),
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => std::mem::replace(&mut wishes.client_no_context_takeover, true),
                (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                    let bits = read_window_bits(value).ok_or(*name)?;
                    wishes.server_window_bits.replace(bits).is_some()
                }
                (CLIENT_MAX_WINDOW_BITS, None) => wishes.client_window_bits.replace(None).is_some(),
                (CLIENT_MAX_WINDOW_BITS, Some(value)) => {
                    let bits = read_window_bits(value).ok_or(*name)?;
                    wishes.client_window_bits.replace(Some(bits)).is_some()
                }
                _ => return Err((*name).to_owned()),
            };
            if is_repeated {
                return Err((*name).to_owned());
            }
        }
        Ok(wishes)
    }
}

/// Reads 8 to 15, without leading zeros.
fn read_window_bits(value: &str) -> Option<u8> {
    let is_plain = value.starts_with(|first: char| matches!(first, '1'..='9'));
    value.parse().ok().filter(|bits| is_plain && (8..=15).contains(bits))
}

/// One element of a `Sec-WebSocket-Extensions` header.
#[derive(Debug)]
struct Extension<'h> {
    name: &'h str,
    parameters: Vec<Parameter<'h>>,
}

#[derive(Debug)]
struct Parameter<'h> {
    name: &'h str,
    value: Option<String>,
}

/// Reads the value of one header: `name; parameter; parameter=value; parameter="value", name, …`. `None` if it is not
/// that.
fn read_extensions(header: &str) -> Option<Vec<Extension<'_>>> {
    let mut extensions = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        // An empty element is legal in a list.
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let name = take_token(&mut rest)?;
        let mut parameters = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_start();
            let name = take_token(&mut rest)?;
            let value = match rest.strip_prefix('=') {
                Some(after) => {
                    rest = after.trim_start();
                    Some(take_value(&mut rest)?)
                }
                None => None,
            };
            parameters.push(Parameter { name, value });
        }
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        extensions.push(Extension { name, parameters });
    }
    Some(extensions)
}

/// Takes a token and the space after it from the front.
fn take_token<'h>(rest: &mut &'h str) -> Option<&'h str> {
    let end = rest.find(|character: char| !is_token(character)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after.trim_start();
    (!token.is_empty()).then_some(token)
}

/// Takes a token, bare or in quotes, and the space after it from the front.
fn take_value(rest: &mut &str) -> Option<String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        return take_token(rest).map(str::to_owned);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
    *rest = characters.as_str().trim_start();
    (!value.is_empty() && value.chars().all(is_token)).then_some(value)
}

/// The characters of which HTTP makes tokens.
fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}
