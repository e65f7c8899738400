//! A relying party on a loopback address, a browser that fills in forms, and a provider that lies when told to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use axum::extract::{Form, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::key::SigningKey;
use gate::server::identity::dev::{self, DevProvider};
use gate::server::identity::{self, Host, Identity, Session};
use gate::server::model::Wall;
use gate::server::settings::Settings;
use gate::server::store::{Sqlite, Store};
use gate::sys::files::Owner;
use reqwest::blocking::Client;
use reqwest::{StatusCode, Url, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const SECOND: Wall = 1_000_000_000;

/// What the tests' relying party is.
pub struct Party {
    pub identity: Identity,
    pub store: Sqlite,
}

impl Host for Party {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }
}

/// A server with the routes of signing on, ended with the test.
pub struct Relying {
    pub url: String,
    pub party: Arc<Party>,
    pub directory: TempDir,
}

/// An address that nobody else has.
pub fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    (listener, format!("http://{address}"))
}

/// A secret that others cannot read, as the configuration names it.
pub fn secret_file(directory: &Path, secret: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("secret");
    std::fs::write(&path, format!("{secret}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

pub fn owner() -> Owner {
    use std::os::unix::fs::MetadataExt;
    Owner::User(std::fs::metadata("/proc/self").unwrap().uid())
}

pub fn settings(url: &str, more: &str) -> Settings {
    toml::from_str(&format!("url = \"{url}\"\nstate = \"/nowhere\"\n{more}")).unwrap()
}

impl Relying {
    /// Relies on what `more` configures; `SECRET` in it is the path of the client's secret, `secret`.
    pub fn new(more: &str) -> Self {
        let (listener, url) = listener();
        Self::on(listener, url, more)
    }

    pub fn on(listener: TcpListener, url: String, more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let more = more.replace("SECRET", &secret_file(directory.path(), "secret"));
        let identity = Identity::new(&settings(&url, &more), owner(), [7; 32]).unwrap();
        Self::with(listener, url, identity, None, directory)
    }

    /// Relies on the provider of `gate serve --dev`.
    pub fn dev() -> Self {
        let (listener, url) = listener();
        let mut settings = settings(&url, "");
        settings.teams = dev::teams();
        let provider = Arc::new(DevProvider::new(&url).unwrap());
        let identity = Identity::dev(&settings, &provider, [7; 32]).unwrap();
        Self::with(listener, url, identity, Some(provider), TempDir::new().unwrap())
    }

    fn with(listener: TcpListener, url: String, identity: Identity, dev: Option<Arc<DevProvider>>, directory: TempDir) -> Self {
        let store = Sqlite::open(&directory.path().join("server.db")).unwrap();
        let party = Arc::new(Party { identity, store });
        let mut app: Router = identity::routes(Arc::clone(&party)).route("/", get(|| async { "home" }));
        if let Some(provider) = dev {
            app = app.merge(dev::routes(provider));
        }
        serve(listener, app);
        Self { url, party, directory }
    }

    /// The browser's session at a moment.
    pub fn session_at(&self, browser: &Browser, now: Wall) -> Option<Session> {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", browser.cookie_header(&self.url).parse().unwrap());
        runtime().block_on(identity::session::read(&self.party.identity, &self.party.store, &headers, now)).unwrap()
    }

    pub fn session(&self, browser: &Browser) -> Option<Session> {
        self.session_at(browser, now())
    }
}

pub fn now() -> Wall {
    gate::sys::clock::now().unwrap().wall
}

/// What all servers of the tests run on.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    &RUNTIME
}

pub fn serve(listener: TcpListener, app: Router) {
    runtime().spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, app).await.unwrap();
    });
}

/// What a browser sees.
#[derive(Debug)]
pub struct Seen {
    pub status: StatusCode,
    pub url: String,
    pub location: Option<String>,
    pub body: String,
}

/// A browser without scripts: cookies of each host, redirects, forms.
pub struct Browser {
    client: Client,
    cookies: BTreeMap<(String, String), String>,
    pub went: Vec<String>,
}

