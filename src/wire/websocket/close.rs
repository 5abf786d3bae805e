//! The payload of close frames: an optional code, and an optional reason after it.

use super::FrameError;
use crate::wire::utf8;

/// Why a peer closes the connection, as its close frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// `None` if the frame was empty; it is answered with 1000.
    pub code: Option<u16>,
    pub reason: String,
}

/// The codes that the router itself sends.
#[derive(Debug)]
pub struct CloseCode;

impl CloseCode {
    pub const NORMAL: u16 = 1000;
    /// The server is going down, or the browser has left the page.
    pub const GOING_AWAY: u16 = 1001;
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A kind of message that is not understood, for example text where the serializer is binary.
    pub const UNSUPPORTED: u16 = 1003;
    pub const INVALID_PAYLOAD: u16 = 1007;
    pub const POLICY_VIOLATION: u16 = 1008;
    pub const TOO_BIG: u16 = 1009;
    pub const INTERNAL_ERROR: u16 = 1011;
}

impl Close {
    /// Reads the (unmasked) payload of a close frame.
    pub(super) fn read(payload: &[u8]) -> Result<Close, FrameError> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() { Ok(Close::default()) } else { Err(FrameError::CloseTruncated) };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(FrameError::CloseCodeInvalid(code));
        }
        utf8::check(reason)?;
        Ok(Close { code: Some(code), reason: String::from_utf8_lossy(reason).into_owned() })
    }
}

/// Whether the code may stand in a frame: the ones that RFC 6455 and the IANA registry define for that, and those for
/// libraries and applications. 1005, 1006 and 1015 are only for what an endpoint tells its own application.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
