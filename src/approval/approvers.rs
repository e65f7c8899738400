use std::collections::BTreeSet;
use std::fmt;

use super::attestation::Attesters;
use super::change::{Act, Change, NewKey, SignedChange};
use super::digest::sha256;
use super::evidence::{Evidence, NAMESPACE, Signed, Statement};
use super::proved::{Awaited, NotProved, Proved};
use super::review::Approver;
use super::sshsig::Sshsig;
use super::webauthn::{PasskeyKey, RelyingParty};
use crate::key::ssh::{PRESENT, SshKey, VERIFIED};
use crate::policy::Assurance;

/// What a change of the approvers file is signed for.
pub const APPROVERS_NAMESPACE: &str = "approvers@gate";

/// Who may approve by which keys: the approvers file, with every change of it verified. Nothing else makes one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Approvers {
    enrolled: Vec<Enrolled>,
    /// Each with the time since which it counts.
    parties: Vec<(i64, RelyingParty)>,
    attesters: Attesters,
    heads: Vec<[u8; 32]>,
    at: i64,
}

/// A key, whose it is, and since when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolled {
    approver: Approver,
    name: String,
    key: Key,
    from: i64,
    until: Option<i64>,
    vouched: Vec<Approver>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Key {
    Ssh(SshKey),
    Passkey(PasskeyKey),
}

impl Enrolled {
    /// Whose it is.
    pub fn approver(&self) -> &Approver {
        &self.approver
    }

    /// What to call them; never used to decide anything.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `SHA256:…` of the key.
    pub fn fingerprint(&self) -> String {
        match &self.key {
            Key::Ssh(key) => key.fingerprint(),
            Key::Passkey(key) => key.fingerprint(),
        }
    }

    /// The SSH key, if it is one.
    pub fn ssh(&self) -> Option<&SshKey> {
        if let Key::Ssh(key) = &self.key { Some(key) } else { None }
    }

    /// The passkey, if it is one.
    pub fn passkey(&self) -> Option<&PasskeyKey> {
        if let Key::Passkey(key) = &self.key { Some(key) } else { None }
    }

    /// The most that it can prove.
    pub fn assurance(&self) -> Assurance {
        match &self.key {
            Key::Ssh(key) if key.is_security_key() => Assurance::Hardware,
            // Whoever can reach the agent can sign with it: nothing shows that a person was there.
            Key::Ssh(_) => Assurance::SecondPerson,
            Key::Passkey(key) if key.is_hardware() => Assurance::Hardware,
            Key::Passkey(_) => Assurance::Passkey,
        }
    }

    /// Since when it is theirs, and until when, in nanoseconds since 1970.
    pub fn span(&self) -> (i64, Option<i64>) {
        (self.from, self.until)
    }

    /// Who signed that it is theirs.
    pub fn vouched(&self) -> &[Approver] {
        &self.vouched
    }

    fn counts(&self, at: i64) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// What is wrong with an approvers file or a change to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadApprovers(pub(super) String);

impl fmt::Display for BadApprovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signature that holds, and the enrolled key that made it.
struct Made<'a> {
    by: &'a Enrolled,
    flags: Option<u8>,
    counter: Option<u32>,
}

impl Approvers {
    /// SHA-256 of the newest change, for whoever keeps it to see that the file never goes back; none of an empty file.
    pub fn head(&self) -> Option<&[u8; 32]> {
        self.heads.last()
    }

    /// Whether the file once had this head, and so only went on since.
    pub fn extends(&self, head: &[u8; 32]) -> bool {
        self.heads.contains(head)
    }

    /// All keys that ever were enrolled, in their order.
    pub fn enrolled(&self) -> &[Enrolled] {
        &self.enrolled
    }

    /// The keys that count at a time in nanoseconds since 1970.
    pub fn at(&self, at: i64) -> impl Iterator<Item = &Enrolled> {
        self.enrolled.iter().filter(move |one| one.counts(at))
    }

    /// For whom passkeys were made and used at a time.
    pub fn party(&self, at: i64) -> Option<&RelyingParty> {
        self.parties.iter().rev().find(|(from, _)| *from <= at).map(|(_, party)| party)
    }

