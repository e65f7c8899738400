//! Signatures by SSH keys: what stock ssh-keygen makes is read, what it takes too lightly is refused, and nothing forged passes.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::approval::{AllowedSigners, NotVouched, Signer, Sshsig, Wanted, sha256};
use gate::key::SigningKey;
use gate::key::ssh::{SshKey, Unusable, put};

use crate::world::World;

const NAMESPACE: &str = "approval@gate";
const NOW: i64 = 1_795_226_400_000_000_000;

fn wanted(identity: &str) -> Wanted<'_> {
    Wanted { identity, namespace: NAMESPACE, at: NOW, user_verified: false }
}

/// Makes a key pair, and gives its public line.
pub fn keygen(world: &World, name: &str, kind: &[&str]) -> String {
    let path = world.work().join(name);
    let line = ["ssh-keygen", "-q", "-N", "", "-C", "", "-f", path.to_str().unwrap(), "-t"];
    let ran = world.bare(line.iter().chain(kind));
    assert_eq!(ran.code(), 0, "{ran}");
    fs::read_to_string(path.with_extension("pub")).unwrap().trim_end().to_owned()
}

/// Signs with ssh-keygen.
pub fn sign(world: &World, name: &str, namespace: &str, options: &[&str], message: &[u8]) -> String {
    let file = world.work().join(format!("{name}.message"));
    fs::write(&file, message).unwrap();
    let _ = fs::remove_file(world.work().join(format!("{name}.message.sig")));
    let line = ["ssh-keygen", "-Y", "sign", "-q", "-n", namespace, "-f", name];
    let ran = world.bare(line.iter().chain(options).chain(&[file.to_str().unwrap()]));
    assert_eq!(ran.code(), 0, "{ran}");
    fs::read_to_string(world.work().join(format!("{name}.message.sig"))).unwrap()
}

/// What stock ssh-keygen says.
fn stock(world: &World, allowed: &str, identity: &str, namespace: &str, time: &str, message: &[u8], armored: &str) -> bool {
    for (name, bytes) in [("allowed", allowed.as_bytes()), ("message", message), ("message.sig", armored.as_bytes())] {
        fs::write(world.work().join(name), bytes).unwrap();
    }
    let script = "exec ssh-keygen -Y verify -q -f allowed -I \"$1\" -n \"$2\" -O verify-time=\"$3\" -s message.sig < message";
    world.bare(["env", "TZ=UTC", "sh", "-c", script, "sh", identity, namespace, time]).code() == 0
}

const STOCK_NOW: &str = "20261121020000Z";

fn vouch(allowed: &str, wanted: &Wanted<'_>, message: &[u8], armored: &str) -> Result<Signer, NotVouched> {
    AllowedSigners::parse(allowed).unwrap().vouch(wanted, message, armored)
}

#[test]
fn what_ssh_keygen_signs_with_any_key_holds_for_both() {
    let world = World::new();
    let kinds: [(&str, &[&str], &[&str]); 6] = [
        ("ed", &["ed25519"], &[]),
        ("ed256", &["ed25519"], &["-O", "hashalg=sha256"]),
        ("ec256", &["ecdsa", "-b", "256"], &[]),
        ("ec384", &["ecdsa", "-b", "384"], &[]),
        ("rsa", &["rsa", "-b", "2048"], &[]),
        ("rsa3", &["rsa", "-b", "3072"], &["-O", "hashalg=sha256"]),
    ];
    for (name, kind, options) in kinds {
        let public = keygen(&world, name, kind);
        let armored = sign(&world, name, NAMESPACE, options, b"statement");
        let allowed = format!("ada {public}\n");
        assert!(stock(&world, &allowed, "ada", NAMESPACE, STOCK_NOW, b"statement", &armored), "{name}");
        let signer = vouch(&allowed, &wanted("ada"), b"statement", &armored).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!((signer.principals.as_str(), signer.flags), ("ada", None));
        let shown = world.bare(["ssh-keygen", "-l", "-f", &format!("{name}.pub")]).out();
        assert!(shown.contains(&signer.fingerprint), "{shown}");
        assert_eq!(vouch(&allowed, &wanted("ada"), b"statemenT", &armored), Err(NotVouched::Signature(Unusable::Wrong)));
        let verified = Wanted { user_verified: true, ..wanted("ada") };
        assert_eq!(vouch(&allowed, &verified, b"statement", &armored), Err(NotVouched::NotVerified));
    }
    let public = keygen(&world, "ec521", &["ecdsa", "-b", "521"]);
    let armored = sign(&world, "ec521", NAMESPACE, &[], b"statement");
    let refused = vouch(&format!("ada {public}\n"), &wanted("ada"), b"statement", &armored).unwrap_err();
    assert_eq!(refused.to_string(), "`ecdsa-sha2-nistp521` is not supported");
    let public = keygen(&world, "small", &["rsa", "-b", "1024"]);
    let armored = sign(&world, "small", NAMESPACE, &[], b"statement");
    assert_eq!(
        vouch(&format!("ada {public}\n"), &wanted("ada"), b"statement", &armored),
        Err(NotVouched::Signature(Unusable::Wrong)),
        "a short RSA key vouches for nothing"
    );
}

