use serde_json::{Value, json};

use super::body::Draft;
use crate::policy::Layer;

/// The server by which a request was decided, as the record tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decider {
    /// Its origin.
    pub url: String,
    /// The key that signed its decision, `name+id`.
    pub key: String,
    /// The layer that names the server: what it says is worth no more than whoever writes that layer.
    pub layer: Layer,
    /// Whether it is one for trying things out.
    pub dev: bool,
    /// The server's id of the request.
    pub request: String,
}

impl Decider {
    /// Puts it into the draft of a decision.
    pub fn told(&self, decision: &mut Draft) {
        let mut server = json!({ "url": self.url, "key": self.key, "trust": self.layer.to_string(), "request": self.request });
        if self.dev {
            server["dev"] = true.into();
        }
        if let Some(Value::Object(said)) = decision.fields.get_mut("decision") {
            said.insert("server".to_owned(), server);
        }
    }
}
