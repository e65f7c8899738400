//! The throw-away provider of `gate serve --dev`: a whole OpenID Connect provider inside the server, on the loopback interface only, so that
//! a trial goes the same way as the real thing. Its key is forgotten when the server ends.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use serde_json::{Map, Value, json};

use super::Provider;
use super::client::Credentials;
use super::error::Error;
use super::routes::{now, redirect};
use super::settings::{AssuranceSettings, BadSetting, IssuerSettings, Kind, Secret, is_loopback, secure};
use super::shown::{People, page, style, told};
use super::web::{challenge, same, with_query, word};
use crate::key::SigningKey;
use crate::server::model::Wall;
use crate::server::settings::Settings;

const CLIENT: &str = "gate";
const FACTOR: &str = "urn:gate:dev:second-factor";
const SECOND: Wall = 1_000_000_000;

/// How many codes and refresh tokens are kept at most.
const MOST: usize = 1000;

/// Who there is: subject, name, groups.
const PEOPLE: [(&str, &str, &[&str]); 3] =
    [("alice", "Alice Archer", &["sre", "payments"]), ("bob", "Bob Baker", &["sre"]), ("carol", "Carol Cooper", &["security", "payments"])];

/// The teams of a trial: each group is one.
pub fn teams() -> BTreeMap<String, Vec<String>> {
    ["sre", "payments", "security"].into_iter().map(|name| (name.to_owned(), vec![format!("group:dev:{name}")])).collect()
}

/// What the people of a trial may do for the whole server: all of it, so that it can be tried.
pub fn duties(settings: &mut Settings) {
    let everybody: Vec<String> = PEOPLE.iter().map(|(name, _, _)| format!("person:{}#{name}", issuer(&settings.url))).collect();
    settings.stop.people.clone_from(&everybody);
    settings.break_glass.people.clone_from(&everybody);
    settings.break_glass.reviewers.clone_from(&everybody);
    settings.configuration.administrators = everybody;
}

/// The provider's issuer at a server.
fn issuer(url: &str) -> String {
    format!("{url}/dev/idp")
}

/// The provider.
pub struct DevProvider {
    issuer: String,
    callback: String,
    home: String,
    secret: String,
    key: SigningKey,
    codes: Mutex<HashMap<String, Signed>>,
}

/// Somebody who chose who they are.
#[derive(Clone)]
struct Signed {
    who: usize,
    factor: bool,
    at: Wall,
    nonce: String,
    /// Of a code: the challenge. A refresh token has none.
    challenge: Option<String>,
}

impl fmt::Debug for DevProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DevProvider({})", self.issuer)
    }
}

impl DevProvider {
    /// A provider of the server at this address, which must lead to this very host.
    pub fn new(url: &str) -> Result<Self, BadSetting> {
        if !is_loopback(&secure(url)?) {
            return Err(BadSetting("a trial listens on a loopback address only".to_owned()));
        }
        let url = url.trim_end_matches('/');
        let bad = |_| BadSetting("no key could be made".to_owned());
        let key = SigningKey::generate(&SystemRandom::new()).and_then(|pkcs8| SigningKey::from_pkcs8(&pkcs8)).map_err(bad)?;
        Ok(Self {
            issuer: issuer(url),
            callback: format!("{url}/auth/callback"),
            home: format!("{url}/"),
            secret: word().map_err(|error| BadSetting(error.to_string()))?,
            key,
            codes: Mutex::default(),
        })
    }

    /// The provider as the server relies on it, like on any other.
    pub(super) fn relying_on(&self) -> Result<Provider, BadSetting> {
        let settings = IssuerSettings {
            name: "dev".to_owned(),
            url: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret_file: None,
            client_key_file: None,
            client_key_id: None,
            scopes: ["openid", "profile", "email", "groups"].map(str::to_owned).to_vec(),
            groups_claim: "groups".to_owned(),
            kind: Kind::Generic,
            ca: None,
            graph: "https://graph.microsoft.com".to_owned(),
            groups_age: "5m".to_owned(),
            assurance: vec![AssuranceSettings {
                assurance: "fresh-mfa".to_owned(),
                acr: Some(vec![FACTOR.to_owned()]),
                amr: None,
                acrs: None,
                max_age: "5m".to_owned(),
            }],
        };
        Provider::with(settings, Credentials::Secret(Secret::new(self.secret.clone())))
    }

    fn keep(&self, signed: Signed) -> Result<String, Error> {
        let code = word()?;
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.len() >= MOST {
            codes.clear();
        }
        codes.insert(code.clone(), signed);
        Ok(code)
    }

    fn take(&self, code: &str) -> Option<Signed> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(code)
    }

    /// An ID token of somebody.
    fn id_token(&self, signed: &Signed, now: Wall) -> Option<String> {
        let (subject, name, groups) = PEOPLE.get(signed.who)?;
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": subject, "name": name, "groups": groups,
            "email": format!("{subject}@example.com"), "email_verified": true,
            "iat": now / SECOND, "exp": now / SECOND + 300, "auth_time": signed.at / SECOND, "nonce": signed.nonce,
        });
        if signed.factor {
            claims["acr"] = json!(FACTOR);
            claims["amr"] = json!(["pwd", "mfa"]);
        }
        let head = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "dev" });
        let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(body.as_bytes()));
        Some(format!("{body}.{signature}"))
    }
}

