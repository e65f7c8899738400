//! Where the server listens: who gets in, how far, and how it ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Router, body::Bytes};
use gate::server::listen::{Front, HttpSettings, MOST_BODY, Network, Peer};
use gate::server::stop::{Stop, Stopper, stop};
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, Identity};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::serve_support::{Authority, plainly};
use super::world::World;

/// A server in this process that tells who asked.
struct Served {
    runtime: Runtime,
    address: SocketAddr,
    tls: Option<Arc<gate::server::listen::Tls>>,
    stopper: Stopper,
    done: JoinHandle<()>,
    waits: Arc<Notify>,
}

async fn who(Extension(peer): Extension<Peer>) -> String {
    format!("{} {}", peer.address, peer.certificate.map_or_else(|| "nobody".to_owned(), |name| name.to_string()))
}

async fn wait(Extension(stop): Extension<Stop>, State(waits): State<Arc<Notify>>) -> &'static str {
    waits.notify_one();
    stop.wait().await;
    "so far"
}

fn bind(settings: &HttpSettings, address: &str) -> Result<(Runtime, Front), String> {
    let runtime = Runtime::new().unwrap();
    let front = runtime.block_on(Front::bind(address.parse().unwrap(), settings))?;
    Ok((runtime, front))
}

fn served(settings: &HttpSettings) -> Served {
    let (runtime, front) = bind(settings, "127.0.0.1:0").unwrap();
    let (stopper, stop) = stop();
    let waits = Arc::new(Notify::new());
    let router = Router::new()
        .route("/who", get(who))
        .route("/wait", get(wait))
        .route("/size", post(|body: Bytes| async move { body.len().to_string() }))
        .with_state(Arc::clone(&waits));
    let (address, tls) = (front.address(), front.tls());
    let done = runtime.spawn(front.serve(router, stop));
    Served { runtime, address, tls, stopper, done, waits }
}

impl Served {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// A client that trusts an authority, and finds `gate.test` there.
fn client(authority: &Authority, address: SocketAddr) -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    Client::builder().tls_certs_only([root]).no_proxy().resolve("gate.test", address).timeout(Duration::from_secs(30))
}

fn identity(signed: &(String, String)) -> Identity {
    Identity::from_pem(format!("{}{}", signed.0, signed.1).as_bytes()).unwrap()
}

fn with_tls(world: &World, authority: &Authority, clients: Option<&Authority>) -> HttpSettings {
    let (certificate, key) = authority.files(world.root(), &["gate.test"]);
    let client_ca = clients.map(|clients| {
        let path = world.root().join("clients.crt");
        std::fs::write(&path, &clients.pem).unwrap();
        path
    });
    HttpSettings { certificate: Some(certificate), key: Some(key), client_ca, ..HttpSettings::default() }
}

