//! Values that stand in a record as salted digests (RFC 9901, SD-JWT), so that they can be erased and the record stays whole.
//!
//! `_sd` in an object holds digests of members, `{"...": digest}` in a list stands for an item. What a digest is of is its
//! disclosure, `[salt, name, value]` or `[salt, item]`; the digest is the SHA-256 of its base64url text.
//! A command's line is concealed part by part, so that one argument can be erased without the others.
//! As long as nothing is erased, the log keeps only the seed that all salts come from, the name and the value: that is small.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::body::Disclosure;
use super::canonical::canonical;
use super::tree::sha256;

/// The member that holds digests.
const DIGESTS: &str = "_sd";
/// The one member of what stands for an item.
const ITEM: &str = "...";
/// What of a command may be erased; its members read as members of the command.
const LINE: &str = "line";

/// Disclosures by their digests, as the log keeps them.
pub type Disclosures = BTreeMap<String, Vec<u8>>;

/// Puts a member into an object as a digest, and gives what the log has to keep for it. The seed must be used for nothing else.
pub fn conceal(object: &mut Map<String, Value>, name: &str, value: Value, seed: [u8; 16]) -> Disclosure {
    let kept = Kept { seed, name: name.to_owned(), value };
    let digest = kept.digest();
    let digests = object.entry(DIGESTS).or_insert_with(|| json!([]));
    if let Value::Array(digests) = digests {
        digests.push(digest.as_str().into());
        // Their order must not tell which is which.
        digests.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    let data = json!({ "name": kept.name, "seed": URL_SAFE_NO_PAD.encode(kept.seed), "value": kept.value });
    Disclosure { digest, data: data.to_string().into_bytes() }
}

/// Conceals a command's words and directory together: one digest in the record.
pub(super) fn conceal_line(command: &mut Map<String, Value>, line: Map<String, Value>, seed: [u8; 16]) -> Disclosure {
    conceal(command, LINE, Value::Object(line), seed)
}

/// A disclosure and all that are inside it, as one seed makes them.
struct Kept {
    seed: [u8; 16],
    name: String,
    value: Value,
}

impl Kept {
    fn parse(data: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(data).ok()?;
        let Value::Object(mut members) = value else { return None };
        let seed = URL_SAFE_NO_PAD.decode(members.get("seed")?.as_str()?).ok()?.try_into().ok()?;
        let name = members.get("name")?.as_str()?.to_owned();
        let value = members.remove("value").filter(|_| members.len() == 2)?;
        Some(Self { seed, name, value })
    }

    /// Its digest in the record.
    fn digest(&self) -> String {
        digest(&self.root(&mut |_, _| {}))
    }

    /// The outermost disclosure; each inner one goes to `inner` with its digest.
    fn root(&self, inner: &mut impl FnMut(String, Vec<u8>)) -> Vec<u8> {
        let value = match &self.value {
            Value::Object(members) if self.name == LINE => {
                let mut digests: Vec<String> = members.iter().map(|(name, value)| self.member(name, value, inner)).collect();
                digests.sort();
                json!({ DIGESTS: digests })
            }
            other => other.clone(),
        };
        self.disclosure("", [Value::from(self.name.as_str()), value])
    }

    fn member(&self, name: &str, value: &Value, inner: &mut impl FnMut(String, Vec<u8>)) -> String {
        let value = match value {
            Value::Array(items) => {
                let mut item = |(at, item): (usize, &Value)| {
                    let disclosure = self.disclosure(&format!("{name}.{at}"), [item.clone()]);
                    let digest = digest(&disclosure);
                    inner(digest.clone(), disclosure);
                    json!({ ITEM: digest })
                };
                Value::Array(items.iter().enumerate().map(&mut item).collect())
            }
            other => other.clone(),
        };
        let disclosure = self.disclosure(name, [Value::from(name), value]);
        let digest = digest(&disclosure);
        inner(digest.clone(), disclosure);
        digest
    }

    /// The salt is the start of a hash of the seed and the place: who sees one salt learns nothing of the others.
    fn disclosure<const N: usize>(&self, place: &str, parts: [Value; N]) -> Vec<u8> {
        let salt = URL_SAFE_NO_PAD.encode(&sha256(&[&self.seed, place.as_bytes()])[..16]);
        let parts: Vec<Value> = std::iter::once(salt.into()).chain(parts).collect();
        Value::Array(parts).to_string().into_bytes()
    }
}

fn digest(disclosure: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(sha256(&[URL_SAFE_NO_PAD.encode(disclosure).as_bytes()]))
}

/// The digests that canonical bytes name. No string can look like the member's name, since names have no escapes.
pub fn digests_in(canonical: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(canonical) else { return Vec::new() };
    let mut found = Vec::new();
    for (at, _) in text.match_indices("\"_sd\":[") {
        let list = &text[at + "\"_sd\":[".len()..];
        let list = list.split(']').next().unwrap_or_default();
        found.extend(list.split(',').filter_map(unquoted));
    }
    for (at, _) in text.match_indices("{\"...\":") {
        found.extend(text[at + "{\"...\":".len()..].split('}').next().and_then(unquoted));
    }
    found
}

fn unquoted(text: &str) -> Option<String> {
    Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// What the log keeps under a digest, checked against it.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// A seed, and a value with all its parts.
    Whole(String, Value),
    /// One disclosure, whose parts have disclosures of their own: a member's name and value.
    Member(String, Value),
    /// An item of a list.
    Item(Value),
}

/// Reads what stands under a digest; none where it is of other bytes.
pub fn content(wanted: &str, data: &[u8]) -> Option<Content> {
    if data.first() == Some(&b'{') {
        let kept = Kept::parse(data)?;
        return (kept.digest() == wanted).then_some(Content::Whole(kept.name, kept.value));
    }
    if digest(data) != wanted {
        return None;
    }
    let value: Value = serde_json::from_slice(data).ok()?;
    if canonical(&value).ok()? != data {
        return None;
    }
    let Value::Array(parts) = value else { return None };
    match <[Value; 3]>::try_from(parts) {
        Ok([_, Value::String(name), value]) if name != DIGESTS && name != ITEM => Some(Content::Member(name, value)),
        Ok(_) => None,
        Err(parts) => <[Value; 2]>::try_from(parts).ok().map(|[_, item]| Content::Item(item)),
    }
}

/// Puts back what disclosures say, wherever the value names them. What is erased, or does not fit, stays a digest.
pub fn open(value: &mut Value, disclosures: &Disclosures) {
    visit(value, "", 0, disclosures, &mut |_, _| {});
}

/// What may be erased of a record, by its path (`cmd.argv.3`), with the digest that it has there.
pub fn erasable(record: &Value, disclosures: &Disclosures) -> BTreeMap<String, String> {
    let parts = in_parts(disclosures);
    let mut found = BTreeMap::new();
    visit(&mut record.clone(), "", 0, &parts, &mut |path, digest| {
        found.insert(path.to_owned(), digest.to_owned());
    });
    found
}

/// How many disclosures may stand one in another; gate makes three. What somebody else nested deeper stays closed.
const DEEPEST: u8 = 8;

fn visit(value: &mut Value, path: &str, depth: u8, disclosures: &Disclosures, see: &mut impl FnMut(&str, &str)) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let mut below_it = depth;
                let found = item
                    .get(ITEM)
                    .filter(|_| depth < DEEPEST)
                    .and_then(Value::as_str)
                    .and_then(|digest| Some((digest, disclosures.get(digest)?)));
                if let Some((digest, Content::Item(opened))) = found.and_then(|(digest, data)| Some((digest, content(digest, data)?))) {
                    see(&below(&at.to_string()), digest);
                    *item = opened;
                    below_it += 1;
                }
                visit(item, &below(&at.to_string()), below_it, disclosures, see);
            }
        }
        Value::Object(members) => {
            let digests = match members.remove(DIGESTS) {
                Some(Value::Array(digests)) => digests,
                Some(other) => vec![other],
                None => Vec::new(),
            };
            let (mut closed, mut opened_here) = (Vec::new(), Vec::new());
            for digest in digests {
                let found = digest.as_str().filter(|_| depth < DEEPEST).and_then(|digest| content(digest, disclosures.get(digest)?));
                match found {
                    Some(Content::Whole(name, opened) | Content::Member(name, opened)) if !members.contains_key(&name) => {
                        let at = if name == LINE { path.to_owned() } else { below(&name) };
                        see(&at, digest.as_str().unwrap_or_default());
                        opened_here.push(name.clone());
                        members.insert(name, opened);
                    }
                    _ => closed.push(digest),
                }
            }
            for (name, member) in members.iter_mut() {
                let below_it = depth + u8::from(opened_here.contains(name));
                visit(member, &if name == LINE { path.to_owned() } else { below(name) }, below_it, disclosures, see);
            }
            splice(members);
            if !closed.is_empty() {
                members.insert(DIGESTS.to_owned(), closed.into());
            }
        }
        _ => {}
    }
}

