//! Approvals that somebody who does not trust this host can check: signatures by keys that it never had.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::reader::Reader;
use crate::approval::{
    AllowedSigners, Answer, Approvers, Awaited, CLOCKS_NS, Evidence, NAMESPACE, Seen, Signed, Standing, Statement, Wanted, sha256,
};
use crate::policy::Assurance;
use crate::record::{Body, Kind, hex, range_root};

/// Against what to check approvals; one of both is enough for an SSH signature, passkeys want the second.
#[derive(Clone, Debug)]
pub struct Signers {
    /// Who may approve, as OpenSSH has it.
    pub allowed: Option<AllowedSigners>,
    /// Who may approve, by the signed approvers file.
    pub approvers: Option<Approvers>,
    /// Whether a security key has to know who touches it.
    pub user_verified: bool,
}

/// What was found of approvals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Approvals {
    /// So many are shown by a signature that holds.
    pub verified: u64,
    /// So many are only said by the record.
    pub bare: u64,
}

/// What showed an approval already, and so shows no other.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Each with the use of it, where it stands for several runs.
    statements: HashSet<([u8; 32], u64)>,
    /// With the statement that each was of.
    counters: HashMap<(String, u32), [u8; 32]>,
}

impl Approvals {
    /// Checks the approvals of an entry, and says what is wrong with each that does not hold.
    pub(super) fn see(&mut self, body: &Body<'_>, signers: &Signers, reader: &Reader, used: &mut Used) -> Vec<String> {
        if body.kind != Kind::Decision {
            return Vec::new();
        }
        let decision = body.value("decision").unwrap_or_default();
        let mut wrong = Vec::new();
        for approver in decision.get("approvers").and_then(Value::as_array).into_iter().flatten() {
            match approver.get("evidence").map(|evidence| shown(body, approver, evidence, signers, reader, used)) {
                None | Some(Ok(false)) => self.bare += 1,
                Some(Ok(true)) => self.verified += 1,
                Some(Err(why)) => wrong.push(format!("holds an approval that does not hold: {why}")),
            }
        }
        wrong
    }
}

/// Whether the evidence is of this very approval; false where nothing is given to hold it against.
fn shown(body: &Body<'_>, approver: &Value, evidence: &Value, signers: &Signers, reader: &Reader, used: &mut Used) -> Result<bool, String> {
    let evidence = Evidence::from_json(evidence).ok_or("its evidence is malformed")?;
    let statement = Statement::parse(&evidence.statement).ok_or("its statement is malformed")?;
    let is = |name: &str, text: &str| approver.get(name).and_then(Value::as_str) == Some(text);
    let nth = of_this(body, &statement)?;
    if statement.answer() != Answer::Approve {
        return Err("it gives another answer".to_owned());
    }
    if !is("issuer", &statement.approver().issuer) || !is("subject", &statement.approver().subject) {
        return Err("it was given by somebody else than the record says".to_owned());
    }
    if let Some(seen) = statement.seen() {
        known(seen, body, reader)?;
    }
    let Some((assurance, counted)) = vouched(body, approver, &evidence, &statement, signers)? else { return Ok(false) };
    let said = approver.get("assurance").and_then(Value::as_str).and_then(Assurance::parse);
    // What is less than a passkey rests on a sign-on, which no signature shows.
    if said.is_some_and(|said| said >= Assurance::Passkey && said > assurance) {
        return Err("the record says more of it than its evidence shows".to_owned());
    }
    let said = sha256(&evidence.statement);
    if !used.statements.insert((said, nth)) {
        return Err("it was used for another approval already".to_owned());
    }
    // Authenticators that count nothing always say 0. A statement that is good for several runs is of one use of the passkey.
    let counted = counted.filter(|(_, counter)| *counter != 0);
    let twice = counted.is_some_and(|counted| *used.counters.entry(counted).or_insert(said) != said);
    if twice { Err("its passkey's counter was used for another approval already: there may be two of it".to_owned()) } else { Ok(true) }
}

