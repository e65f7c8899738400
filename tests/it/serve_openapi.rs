//! The API's description: the committed one is what the server tells.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::serving::{Server, client};

/// Where it is committed. `UPDATE=1` writes it.
const FILE: &str = "docs/openapi.json";

#[test]
fn the_description_of_the_api_is_the_one_that_the_server_tells() {
    let server = Server::start("");
    let told: Value =
        serde_json::from_slice(&client().get(format!("{}/openapi.json", server.url)).send().unwrap().bytes().unwrap()).unwrap();
    assert_eq!(told["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(), ["3", "1"]);
    let text = format!("{told:#}\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "write it anew with UPDATE=1");
}
