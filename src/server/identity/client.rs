//! How this server shows a provider that it is the client that the provider knows: by a secret, or by a key (RFC 7523).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use super::error::Error;
use super::settings::{BadSetting, IssuerSettings, Kind, Secret};
use super::web::{percent, word};
use crate::server::model::Wall;
use crate::sys::files::Owner;

/// What says that a field holds a signed statement of the client.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long such a statement holds, in seconds.
const HOLDS: i64 = 60;

/// What the client has.
#[derive(Debug)]
pub(super) enum Credentials {
    /// `client_secret_basic`.
    Secret(Secret),
    /// `private_key_jwt`.
    Key(Box<ClientKey>),
}

/// What goes along with a call.
pub(super) enum Shown {
    /// The header `Authorization`.
    Header(String),
    /// Fields of the form.
    Fields([(&'static str, String); 2]),
}

/// A private key whose public half the provider has.
pub(super) struct ClientKey {
    pair: Pair,
    id: Option<String>,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({})", self.pair.algorithm())
    }
}

impl Credentials {
    /// Reads the one that the section names.
    pub(super) fn read(settings: &IssuerSettings, owner: Owner) -> Result<Self, BadSetting> {
        let bad = |why: &str| BadSetting(why.to_owned());
        match (&settings.client_secret_file, &settings.client_key_file) {
            (Some(_), None) if settings.client_key_id.is_some() => Err(bad("`client_key_id` goes with `client_key_file`")),
            (Some(file), None) => Secret::read(file, owner).map(Self::Secret),
            // It knows a client's key by the thumbprint of a certificate only.
            (None, Some(_)) if settings.kind == Kind::Entra => Err(bad("Entra wants a secret here: `client_secret_file`")),
            (None, Some(file)) => {
                let text = Secret::read(file, owner)?;
                let shown = crate::text::escape(file.as_os_str().as_encoded_bytes());
                let wrong = || BadSetting(format!("`{shown}` holds no private key in PEM of PKCS#8: Ed25519, P-256 or RSA"));
                let pair = Pair::read(text.reveal()).ok_or_else(wrong)?;
                Ok(Self::Key(Box::new(ClientKey { pair, id: settings.client_key_id.clone() })))
            }
            _ => Err(bad("one of `client_secret_file` and `client_key_file` is needed")),
        }
    }

    /// What shows that it is the client with this id, to whoever is named.
    pub(super) fn shown(&self, client: &str, audience: &str, now: Wall) -> Result<Shown, Error> {
        match self {
            // RFC 6749 2.3.1: both are form-encoded first.
            Self::Secret(secret) => {
                Ok(Shown::Header(format!("Basic {}", STANDARD.encode(format!("{}:{}", percent(client), percent(secret.reveal()))))))
            }
            Self::Key(key) => {
                let fields = [("client_assertion_type", ASSERTION.to_owned()), ("client_assertion", key.assertion(client, audience, now)?)];
                Ok(Shown::Fields(fields))
            }
        }
    }
}

impl ClientKey {
    fn assertion(&self, client: &str, audience: &str, now: Wall) -> Result<String, Error> {
        let now = now / 1_000_000_000;
        let mut header = json!({ "alg": self.pair.algorithm(), "typ": "JWT" });
        if let Some(id) = &self.id {
            header["kid"] = json!(id);
        }
        let claims = json!({ "iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + HOLDS, "jti": word()? });
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(signed.as_bytes()).ok_or(Error::System("signature"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Pair {
    fn read(pem: &str) -> Option<Self> {
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? else { return None };
        let der = key.secret_pkcs8_der();
        // OpenSSL writes an Ed25519 key without its public half.
        let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Self::Ed25519);
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new()).ok().map(Self::P256);
        ed25519().or_else(p256).or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(Self::Rsa))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(pair) => Some(pair.sign(text).as_ref().to_vec()),
            Self::P256(pair) => Some(pair.sign(&SystemRandom::new(), text).ok()?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}
