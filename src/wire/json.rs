//! json: to be written