impl Browser {
    pub fn new() -> Self {
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().tls_certs_only([]).build().unwrap();
        Self { client, cookies: BTreeMap::new(), went: Vec::new() }
    }

    fn place(url: &str) -> String {
        Url::parse(url).unwrap().origin().ascii_serialization()
    }

    pub fn cookie_header(&self, url: &str) -> String {
        let place = Self::place(url);
        let own = self.cookies.iter().filter(|((at, _), _)| *at == place);
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub fn cookie(&self, url: &str, name: &str) -> Option<String> {
        self.cookies.get(&(Self::place(url), name.to_owned())).cloned()
    }

    pub fn set_cookie(&mut self, url: &str, name: &str, value: &str) {
        self.cookies.insert((Self::place(url), name.to_owned()), value.to_owned());
    }

    /// One request, no redirect followed.
    pub fn once(&mut self, url: &str, form: Option<&[(String, String)]>) -> Seen {
        self.went.push(url.to_owned());
        let cookies = self.cookie_header(url);
        let request = match form {
            None => self.client.get(url),
            Some(fields) => {
                let body = fields.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect::<Vec<_>>().join("&");
                let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
                request.header("sec-fetch-site", "same-origin").header("origin", Self::place(url)).header("referer", url).body(body)
            }
        };
        let response = request.header("cookie", cookies).send().unwrap();
        for set in response.headers().get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            let key = (Self::place(url), name.to_owned());
            let gone = value.is_empty() || set.to_ascii_lowercase().contains("max-age=0") || set.contains("01 Jan 1970");
            if gone {
                self.cookies.remove(&key)
            } else {
                self.cookies.insert(key, value.to_owned())
            };
        }
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let location = location.map(|to| Url::parse(url).unwrap().join(&to).unwrap().to_string());
        Seen { status: response.status(), url: url.to_owned(), location, body: response.text().unwrap() }
    }

    /// Goes there, and on where it is sent.
    pub fn go(&mut self, url: &str) -> Seen {
        let seen = self.once(url, None);
        self.follow(seen)
    }

    pub fn follow(&mut self, mut seen: Seen) -> Seen {
        for _ in 0..20 {
            match seen.location.clone() {
                Some(to) if seen.status.is_redirection() => seen = self.once(&to, None),
                _ => return seen,
            }
        }
        panic!("redirects without end: {:?}", self.went);
    }

    /// Fills in the page's form, and goes on where it leads.
    pub fn submit(&mut self, page: &Seen, filled: &[(&str, &str)]) -> Seen {
        let (action, fields) = form(page, filled);
        let seen = self.once(&action, Some(&fields));
        self.follow(seen)
    }
}