/// The members of a line read as members of the command that it is in.
fn splice(members: &mut Map<String, Value>) {
    if let Some(Value::Object(line)) = members.get(LINE)
        && !line.keys().any(|name| name != DIGESTS && members.contains_key(name))
        && let Some(Value::Object(line)) = members.remove(LINE)
    {
        let (erased, line): (Map<_, _>, Map<_, _>) = line.into_iter().partition(|(name, _)| name == DIGESTS);
        members.extend(line);
        members.extend(erased.into_iter().map(|(_, digests)| ("erased".to_owned(), digests)));
    }
}

/// Disclosures as the texts that are hashed: base64url, as RFC 9901 sends them.
pub fn texts(disclosures: &Disclosures) -> Vec<String> {
    in_parts(disclosures).values().map(|part| URL_SAFE_NO_PAD.encode(part)).collect()
}

/// Reads [`texts`] back, one in a line; none where a line is not one, or stands there twice.
pub fn from_lines(lines: &str) -> Option<Disclosures> {
    let mut disclosures = Disclosures::new();
    for line in lines.split_terminator('\n') {
        let data = URL_SAFE_NO_PAD.decode(line).ok()?;
        let digest = digest(&data);
        content(&digest, &data)?;
        disclosures.insert(digest, data).is_none().then_some(())?;
    }
    (lines.is_empty() || lines.ends_with('\n')).then_some(disclosures)
}

