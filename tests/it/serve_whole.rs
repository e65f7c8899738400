//! The whole API of a real `gate serve` that relies on a certified provider, driven from outside: by a client in Python that knows only its
//! description, and by schemathesis.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gate::policy::{Assurance, Channel};
use tempfile::TempDir;

use crate::approval::Parts;
use crate::identity_real::{Provider, ports};
use crate::identity_support::{issuer, secret_file};
use crate::serving::Server;

/// Whether what takes too long for every day is wanted.
const LONG: &str = "GATE_TESTS_LONG";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A server with people, teams, and those whom its configuration names.
struct Whole {
    server: Server,
    issuer: String,
    _provider: Provider,
    directory: TempDir,
}

impl Whole {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let port = ports(1);
        let issuer_url = format!("http://127.0.0.1:{port}");
        let scopes = "scopes = [\"openid\", \"profile\", \"email\", \"groups\", \"offline_access\"]\n\
                      [[issuer.assurance]]\nassurance = \"fresh-mfa\"\nacr = [\"phr\"]\n";
        let relies = issuer("op", &issuer_url, scopes).replace("SECRET", &secret_file(directory.path(), "secret"));
        let names = "[teams]\nsre = [\"group:op:sre\"]\n\
                     [stop]\npeople = [\"person:ISSUER#ann\", \"person:ISSUER#cat\"]\n\
                     [break_glass]\npeople = [\"person:ISSUER#bob\"]\nreviewers = [\"person:ISSUER#cat\"]\n\
                     [configuration]\nadministrators = [\"person:ISSUER#ann\", \"person:ISSUER#cat\"]\n\
                     [requests]\nper_minute = 0\nwaiting = 0\n";
        let server = Server::start(&format!("{}{relies}", names.replace("ISSUER", &issuer_url)));
        let script = root().join("tests/node/provider.mjs");
        let provider = Provider::node(&[script.to_str().unwrap(), "MODULES", &port.to_string(), &server.url], &[("ALG", "ES256")], "ready");
        Self { server, issuer: issuer_url, _provider: provider, directory }
    }

    /// Runs a program of `tests/python` with the server's address, the provider's, and an approval request to vary.
    fn driven_by(&self, script: &str, arguments: &[&str]) -> Output {
        let mut parts = Parts::new();
        parts.asked.terms.channels = [Channel::Server].into();
        parts.asked.terms.assurance = Assurance::SecondPerson;
        let mut command = Command::new(root().join("target/schemathesis/bin/python"));
        command.arg(root().join("tests/python").join(script)).args([&self.server.url, &self.issuer]).args(arguments);
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "*").env("TMPDIR", self.directory.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(parts.made().text().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_client_that_knows_only_the_description_drives_every_operation() {
    let driven = Whole::start().driven_by("drive_api.py", &[]);
    assert!(driven.status.success(), "{}", said(&driven));
}

#[test]
fn schemathesis_finds_no_answer_that_the_description_does_not_have() {
    let examples = if std::env::var_os(LONG).is_some() { "1000" } else { "20" };
    let driven = Whole::start().driven_by("fuzz_api.py", &[examples, "1"]);
    assert!(driven.status.success(), "{}", said(&driven));
}
