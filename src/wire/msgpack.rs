//! msgpack: to be written
