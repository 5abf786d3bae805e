//! Writes one message: a list whose length is known, element by element.

use super::{Dict, Serializer, Value};

/// A list being written into a buffer. `finish` closes it; the elements written must be as many as announced.
pub struct Writer<'b> {
    serializer: Serializer,
    out: &'b mut Vec<u8>,
}

impl<'b> Writer<'b> {
    pub fn list(serializer: Serializer, elements: usize, out: &'b mut Vec<u8>) -> Writer<'b> {
        todo!()
    }
    pub fn uint(&mut self, value: u64) -> &mut Self {
        todo!()
    }
    pub fn string(&mut self, value: &str) -> &mut Self {
        todo!()
    }
    pub fn dict(&mut self, value: &Dict) -> &mut Self {
        todo!()
    }
    pub fn value(&mut self, value: &Value) -> &mut Self {
        todo!()
    }
    /// An element that is already in this serializer.
    pub fn raw(&mut self, element: &[u8]) -> &mut Self {
        todo!()
    }
    pub fn finish(self) {
        todo!()
    }
}
