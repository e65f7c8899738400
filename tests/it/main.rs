//! Tests on the real binary and on the rooms' own promises.

mod log;