#[test]
fn a_client_is_known_by_the_certificate_of_the_authority_that_is_listed_and_by_no_other() {
    let world = World::new();
    let (own, clients, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let served = served(&with_tls(&world, &own, Some(&clients)));
    let port = served.address.port();
    let who = |client: ClientBuilder| client.build()?.get(format!("https://gate.test:{port}/who")).send()?.text();
    let as_client = |signed| who(client(&own, served.address).identity(identity(&signed)));
    assert_eq!(who(client(&own, served.address)).unwrap(), "127.0.0.1 nobody");
    let workload = "spiffe://example.org/ns/ci/sa/deploy";
    assert_eq!(as_client(clients.signed(&[], &[workload], "deploy")).unwrap(), format!("127.0.0.1 {workload}"));
    assert_eq!(as_client(clients.signed(&[], &[], "build-7")).unwrap(), "127.0.0.1 CN=build-7");
    // A subject cannot be called like a workload, and two names are none.
    assert_eq!(as_client(clients.signed(&[], &[], workload)).unwrap(), format!("127.0.0.1 CN={workload}"));
    assert_eq!(as_client(clients.signed(&[], &[workload, "spiffe://example.org/other"], "x")).unwrap(), "127.0.0.1 nobody");
    assert_eq!(as_client(clients.signed(&[], &["https://example.org"], "x")).unwrap(), "127.0.0.1 nobody");
    assert!(as_client(stranger.signed(&[], &[workload], "deploy")).is_err());
    assert!(as_client(own.signed(&[], &[workload], "deploy")).is_err());
    assert!(who(client(&stranger, served.address)).is_err());
}

#[test]
fn a_changed_certificate_is_taken_up_and_half_a_change_is_not() {
    let world = World::new();
    let first = Authority::new();
    let served = served(&with_tls(&world, &first, None));
    let get = |authority: &Authority| {
        client(authority, served.address).build().unwrap().get(format!("https://gate.test:{}/who", served.address.port())).send()
    };
    assert_eq!(get(&first).unwrap().status(), 200);
    let tls = served.tls.as_ref().unwrap();
    assert!(!tls.changed());
    let second = Authority::new();
    second.files(world.root(), &["gate.test"]);
    assert!(tls.changed());
    tls.reload().unwrap();
    assert!(get(&first).is_err() && get(&second).is_ok() && !tls.changed());
    // Half a change is none: what was read before stays.
    std::fs::write(world.root().join("tls.key"), "no key").unwrap();
    assert!(tls.reload().unwrap_err().contains("no private key"));
    assert!(get(&second).is_ok());
    super::world::set_mode(&world.root().join("tls.key"), 0o644);
    assert!(tls.reload().unwrap_err().contains("everybody"));
}

#[test]
fn without_tls_only_loopback_is_listened_on_unless_a_proxy_is_said_to_stand_there() {
    let refused = bind(&HttpSettings::default(), "0.0.0.0:0").unwrap_err();
    assert!(refused.contains("not a loopback address"), "{refused}");
    let proxied = HttpSettings { behind_proxy: true, ..HttpSettings::default() };
    assert!(bind(&proxied, "0.0.0.0:0").is_ok());
    let meaningless = HttpSettings { proxies: vec![Network::parse("10.0.0.0/8").unwrap()], ..HttpSettings::default() };
    assert!(bind(&meaningless, "127.0.0.1:0").is_err());
    let half = HttpSettings { key: Some("/nowhere".into()), ..HttpSettings::default() };
    assert!(bind(&half, "127.0.0.1:0").unwrap_err().contains("both"));
}

#[test]
fn the_clients_address_is_believed_of_listed_proxies_only() {
    let ask = |settings: &HttpSettings, forwarded: &str| {
        let served = served(settings);
        let client = plainly();
        client.get(served.url("/who")).header("x-forwarded-for", forwarded).send().unwrap().text().unwrap()
    };
    let listed = HttpSettings {
        behind_proxy: true,
        proxies: vec![Network::parse("127.0.0.1").unwrap(), Network::parse("10.0.0.0/8").unwrap()],
        ..HttpSettings::default()
    };
    assert_eq!(ask(&listed, "192.0.2.7"), "192.0.2.7 nobody");
    // The client wrote the first one; the proxies added the others.
    assert_eq!(ask(&listed, "6.6.6.6, 192.0.2.7, 10.1.2.3"), "192.0.2.7 nobody");
    assert_eq!(ask(&listed, "6.6.6.6, evil, 10.1.2.3"), "10.1.2.3 nobody");
    assert_eq!(ask(&HttpSettings::default(), "6.6.6.6"), "127.0.0.1 nobody");
    let other = HttpSettings { proxies: vec![Network::parse("10.0.0.0/8").unwrap()], ..listed };
    assert_eq!(ask(&other, "6.6.6.6"), "127.0.0.1 nobody");
    for text in ["10.0.0.1/8", "10.0.0.0/33", "x", "", "10.0.0.0/-1", "::/129"] {
        assert_eq!(Network::parse(text), None, "{text}");
    }
}

#[test]
fn a_body_or_a_header_that_is_too_large_reaches_nobody() {
    let served = served(&HttpSettings::default());
    let client = plainly();
    let post = |size: usize| client.post(served.url("/size")).body(vec![b'x'; size]).send().unwrap();
    assert_eq!(post(MOST_BODY).text().unwrap(), MOST_BODY.to_string());
    assert_eq!(post(MOST_BODY + 1).status(), 413);
    let large = client.get(served.url("/who")).header("x-large", "x".repeat(64 * 1024)).send();
    assert!(large.is_err() || large.unwrap().status() == 431);
    let many = (0..300).fold(client.get(served.url("/who")), |request, number| request.header(format!("x-{number}"), "1"));
    assert!(many.send().is_ok_and(|answer| answer.status() == 431));
}

#[test]
fn more_connections_than_there_are_places_are_closed() {
    let served = served(&HttpSettings { connections: 2, ..HttpSettings::default() });
    let open = || TcpStream::connect(served.address).unwrap();
    let ask = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut answer = [0; 12];
        stream.read(&mut answer).is_ok_and(|read| read > 0 && answer.starts_with(b"HTTP/1.1 200"))
    };
    let (mut first, mut second, mut third) = (open(), open(), open());
    assert!(ask(&mut first) && ask(&mut second) && !ask(&mut third));
    drop(first);
    // The place is free again as soon as the server has seen the end.
    assert!(std::iter::repeat_with(|| ask(&mut open())).take(1000).any(|answered| answered));
}

#[test]
fn at_the_end_who_waits_gets_what_there_is_and_nobody_new_gets_in() {
    let served = served(&HttpSettings::default());
    let url = served.url("/wait");
    let waiting = std::thread::spawn(move || plainly().get(url).send().unwrap().text().unwrap());
    served.runtime.block_on(served.waits.notified());
    served.stopper.stop();
    assert_eq!(waiting.join().unwrap(), "so far");
    served.runtime.block_on(served.done).unwrap();
    assert!(TcpStream::connect(served.address).is_err());
}
