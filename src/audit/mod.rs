//! The local log: one SQLite file of signed records under a Merkle tree.

mod connect;
mod create;
mod error;
mod head;
mod keys;
mod log;
mod past;
mod place;
mod schema;
mod words;

pub use error::{Error, Kind};
pub use log::Log;
pub use place::Place;
