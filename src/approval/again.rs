use std::time::Duration;

use serde_json::Value;

use super::asked::ApprovalRequest;
use super::digest::Stamp;
use super::submitted::Submitted;
use crate::policy::Asked;
use crate::request::{Request, RequestId};
use crate::text::unhex;

impl ApprovalRequest {
    /// The request that waits already, where this one is the same in all that people decided about; `boot` is when that one was
    /// made, on the boot clock. None where anything else differs, a hidden word included.
    pub fn again(request: &Request, asked: &Asked, boot: Duration, kept: &Submitted) -> Option<Self> {
        let rebuilt = rebuilt(request, asked, boot, kept)?;
        (lasting(rebuilt.text())? == lasting(kept.text())?).then(|| rebuilt.with_text(kept))
    }

    /// What lasts of this request's text, had it been made as that one was, and what lasts of that one's: they are the same where the
    /// commands are, hidden words included.
    pub(super) fn as_if(&self, kept: &Submitted) -> Option<(Value, Value)> {
        let rebuilt = rebuilt(self.request(), self.asked(), self.created().boot, kept)?;
        Some((lasting(rebuilt.text())?, lasting(kept.text())?))
    }
}

/// The request with the id, the nonce, the time and the justification of one that was made before.
fn rebuilt(request: &Request, asked: &Asked, boot: Duration, kept: &Submitted) -> Option<ApprovalRequest> {
    let (_, argv, program, context) = request.clone().into_parts();
    let said = kept.said();
    let request = Request::new(RequestId::parse(&said.request)?, argv, program, context);
    let nonce = serde_json::from_str::<Value>(kept.text()).ok()?.get("nonce")?.as_str().and_then(unhex)?.try_into().ok()?;
    let created = Stamp { wall: said.created, boot };
    Some(ApprovalRequest::new(request, asked.clone(), nonce, created, said.justification.clone()))
}

/// What a text says but for the processes above, what previews showed and the time of day, which are others in each run.
fn lasting(text: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let all = value.as_object_mut()?;
    all.remove("ancestry");
    all.remove("previews");
    all.get_mut("facts")?.as_object_mut()?.remove("time");
    Some(value)
}