/// A page's form: where it leads, and its fields with those filled in.
pub fn form(page: &Seen, filled: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    let start = page.body.find("<form").unwrap_or_else(|| panic!("no form: {page:?}"));
    let form = page.body[start..].split("</form>").next().unwrap();
    let (head, inside) = form.split_once('>').unwrap();
    let action = attribute(head, "action").unwrap_or_else(|| page.url.clone());
    let action = Url::parse(&page.url).unwrap().join(&action).unwrap().to_string();
    let mut fields: Vec<(String, String)> = Vec::new();
    for input in inside.split("<input").skip(1) {
        let input = input.split('>').next().unwrap();
        let Some(name) = attribute(input, "name") else { continue };
        if attribute(input, "type").is_some_and(|kind| kind == "checkbox" || kind == "submit") {
            continue;
        }
        fields.push((name, attribute(input, "value").unwrap_or_default()));
    }
    for (name, value) in filled {
        fields.retain(|(other, _)| other != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    (action, fields)
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = &tag[tag.find(&format!(" {name}=\"")).map(|at| at + name.len() + 3)?..];
    let value = rest.split('"').next()?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'").replace("&#x2F;", "/"))
}

pub fn percent(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a lying provider is about to say.
pub struct Draft {
    pub header: Value,
    pub claims: Value,
    /// Parameters of the answer to the browser.
    pub answer: BTreeMap<&'static str, String>,
    /// Which key signs; see [`Key`].
    pub key: Key,
}

/// Which key signs a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The one that the provider publishes as `one`.
    One,
    /// One that it does not publish.
    Other,
    /// HMAC with the published key as its secret.
    Shared,
    /// Nothing.
    None,
}

type Lie = Box<dyn Fn(&mut Draft) + Send>;

/// A provider that tells the truth unless it was taught a lie.
pub struct Liar {
    pub url: String,
    one: SigningKey,
    other: SigningKey,
    lie: Mutex<Lie>,
    /// What it says of itself and its keys, overridden.
    pub published: Mutex<BTreeMap<String, Value>>,
    pub down: Mutex<Vec<&'static str>>,
    pub asked: Mutex<Vec<String>>,
    codes: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap()).unwrap()
}

impl Liar {
    pub fn new() -> Arc<Self> {
        let (listener, url) = listener();
        let liar = Arc::new(Self {
            url,
            one: key(),
            other: key(),
            lie: Mutex::new(Box::new(|_| {})),
            published: Mutex::default(),
            down: Mutex::default(),
            asked: Mutex::default(),
            codes: Mutex::default(),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .route("/v1.0/me/getMemberObjects", post(objects))
            .with_state(Arc::clone(&liar));
        serve(listener, app);
        liar
    }

    pub fn lies(&self, lie: impl Fn(&mut Draft) + Send + 'static) {
        *self.lie.lock().unwrap() = Box::new(lie);
    }

    pub fn publishes(&self, name: &str, value: Value) {
        self.published.lock().unwrap().insert(name.to_owned(), value);
    }

    pub fn asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == what).count()
    }

    fn draft(&self, nonce: &str) -> Draft {
        let now = now() / SECOND;
        let claims = json!({ "iss": self.url, "aud": "gate", "sub": "ann", "name": "Ann", "groups": ["ops"], "nonce": nonce,
            "iat": now, "exp": now + 900, "auth_time": now, "sid": "s1" });
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "one" });
        let mut draft = Draft { header, claims, answer: BTreeMap::new(), key: Key::One };
        (self.lie.lock().unwrap())(&mut draft);
        draft
    }

    pub fn sign(&self, draft: &Draft) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let body = format!("{}.{}", part(&draft.header), part(&draft.claims));
        let signature = match draft.key {
            Key::One => self.one.sign(body.as_bytes()).to_vec(),
            Key::Other => self.other.sign(body.as_bytes()).to_vec(),
            Key::Shared => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.one.public().0);
                ring::hmac::sign(&key, body.as_bytes()).as_ref().to_vec()
            }
            Key::None => Vec::new(),
        };
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub fn jwk(&self, which: Key, kid: &str) -> Value {
        let key = if which == Key::Other { &self.other } else { &self.one };
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "EdDSA", "x": URL_SAFE_NO_PAD.encode(key.public().0) })
    }

    /// A token with these claims, beyond issuer, audience and times.
    pub fn logout_token(&self, claims: &Value) -> String {
        let mut draft = self.draft("");
        let all = draft.claims.as_object_mut().unwrap();
        for name in ["nonce", "name", "groups", "auth_time", "sid", "sub"] {
            all.remove(name);
        }
        all.extend(claims.as_object().unwrap().clone());
        all.retain(|_, value| !value.is_null());
        draft.header["typ"] = json!("logout+jwt");
        self.sign(&draft)
    }

    /// A token of a workload with these claims.
    pub fn workload_token(&self, claims: &Value) -> String {
        let mut draft = self.draft("");
        draft.claims = json!({ "iss": self.url, "aud": "https://gate.example", "iat": draft.claims["iat"], "exp": draft.claims["exp"] });
        draft.claims.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        (self.lie.lock().unwrap())(&mut draft);
        self.sign(&draft)
    }

    fn says(&self, what: &str) -> bool {
        self.asked.lock().unwrap().push(what.to_owned());
        !self.down.lock().unwrap().contains(&what)
    }
}

