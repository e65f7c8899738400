//! Requests as a server keeps them, in the states that a page can show.

use gate::approval::{Answer, Approver, Submitted};
use gate::policy::{Assurance, Channel};
use gate::server::model::{Kept, KeptReview, Requester, State, Wall};
use serde_json::{Value, json};

pub const SECOND: i64 = 1_000_000_000;
pub const NOW: Wall = 1_795_000_000 * SECOND;

/// What a host tells of `kubectl delete ns payments`.
pub fn told() -> Value {
    json!({
        "v": 2, "request": "0199c7a2-7d5e-7a54-9c1f-7f3f0c7b1d22",
        "argv": ["kubectl", "--context", "prod-eu-1", "delete", "namespace", "payments", "--wait=false"],
        "program": { "path": "/usr/bin/kubectl", "real": "/usr/bin/kubectl" },
        "program_sha256": "6f1c0c8e8f4a53a6e6a3a3a6f7f3d1b2f20aa1b9f0e9a4c77d7b1a2c3d4e5f60",
        "cwd": { "path": "/home/ada/payments/deploy", "dev": "1", "ino": "2" },
        "environment_sha256": "00", "facts": {
            "kube.context": { "is": ["prod-eu-1"], "files": [] }, "git.branch": { "is": ["main"], "files": [] }, "time": { "is": ["2026-11-18"], "files": [] },
        },
        "pinned": [{ "path": "/home/ada/.kube/config", "sha256": "9e107d9d372bb6826bd81d3542a419d6aa" }],
        "stdin": "empty", "host": "build-01", "uid": 1000, "user": "ada", "loginuid": 1000,
        "asker": "agent:claude-code", "policy": "b1", "ancestry": ["bash", "claude", "tmux: server", "systemd"],
        "rules": [
            { "id": "kubectl.namespace.delete", "layer": "embedded", "effect": "ask", "risk": "critical", "data": ["customer", "payments"],
              "reason": "Deletes the namespace with everything in it: deployments, secrets, volumes. There is no undo.",
              "instead": "delete the one workload that is meant, or scale it to 0",
              "preview": ["kubectl", "--context", "prod-eu-1", "delete", "namespace", "payments", "--dry-run=server"] },
            { "id": "production", "layer": "system", "effect": "ask", "risk": "high", "data": [], "reason": "Anything that changes production is looked at by a second person.", "instead": "", "preview": [] },
        ],
        "target": [{ "name": "cluster", "fact": { "is": ["prod-eu-1"], "files": [] } }, { "name": "namespace", "fact": { "is": ["payments"], "files": [] } }],
        "previews": [{ "argv": ["kubectl", "--context", "prod-eu-1", "delete", "namespace", "payments", "--dry-run=server"], "exit": 0, "left_out": "120",
            "output": "namespace \"payments\" deleted (server dry run)\n" }],
        "justification": "Clean up after the migration to payments-v2.\nTracked in OPS-4711.", "risk": "critical",
        "terms": { "approvers": ["team:sre", "team:payments"], "threshold": 1, "assurance": "second-person", "within_s": 900, "valid_s": 300,
            "channels": ["server", "ssh"], "justification": ["text"], "escalate": [{ "after_s": 600, "approvers": ["team:on-call"] }] },
        "how": {}, "nonce": "00", "created_ns": (NOW - 48 * SECOND).to_string(), "lifetime_s": 900,
    })
}

/// Sets members of what a host tells.
pub fn with(changes: &Value) -> Value {
    let mut told = told();
    for (name, value) in changes.as_object().unwrap() {
        told[name] = value.clone();
    }
    told
}

pub fn person(name: &str) -> Approver {
    Approver { issuer: "https://id.example".to_owned(), subject: name.to_owned() }
}

/// A pending request.
pub fn kept(told: &Value) -> Kept {
    Kept {
        id: "req_01KA9Z3T8Q6W0R4M2N7B5C1D8E".to_owned(),
        key: "k".to_owned(),
        requester: Requester { way: "login".to_owned(), name: "ada@example.com".to_owned(), person: Some(person("ada")), job: None },
        submitted: Submitted::read(told).unwrap(),
        number: Some("42".to_owned()),
        wrong_numbers: 0,
        client_nonce_sha256: [0; 32],
        checkpoint: None,
        state: State::Pending,
        version: 1,
        created: NOW - 48 * SECOND,
        expires: NOW + 852 * SECOND,
        decided: None,
        consumed: None,
        valid_until: None,
        reviews: Vec::new(),
        outcome: None,
        plan: gate::server::model::Plan::default(),
        drawn: None,
    }
}

pub fn review(name: &str, answer: Answer, slot: &str, comment: &str) -> KeptReview {
    KeptReview {
        approver: person(name),
        name: name.to_owned(),
        answer,
        assurance: Assurance::SecondPerson,
        proved: NOW - 30 * SECOND,
        channel: Channel::Server,
        comment: comment.to_owned(),
        slots: vec![slot.to_owned()],
        at: NOW - 20 * SECOND,
        standing: None,
        evidence: None,
    }
}

/// A request that is over, with who decided.
pub fn over(told: &Value, state: State, reviews: Vec<KeptReview>, exit: Option<i64>, ago: i64) -> Kept {
    let at = NOW - ago * SECOND;
    Kept {
        id: format!("req_01KA9Z3T8Q6W0R4M2N7B5C{ago:04}"),
        state,
        created: at,
        expires: at + 900 * SECOND,
        decided: Some(at + 60 * SECOND),
        valid_until: Some(at + 360 * SECOND),
        reviews,
        outcome: exit.map(|exit| json!({ "exit": exit })),
        ..kept(told)
    }
}
