//! What tests of the server's parts share: a store, requests in it, certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gate::approval::{Answer, Approver, Submitted, sha256};
use gate::policy::{Assurance, Channel};
use gate::server::model::{Kept, KeptReview, Requester, State, Wall};
use gate::server::store::{Effect, Sqlite, Store};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use super::approval::Parts;
use super::world::set_mode;

/// Opens the store of a directory.
pub fn store(directory: &Path) -> Arc<Sqlite> {
    Arc::new(Sqlite::open(&directory.join("store.db")).unwrap())
}

/// A pending request; `number` makes it another one.
pub fn request(number: u8, now: Wall) -> Kept {
    let mut parts = Parts::new();
    parts.nonce = [number; 16];
    let text = parts.made().text().to_owned();
    let submitted = Submitted::parse(&text).unwrap();
    Kept {
        id: format!("req_01J0000000000000000000{:04}", number),
        key: format!("{number:064}"),
        requester: Requester { way: "host".into(), name: "gate.test/h/1".into(), person: None },
        submitted,
        number: None,
        wrong_numbers: 0,
        client_nonce_sha256: sha256(&[number]),
        checkpoint: None,
        state: State::Pending,
        version: 1,
        created: now,
        expires: now + 60_000_000_000,
        decided: None,
        valid_until: None,
        consumed: None,
        reviews: Vec::new(),
        outcome: None,
    }
}

/// A review of somebody.
pub fn review(who: &str, answer: Answer, at: Wall) -> KeptReview {
    KeptReview {
        approver: Approver { issuer: "https://id.example".into(), subject: who.into() },
        name: who.into(),
        answer,
        assurance: Assurance::Passkey,
        proved: at,
        channel: Channel::Server,
        comment: "looks \u{202e}right".into(),
        slots: vec!["team:sre".into()],
        at,
        evidence: Some(serde_json::json!({ "statement": "e30=", "webauthn": { "n": 1 } })),
    }
}

/// One request that two people approve.
pub async fn approved(store: &Sqlite, number: u8, now: Wall) -> String {
    let id = request(number, now).id;
    store.create(request(number, now)).await.unwrap();
    store.review(&id, review("alice", Answer::Approve, now + 1), Box::new(|_, _| Effect::Waits)).await.unwrap();
    store.review(&id, review("bob", Answer::Approve, now + 2), Box::new(move |_, _| Effect::Approved { until: now + 1000 })).await.unwrap();
    id
}

/// An authority, and what it signed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key, in PEM.
    pub fn signed(&self, names: &[&str], uris: &[&str], common_name: &str) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The same as files of a directory.
    pub fn files(&self, directory: &Path, names: &[&str]) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.signed(names, &[], "server");
        let paths = (directory.join("tls.crt"), directory.join("tls.key"));
        std::fs::write(&paths.0, certificate).unwrap();
        std::fs::write(&paths.1, key).unwrap();
        set_mode(&paths.1, 0o600);
        paths
    }
}
