//! The reviewer's page: what waits, what exactly would run, and the decision.

pub mod assets;
pub mod compare;
pub mod headers;
pub mod html;
pub mod view;
pub mod viewer;
mod warnings;
pub mod words;
