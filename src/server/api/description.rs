//! What the API's description says of all operations alike, so that no handler repeats it.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder};

/// How errors are told.
const PROBLEM: &str = "application/problem+json";

/// The ways to prove who calls, by their names in the description; any one of them will do.
const WAYS: [&str; 4] = ["bearer", "host", "session", "certificate"];

/// Completes what the handlers say of themselves: what each may be answered before a handler sees the call, and that callers are known.
pub(super) fn of_callers(description: &mut OpenApi) {
    for operation in operations(description) {
        let required = WAYS.map(|way| SecurityRequirement::new(way, [] as [&str; 0]));
        operation.security = Some(required.to_vec());
        for status in ["401", "403"] {
            refuses(operation, status);
        }
    }
    let components = description.components.get_or_insert_default();
    let bearer = "a token of `gate login` (`gate_pat_…`), or a workload's JWT";
    let host = "`Gate-Host key=\"VKEY\", at=\"SECONDS\", signature=\"BASE64\"`: an Ed25519 signature by the key of the host's log";
    let session = "the page's session; what changes something needs the header `x-gate-csrf`, and comes from the same origin";
    let schemes = [
        SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).description(Some(bearer)).build()),
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("Authorization", host))),
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description("__Host-gate_session", session))),
        SecurityScheme::MutualTls {
            description: Some("a certificate whose name stands in the server's configuration".to_owned()),
            deprecated: None,
            extensions: None,
        },
    ];
    for (way, scheme) in WAYS.into_iter().zip(schemes) {
        components.add_security_scheme(way, scheme);
    }
}

/// Completes what is the same for everybody: errors that any call may meet, their media type, and what each status means.
pub(super) fn of_all(description: &mut OpenApi) {
    for operation in operations(description) {
        let takes_body = operation.request_body.is_some();
        for status in ["413", "422", "503"].into_iter().chain(takes_body.then_some("415")) {
            refuses(operation, status);
        }
        for (status, response) in &mut operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            if response.description.is_empty() {
                response.description = means(status).to_owned();
            }
            let of_problem = |content: &RefOr<Content>| {
                let RefOr::T(content) = content else { return false };
                content.schema.as_ref().is_some_and(|schema| *schema == problem().into())
            };
            if let Some(content) = response.content.get("application/json").filter(|content| of_problem(content)).cloned() {
                response.content.clear();
                response.content.insert(PROBLEM.to_owned(), content);
            }
        }
    }
}

fn problem() -> Ref {
    Ref::from_schema_name("Problem")
}

/// Adds an error that the handler does not name itself.
fn refuses(operation: &mut Operation, status: &str) {
    let told = || -> Response { ResponseBuilder::new().content(PROBLEM, Content::new(Some(problem()))).build() };
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| told().into());
}

fn operations(description: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    description.paths.paths.values_mut().flat_map(|PathItem { get, post, delete, .. }| [get, post, delete].into_iter().flatten())
}

fn means(status: &str) -> &'static str {
    match status {
        "200" => "as it is now",
        "201" => "made",
        "400" => "a header is missing",
        "401" => "who calls is not proved",
        "403" => "known, and not allowed to",
        "404" => "there is none, or none that the caller may see",
        "409" => "it is decided, used or over",
        "410" => "its time is over",
        "413" => "the body is too long",
        "415" => "the body is not JSON",
        "422" => "the body or a parameter is not what it has to be",
        "429" => "too many at once; `Retry-After` tells when to try again",
        "503" => "not now; `Retry-After` tells when to try again",
        _ => "",
    }
}