    /// Who vouches for authenticators now.
    pub fn attesters(&self) -> &Attesters {
        &self.attesters
    }

    /// Whether this evidence shows the expected answer by a key that counts at a time in nanoseconds since 1970: when it is used.
    pub fn prove(&self, evidence: &Evidence, awaited: &Awaited<'_>, at: i64) -> Result<Proved, NotProved> {
        let statement = Statement::parse(&evidence.statement).ok_or(NotProved::Statement)?;
        let bound = statement.bound().ok_or(NotProved::Statement)?;
        let wanted = [
            (statement.request() == awaited.request && statement.digest() == awaited.digest, NotProved::Request),
            (statement.answer() == awaited.answer, NotProved::Answer),
            (statement.standing() == awaited.standing, NotProved::Standing),
            (statement.approver() == awaited.approver, NotProved::Approver),
            (awaited.nonce.is_none_or(|nonce| nonce == bound.nonce), NotProved::Nonce),
            (awaited.given <= bound.expires, NotProved::Expired),
        ];
        if let Some((_, why)) = wanted.into_iter().find(|(holds, _)| !holds) {
            return Err(why);
        }
        let made = self.made(&evidence.statement, &evidence.signed, NAMESPACE, at, awaited.counter)?;
        if made.by.approver != *awaited.approver {
            return Err(NotProved::Approver);
        }
        if awaited.user_verified && matches!(made.by.key, Key::Ssh(_)) && made.flags.is_none_or(|flags| flags & VERIFIED == 0) {
            return Err(NotProved::NotVerified);
        }
        let (assurance, fingerprint, counter) = (made.by.assurance(), made.by.fingerprint(), made.counter);
        Ok(Proved { statement, assurance, fingerprint, counter })
    }