/// A security key in software: an `allowed_signers` line and signatures with any flags.
pub struct Token(SigningKey);

impl Token {
    pub fn new() -> Self {
        Self(SigningKey::from_pkcs8(&SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap()).unwrap())
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put(&mut blob, b"sk-ssh-ed25519@openssh.com");
        put(&mut blob, &self.0.public().0);
        put(&mut blob, b"ssh:");
        blob
    }

    pub fn public(&self) -> String {
        format!("sk-ssh-ed25519@openssh.com {}", STANDARD.encode(self.blob()))
    }

    pub fn sign(&self, flags: u8, namespace: &str, message: &[u8]) -> String {
        let mut signed = b"SSHSIG".to_vec();
        put(&mut signed, namespace.as_bytes());
        put(&mut signed, b"");
        put(&mut signed, b"sha256");
        put(&mut signed, &sha256(message));
        let counter = 7_u32.to_be_bytes();
        let own = self.0.sign(&[sha256(b"ssh:").as_slice(), &[flags], &counter, &sha256(&signed)].concat());
        let mut signature = Vec::new();
        put(&mut signature, b"sk-ssh-ed25519@openssh.com");
        put(&mut signature, &own);
        signature.push(flags);
        signature.extend_from_slice(&counter);
        let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
        for part in [self.blob().as_slice(), namespace.as_bytes(), b"", b"sha256", &signature] {
            put(&mut blob, part);
        }
        let text = STANDARD.encode(blob);
        let lines: Vec<&str> = text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
    }
}

#[test]
fn a_security_key_that_nobody_touched_is_refused_although_stock_ssh_keygen_takes_it() {
    let world = World::new();
    let token = Token::new();
    let allowed = format!("ada {}\n", token.public());
    let verified = Wanted { user_verified: true, ..wanted("ada") };
    for (flags, plain, strict) in [
        (0x00, Err(NotVouched::NotTouched), Err(NotVouched::NotTouched)),
        (0x04, Err(NotVouched::NotTouched), Err(NotVouched::NotTouched)),
        (0x01, Ok(Some(0x01)), Err(NotVouched::NotVerified)),
        (0x05, Ok(Some(0x05)), Ok(Some(0x05))),
    ] {
        let armored = token.sign(flags, NAMESPACE, b"statement");
        assert!(stock(&world, &allowed, "ada", NAMESPACE, STOCK_NOW, b"statement", &armored), "stock ssh-keygen takes flags {flags}");
        let flags_of = |wanted: &Wanted<'_>| vouch(&allowed, wanted, b"statement", &armored).map(|signer| signer.flags);
        assert_eq!(flags_of(&wanted("ada")), plain, "flags {flags}");
        assert_eq!(flags_of(&verified), strict, "flags {flags}");
    }
}

