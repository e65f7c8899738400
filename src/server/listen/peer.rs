use std::fmt;
use std::net::IpAddr;

use axum::http::HeaderMap;
use serde::{Deserialize, Deserializer, de};

use super::client_name::ClientName;

/// Where the addresses of those before a proxy stand.
const FORWARDED: &str = "x-forwarded-for";

/// Who is at the other end; among the extensions of each request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address; behind a proxy that is listed the one that it names.
    pub address: IpAddr,
    /// What the client's certificate names, where it showed one that a listed authority signed, or a listed proxy says so.
    pub certificate: Option<ClientName>,
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: u128,
    bits: u32,
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/BITS`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let (offset, most) = if address.is_ipv4() { (96, 32) } else { (0, 128) };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
        let network = Self { address: number(address), bits: offset + bits };
        // Bits beyond the length were meant to say something that they do not.
        (network.address & !network.mask() == 0).then_some(network)
    }

    /// Whether the address is one of them.
    pub fn holds(&self, address: IpAddr) -> bool {
        number(address) & self.mask() == self.address
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - self.bits).unwrap_or(0)
    }
}

/// IPv4 addresses and the IPv6 addresses that stand for them are one.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", std::net::Ipv6Addr::from(self.address), self.bits)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format!("`{}` is no address and no network", crate::text::escape(text.as_bytes()))))
    }
}

/// Whether the address is of a proxy that is listed.
pub(super) fn is_one(address: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|network| network.holds(address))
}

/// The address before the proxies: the last one in the header that is not a proxy's own. Whoever is no proxy is believed nothing.
pub(super) fn address(from: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| is_one(address, proxies);
    if !is_proxy(from) {
        return from;
    }
    let lines: Vec<&str> = headers.get_all(FORWARDED).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let mut nearest = from;
    for named in lines.iter().flat_map(|line| line.split(',')).rev() {
        // What is no address came from somewhere before the proxy: nothing further out is believed.
        let Ok(address) = named.trim().parse::<IpAddr>() else { return nearest };
        nearest = address.to_canonical();
        if !is_proxy(nearest) {
            break;
        }
    }
    nearest
}
