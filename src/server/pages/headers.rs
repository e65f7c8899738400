//! What every page tells the browser: nothing but its own parts, in no frame.

use axum::http::{HeaderName, HeaderValue, header};

/// Rights of the browser that a page gives up; passkeys are the only ones it uses.
const PERMISSIONS: &str = "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=(), \
    payment=(), usb=(), serial=(), hid=(), clipboard-read=(), display-capture=()";

/// The headers of pages. Signing out posts a form that is sent on to the issuer, so the issuers' origins are where forms may lead.
pub fn headers(issuers: &[String]) -> Vec<(HeaderName, HeaderValue)> {
    let origins: Vec<&str> = issuers.iter().map(String::as_str).filter(|origin| is_origin(origin)).collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; \
         form-action {}; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'",
        [&["'self'"], origins.as_slice()].concat().join(" ")
    );
    let mut out = vec![
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS)),
        (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    // Without its policy no page is shown: what cannot be a header falls back to the one without issuers.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    out.push((header::CONTENT_SECURITY_POLICY, policy));
    out
}

/// `https://host` or `http://host:port`, and nothing that could be another directive.
fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)))
}
