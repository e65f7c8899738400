//! Passkeys: what an authenticator signed holds for the very person, page, challenge and key, and for nothing else.

use std::collections::BTreeSet;

use gate::approval::{Approver, Assertion, Attesters, PasskeyKey, Registration, RelyingParty, Unproved, sha256};
use proptest::prelude::*;

use crate::authenticator::{AAGUID, Attestation, Authenticator, BACKED_UP, BACKUP_ELIGIBLE, Maker, PRESENT, VERIFIED, client_data};

/// 2026-11-21.
const NOW: i64 = 1_795_226_400_000_000_000;

pub fn ada() -> Approver {
    Approver { issuer: "https://id.test".into(), subject: "ada".into() }
}

pub fn party() -> RelyingParty {
    RelyingParty::new("gate.test", "https://gate.test").unwrap()
}

fn enrolled(authenticator: &Authenticator) -> PasskeyKey {
    authenticator.register(&ada(), &Attestation::None).verify(&ada(), &party(), &Attesters::default(), NOW).unwrap()
}

fn attesters(maker: &Maker) -> Attesters {
    Attesters { roots: vec![maker.root.clone()], aaguids: BTreeSet::new() }
}

#[test]
fn a_passkey_of_each_kind_proves_the_statement_whose_sha_256_is_its_challenge() {
    for authenticator in [Authenticator::new(1), Authenticator::ed25519(2)] {
        let assertion = authenticator.assert(b"statement");
        let key = enrolled(&authenticator);
        assert_eq!(assertion.verify(&key, &party(), &sha256(b"statement"), Some(0)), Ok(1));
        assert_eq!(assertion.verify(&key, &party(), &sha256(b"statemenT"), Some(0)), Err(Unproved::Challenge));
        assert!(!key.is_hardware(), "nobody vouches for it");
    }
}

