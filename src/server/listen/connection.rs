use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client_name::ClientName;
use super::forwarded;
use super::peer::{self, Network, Peer};
use super::tls::Tls;
use crate::server::stop::Stop;

/// No request has a longer body, in bytes.
pub const MOST_BODY: usize = 1024 * 1024;

/// All headers of a request together, in bytes.
const MOST_HEADERS: u32 = 32 * 1024;

/// How many headers.
const MOST_LINES: usize = 100;

/// How many requests one HTTP/2 connection may have open.
const MOST_STREAMS: u32 = 128;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long headers may take to arrive, and a connection may be without a request.
const HEADERS: Duration = Duration::from_secs(30);

/// How long a body may take to arrive.
const BODY: Duration = Duration::from_secs(20);

/// How long a connection on which no handler is at work may take to end with the server: it may still be sending an answer.
const UNANSWERED: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Serving {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) proxies: Vec<Network>,
    pub(super) forwards: bool,
    pub(super) router: Router,
    pub(super) stop: Stop,
}

impl Serving {
    /// Answers what comes on one connection, until it or the server ends.
    pub(super) async fn connection(&self, stream: TcpStream, from: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.http1(TokioIo::new(stream), from, None).await };
        // Whoever fails here said nothing that could be answered.
        let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.acceptor().accept(stream)).await else { return };
        let session = stream.get_ref().1;
        let certificate = session.peer_certificates().and_then(<[_]>::first).and_then(ClientName::of);
        match session.alpn_protocol() {
            Some(b"h2") => self.http2(TokioIo::new(stream), from, certificate).await,
            _ => self.http1(TokioIo::new(stream), from, certificate).await,
        }
    }

    async fn http1(
        &self,
        io: TokioIo<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
        from: SocketAddr,
        certificate: Option<ClientName>,
    ) {
        let answering = Answering::default();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_headers(MOST_LINES)
            .max_buf_size(MOST_HEADERS as usize)
            .serve_connection(io, self.service(from, certificate, &answering));
        let mut connection = pin!(connection);
        self.until_the_end(connection.as_mut(), &answering, http1::Connection::graceful_shutdown).await;
    }

    async fn http2(
        &self,
        io: TokioIo<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
        from: SocketAddr,
        certificate: Option<ClientName>,
    ) {
        let answering = Answering::default();
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(HEADERS)
            .max_concurrent_streams(MOST_STREAMS)
            .max_header_list_size(MOST_HEADERS)
            .serve_connection(io, self.service(from, certificate, &answering));
        let mut connection = pin!(connection);
        self.until_the_end(connection.as_mut(), &answering, http2::Connection::graceful_shutdown).await;
    }

    /// Runs a connection; when the server ends, no further request is taken on it, and the open ones are answered.
    async fn until_the_end<C: Future>(&self, mut connection: Pin<&mut C>, answering: &Answering, last: impl FnOnce(Pin<&mut C>)) {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.stop.wait() => last(connection.as_mut()),
        }
        // Whoever sent half a request only is not waited for.
        if answering.none() {
            let _ = timeout(UNANSWERED, connection).await;
        } else {
            let _ = connection.await;
        }
    }

    fn service(
        &self,
        from: SocketAddr,
        certificate: Option<ClientName>,
        answering: &Answering,
    ) -> impl Service<hyper::Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static> + use<> {
        let answering = answering.clone();
        let forwards = self.forwards && peer::is_one(from.ip(), &self.proxies);
        let (router, proxies, stop) = (TowerToHyperService::new(self.router.clone()), self.proxies.clone(), self.stop.clone());
        service_fn(move |request: hyper::Request<Incoming>| {
            let address = peer::address(from.ip(), request.headers(), &proxies);
            let certificate = if forwards { forwarded::client(request.headers()) } else { certificate.clone() };
            let known = Known { peer: Peer { address, certificate }, from, stop: stop.clone() };
            let (router, at_work) = (router.clone(), answering.one_more());
            async move {
                let answer = match known.whole(request).await {
                    Ok(request) => router.call(request).await.unwrap_or_else(|never| match never {}),
                    Err(refused) => refused,
                };
                drop(at_work);
                Ok(answer)
            }
        })
    }
}

/// How many handlers are at work on one connection.
#[derive(Clone, Default)]
struct Answering(Arc<()>);

impl Answering {
    fn one_more(&self) -> Arc<()> {
        Arc::clone(&self.0)
    }

    /// The connection and its service have one each.
    fn none(&self) -> bool {
        Arc::strong_count(&self.0) <= 2
    }
}

/// What handlers may know of the connection.
struct Known {
    peer: Peer,
    from: SocketAddr,
    stop: Stop,
}

impl Known {
    /// The request with its whole body: who sends it slowly, or sends too much, keeps no handler waiting.
    async fn whole(self, request: hyper::Request<Incoming>) -> Result<Request, Response> {
        let (mut parts, body) = request.into_parts();
        let body = match timeout(BODY, to_bytes(Body::new(body), MOST_BODY)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or did not arrive whole")),
            Err(_) => return Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        };
        parts.extensions.insert(ConnectInfo(SocketAddr::new(self.peer.address, port(&self.peer.address, self.from))));
        parts.extensions.insert(self.peer);
        parts.extensions.insert(self.stop);
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// The port is known only of whom we are connected to.
fn port(address: &IpAddr, from: SocketAddr) -> u16 {
    if *address == from.ip() { from.port() } else { 0 }
}

fn refusal(status: StatusCode, title: &str) -> Response {
    let problem = serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": title });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}