/// Whether a record names each of these, itself or through another one of them; and how many digests are left without a disclosure.
pub fn named(canonical: &[u8], disclosures: &Disclosures) -> (bool, u64) {
    let mut left: BTreeMap<&str, &Vec<u8>> = disclosures.iter().map(|(digest, data)| (digest.as_str(), data)).collect();
    let (mut wanted, mut closed) = (digests_in(canonical), 0);
    while let Some(digest) = wanted.pop() {
        match left.remove(digest.as_str()) {
            Some(data) => wanted.extend(digests_in(data)),
            None => closed += 1,
        }
    }
    (left.is_empty(), closed)
}

/// The same disclosures, each part with a row of its own, as RFC 9901 has them.
pub fn in_parts(disclosures: &Disclosures) -> Disclosures {
    let mut parts = Disclosures::new();
    for (key, data) in disclosures {
        match Kept::parse(data) {
            Some(kept) => {
                let root = kept.root(&mut |digest, part| drop(parts.insert(digest, part)));
                parts.insert(key.clone(), root);
            }
            None => drop(parts.insert(key.clone(), data.clone())),
        }
    }
    parts
}

/// Erases what these paths name, with all below them: what the log has to keep instead, and the paths and digests that are erased.
///
/// What is untouched stays as it is kept. A word that goes takes the list of subcommands with it, which may hold it too.
pub fn erase(record: &Value, disclosures: &Disclosures, paths: &[String]) -> (Disclosures, BTreeMap<String, String>) {
    let all = erasable(record, disclosures);
    let names = |path: &str| paths.iter().any(|wanted| *wanted == path || is_below(path, wanted)) || is_below_words(path, paths);
    let erased: BTreeMap<&String, &String> = all.iter().filter(|(path, _)| names(path)).collect();
    let mut kept = Disclosures::new();
    for (digest, data) in disclosures {
        let one: Disclosures = [(digest.clone(), data.clone())].into();
        let parts = in_parts(&one);
        let touched = parts.keys().any(|part| erased.values().any(|gone| *gone == part));
        let left = if touched { parts } else { one };
        kept.extend(left.into_iter().filter(|(part, _)| !erased.values().any(|gone| *gone == part)));
    }
    // What stood inside something that is gone is named by nothing any more: only the outermost digests are missed.
    let outermost = erased.iter().filter(|(path, _)| !erased.keys().any(|other| is_below(path, other)));
    let outermost = outermost.map(|(path, digest)| ((*path).clone(), (*digest).clone())).collect();
    (kept, outermost)
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

fn is_below_words(path: &str, paths: &[String]) -> bool {
    let of_words = path == "cmd.words" || is_below(path, "cmd.words");
    of_words && paths.iter().any(|wanted| wanted == "cmd.argv" || is_below(wanted, "cmd.argv"))
}