#[test]
fn every_changed_byte_of_a_signature_is_rejected() {
    let world = World::new();
    let token = Token::new();
    let mut all = vec![(token.public(), token.sign(1, NAMESPACE, b"statement"))];
    for (name, kind) in [("ed", &["ed25519"][..]), ("ec", &["ecdsa", "-b", "256"]), ("rsa", &["rsa", "-b", "2048"])] {
        let public = keygen(&world, name, kind);
        all.push((public, sign(&world, name, NAMESPACE, &[], b"statement")));
    }
    for (public, armored) in all {
        let allowed = AllowedSigners::parse(&format!("* {public}")).unwrap();
        assert!(allowed.vouch(&wanted("ada"), b"statement", &armored).is_ok());
        for at in 0..armored.len() {
            for other in (0..128_u8).filter(|other| *other != armored.as_bytes()[at]) {
                let mut changed = armored.clone().into_bytes();
                changed[at] = other;
                let changed = String::from_utf8(changed).unwrap();
                assert!(allowed.vouch(&wanted("ada"), b"statement", &changed).is_err(), "byte {at} as {other}:\n{changed}");
            }
        }
        for changed in
            [armored.replace('\n', "\r\n"), format!(" {armored}"), format!("{armored}\n"), armored[..armored.len() - 40].to_owned()]
        {
            assert!(allowed.vouch(&wanted("ada"), b"statement", &changed).is_err(), "{changed}");
        }
    }
}

#[test]
fn allowed_signers_mean_what_they_mean_to_ssh_keygen() {
    let world = World::new();
    let (own, other) = (keygen(&world, "own", &["ed25519"]), keygen(&world, "other", &["ed25519"]));
    let armored = sign(&world, "own", NAMESPACE, &[], b"statement");
    let cases: [(&str, bool); 24] = [
        ("ada OWN", true),
        ("bob OWN", false),
        ("ada,bob OWN", true),
        ("*@example.com,a?a OWN", true),
        ("*,!ada OWN", false),
        ("!bob OWN", false),
        ("!bob,* OWN", true),
        ("\"ada\" OWN", true),
        ("ada OTHER", false),
        ("ada OTHER\nada OWN", true),
        ("ada namespaces=\"approval@gate\" OWN", true),
        ("ada namespaces=\"file,*@gate\" OWN comment of words", true),
        ("ada namespaces=\"file\" OWN", false),
        ("ada namespaces=\"*,!approval@*\" OWN", false),
        ("ada NAMESPACES=\"approval@gate\",valid-after=\"20260101Z\" OWN", true),
        ("ada valid-after=\"20270101Z\" OWN", false),
        ("ada valid-before=\"20270101Z\" OWN", true),
        ("ada valid-before=\"20261121015959Z\" OWN", false),
        ("ada valid-before=\"20261121020000Z\" OWN", true),
        ("ada valid-after=\"202611210200Z\" OWN", true),
        ("ada valid-after=\"20261121020001Z\" OWN", false),
        ("ada valid-before=\"20200101Z\" OWN\nada valid-after=\"20200101Z\" OWN", true),
        ("# ada OWN", false),
        ("\n  \nada\tOWN\n# end", true),
    ];
    for (allowed, holds) in cases {
        let allowed = allowed.replace("OWN", &own).replace("OTHER", &other);
        assert_eq!(stock(&world, &allowed, "ada", NAMESPACE, STOCK_NOW, b"statement", &armored), holds, "ssh-keygen: {allowed}");
        let vouched = vouch(&allowed, &wanted("ada"), b"statement", &armored);
        assert_eq!(vouched.is_ok(), holds, "{allowed}: {vouched:?}");
    }
    let elsewhere = Wanted { namespace: "file", ..wanted("ada") };
    assert_eq!(vouch(&format!("ada {own}"), &elsewhere, b"statement", &armored), Err(NotVouched::Namespace(NAMESPACE.to_owned())));
    let early = vouch(&format!("ada valid-after=\"20270101Z\" {own}"), &wanted("ada"), b"statement", &armored);
    assert!(matches!(early, Err(NotVouched::Time(_))), "{early:?}");
}

