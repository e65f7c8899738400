//! The approvers file: who may approve by which keys, every change signed by those who were there before.

use gate::approval::{
    APPROVERS_NAMESPACE, Act, Answer, Approver, Approvers, ApproversFile, Attesters, Awaited, Bound, Evidence, NAMESPACE, NewKey,
    NotProved, Signed, Statement, Unproved,
};
use gate::key::ssh::{SshKey, Unusable};
use gate::policy::Assurance;

use crate::authenticator::{Attestation, Authenticator, Maker, PRESENT};
use crate::passkeys::{ada, party};
use crate::sshsig::Token;

pub fn bob() -> Approver {
    Approver { issuer: "https://id.test".into(), subject: "bob".into() }
}

fn eve() -> Approver {
    Approver { issuer: "https://id.test".into(), subject: "eve".into() }
}

pub fn ssh(approver: Approver, token: &Token) -> Act {
    let key = NewKey::Ssh(SshKey::from_line(&token.public()).unwrap());
    Act::Add { name: approver.subject.to_uppercase(), approver, key }
}

pub fn passkey(approver: Approver, authenticator: &Authenticator, attestation: &Attestation<'_>) -> Act {
    let key = NewKey::Passkey(authenticator.register(&approver, attestation));
    Act::Add { name: String::new(), approver, key }
}

fn pending(file: &ApproversFile) -> Vec<u8> {
    file.pending().unwrap().change().bytes()
}

pub fn by_token(file: &ApproversFile, token: &Token) -> Signed {
    Signed::Sshsig(token.sign(1, APPROVERS_NAMESPACE, &pending(file)))
}

pub fn by_passkey(file: &ApproversFile, authenticator: &Authenticator) -> Signed {
    Signed::Webauthn(authenticator.assert(&pending(file)))
}

/// Ada with a security key, and the party; then Bob with a passkey that Ada vouches for.
struct Two {
    ada: Token,
    bob: Authenticator,
    file: ApproversFile,
}

fn two() -> Two {
    let (ada_key, bob_key) = (Token::new(), Authenticator::new(2));
    let file = ApproversFile::default().propose(vec![Act::Party(party()), ssh(ada(), &ada_key)], 10).unwrap();
    let signature = by_token(&file, &ada_key);
    let file = file.sign(signature).unwrap().propose(vec![passkey(bob(), &bob_key, &Attestation::None)], 20).unwrap();
    let signature = by_token(&file, &ada_key);
    Two { ada: ada_key, bob: bob_key, file: file.sign(signature).unwrap() }
}

fn statement(approver: Approver, answer: Answer) -> Statement {
    let bound = Bound { nonce: vec![5; 16], expires: 1000 };
    Statement::new("01932c07", [1; 32], answer, approver, 100, bound).unwrap()
}

fn awaited(approver: &Approver) -> Awaited<'_> {
    Awaited {
        standing: None,
        request: "01932c07",
        digest: &[1; 32],
        answer: Answer::Approve,
        approver,
        given: 500,
        nonce: Some(&[5; 16]),
        counter: None,
        user_verified: false,
    }
}

fn by_ada(token: &Token) -> Evidence {
    let statement = statement(ada(), Answer::Approve).bytes();
    Evidence { signed: Signed::Sshsig(token.sign(1, NAMESPACE, &statement)), statement }
}

fn by_bob(authenticator: &Authenticator) -> Evidence {
    let statement = statement(bob(), Answer::Approve).bytes();
    Evidence { signed: Signed::Webauthn(authenticator.assert(&statement)), statement }
}

#[test]
fn people_prove_their_answers_by_the_keys_that_they_are_enrolled_with() {
    let two = two();
    let approvers = two.file.approvers();
    let proved = approvers.prove(&by_ada(&two.ada), &awaited(&ada()), 500).unwrap();
    assert_eq!((proved.assurance(), proved.counter()), (Assurance::Hardware, None));
    let proved = approvers.prove(&by_bob(&two.bob), &awaited(&bob()), 500).unwrap();
    assert_eq!((proved.assurance(), proved.counter()), (Assurance::Passkey, Some(1)));
    assert_eq!(proved.statement().answer(), Answer::Approve);
    for evidence in [by_ada(&two.ada), by_bob(&two.bob)] {
        assert_eq!(Evidence::from_json(&evidence.to_json()), Some(evidence.clone()));
        let mut more = evidence.to_json();
        more["more"] = 1.into();
        assert_eq!(Evidence::from_json(&more), None);
    }
}

