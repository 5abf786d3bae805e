//! cbor: to be written
