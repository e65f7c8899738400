//! The approval server: requests come in, people who sign on decide, hosts get signed decisions.

pub mod identity;
pub mod model;
pub mod settings;
pub mod store;
