use super::told::Told;
use super::{Entry, cut};
use crate::record::Kind;
use crate::text;

/// A CEF event (version 0 of the format), in one line. Values are cut to the lengths that the format has for their keys.
pub(super) fn line(entry: &Entry<'_>, told: &Told) -> String {
    let kind = entry.body.kind;
    let head = ["gate", "gate", &told.version, kind.word(), name(kind), severity(kind, told)];
    let mut line = head.iter().fold("CEF:0".to_owned(), |line, field| line + "|" + &header(&cut(field, 128)));
    line.push('|');
    let mut gap = "";
    let mut put = |key: &str, value: Option<&str>, most: usize| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            line.push_str(&format!("{gap}{key}={}", extension(&cut(value, most))));
            gap = " ";
        }
    };
    let rules = told.rules.join(",");
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    // The place in the log comes first: it is what a shipper reads back.
    put("cn1", Some(&entry.body.header.seq.to_string()), 20);
    put("cn1Label", Some("sequence"), 1023);
    put("cs1", Some(&told.leaf), 4000);
    put("cs1Label", Some("leaf"), 1023);
    put("cs3", Some(entry.body.header.log), 4000);
    put("cs3Label", Some("log"), 1023);
    put("rt", Some(&entry.body.header.wall.div_euclid(1_000_000).to_string()), 20);
    put("dvchost", Some(&told.host), 100);
    put("externalId", entry.body.request, 40);
    put("suser", told.user.as_deref(), 1023);
    put("suid", told.uid.as_deref(), 1023);
    put("act", Some(told.result.as_deref().filter(|_| kind == Kind::Decision).unwrap_or(kind.word())), 63);
    put("outcome", Some(told.succeeded(kind).map_or("unknown", |well| if well { "success" } else { "failure" })), 63);
    put("reason", told.detail(kind).as_deref(), 1023);
    put("dproc", told.program.as_deref(), 1023);
    put("dpid", number(told.pid).as_deref(), 20);
    put("filePath", told.path.as_deref(), 1023);
    put("fileHash", told.sha256.as_deref(), 255);
    let labelled = [
        ("cs2", "rules", Some(rules.as_str())),
        ("cs4", "policy", told.policy.as_deref()),
        ("cs5", "risk", told.risk.as_deref()),
        ("cs6", "command", told.command.as_deref()),
        ("cn2", "exit", number(told.exit).as_deref()),
    ]
    .map(|(key, label, value)| (key, label, value.map(str::to_owned)));
    for (key, label, value) in labelled {
        put(key, value.as_deref(), 4000);
        put(&format!("{key}Label"), value.filter(|value| !value.is_empty()).map(|_| label), 1023);
    }
    put("msg", Some(&told.message(kind)), 1023);
    line
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::LogOpen => "log opened",
        Kind::Request => "approval asked for",
        Kind::Decision => "command decided",
        Kind::ExecStart | Kind::ExecReplace => "command started",
        Kind::ExecEnd => "command ended",
        Kind::ExecFail => "command did not start",
        Kind::PolicyLoad => "policy changed",
        Kind::ConfigChange => "setting changed",
        Kind::KeyRotate => "record key changed",
        Kind::Anchor => "checkpoint countersigned",
        Kind::Heartbeat => "heartbeat",
        Kind::Redact => "disclosures erased",
        Kind::Prune => "entries moved to an archive",
        Kind::SchemaMigrate => "database layout changed",
        Kind::AuditFailure => "log could not be written",
        Kind::Review => "request answered by a person",
        Kind::RequestState => "request changed",
        Kind::Login => "signed on",
        Kind::Logout => "session ended",
        Kind::BreakGlass => "approval broken through",
        Kind::Stop => "everything stopped or let go on",
        Kind::Server => "server told something",
    }
}

fn severity(kind: Kind, told: &Told) -> &'static str {
    match told.risk.as_deref() {
        _ if kind == Kind::AuditFailure => "10",
        Some("low") => "3",
        Some("medium") => "5",
        Some("high") => "8",
        Some("critical") => "10",
        _ => "1",
    }
}

/// A field of the header: one line without a bare `|` or `\`.
fn header(value: &str) -> String {
    text::visible(value).replace('\\', "\\\\").replace('|', "\\|")
}

/// A value of the extension: line ends as the format writes them, whatever else is not seen made visible.
fn extension(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (number, line) in value.split('\n').enumerate() {
        out.push_str(if number > 0 { "\\n" } else { "" });
        for (number, part) in line.split('\r').enumerate() {
            out.push_str(if number > 0 { "\\r" } else { "" });
            out.push_str(&text::visible(part).replace('\\', "\\\\").replace('=', "\\="));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads an extension's value back; none where a sign stands bare that only stands escaped.
    fn read(value: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = value.chars();
        while let Some(c) = rest.next() {
            match c {
                '\\' => out.push(match rest.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    sign @ ('\\' | '=') => sign,
                    _ => return None,
                }),
                '=' | '\n' | '\r' => return None,
                c => out.push(c),
            }
        }
        Some(out)
    }

    fn shown(value: &str) -> String {
        let line = |line: &str| line.split('\r').map(text::visible).collect::<Vec<_>>().join("\r");
        value.split('\n').map(line).collect::<Vec<_>>().join("\n")
    }

    proptest! {
        #[test]
        fn a_value_reads_back_and_breaks_no_line(value in any::<String>()) {
            prop_assert_eq!(read(&extension(&value)), Some(shown(&value)));
        }

        #[test]
        fn a_value_of_the_nasty_signs_reads_back(value in "[\\\\=|\n\r\" a\u{1b}\u{202e}]{0,40}") {
            prop_assert_eq!(read(&extension(&value)), Some(shown(&value)));
        }

        #[test]
        fn a_field_of_the_header_stays_one_field(value in "[\\\\=|\n\r a]{0,40}") {
            let written = header(&value);
            let bare = written.replace("\\\\", "").replace("\\|", "");
            prop_assert!(!bare.contains(['|', '\\', '\n', '\r']), "{}", written);
        }
    }
}