#[test]
fn evidence_of_anything_else_proves_nothing() {
    let mut two = two();
    let approvers = two.file.approvers().clone();
    let (ada, bob) = (ada(), bob());
    let refused = |evidence: &Evidence, awaited: &Awaited<'_>, at| approvers.prove(evidence, awaited, at).unwrap_err();
    let good = by_bob(&two.bob);
    assert_eq!(refused(&good, &Awaited { digest: &[2; 32], ..awaited(&bob) }, 500), NotProved::Request);
    assert_eq!(refused(&good, &Awaited { request: "01932c08", ..awaited(&bob) }, 500), NotProved::Request);
    assert_eq!(refused(&good, &Awaited { answer: Answer::Reject, ..awaited(&bob) }, 500), NotProved::Answer);
    assert_eq!(refused(&good, &awaited(&ada), 500), NotProved::Approver);
    assert_eq!(refused(&good, &Awaited { nonce: Some(&[6; 16]), ..awaited(&bob) }, 500), NotProved::Nonce);
    assert_eq!(refused(&good, &Awaited { given: 1001, ..awaited(&bob) }, 500), NotProved::Expired);
    assert_eq!(refused(&good, &Awaited { counter: Some(1), ..awaited(&bob) }, 500), NotProved::Passkey(Unproved::Counter));
    assert_eq!(refused(&good, &awaited(&bob), 15), NotProved::Time, "not enrolled yet");

    // Ada's name over Bob's key, and Bob's name over Ada's.
    let theirs = Evidence { signed: Signed::Webauthn(two.bob.assert(&by_ada(&two.ada).statement)), ..by_ada(&two.ada) };
    assert_eq!(refused(&theirs, &awaited(&ada), 500), NotProved::Approver);
    let statement = good.statement.clone();
    let theirs = Evidence { signed: Signed::Sshsig(two.ada.sign(1, NAMESPACE, &statement)), statement };
    assert_eq!(refused(&theirs, &awaited(&bob), 500), NotProved::Approver);

    // A signature of another statement, of nobody, untouched, unverified, or for another purpose.
    let mut other = good.clone();
    other.signed = by_bob(&Authenticator::new(2)).signed;
    assert_eq!(refused(&other, &awaited(&bob), 500), NotProved::Passkey(Unproved::Signature));
    assert_eq!(refused(&by_bob(&Authenticator::new(3)), &awaited(&bob), 500), NotProved::Unknown);
    assert_eq!(refused(&by_ada(&Token::new()), &awaited(&ada), 500), NotProved::Unknown);
    two.bob.flags = PRESENT;
    assert_eq!(refused(&by_bob(&two.bob), &awaited(&bob), 500), NotProved::Passkey(Unproved::NotVerified));
    two.bob.flags = crate::authenticator::VERIFIED | PRESENT;
    two.bob.origin = "https://evil.test".into();
    assert_eq!(refused(&by_bob(&two.bob), &awaited(&bob), 500), NotProved::Passkey(Unproved::Origin));
    let touched = |flags, namespace: &str| {
        let statement = by_ada(&two.ada).statement;
        Evidence { signed: Signed::Sshsig(two.ada.sign(flags, namespace, &statement)), statement }
    };
    assert_eq!(refused(&touched(0, NAMESPACE), &awaited(&ada), 500), NotProved::NotTouched);
    assert_eq!(refused(&touched(4, NAMESPACE), &awaited(&ada), 500), NotProved::NotTouched);
    assert_eq!(refused(&touched(1, NAMESPACE), &Awaited { user_verified: true, ..awaited(&ada) }, 500), NotProved::NotVerified);
    assert!(approvers.prove(&touched(5, NAMESPACE), &Awaited { user_verified: true, ..awaited(&ada) }, 500).is_ok());
    assert_eq!(refused(&touched(1, APPROVERS_NAMESPACE), &awaited(&ada), 500), NotProved::Namespace(APPROVERS_NAMESPACE.into()));
    let mut moved = by_ada(&two.ada);
    moved.statement = String::from_utf8(moved.statement).unwrap().replace(r#""at":"100""#, r#""at":"101""#).into_bytes();
    assert_eq!(refused(&moved, &awaited(&ada), 500), NotProved::Ssh(Unusable::Wrong));
    let nothing = Evidence { statement: b"{}".to_vec(), ..good };
    assert_eq!(refused(&nothing, &awaited(&bob), 500), NotProved::Statement);
}

#[test]
fn a_file_is_the_same_after_it_was_written_and_read() {
    let two = two();
    let read = ApproversFile::parse(two.file.text().as_bytes()).unwrap();
    assert_eq!(read, two.file);
    assert_eq!(read.approvers().head(), Some(&read.changes()[1].change().sha256()));
    assert!(read.approvers().extends(&read.changes()[0].change().sha256()) && !read.approvers().extends(&[0; 32]));
    assert_eq!(read.approvers().enrolled()[1].vouched(), [ada()]);
    let waiting = read.propose(vec![ssh(eve(), &Token::new())], 30).unwrap();
    let again = ApproversFile::parse(waiting.text().as_bytes()).unwrap();
    assert_eq!(again, waiting);
    assert_eq!(again.approvers().enrolled().len(), 2, "what waits has no say");
}

#[test]
fn from_the_second_person_on_every_change_takes_two() {
    let two = two();
    let eve_key = Token::new();
    let proposed = two.file.clone().propose(vec![ssh(eve(), &eve_key)], 30).unwrap();
    let once = proposed.clone().sign(by_token(&proposed, &two.ada)).unwrap();
    assert!(once.pending().is_some() && once.changes().len() == 2);
    let twice = once.clone().sign(by_token(&proposed, &two.ada)).unwrap_err();
    assert_eq!(twice.to_string(), "they signed it already");
    let herself = once.clone().sign(by_token(&proposed, &eve_key)).unwrap_err();
    assert_eq!(herself.to_string(), "a signature does not count: nobody is enrolled with the key");
    let done = once.sign(by_passkey(&proposed, &two.bob)).unwrap();
    assert!(done.pending().is_none() && done.changes().len() == 3);

    // Signed for something else, or signed before it was changed.
    let proposed = done.clone().propose(vec![Act::Remove { approver: eve(), key: fingerprint(&eve_key) }], 40).unwrap();
    let other = Signed::Sshsig(two.ada.sign(1, NAMESPACE, &pending(&proposed)));
    assert!(proposed.clone().sign(other).unwrap_err().to_string().contains("it was made for `approval@gate`"));
    let signature = by_token(&proposed, &two.ada);
    let changed = done.propose(vec![Act::Remove { approver: eve(), key: fingerprint(&eve_key) }], 41).unwrap();
    assert!(changed.sign(signature).unwrap_err().to_string().contains("the signature does not hold"));
}

fn fingerprint(token: &Token) -> String {
    SshKey::from_line(&token.public()).unwrap().fingerprint()
}

fn signed(file: ApproversFile, acts: Vec<Act>, at: i64, by: &Two) -> ApproversFile {
    let file = file.propose(acts, at).unwrap();
    let signatures = [by_token(&file, &by.ada), by_passkey(&file, &by.bob)];
    signatures.into_iter().fold(file, |file, signature| file.sign(signature).unwrap())
}

#[test]
fn a_key_that_was_removed_shows_what_it_signed_before_and_nothing_after() {
    let two = two();
    let spare = Token::new();
    let file = signed(two.file.clone(), vec![ssh(ada(), &spare), Act::Remove { approver: ada(), key: fingerprint(&two.ada) }], 400, &two);
    let approvers = file.approvers();
    assert!(approvers.prove(&by_ada(&two.ada), &awaited(&ada()), 399).is_ok());
    assert_eq!(approvers.prove(&by_ada(&two.ada), &awaited(&ada()), 400), Err(NotProved::Time));
    assert!(approvers.prove(&by_ada(&spare), &awaited(&ada()), 400).is_ok());
    let proposed = file.propose(vec![ssh(eve(), &Token::new())], 500).unwrap();
    assert!(proposed.clone().sign(by_token(&proposed, &two.ada)).unwrap_err().to_string().contains("not enrolled at that time"));
}

#[test]
fn a_file_that_was_cut_mixed_or_edited_is_refused_as_a_whole() {
    let two = two();
    let file = signed(two.file.clone(), vec![ssh(eve(), &Token::new())], 30, &two);
    let value: serde_json::Value = serde_json::from_str(&file.text()).unwrap();
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = value.clone();
        change(&mut value);
        ApproversFile::parse(value.to_string().as_bytes()).unwrap_err().to_string()
    };
    assert!(refused(&|all| drop(all["changes"].as_array_mut().unwrap().remove(1))).starts_with("change 2: it does not follow"));
    assert!(refused(&|all| drop(all["changes"].as_array_mut().unwrap().remove(0))).starts_with("change 1: "));
    assert!(refused(&|all| all["changes"].as_array_mut().unwrap().swap(1, 2)).starts_with("change 2: "));
    let twice = |all: &mut serde_json::Value| {
        let last = all["changes"][2].clone();
        all["changes"].as_array_mut().unwrap().push(last);
    };
    assert!(refused(&twice).starts_with("change 4: "));
    assert_eq!(
        refused(&|all| drop(all["changes"][2]["signatures"].as_array_mut().unwrap().pop())),
        "change 3: it is signed by 1 of 2 people"
    );
    let doubled = |all: &mut serde_json::Value| all["changes"][2]["signatures"][1] = all["changes"][2]["signatures"][0].clone();
    assert_eq!(refused(&doubled), "change 3: it is signed by 1 of 2 people");
    let renamed = |all: &mut serde_json::Value| all["changes"][1]["change"]["acts"][0]["add"]["subject"] = "mallory".into();
    assert!(refused(&renamed).starts_with("change 2: "));
    assert_eq!(refused(&|all| all["changes"][0]["change"]["more"] = 1.into()), "change 1: it is malformed");
    assert_eq!(refused(&|all| all["changes"][0]["change"]["acts"][0]["party"]["more"] = 1.into()), "change 1: it is malformed");
    assert_eq!(refused(&|all| all["v"] = 2.into()), "it is of another version than 1");
    assert_eq!(refused(&|all| all["more"] = 2.into()), "it is of another version than 1");
    assert!(ApproversFile::parse(b"").is_err() && ApproversFile::parse(b"[]").is_err());
}

