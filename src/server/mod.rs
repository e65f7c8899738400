//! The approval server: requests come in, people who sign on decide, hosts get signed decisions.

pub mod api;
pub mod app;
pub mod approvers;
pub mod asking;
pub mod confirmed;
pub mod duties;
pub mod health;
pub mod hosts;
pub mod identity;
pub mod journal;
pub mod listen;
pub mod live;
pub mod logs;
pub mod metrics;
pub mod model;
pub mod pace;
pub mod pages;
pub mod routes;
pub mod rules;
pub mod run;
pub mod settings;
pub mod stop;
pub mod store;
pub mod webhook;
pub mod witness;