#[test]
fn a_line_of_allowed_signers_that_cannot_be_read_refuses_the_file_and_says_why() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE";
    for (line, why) in [
        ("ada cert-authority KEY", "certificates are not supported; list the keys themselves"),
        ("ada valid-after=\"20260101\" KEY", "`20260101` is not a time; write it as `20260131Z` or `20260131120000Z`"),
        ("ada valid-after=\"20261301Z\" KEY", "`20261301Z` is not a time; write it as `20260131Z` or `20260131120000Z`"),
        ("ada valid-after=\"20270101Z\",valid-before=\"20260101Z\" KEY", "the key is never valid"),
        ("ada verify-required KEY", "`verify-required` is no option that is supported"),
        ("ada namespaces=\"a\",namespaces=\"b\" KEY", "`namespaces` is given twice"),
        ("ada namespaces=\"a KEY", "a quote is not closed"),
        ("ada namespaces=\"a\\\"b\" KEY", "backslashes are not supported"),
        ("ada namespaces= KEY", "`` is not a value"),
        ("ada", "it has no public key"),
        ("KEY", "it has no public key"),
        ("ada ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE", "it has no public key"),
    ] {
        let text = format!("# first\n{}\n", line.replace("KEY", key));
        let wrong = AllowedSigners::parse(&text).unwrap_err();
        assert_eq!((wrong.line, wrong.what.as_str()), (2, why), "{line}");
    }
}

#[test]
fn what_ends_no_quote_and_what_backtracks_ends_soon() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE";
    let pattern = "*a".repeat(2000);
    let allowed = AllowedSigners::parse(&format!("{pattern}b {key}")).unwrap();
    let identity = "a".repeat(5000);
    assert!(allowed.vouch(&wanted(&identity), b"statement", "nothing").is_err());
}

/// Where vectors of other projects lie, on machines that have them.
fn vectors() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/vectors/sshsig", "../../shared/vectors/sshsig"].iter().map(|path| root.join(path)).find(|path| path.exists())
}

#[test]
fn the_vectors_of_openssh_hold_and_what_is_not_supported_is_told() {
    let Some(vectors) = vectors() else { return };
    let read = |name: &str| fs::read_to_string(vectors.join(name)).unwrap();
    let (namespace, message) = (read("namespace"), read("signed-data"));
    for name in ["ed25519", "ed25519_sk", "ecdsa", "ecdsa_sk", "rsa"] {
        let allowed = format!("ada {}", read(&format!("{name}.pub")));
        let wanted = Wanted { namespace: &namespace, ..wanted("ada") };
        let signer =
            vouch(&allowed, &wanted, message.as_bytes(), &read(&format!("{name}.sig"))).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(signer.flags.is_some(), name.ends_with("_sk"), "{name}");
        assert!(vouch(&allowed, &wanted, b"other", &read(&format!("{name}.sig"))).is_err(), "{name}");
    }
    for (name, kind) in
        [("ecdsa_sk_webauthn", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"), ("mldsa44-ed25519", "ssh-mldsa44-ed25519@openssh.com")]
    {
        let allowed = format!("ada {}", read(&format!("{name}.pub")));
        let wanted = Wanted { namespace: &namespace, ..wanted("ada") };
        let refused = vouch(&allowed, &wanted, message.as_bytes(), &read(&format!("{name}.sig"))).unwrap_err();
        assert_eq!(refused, NotVouched::Signature(Unusable::Unsupported(kind.to_owned())), "{name}");
    }
}

#[test]
fn a_key_or_signature_that_is_cut_or_longer_is_malformed() {
    let token = Token::new();
    let blob = token.blob();
    assert!(SshKey::parse(&blob).is_ok());
    for end in 0..blob.len() {
        assert!(SshKey::parse(&blob[..end]).is_err(), "{end}");
    }
    assert!(SshKey::parse(&[blob.as_slice(), b"x"].concat()).is_err());
    let armored = token.sign(1, NAMESPACE, b"statement");
    assert!(Sshsig::parse(&armored).is_ok());
    assert!(Sshsig::parse(&"A".repeat(100_000)).is_err());
}