/// `/dev/idp/…`, for the same listener as the server's own routes.
pub fn routes<S>(provider: Arc<DevProvider>) -> Router<S> {
    Router::new()
        .route("/dev/idp/.well-known/openid-configuration", get(discovery))
        .route("/dev/idp/keys", get(keys))
        .route("/dev/idp/authorize", get(choose).post(chosen))
        .route("/dev/idp/token", post(token))
        .route("/dev/idp/logout", get(logout))
        .with_state(provider)
}

async fn discovery(State(provider): State<Arc<DevProvider>>) -> Json<Value> {
    let at = |path: &str| format!("{}/{path}", provider.issuer);
    Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "jwks_uri": at("keys"),
        "end_session_endpoint": at("logout"),
        "authorization_response_iss_parameter_supported": true,
        "code_challenge_methods_supported": ["S256"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(State(provider): State<Arc<DevProvider>>) -> Json<Value> {
    let x = URL_SAFE_NO_PAD.encode(provider.key.public().0);
    Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "dev", "x": x }] }))
}

type Fields = BTreeMap<String, String>;

/// What is wrong with a question that the server would not ask.
fn asked_right(provider: &DevProvider, fields: &Fields) -> Result<(), &'static str> {
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|is| is == value);
    if !is("client_id", CLIENT) || !is("redirect_uri", &provider.callback) {
        return Err("another client asks");
    }
    let complete = is("response_type", "code") && is("code_challenge_method", "S256");
    if complete && fields.contains_key("code_challenge") && fields.contains_key("state") {
        Ok(())
    } else {
        Err("the question is incomplete")
    }
}

async fn choose(State(provider): State<Arc<DevProvider>>, Query(fields): Query<Fields>) -> Response {
    if let Err(why) = asked_right(&provider, &fields) {
        return told(400, "This sign-on cannot go on", why);
    }
    let people = PEOPLE.iter().map(|(subject, name, groups)| (*subject, *name, groups.join(", "))).collect();
    page(&People { style: style(), fields: fields.into_iter().collect(), who: people }, 200, "")
}

async fn chosen(State(provider): State<Arc<DevProvider>>, Form(fields): Form<Fields>) -> Response {
    if let Err(why) = asked_right(&provider, &fields) {
        return told(400, "This sign-on cannot go on", why);
    }
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let (who, factor) = field("who").strip_suffix("+mfa").map_or((field("who"), false), |who| (who, true));
    let Some(who) = PEOPLE.iter().position(|(subject, ..)| *subject == who) else {
        return told(400, "This sign-on cannot go on", "there is nobody of this name");
    };
    let kept = now().and_then(|at| {
        let challenge = Some(field("code_challenge").to_owned());
        provider.keep(Signed { who, factor, at, nonce: field("nonce").to_owned(), challenge })
    });
    match kept {
        Ok(code) => {
            let answer = [("code", code.as_str()), ("state", field("state")), ("iss", &provider.issuer)];
            redirect(&with_query(&provider.callback, &answer), &[])
        }
        Err(error) => told(error.status(), "This sign-on cannot go on", &error.to_string()),
    }
}

async fn token(State(provider): State<Arc<DevProvider>>, headers: HeaderMap, Form(fields): Form<Fields>) -> Response {
    let refused = |status: StatusCode, error: &str| (status, Json(json!({ "error": error }))).into_response();
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{}", provider.secret)));
    if !headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).is_some_and(|value| same(value, &basic)) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let brought = match field("grant_type") {
        "authorization_code" => provider.take(field("code")).filter(|signed| {
            let verified = signed.challenge.as_deref().is_some_and(|asked| same(asked, &challenge(field("code_verifier"))));
            verified && field("redirect_uri") == provider.callback
        }),
        "refresh_token" => provider.take(field("refresh_token")).filter(|signed| signed.challenge.is_none()),
        _ => return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    };
    let Some(signed) = brought else { return refused(StatusCode::BAD_REQUEST, "invalid_grant") };
    let id_token = now().ok().and_then(|now| provider.id_token(&signed, now));
    let refresh = provider.keep(Signed { challenge: None, ..signed });
    let (Some(id_token), Ok(refresh)) = (id_token, refresh) else { return refused(StatusCode::SERVICE_UNAVAILABLE, "server_error") };
    let mut answer = Map::new();
    answer.insert("token_type".to_owned(), json!("Bearer"));
    answer.insert("id_token".to_owned(), json!(id_token));
    answer.insert("refresh_token".to_owned(), json!(refresh));
    ([(header::CACHE_CONTROL, "no-store")], Json(Value::Object(answer))).into_response()
}

/// Signing off at a provider that remembers nobody leads straight back.
async fn logout(State(provider): State<Arc<DevProvider>>) -> Response {
    redirect(&provider.home, &[])
}
