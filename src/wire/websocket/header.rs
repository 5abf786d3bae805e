//! The header of a WebSocket frame, read and written. What is wrong with a header is told at the first byte that shows
//! it.

use super::{FrameError, OpCode, Role};

/// The longest header: two bytes, eight of length, four of mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;
const CONTROL_BYTES_MAX: u8 = 125;
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;

/// What stands before the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// RSV1: this frame begins a message that is compressed.
    pub(super) compressed: bool,
    pub(super) opcode: OpCode,
    pub(super) length: u64,
    pub(super) mask: Option<[u8; 4]>,
}

impl Header {
    /// Reads the header at the front of `bytes`, as one that arrives at `role`; RSV1 is legal if `deflate` was agreed
    /// on.
    ///
    /// Returns it and how many bytes it has, or `None` if its end has not arrived.
    pub(super) fn read(bytes: &[u8], role: Role, deflate: bool) -> Result<Option<(Header, usize)>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let opcode = OpCode::from_bits(first & 0x0f).ok_or(FrameError::ReservedOpCode(first & 0x0f))?;
        let fin = first & FIN != 0;
        let compressed = first & RSV1 != 0;
        let compressible = deflate && matches!(opcode, OpCode::Text | OpCode::Binary);
        if first & RSV2_RSV3 != 0 || (compressed && !compressible) {
            return Err(FrameError::ReservedBits);
        }
        if opcode.is_control() && !fin {
            return Err(FrameError::FragmentedControl);
        }

        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let masked = second & MASKED != 0;
        match (role, masked) {
            (Role::Server, false) => return Err(FrameError::NotMasked),
            (Role::Client, true) => return Err(FrameError::Masked),
            (Role::Server, true) | (Role::Client, false) => {}
        }
        if opcode.is_control() && second & !MASKED > CONTROL_BYTES_MAX {
            return Err(FrameError::ControlTooLong);
        }
        let Some((length, rest)) = read_length(second & !MASKED, rest)? else { return Ok(None) };

        let (mask, rest) = match (masked, rest.split_first_chunk::<4>()) {
            (false, _) => (None, rest),
            (true, Some((key, rest))) => (Some(*key), rest),
            (true, None) => return Ok(None),
        };
        Ok(Some((Header { fin, compressed, opcode, length, mask }, bytes.len().saturating_sub(rest.len()))))
    }

    /// The bytes of the header.
    pub(super) fn write(&self) -> Written {
        let first = self.opcode as u8 | if self.fin { FIN } else { 0 } | if self.compressed { RSV1 } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        let mut written = Written { bytes: [0; HEADER_BYTES_MAX], len: 0 };
        match u8::try_from(self.length).ok().filter(|length| *length <= CONTROL_BYTES_MAX) {
            Some(length) => written.append(&[first, masked | length]),
            None => match u16::try_from(self.length).map(u16::to_be_bytes) {
                Ok([high, low]) => written.append(&[first, masked | LENGTH_IN_2, high, low]),
                Err(_) => {
                    written.append(&[first, masked | LENGTH_IN_8]);
                    written.append(&self.length.to_be_bytes());
                }
            },
        }
        if let Some(key) = &self.mask {
            written.append(key);
        }
        written
    }
}

/// A header as it is sent.
pub(super) struct Written {
    bytes: [u8; HEADER_BYTES_MAX],
    len: usize,
}

impl Written {
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn append(&mut self, part: &[u8]) {
        for (byte, new) in self.bytes.iter_mut().skip(self.len).zip(part) {
            *byte = *new;
        }
        self.len = self.len.saturating_add(part.len());
    }
}

/// Reads the length that `short` announces; returns it and what follows, or `None` if it has not arrived.
fn read_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, FrameError> {
    let (length, least, rest) = match short {
        LENGTH_IN_2 => match rest.split_first_chunk::<2>() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), u64::from(LENGTH_IN_2), rest),
            None => return Ok(None),
        },
        LENGTH_IN_8 => match rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), 1 << 16, rest),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, rest),
    };
    if length < least {
        return Err(FrameError::LengthNotMinimal);
    }
    if length > i64::MAX as u64 {
        return Err(FrameError::LengthOutOfRange);
    }
    Ok(Some((length, rest)))
}