    /// Which key made this, where it counted at that time. A touch is always wanted of what can be touched.
    fn made(&self, message: &[u8], signed: &Signed, namespace: &str, at: i64, counter: Option<u32>) -> Result<Made<'_>, NotProved> {
        match signed {
            Signed::Sshsig(armored) => {
                let signature = Sshsig::parse(armored).map_err(NotProved::Ssh)?;
                if signature.namespace() != namespace {
                    return Err(NotProved::Namespace(signature.namespace().to_owned()));
                }
                let by = self.holder(at, |key| matches!(key, Key::Ssh(key) if key == signature.key()))?;
                let flags = signature.verify(message).map_err(NotProved::Ssh)?;
                if flags.is_some_and(|flags| flags & PRESENT == 0) {
                    return Err(NotProved::NotTouched);
                }
                Ok(Made { by, flags, counter: None })
            }
            Signed::Webauthn(assertion) => {
                let by = self.holder(at, |key| matches!(key, Key::Passkey(key) if key.id() == assertion.id))?;
                let party = self.party(at).ok_or(NotProved::NoParty)?;
                let Key::Passkey(key) = &by.key else { return Err(NotProved::Unknown) };
                let counter = assertion.verify(key, party, &sha256(message), counter).map_err(NotProved::Passkey)?;
                Ok(Made { by, flags: None, counter: Some(counter) })
            }
        }
    }

    fn holder(&self, at: i64, is: impl Fn(&Key) -> bool) -> Result<&Enrolled, NotProved> {
        let mut holders = self.enrolled.iter().filter(|one| is(&one.key)).peekable();
        holders.peek().ok_or(NotProved::Unknown)?;
        holders.find(|one| one.counts(at)).ok_or(NotProved::Time)
    }

    /// How many signatures of different people the next change needs.
    pub fn wanted(&self) -> usize {
        self.people().len().clamp(1, 2)
    }

    fn people(&self) -> BTreeSet<&Approver> {
        self.enrolled.iter().filter(|one| one.until.is_none()).map(|one| &one.approver).collect()
    }

    /// A change to follow the newest one.
    pub fn change(&self, acts: Vec<Act>, at: i64) -> Change {
        Change { prev: self.head().copied(), at, acts }
    }

    /// Whose signatures under a change hold. The first change is signed by the person whom it enrols.
    pub fn signers(&self, signed: &SignedChange) -> Result<Vec<Approver>, BadApprovers> {
        if signed.change.prev != self.head().copied() {
            return Err(BadApprovers("it does not follow the change before it".to_owned()));
        }
        if signed.change.at < self.at {
            return Err(BadApprovers("it is older than the change before it".to_owned()));
        }
        if self.enrolled.is_empty() {
            let first = Self::default().acted(&signed.change)?;
            return if first.people().len() == 1 {
                first.vouching(signed)
            } else {
                Err(BadApprovers("the first change enrols one person, who signs it".to_owned()))
            };
        }
        self.vouching(signed)
    }

    fn vouching(&self, signed: &SignedChange) -> Result<Vec<Approver>, BadApprovers> {
        let bytes = signed.change.bytes();
        let mut people = BTreeSet::new();
        for signature in &signed.signatures {
            let made = self.made(&bytes, signature, APPROVERS_NAMESPACE, signed.change.at, None);
            people.insert(made.map_err(|why| BadApprovers(format!("a signature does not count: {why}")))?.by.approver.clone());
        }
        Ok(people.into_iter().collect())
    }

    /// The same with one more change, where enough of the people enrolled before it signed it.
    pub(super) fn with(self, signed: &SignedChange) -> Result<Self, BadApprovers> {
        let (vouched, wanted, before) = (self.signers(signed)?, self.wanted(), self.enrolled.len());
        if vouched.len() < wanted {
            return Err(BadApprovers(format!("it is signed by {} of {wanted} people", vouched.len())));
        }
        let mut next = self.acted(&signed.change)?;
        next.enrolled.iter_mut().skip(before).for_each(|one| one.vouched.clone_from(&vouched));
        Ok(next)
    }

    /// What a change makes of it, whoever signed.
    pub(super) fn acted(mut self, change: &Change) -> Result<Self, BadApprovers> {
        let wrong = |what: &str| BadApprovers(what.to_owned());
        for act in &change.acts {
            match act {
                Act::Party(party) => self.parties.push((change.at, party.clone())),
                Act::Attesters(attesters) if attesters.is_usable() => self.attesters = attesters.clone(),
                Act::Attesters(_) => return Err(wrong("a certificate of an attester cannot be read")),
                Act::Add { approver, name, key } => {
                    let key = self.key(approver, key, change.at)?;
                    self.enrolled.push(Enrolled {
                        approver: approver.clone(),
                        name: name.clone(),
                        key,
                        from: change.at,
                        until: None,
                        vouched: Vec::new(),
                    });
                }
                Act::Remove { approver, key } => {
                    let mut held = self.enrolled.iter_mut().filter(|one| one.until.is_none() && one.approver == *approver);
                    let found = held.find(|one| one.fingerprint() == *key).ok_or(wrong("it removes a key that is not enrolled"))?;
                    found.until = Some(change.at);
                }
            }
        }
        if self.people().is_empty() {
            return Err(wrong("it would leave nobody enrolled"));
        }
        self.heads.push(change.sha256());
        self.at = change.at;
        Ok(self)
    }

    /// The key, where it is nobody's yet: one key for two people would make one person count as two.
    fn key(&self, approver: &Approver, key: &NewKey, at: i64) -> Result<Key, BadApprovers> {
        let key = match key {
            NewKey::Ssh(key) => Key::Ssh(key.clone()),
            NewKey::Passkey(registration) => {
                let party = self.party(at).ok_or(BadApprovers(NotProved::NoParty.to_string()))?;
                let key = registration.verify(approver, party, &self.attesters, at);
                Key::Passkey(key.map_err(|why| BadApprovers(format!("a passkey is not enrolled: {why}")))?)
            }
        };
        let same = |held: &Key| match (held, &key) {
            (Key::Ssh(held), Key::Ssh(key)) => held == key,
            (Key::Passkey(held), Key::Passkey(key)) => held.id() == key.id() || held.fingerprint() == key.fingerprint(),
            _ => false,
        };
        if self.enrolled.iter().any(|one| one.until.is_none() && same(&one.key)) {
            return Err(BadApprovers("the key is enrolled already".to_owned()));
        }
        Ok(key)
    }
}