#[test]
fn what_would_let_one_person_be_two_or_nobody_remain_is_refused() {
    let two = two();
    let refused = |acts: Vec<Act>| two.file.clone().propose(acts, 30).unwrap_err().to_string();
    assert_eq!(refused(vec![ssh(eve(), &two.ada)]), "the key is enrolled already");
    assert_eq!(refused(vec![passkey(eve(), &two.bob, &Attestation::None)]), "the key is enrolled already");
    let copied = Authenticator { id: vec![9; 32], ..two.bob.clone() };
    assert_eq!(refused(vec![passkey(eve(), &copied, &Attestation::None)]), "the key is enrolled already");
    let stolen = Act::Add { approver: eve(), name: String::new(), key: NewKey::Passkey(two.bob.register(&bob(), &Attestation::None)) };
    assert_eq!(refused(vec![stolen]), "a passkey is not enrolled: the passkey answered another challenge");
    let keys: Vec<Act> = two
        .file
        .approvers()
        .enrolled()
        .iter()
        .map(|one| Act::Remove { approver: one.approver().clone(), key: one.fingerprint() })
        .collect();
    assert_eq!(refused(keys), "it would leave nobody enrolled");
    assert_eq!(refused(vec![Act::Remove { approver: bob(), key: fingerprint(&two.ada) }]), "it removes a key that is not enrolled");
    assert_eq!(
        two.file.clone().propose(vec![ssh(eve(), &Token::new())], 19).unwrap_err().to_string(),
        "it is older than the change before it"
    );
    let nothing = Attesters { roots: vec![vec![0]], ..Attesters::default() };
    assert_eq!(refused(vec![Act::Attesters(nothing)]), "a certificate of an attester cannot be read");
    let first = |acts: Vec<Act>| ApproversFile::default().propose(acts, 1).unwrap_err().to_string();
    assert_eq!(first(vec![Act::Party(party())]), "it would leave nobody enrolled");
    assert_eq!(first(vec![ssh(ada(), &two.ada), ssh(eve(), &Token::new())]), "the first change enrols one person, who signs it");
    assert!(first(vec![passkey(bob(), &two.bob, &Attestation::None)]).contains("no relying party is set"));
}