/// Which run that the statement lets happen this entry is of: the first is that of the request itself.
fn of_this(body: &Body<'_>, statement: &Statement) -> Result<u64, String> {
    let said = body.value("decision").and_then(|decision| decision.get("standing").cloned());
    let (request, digest) = (Some(statement.request()), hex(statement.digest()));
    let Some(said) = said else {
        let same = request == body.request && Some(digest.as_str()) == body.text("digest");
        return if same { Ok(1) } else { Err("it was given to another request".to_owned()) };
    };
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    if request != text("request") || Some(digest.as_str()) != text("digest") {
        return Err("it was given to another request".to_owned());
    }
    let standing = statement.standing().ok_or("it was given for one run")?;
    let told = ["open", "until", "uses"].map(|name| Some((name.to_owned(), said.get(name)?.clone())));
    let told = told.into_iter().collect::<Option<_>>().and_then(|told| Standing::read(&Value::Object(told)));
    let told = told.ok_or("its record does not say for which runs it is")?;
    // Of several approvals the least holds, so the record may say less than each of them, and never more.
    if told.open() != standing.open() || told.until() > standing.until() || told.uses() > standing.uses() {
        return Err("the record lets more run than it does".to_owned());
    }
    let nth = said.get("use").and_then(Value::as_u64).filter(|nth| (2..=u64::from(told.uses())).contains(nth));
    let nth = nth.ok_or("it was given for fewer runs")?;
    if body.header.wall > standing.until().saturating_add(CLOCKS_NS) {
        return Err("it had ended".to_owned());
    }
    Ok(nth)
}

/// How surely it was them, and a passkey's fingerprint and counter.
type Shown = (Assurance, Option<(String, u32)>);

/// What the signature shows; none where nothing is given to hold it against.
fn vouched(
    body: &Body<'_>,
    approver: &Value,
    evidence: &Evidence,
    statement: &Statement,
    signers: &Signers,
) -> Result<Option<Shown>, String> {
    let at = body.header.wall;
    // Records of other gates than this one may lack it; then the answer is as old as its record.
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let awaited = Awaited {
        request: statement.request(),
        digest: statement.digest(),
        answer: Answer::Approve,
        standing: statement.standing(),
        approver: statement.approver(),
        given: approver.get("at").and_then(number).unwrap_or(at),
        nonce: None,
        counter: None,
        user_verified: signers.user_verified,
    };
    let by_approvers = signers.approvers.as_ref().map(|approvers| {
        let proved = approvers.prove(evidence, &awaited, at)?;
        // A later run rests on an answer of before, when the key had to count, too.
        if statement.standing().is_some() { approvers.prove(evidence, &awaited, awaited.given) } else { Ok(proved) }
    });
    let by_allowed = match (&signers.allowed, &evidence.signed) {
        (Some(allowed), Signed::Sshsig(armored)) => {
            let wanted = Wanted { identity: &statement.approver().subject, namespace: NAMESPACE, at, user_verified: signers.user_verified };
            Some(allowed.vouch(&wanted, &evidence.statement, armored))
        }
        _ => None,
    };
    match (by_approvers, by_allowed) {
        (Some(Ok(proved)), _) => Ok(Some((proved.assurance(), proved.counter().map(|counter| (proved.fingerprint().to_owned(), counter))))),
        (_, Some(Ok(signer))) => Ok(Some((if signer.flags.is_some() { Assurance::Hardware } else { Assurance::SecondPerson }, None))),
        (Some(Err(why)), _) => Err(why.to_string()),
        (None, Some(Err(why))) => Err(why.to_string()),
        (None, None) => Ok(None),
    }
}

/// Whether the log that the approver was shown is this one, before the decision.
fn known(seen: &Seen, body: &Body<'_>, reader: &Reader) -> Result<(), String> {
    if seen.log != body.header.log {
        return Err("it was given in another log".to_owned());
    }
    if seen.size > body.header.seq {
        return Err("it names a checkpoint that is later than the decision".to_owned());
    }
    // A tree that ends among archived entries is not known here any more; the archive's is.
    let known = reader.knows_tree(seen.size).map_err(|error| error.to_string())?;
    let root = || range_root(0, seen.size, &mut |level, index| reader.node(level, index)).map_err(|error| error.to_string());
    if known && root()? != seen.root {
        return Err("it names a checkpoint of another history".to_owned());
    }
    Ok(())
}
