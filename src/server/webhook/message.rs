use serde_json::{Value, json};

use crate::server::model::Event;

/// What a payload may be long at most, in bytes.
const LONGEST: usize = 20_000;

/// What every try of an event has in common: `webhook-id`.
pub(super) fn id(seq: u64) -> String {
    format!("evt_{seq}")
}

/// The payload. What proves a review stands in the record, and is not sent around.
pub(super) fn payload(event: &Event, url: &str) -> Vec<u8> {
    let mut data = event.data.clone();
    if let Some(members) = data.as_object_mut() {
        members.remove("evidence");
    }
    let about = |data: Value| {
        let mut data = if data.is_object() { data } else { json!({ "said": data }) };
        if let Some(request) = &event.request {
            data["request"] = request.as_str().into();
            data["page"] = format!("{url}/r/{request}").into();
        }
        let time = jiff::Timestamp::from_nanosecond(event.at.into()).map(|time| format!("{time:.3}")).unwrap_or_default();
        json!({ "type": event.kind, "timestamp": time, "data": data }).to_string().into_bytes()
    };
    let whole = about(data);
    if whole.len() <= LONGEST { whole } else { about(json!({ "cut": true })) }
}
