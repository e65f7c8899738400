//! The local log: one SQLite file of signed records under a Merkle tree.

mod announce;
mod connect;
mod create;
mod entries;
mod error;
mod head;
mod indices;
mod keys;
mod log;
mod nodes;
mod outbox;
mod past;
mod place;
mod query;
mod reader;
mod schema;
mod show;
mod signatures;
mod table;
mod unfinished;
mod verify;
mod words;

pub use crate::record::ascii_json;
pub use entries::{Entries, Proved};
pub use error::{Error, Kind};
pub use log::Log;
pub use place::Place;
pub use query::{Filter, Line};
pub use reader::Reader;
pub use show::{Found, Wanted};
pub use signatures::Signatures;
pub use table::{Look, table};
pub use verify::{Check, Problem, Report};