#[test]
fn a_passkey_may_be_the_first_and_an_attested_one_is_hardware() {
    let maker = Maker::usual();
    let key = Authenticator::new(1);
    let roots = Attesters { roots: vec![maker.root.clone()], ..Attesters::default() };
    let acts = vec![Act::Party(party()), Act::Attesters(roots), passkey(ada(), &key, &Attestation::By(&maker))];
    // Certificates have their time.
    let file = ApproversFile::default().propose(acts, 1_795_226_400_000_000_000).unwrap();
    let other = file.clone().sign(by_passkey(&file, &Authenticator::new(2))).unwrap_err();
    assert_eq!(other.to_string(), "a signature does not count: nobody is enrolled with the key");
    let file = file.clone().sign(by_passkey(&file, &key)).unwrap();
    let read: Approvers = ApproversFile::parse(file.text().as_bytes()).unwrap().into_approvers();
    assert_eq!(read.enrolled()[0].assurance(), Assurance::Hardware);
}

#[test]
fn a_bit_flipped_anywhere_in_the_file_is_refused_or_changes_nothing() {
    let two = two();
    let text = signed(two.file.clone(), vec![ssh(eve(), &Token::new())], 30, &two).text().into_bytes();
    let whole = ApproversFile::parse(&text).unwrap();
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1 << (at % 8);
        if let Ok(read) = ApproversFile::parse(&changed) {
            assert!(read.approvers() == whole.approvers(), "byte {at}");
        }
    }
}