#[test]
fn a_use_that_differs_in_anything_proves_nothing() {
    type Change = fn(&mut Authenticator);
    let cases: [(&str, Change, Unproved); 9] = [
        ("another party", |one| one.party = "evil.test".into(), Unproved::Party),
        ("another origin", |one| one.origin = "https://gate.test.evil.test".into(), Unproved::Origin),
        ("another port", |one| one.origin = "https://gate.test:444".into(), Unproved::Origin),
        ("in a frame of another page", |one| one.extra = r#","crossOrigin":true"#, Unproved::Origin),
        ("with a page above", |one| one.extra = r#","crossOrigin":false,"topOrigin":"https://gate.test""#, Unproved::Origin),
        ("not touched", |one| one.flags = VERIFIED, Unproved::NotPresent),
        ("not verified", |one| one.flags = PRESENT, Unproved::NotVerified),
        ("copied and not copyable", |one| one.flags |= BACKED_UP, Unproved::Backup),
        ("copyable all at once", |one| one.flags |= BACKUP_ELIGIBLE, Unproved::Backup),
    ];
    for (name, change, why) in cases {
        let mut authenticator = Authenticator::new(1);
        let key = enrolled(&authenticator);
        change(&mut authenticator);
        let assertion = authenticator.assert(b"statement");
        assert_eq!(assertion.verify(&key, &party(), &sha256(b"statement"), None), Err(why), "{name}");
    }
}

#[test]
fn a_use_for_another_purpose_by_another_key_or_with_more_in_it_proves_nothing() {
    let authenticator = Authenticator::new(1);
    let key = enrolled(&authenticator);
    let verify = |assertion: &Assertion| assertion.verify(&key, &party(), &sha256(b"statement"), None);
    let challenge = sha256(b"statement");
    assert_eq!(verify(&authenticator.assert_as("webauthn.create", &challenge, authenticator.used())), Err(Unproved::Purpose));
    assert_eq!(verify(&authenticator.assert_as("payment.get", &challenge, authenticator.used())), Err(Unproved::Purpose));
    let malformed = Unproved::Malformed("its authenticator data is not that of a use");
    for rest in [b"x".as_slice(), &[0xa0], &[0xa0, 0xa0]] {
        let data = [authenticator.used().as_slice(), rest].concat();
        assert_eq!(verify(&authenticator.assert_as("webauthn.get", &challenge, data)), Err(malformed));
    }
    assert_eq!(verify(&authenticator.assert_as("webauthn.get", &challenge, authenticator.made())), Err(malformed));
    let mut extended = authenticator.used();
    extended[32] |= 0x80;
    extended.push(0xa0);
    assert_eq!(verify(&authenticator.assert_as("webauthn.get", &challenge, extended.clone())), Ok(1));
    // The same empty map in a longer form, and a map that is not finished.
    for form in [&[0xb8, 0x00][..], &[0xbf, 0xff], &[0xa1]] {
        let data = [&extended[..37], form].concat();
        assert_eq!(verify(&authenticator.assert_as("webauthn.get", &challenge, data)), Err(malformed), "{form:?}");
    }
    let other = Authenticator { id: authenticator.id.clone(), ..Authenticator::new(1) };
    assert_eq!(verify(&other.assert(b"statement")), Err(Unproved::Signature));
    assert_eq!(verify(&Authenticator::new(2).assert(b"statement")), Err(Unproved::Key));
    let good = authenticator.assert(b"statement");
    for cut in 0..37 {
        let short = Assertion { authenticator_data: good.authenticator_data[..cut].to_vec(), ..good.clone() };
        assert!(verify(&short).is_err(), "{cut}");
    }
    let twice = r#"{"type":"webauthn.create","type":"webauthn.get""#;
    let text = String::from_utf8(good.client_data.clone()).unwrap().replacen(r#"{"type":"webauthn.get""#, twice, 1);
    let doubled = Assertion { client_data: text.into_bytes(), ..good.clone() };
    assert_eq!(verify(&doubled), Err(Unproved::Malformed("its client data cannot be read")));
    let long = Assertion { signature: vec![0; 2000], ..good };
    assert_eq!(verify(&long), Err(Unproved::Malformed("a part of it is too long")));
}

#[test]
fn a_counter_goes_up_unless_there_is_none() {
    let mut authenticator = Authenticator::new(1);
    let key = enrolled(&authenticator);
    let mut used = |counter, last| {
        authenticator.counter = counter;
        authenticator.assert(b"statement").verify(&key, &party(), &sha256(b"statement"), last)
    };
    assert_eq!(used(5, Some(4)), Ok(5));
    assert_eq!(used(5, Some(5)), Err(Unproved::Counter));
    assert_eq!(used(4, Some(5)), Err(Unproved::Counter));
    assert_eq!(used(0, Some(5)), Err(Unproved::Counter));
    assert_eq!(used(0, Some(0)), Ok(0), "synced passkeys count nothing");
    assert_eq!(used(4, None), Ok(4));
}

#[test]
fn only_what_a_trusted_maker_vouches_for_and_nobody_can_copy_is_hardware() {
    let maker = Maker::usual();
    let mut authenticator = Authenticator::new(1);
    let made = |authenticator: &Authenticator, attestation: &Attestation<'_>, attesters: &Attesters, at| {
        authenticator.register(&ada(), attestation).verify(&ada(), &party(), attesters, at).map(|key| key.is_hardware())
    };
    let trusted = attesters(&maker);
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &trusted, NOW), Ok(true));
    let leaf = Attesters { roots: vec![maker.leaf().to_vec()], ..Attesters::default() };
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &leaf, NOW), Ok(true), "the model's own certificate may be trusted");
    let listed = |aaguid| Attesters { aaguids: BTreeSet::from([aaguid]), ..trusted.clone() };
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &listed(AAGUID), NOW), Ok(true));
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &listed([8; 16]), NOW), Ok(false), "a model that is not listed");
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &Attesters::default(), NOW), Ok(false), "nobody is trusted");
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &attesters(&Maker::usual()), NOW), Ok(false), "another maker is");
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &trusted, 0), Ok(false), "in 1970 nobody vouched for it");
    assert_eq!(made(&authenticator, &Attestation::None, &trusted, NOW), Ok(false));
    assert_eq!(made(&authenticator, &Attestation::Itself, &listed(AAGUID), NOW), Ok(false), "anybody can name a model");
    let nameless = Maker::new("Authenticator Attestation", None);
    assert_eq!(made(&authenticator, &Attestation::By(&nameless), &attesters(&nameless), NOW), Ok(false), "a certificate of no model");
    authenticator.flags |= BACKUP_ELIGIBLE;
    assert_eq!(made(&authenticator, &Attestation::By(&maker), &trusted, NOW), Ok(false), "its key can be copied");
}

#[test]
fn an_attestation_that_contradicts_itself_registers_nothing() {
    let authenticator = Authenticator::new(1);
    let refused = |maker: &Maker| {
        let registration = authenticator.register(&ada(), &Attestation::By(maker));
        registration.verify(&ada(), &party(), &attesters(maker), NOW).unwrap_err()
    };
    let model = Maker::new("Authenticator Attestation", Some(&[8; 16]));
    assert_eq!(refused(&model), Unproved::Attestation("its certificate is of another model than it says"));
    let site = Maker::new("Web", Some(&AAGUID));
    assert_eq!(refused(&site), Unproved::Attestation("its certificate is not one for attestations"));
    let odd = Maker::new("Authenticator Attestation", Some(&[7; 15]));
    assert_eq!(refused(&odd), Unproved::Attestation("its certificate cannot be read"));
    for attestation in [Attestation::Itself, Attestation::By(&Maker::usual())] {
        let mut registration = authenticator.register(&ada(), &attestation);
        let text = String::from_utf8(registration.client_data).unwrap().replace("yes", "no!");
        registration.client_data = text.into_bytes();
        let why = registration.verify(&ada(), &party(), &Attesters::default(), NOW).unwrap_err();
        assert!(matches!(why, Unproved::Attestation(_)), "{why}");
    }
}

