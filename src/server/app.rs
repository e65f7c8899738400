//! What all handlers share.

use std::sync::Arc;

use super::identity::{self, Identity};
use super::live::Live;
use super::model::Wall;
use super::pace::Pace;
use super::settings::Settings;
use super::store::{Store, Unavailable};
use super::witness::Cosigner;
use crate::approval::sha256;
use crate::key::{SigningKey, Vkey};
use crate::sys::{clock, random};

/// The server, as its handlers see it.
pub struct App {
    /// What the operator wrote.
    pub settings: Settings,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Who people are.
    pub identity: Identity,
    /// Who waits for what.
    pub live: Live,
    /// The key that signs decisions.
    pub key: DecisionKey,
    /// The key that countersigns hosts' checkpoints.
    pub cosigner: Cosigner,
    /// How fast each requester asks.
    pub pace: Pace,
    /// SHA-256 of the configuration in force and of the one in the file, in hex.
    pub configuration: [String; 2],
}

/// The key that signs decisions, with the name that hosts pin.
pub struct DecisionKey {
    /// Its public half with its name.
    pub vkey: Vkey,
    /// Whether it is one of a trial.
    pub dev: bool,
    /// Its secret half.
    pub secret: SigningKey,
}

impl App {
    /// Now, in nanoseconds since 1970.
    pub fn now(&self) -> Result<Wall, Unavailable> {
        clock::now().map(|now| now.wall).map_err(|error| Unavailable(format!("the clock cannot be read: {error}")))
    }

    /// The page of a request.
    pub fn page(&self, id: &str) -> String {
        format!("{}/r/{id}", self.settings.url)
    }
}

impl identity::Host for App {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn store(&self) -> &dyn Store {
        &*self.store
    }
}

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Unavailable> {
    let mut bytes = [0; N];
    random::fill(&mut bytes).map_err(|error| Unavailable(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

/// What a secret of others is kept as: SHA-256 in hex.
pub fn kept_as(secret: &[u8]) -> String {
    crate::text::hex(&sha256(secret))
}

/// A request's id: `req_` and a ULID (48 bits of milliseconds, 80 random ones, in Crockford's base 32).
pub fn request_id(now: Wall) -> Result<String, Unavailable> {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let millis = u128::try_from(now / 1_000_000).unwrap_or_default() & ((1 << 48) - 1);
    let drawn = random::<10>()?.iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    let number = millis << 80 | drawn;
    let digit = |at: u32| char::from(DIGITS[usize::try_from(number >> (5 * at) & 31).unwrap_or_default()]);
    Ok(format!("req_{}", (0..26).rev().map(digit).collect::<String>()))
}
