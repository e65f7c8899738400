//! An identity provider with one person, so that a reviewer signs on as anybody does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::key::SigningKey;
use serde_json::{Value, json};

use super::Outcome;

struct Provider {
    issuer: String,
    key: SigningKey,
}

/// Starts it in a thread of its own: its issuer.
pub(crate) fn start() -> Outcome<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let issuer = format!("http://{}", listener.local_addr()?);
    let key = SigningKey::generate(&ring::rand::SystemRandom::new()).and_then(|pkcs8| SigningKey::from_pkcs8(&pkcs8));
    let provider = Arc::new(Provider { issuer: issuer.clone(), key: key.map_err(|_| "no key could be made")? });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .with_state(provider);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, router).await
        })
    });
    Ok(issuer)
}

async fn discovery(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let at = |path: &str| format!("{}/{path}", provider.issuer);
    Json(json!({
        "issuer": provider.issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"), "jwks_uri": at("keys"),
        "authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": ["S256"],
        "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let x = URL_SAFE_NO_PAD.encode(provider.key.public().0);
    Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "bench", "x": x }] }))
}

/// The code is the nonce itself: whoever asks is the one reviewer.
async fn token(State(provider): State<Arc<Provider>>, Form(fields): Form<BTreeMap<String, String>>) -> Json<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_secs()).unwrap_or_default();
    let claims = json!({
        "iss": provider.issuer, "aud": "gate", "sub": "grace", "name": "Grace Hopper", "groups": ["sre"],
        "iat": now, "exp": now + 300, "auth_time": now, "nonce": fields.get("code"),
    });
    let head = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "bench" });
    let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(provider.key.sign(body.as_bytes()));
    Json(json!({ "token_type": "Bearer", "id_token": format!("{body}.{signature}") }))
}