#[test]
fn a_registration_is_of_one_person_and_page_and_by_somebody_known() {
    let authenticator = Authenticator::new(1);
    let registration = authenticator.register(&ada(), &Attestation::None);
    let verify = |registration: &Registration| registration.verify(&ada(), &party(), &Attesters::default(), NOW);
    assert_eq!(verify(&registration).unwrap().id(), authenticator.id);
    let bob = Approver { subject: "bob".into(), ..ada() };
    assert_eq!(registration.verify(&bob, &party(), &Attesters::default(), NOW).unwrap_err(), Unproved::Challenge);
    let elsewhere = RelyingParty::new("gate.test", "https://a.gate.test").unwrap();
    assert_eq!(registration.verify(&ada(), &elsewhere, &Attesters::default(), NOW).unwrap_err(), Unproved::Origin);
    for (flags, why) in
        [(PRESENT, Unproved::NotVerified), (VERIFIED, Unproved::NotPresent), (PRESENT | VERIFIED | BACKED_UP, Unproved::Backup)]
    {
        let one = Authenticator { flags, ..Authenticator::new(1) };
        assert_eq!(verify(&one.register(&ada(), &Attestation::None)).unwrap_err(), why);
    }
    let used = Registration {
        client_data: client_data("webauthn.get", &Registration::challenge(&ada(), &registration.nonce), "https://gate.test", ""),
        ..registration.clone()
    };
    assert_eq!(verify(&used).unwrap_err(), Unproved::Purpose);
    let made = authenticator.made();
    let (cut, long) = (made[..made.len() - 1].to_vec(), [made.as_slice(), &[0]].concat());
    let short_id = Authenticator { id: vec![1; 15], ..Authenticator::new(1) }.made();
    for data in [cut, long, short_id, authenticator.used()] {
        let why = verify(&authenticator.register_data(&ada(), &Attestation::None, &data)).unwrap_err();
        assert_eq!(why, Unproved::Malformed("it names no key of a kind that is verified"));
    }
    assert_eq!(Registration::from_json(&registration.to_json()), Some(registration.clone()));
    assert!(verify(&Registration { nonce: vec![3; 15], ..registration }).is_err());
}

#[test]
fn a_relying_party_is_a_domain_and_one_origin_of_it() {
    for (id, origin) in [
        ("gate.test", "https://gate.test"),
        ("gate.test", "https://a.gate.test:8443"),
        ("localhost", "http://localhost:7443"),
        ("localhost", "https://localhost"),
    ] {
        assert!(RelyingParty::new(id, origin).is_some(), "{id} {origin}");
    }
    for (id, origin) in [
        ("gate.test", "http://gate.test"),
        ("gate.test", "https://evilgate.test"),
        ("gate.test", "https://gate.test.evil"),
        ("gate.test", "https://gate.test/"),
        ("gate.test", "https://gate.test:"),
        ("gate.test", "https://gate.test:0443"),
        ("gate.test", "https://gate.test:99999"),
        ("gate.test", "https://x@gate.test"),
        ("gate.test", "HTTPS://gate.test"),
        ("Gate.test", "https://Gate.test"),
        ("", "https://"),
        ("127.0.0.1", "https://127.0.0.1"),
        ("gate..test", "https://gate..test"),
    ] {
        assert!(RelyingParty::new(id, origin).is_none(), "{id} {origin}");
    }
}

proptest! {
    #[test]
    fn no_bytes_that_differ_in_one_place_hold(which in 0usize..3, at in 0usize..4096, bit in 0u8..8) {
        let authenticator = Authenticator::new(1);
        let key = enrolled(&authenticator);
        let mut assertion = authenticator.assert(b"statement");
        let part = match which {
            0 => &mut assertion.client_data,
            1 => &mut assertion.authenticator_data,
            _ => &mut assertion.signature,
        };
        let at = at % part.len();
        part[at] ^= 1 << bit;
        prop_assert!(assertion.verify(&key, &party(), &sha256(b"statement"), None).is_err());
    }

    #[test]
    fn no_attestation_object_with_a_changed_byte_is_hardware(at in 0usize..4096, bit in 0u8..8) {
        let maker = Maker::usual();
        let mut registration = Authenticator::new(1).register(&ada(), &Attestation::By(&maker));
        let at = at % registration.attestation_object.len();
        registration.attestation_object[at] ^= 1 << bit;
        let verified = registration.verify(&ada(), &party(), &attesters(&maker), NOW);
        prop_assert!(verified.is_err() || verified.is_ok_and(|key| !key.is_hardware()));
    }

    #[test]
    fn any_bytes_are_read_to_an_end(object in proptest::collection::vec(any::<u8>(), 0..600), data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let authenticator = Authenticator::new(1);
        let registration = authenticator.register(&ada(), &Attestation::None);
        let soup = Registration { attestation_object: object, ..registration };
        prop_assert!(soup.verify(&ada(), &party(), &Attesters::default(), NOW).is_err());
        let used = authenticator.assert_as("webauthn.get", &sha256(b"statement"), data);
        prop_assert!(used.verify(&enrolled(&authenticator), &party(), &sha256(b"statement"), None).is_err());
    }
}
