//! The approval server: requests come in, people who sign on decide, hosts get signed decisions.

pub mod api;
pub mod app;
pub mod asking;
pub mod confirmed;
pub mod duties;
pub mod identity;
pub mod live;
pub mod model;
pub mod pace;
pub mod pages;
pub mod rules;
pub mod settings;
pub mod store;
