//! The approval server: requests come in, people who sign on decide, hosts get signed decisions.

pub mod model;
pub mod pages;
pub mod settings;
pub mod store;
