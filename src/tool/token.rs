//! Secrets that are known by how they look, whoever they are given to.

/// How a kind of token is written: what it begins with, which letters follow, and how many of them at least.
struct Kind {
    begins: &'static str,
    letters: fn(u8) -> bool,
    least: usize,
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn dotted(byte: u8) -> bool {
    word(byte) || byte == b'.'
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

const fn kind(begins: &'static str, letters: fn(u8) -> bool, least: usize) -> Kind {
    Kind { begins, letters, least }
}

/// As their issuers describe them; the shortest length that each has had.
const KINDS: &[Kind] = &[
    kind("AKIA", upper, 16),
    kind("ASIA", upper, 16),
    kind("ABIA", upper, 16),
    kind("ACCA", upper, 16),
    kind("ghp_", alphanumeric, 30),
    kind("gho_", alphanumeric, 30),
    kind("ghu_", alphanumeric, 30),
    kind("ghs_", alphanumeric, 30),
    kind("ghr_", alphanumeric, 30),
    kind("github_pat_", word, 30),
    kind("glpat-", word, 16),
    kind("gldt-", word, 16),
    kind("glrt-", word, 16),
    kind("glptt-", word, 16),
    kind("xoxb-", word, 16),
    kind("xoxp-", word, 16),
    kind("xoxa-", word, 16),
    kind("xoxr-", word, 16),
    kind("xoxs-", word, 16),
    kind("xoxe", dotted, 16),
    kind("xapp-", word, 16),
    kind("sk_live_", alphanumeric, 16),
    kind("rk_live_", alphanumeric, 16),
    kind("sk_test_", alphanumeric, 16),
    kind("whsec_", alphanumeric, 16),
    kind("AIza", word, 30),
    kind("ya29.", word, 20),
    kind("GOCSPX-", word, 20),
    kind("npm_", alphanumeric, 30),
    kind("pypi-", word, 50),
    kind("SG.", dotted, 40),
    kind("sk-ant-", word, 20),
    kind("sk-proj-", word, 20),
    kind("sk-", alphanumeric, 32),
    kind("hf_", alphanumeric, 30),
    kind("dop_v1_", hex, 40),
    kind("doo_v1_", hex, 40),
    kind("dp.pt.", alphanumeric, 30),
    kind("dp.st.", dotted, 30),
    kind("hvs.", word, 20),
    kind("hvb.", word, 20),
    kind("lin_api_", alphanumeric, 30),
    kind("shpat_", hex, 30),
    kind("shpss_", hex, 30),
    kind("dckr_pat_", word, 20),
    kind("rubygems_", hex, 40),
    kind("ops_eyJ", word, 40),
    kind("tskey-", word, 16),
    kind("AGE-SECRET-KEY-1", upper, 50),
    kind("PMAK-", word, 40),
    kind("NRAK-", upper, 20),
    kind("figd_", word, 30),
    kind("eyJ", dotted, 40),
];

/// Header names and keys of connection strings whose values are secrets; lower case.
const NAMES: &[&str] = &[
    "authorization:",
    "proxy-authorization:",
    "cookie:",
    "x-api-key:",
    "api-key:",
    "apikey:",
    "x-auth-token:",
    "private-token:",
    "job-token:",
    "x-vault-token:",
    "x-amz-security-token:",
    "accountkey=",
    "sharedaccesskey=",
    "sharedaccesssignature=",
    "password=",
    "pwd=",
    "passwd=",
    "client_secret=",
    "access_token=",
    "refresh_token=",
    "api_key=",
    "apikey=",
    "secret=",
    "token=",
    "sig=",
    "x-amz-signature=",
];

/// Where secrets stand in a text that nothing runs: each as start and end.
pub(super) fn find(text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    if contains(text, b"-----BEGIN ") && contains(text, b"PRIVATE KEY-----") {
        return vec![(0, text.len())];
    }
    for at in 0..text.len() {
        // A token begins where a word does.
        if at > 0 && alphanumeric(text[at - 1]) {
            continue;
        }
        let rest = &text[at..];
        let known = KINDS.iter().find(|kind| rest.starts_with(kind.begins.as_bytes()));
        if let Some(kind) = known {
            let length = rest[kind.begins.len()..].iter().take_while(|byte| (kind.letters)(**byte)).count();
            if length >= kind.least {
                found.push((at, at + kind.begins.len() + length));
            }
        }
        let named = NAMES.iter().find(|name| rest.len() > name.len() && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes()));
        if let Some(name) = named {
            let header = name.ends_with(':');
            let begin = name.len() + rest[name.len()..].iter().take_while(|byte| **byte == b' ').count();
            let ends = |byte: &u8| if header { matches!(byte, b'\r' | b'\n') } else { matches!(byte, b'&' | b';' | b' ' | b'"' | b'\'') };
            let end = rest[begin..].iter().position(ends).map_or(rest.len(), |end| begin + end);
            if end > begin {
                found.push((at + begin, at + end));
            }
        }
    }
    found
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> String {
        let mut shown = text.as_bytes().to_vec();
        for (start, end) in find(text.as_bytes()) {
            shown[start..end].fill(b'#');
        }
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn tokens_are_known_by_how_they_look() {
        // Put together here, so that nobody's scanner takes this file for a leak.
        for (begins, rest) in [
            ("AKIA", "Q3EGRXH7ABCDEFGH"),
            ("ghp_", "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6"),
            ("glpat-", "abcDEF123456_-abcdef"),
            ("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
        ] {
            let token = format!("{begins}{rest}");
            assert_eq!(hidden(&format!("x={token}")), format!("x={}", "#".repeat(token.len())));
        }
        for plain in
            ["AKIA", "ghp_short", "sk-learn", "eyJ", "https://example.org/token", "npm_config_registry", "maskAKIAQ3EGRXH7ABCDEFGH"]
        {
            assert_eq!(hidden(plain), plain);
        }
    }

    #[test]
    fn headers_and_connection_strings_hide_their_secret_part() {
        assert_eq!(hidden("Authorization: Bearer abc"), "Authorization: ##########");
        assert_eq!(hidden("Accept: text/html"), "Accept: text/html");
        assert_eq!(hidden("Server=db;User Id=a;Password=s3cret;Timeout=3"), "Server=db;User Id=a;Password=######;Timeout=3");
        assert_eq!(hidden("https://x.example/a?token=abc&b=1"), "https://x.example/a?token=###&b=1");
    }
}
