use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::peer::Network;

/// How many connections there may be, and who has how many of them.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_peer: usize,
    proxies: Vec<Network>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// The right to one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// Whom it is counted for; none for those that are not counted one by one.
    peer: Option<IpAddr>,
}

impl Places {
    pub(super) fn new(most: usize, most_per_peer: usize, proxies: Vec<Network>) -> Self {
        Self { most, most_per_peer, proxies, taken: Mutex::default() }
    }

    /// A place for one more connection, unless there is none left for this address.
    pub(super) fn take(places: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        let many = from.is_loopback() || places.proxies.iter().any(|network| network.holds(from));
        let peer = (!many).then(|| counted_as(from));
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= places.most {
            return None;
        }
        if let Some(peer) = peer {
            let own = taken.by_peer.entry(peer).or_default();
            if *own >= places.most_per_peer {
                return None;
            }
            *own += 1;
        }
        taken.all += 1;
        Some(Place { places: Arc::clone(places), peer })
    }
}

/// One household has a whole /64 of IPv6 addresses.
fn counted_as(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(_) => from,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(peer) = self.peer
            && let Some(own) = taken.by_peer.get_mut(&peer)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_peer.remove(&peer);
            }
        }
    }
}