const DOWN: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

async fn discovery(State(liar): State<Arc<Liar>>) -> Response {
    if !liar.says("discovery") {
        return DOWN.into_response();
    }
    let at = |path: &str| format!("{}/{path}", liar.url);
    let mut said = json!({ "issuer": liar.url, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        "jwks_uri": at("keys"), "userinfo_endpoint": at("userinfo"), "end_session_endpoint": at("end"),
        "authorization_response_iss_parameter_supported": true });
    said.as_object_mut().unwrap().extend(liar.published.lock().unwrap().clone());
    Json(said).into_response()
}

async fn keys(State(liar): State<Arc<Liar>>) -> Response {
    if !liar.says("keys") {
        return DOWN.into_response();
    }
    let one = json!([liar.jwk(Key::One, "one")]);
    Json(json!({ "keys": liar.published.lock().unwrap().get("keys").cloned().unwrap_or(one) })).into_response()
}

type Fields = BTreeMap<String, String>;

async fn authorize(State(liar): State<Arc<Liar>>, Query(fields): Query<Fields>) -> Redirect {
    liar.asked.lock().unwrap().push("authorize".to_owned());
    let code = format!("code-{}", liar.asked("authorize"));
    let draft = liar.draft(&fields["nonce"]);
    let mut answer: BTreeMap<&str, String> =
        [("code", code.clone()), ("state", fields["state"].clone()), ("iss", liar.url.clone())].into_iter().collect();
    answer.extend(draft.answer);
    answer.retain(|_, value| !value.is_empty());
    let query = answer.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect::<Vec<_>>().join("&");
    let to = format!("{}?{query}", fields["redirect_uri"]);
    liar.codes.lock().unwrap().insert(code, fields);
    Redirect::to(&to)
}

async fn token(State(liar): State<Arc<Liar>>, headers: HeaderMap, Form(fields): Form<Fields>) -> Response {
    if !liar.says("token") {
        return DOWN.into_response();
    }
    let refused = || (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    // `gate:secret`
    if headers.get("authorization").is_none_or(|value| value != "Basic Z2F0ZTpzZWNyZXQ=") {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    let nonce = match fields["grant_type"].as_str() {
        "refresh_token" if fields["refresh_token"] == format!("refresh-{}", liar.asked("refreshed")) => {
            liar.asked.lock().unwrap().push("refreshed".to_owned());
            String::new()
        }
        "authorization_code" => {
            let Some(asked) = liar.codes.lock().unwrap().remove(&fields["code"]) else { return refused() };
            let challenge = URL_SAFE_NO_PAD.encode(gate::approval::sha256(fields["code_verifier"].as_bytes()));
            if challenge != asked["code_challenge"] || asked["redirect_uri"] != fields["redirect_uri"] {
                return refused();
            }
            asked["nonce"].clone()
        }
        _ => return refused(),
    };
    let draft = liar.draft(&nonce);
    let refresh = format!("refresh-{}", liar.asked("refreshed"));
    Json(json!({ "token_type": "Bearer", "access_token": "access", "refresh_token": refresh, "id_token": liar.sign(&draft) }))
        .into_response()
}

async fn userinfo(State(liar): State<Arc<Liar>>) -> Response {
    if !liar.says("userinfo") {
        return DOWN.into_response();
    }
    let draft = liar.draft("");
    Json(json!({ "sub": draft.claims["sub"], "groups": ["from-userinfo"] })).into_response()
}

async fn objects(State(liar): State<Arc<Liar>>, headers: HeaderMap) -> Response {
    if !liar.says("objects") || headers.get("authorization").is_none_or(|value| value != "Bearer access") {
        return DOWN.into_response();
    }
    Json(json!({ "value": ["g-201", "g-202"] })).into_response()
}

/// The section of a provider at this address.
pub fn issuer(name: &str, url: &str, more: &str) -> String {
    format!("[[issuer]]\nname = \"{name}\"\nurl = \"{url}\"\nclient_id = \"gate\"\nclient_secret_file = \"SECRET\"\n{more}\n")
}
