//! The local log: one SQLite file of signed records under a Merkle tree.

mod beside;
mod connect;
mod create;
mod disclosed;
mod error;
mod head;
mod indices;
mod keys;
mod log;
mod nodes;
mod past;
mod place;
mod query;
mod reader;
mod redact;
mod schema;
mod show;
mod signatures;
mod table;
mod unfinished;
mod verify;
mod words;

pub use error::{Error, Kind};
pub use log::Log;
pub use place::Place;
pub use query::{Filter, Line};
pub use reader::Reader;
pub use redact::{Redacted, Redaction};
pub use show::{Found, Wanted};
pub use signatures::Signatures;
pub use table::{Look, table};
pub use verify::{Check, Problem, Report};
pub use words::ascii_json;
