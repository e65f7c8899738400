//! What providers entrust to the server is kept sealed, so that a copy of the database alone is of no use.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::error::Error;
use super::web::random;

/// The key that seals.
pub(super) struct Sealer(LessSafeKey);

impl Sealer {
    pub(super) fn new(key: [u8; 32]) -> Result<Self, Error> {
        UnboundKey::new(&CHACHA20_POLY1305, &key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| Error::System("key to seal with"))
    }

    /// Seals a text for one place: it cannot be opened in another.
    pub(super) fn seal(&self, place: &str, text: &str) -> Result<String, Error> {
        let nonce = random::<NONCE_LEN>()?;
        let mut bytes = text.as_bytes().to_vec();
        let sealed = self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut bytes);
        sealed.map_err(|_| Error::System("room to seal in"))?;
        Ok(STANDARD.encode([nonce.as_slice(), &bytes].concat()))
    }

    /// Opens it; none where it was sealed with another key, or for another place.
    pub(super) fn open(&self, place: &str, sealed: &str) -> Option<String> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let mut rest = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce.try_into().ok()?);
        let text = self.0.open_in_place(nonce, Aad::from(place.as_bytes()), &mut rest).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}
