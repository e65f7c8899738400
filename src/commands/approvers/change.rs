use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::surroundings;
use super::{bad, print, show, shown, write};
use crate::approval::{Act, Approver, ApproversFile, Attesters, NewKey, Registration, RelyingParty};
use crate::error::Error;
use crate::exit_codes;
use crate::key::ssh::SshKey;
use crate::text;

/// What a key or a certificate is read from is at most so long, in bytes.
const LONGEST: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    person: PersonArgs,
    /// What to call them; never used to decide anything
    #[arg(long, default_value = "")]
    name: String,
    /// A file with an SSH public key
    #[arg(long, value_name = "FILE", required_unless_present = "registration", conflicts_with = "registration")]
    ssh_key: Option<PathBuf>,
    /// A file with a passkey's registration, as the server's page gives it
    #[arg(long, value_name = "FILE")]
    registration: Option<PathBuf>,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    person: PersonArgs,
    /// The key's fingerprint, as `gate approvers show` tells it
    #[arg(value_name = "SHA256:…")]
    key: String,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Args)]
pub(super) struct PartyChangeArgs {
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Args)]
struct PersonArgs {
    /// Who vouches for the person: the URL of the identity provider
    #[arg(value_name = "ISSUER")]
    issuer: String,
    /// What it calls the person: the subject of its tokens
    #[arg(value_name = "SUBJECT")]
    subject: String,
}

#[derive(Debug, Args)]
struct PartyArgs {
    /// The domain that passkeys are made for
    #[arg(long, value_name = "DOMAIN", requires = "origin")]
    party: Option<String>,
    /// The one origin of the page that they are used on: `https://` and the domain or one below it
    #[arg(long, value_name = "URL", requires = "party")]
    origin: Option<String>,
    /// A certificate, in PEM or DER, of a maker of authenticators that counts; those named before do not any more
    #[arg(long, value_name = "FILE")]
    root: Vec<PathBuf>,
    /// A model of authenticator that counts, where not all of those makers do
    #[arg(long, value_name = "UUID", requires = "root")]
    aaguid: Vec<uuid::Uuid>,
}

#[derive(Debug, Args)]
struct HowArgs {
    /// Even if another change has signatures, and waits for more
    #[arg(long)]
    replace: bool,
}

pub(super) fn add(file: ApproversFile, args: &AddArgs, path: &Path) -> Result<u8, Error> {
    let key = match (&args.ssh_key, &args.registration) {
        (Some(from), _) => {
            let text = String::from_utf8(contents(from)?).ok();
            let key = text.and_then(|text| SshKey::from_line(text.trim()));
            NewKey::Ssh(key.ok_or_else(|| unusable(from, "holds no SSH public key of a kind that is verified"))?)
        }
        (None, Some(from)) => {
            let read = serde_json::from_slice(&contents(from)?).ok().and_then(|value| Registration::from_json(&value));
            NewKey::Passkey(read.ok_or_else(|| unusable(from, "holds no registration of a passkey"))?)
        }
        (None, None) => return Err(Error::new(exit_codes::USAGE, "neither an SSH key nor a registration is given")),
    };
    let person = Act::Add { approver: args.person.approver(), name: args.name.clone(), key };
    propose(file, args.party.acts()?.into_iter().chain([person]).collect(), &args.how, path)
}

pub(super) fn remove(file: ApproversFile, args: &RemoveArgs, path: &Path) -> Result<u8, Error> {
    propose(file, vec![Act::Remove { approver: args.person.approver(), key: args.key.clone() }], &args.how, path)
}

pub(super) fn party(file: ApproversFile, args: &PartyChangeArgs, path: &Path) -> Result<u8, Error> {
    let acts = args.party.acts()?;
    if acts.is_empty() {
        return Err(Error::new(exit_codes::USAGE, "nothing is to change; see `gate approvers party --help`"));
    }
    propose(file, acts, &args.how, path)
}

impl PersonArgs {
    fn approver(&self) -> Approver {
        Approver { issuer: self.issuer.clone(), subject: self.subject.clone() }
    }
}

impl PartyArgs {
    fn acts(&self) -> Result<Vec<Act>, Error> {
        let mut acts = Vec::new();
        if let (Some(id), Some(origin)) = (&self.party, &self.origin) {
            let party = RelyingParty::new(id, origin).ok_or_else(|| {
                let shown = text::escape(format!("{id}, {origin}").as_bytes());
                Error::new(exit_codes::USAGE, format!("`{shown}` is no domain with an origin of its own"))
                    .hint("write them as in `--party example.com --origin https://gate.example.com`")
            })?;
            acts.push(Act::Party(party));
        }
        if !self.root.is_empty() {
            let roots = self.root.iter().map(|path| certificate(path)).collect::<Result<_, _>>()?;
            let aaguids: BTreeSet<[u8; 16]> = self.aaguid.iter().map(|aaguid| *aaguid.as_bytes()).collect();
            acts.push(Act::Attesters(Attesters { roots, aaguids }));
        }
        Ok(acts)
    }
}

fn propose(file: ApproversFile, acts: Vec<Act>, how: &HowArgs, path: &Path) -> Result<u8, Error> {
    if !how.replace && file.pending().is_some_and(|pending| pending.signatures() > 0) {
        return Err(Error::config("a change has signatures already, and waits for more")
            .hint("see it with `gate approvers show`; `--replace` gives it up"));
    }
    let file = file.propose(acts, surroundings::now()?.wall).map_err(|why| bad(path, &why))?;
    // What is written has to be what is read again, whatever was typed.
    ApproversFile::parse(file.text().as_bytes()).map_err(|why| bad(path, &why))?;
    write(path, &file)?;
    print(&show::waiting(&file))
}

fn certificate(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = contents(path)?;
    Ok(CertificateDer::from_pem_slice(&bytes).map(|certificate| certificate.to_vec()).unwrap_or(bytes))
}

/// What a user names on the command line is theirs to choose; only its size is bounded.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || {
        use std::io::Read;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| unusable(path, &format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > LONGEST { Err(unusable(path, "is too long")) } else { Ok(bytes) }
}

pub(super) fn unusable(path: &Path, what: &str) -> Error {
    Error::new(exit_codes::USAGE, format!("`{}` {what}", shown(path)))
}
