//! Where the server listens: TLS, limits on whoever is at the other end, and an end in order.

mod client_name;
mod connection;
mod forwarded;
mod peer;
mod places;
mod settings;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stop::Stop;
use connection::Serving;
use places::Places;

pub use client_name::ClientName;
pub use connection::MOST_BODY;
pub use peer::{Network, Peer};
pub use settings::HttpSettings;
pub use tls::Tls;

/// How long requests that are being answered may take once the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// How long to wait where the system has no descriptor left for a connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

/// A socket that is bound, and how connections to it are treated.
#[derive(Debug)]
pub struct Front {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    proxies: Vec<Network>,
    forwards: bool,
    places: Arc<Places>,
}

impl Front {
    /// Binds. Without a certificate only a loopback address is bound, unless the settings say that a proxy stands before it.
    pub async fn bind(address: SocketAddr, settings: &HttpSettings) -> Result<Self, String> {
        let tls = settings.tls()?.map(Arc::new);
        if tls.is_none() && !settings.behind_proxy && !address.ip().is_loopback() {
            return Err(format!("`{address}` is not a loopback address, and there is no `certificate` below `[http]`"));
        }
        let listener = TcpListener::bind(address).await.map_err(|error| format!("`{address}` cannot be listened on: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let proxies = if settings.behind_proxy { settings.proxies.clone() } else { Vec::new() };
        let places = Arc::new(Places::new(settings.connections, settings.per_peer, proxies.clone()));
        Ok(Self { listener, address, tls, proxies, forwards: settings.forwarded_certificates, places })
    }

    /// The address that was bound, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificates, to be read again when they change; none where it speaks plainly.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// Answers until the server ends; what is being answered then gets ten seconds more.
    pub async fn serve(self, router: Router, stop: Stop) {
        let mut connections = JoinSet::new();
        let serving = Arc::new(Serving { tls: self.tls, proxies: self.proxies, forwards: self.forwards, router, stop: stop.clone() });
        loop {
            tokio::select! {
                () = stop.wait() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        if let Some(place) = Places::take(&self.places, from.ip()) {
                            let serving = Arc::clone(&serving);
                            connections.spawn(async move {
                                serving.connection(stream, from).await;
                                drop(place);
                            });
                        }
                    }
                    Err(_) => sleep(NO_DESCRIPTOR).await,
                },
            }
        }
        drop(self.listener);
        let _ = timeout(LAST_ANSWERS, async { while connections.join_next().await.is_some() {} }).await;
        connections.shutdown().await;
    }
}
