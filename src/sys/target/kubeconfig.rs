//! Reads the text of a kubeconfig file: the current context and each context's namespace.

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

/// More of either is no kubeconfig.
const DEEPEST: usize = 32;
const MOST_NODES: usize = 100_000;

/// What a kubeconfig file says about contexts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kubeconfig {
    /// `current-context`, where it is not empty.
    pub current: Option<String>,
    /// Each context's name and namespace.
    pub contexts: Vec<(String, Option<String>)>,
}

/// Reads a file's bytes. Aliases, tags and whatever readers of YAML differ in are an error in words.
pub fn parse(bytes: &[u8]) -> Result<Kubeconfig, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(root) = Tree::read(text)? else { return Ok(Kubeconfig::default()) };
    let mut config = Kubeconfig { current: root.field("current-context")?.map(Node::filled).transpose()?.flatten(), contexts: Vec::new() };
    for named in root.field("contexts")?.map(Node::list).transpose()?.unwrap_or_default() {
        let name = named.field("name")?.map(Node::filled).transpose()?.flatten().ok_or("a context has no name")?;
        let inner = named.field("context")?;
        let namespace = match inner {
            Some(inner) if !inner.empty() => inner.field("namespace")?.map(Node::filled).transpose()?.flatten(),
            _ => None,
        };
        if config.contexts.iter().any(|(other, _)| *other == name) {
            return Err(format!("two contexts are called `{name}`"));
        }
        config.contexts.push((name, namespace));
    }
    Ok(config)
}

/// A node of the document; a scalar knows whether it was written without quotes.
enum Node {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn empty(&self) -> bool {
        matches!(self, Self::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn field(&self, name: &str) -> Result<Option<&Self>, String> {
        let fields = match self {
            Self::Map(fields) => fields,
            empty if empty.empty() => return Ok(None),
            _ => return Err(format!("a map with `{name}` was expected")),
        };
        // Older readers do not tell upper case from lower case.
        if let Some((other, _)) = fields.iter().find(|(key, _)| key != name && key.eq_ignore_ascii_case(name)) {
            return Err(format!("`{other}` stands for `{name}`"));
        }
        Ok(fields.iter().find(|(key, _)| key == name).map(|(_, value)| value))
    }

    fn list(&self) -> Result<&[Self], String> {
        match self {
            Self::List(items) => Ok(items),
            empty if empty.empty() => Ok(&[]),
            _ => Err("a list was expected".to_owned()),
        }
    }

    /// The text; none where it is empty, an error where a reader could take it for a number or a truth value.
    fn filled(&self) -> Result<Option<String>, String> {
        match self {
            empty if empty.empty() => Ok(None),
            Self::Scalar { text, plain } if *plain && !surely_text(text) => Err(format!("`{text}` may be no text")),
            Self::Scalar { text, .. } => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            _ => Err("a text was expected".to_owned()),
        }
    }
}

/// Whether no version of YAML reads this plain scalar as anything else.
fn surely_text(text: &str) -> bool {
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "~" | "<<" | "="
    );
    let numeral = |c: char| c.is_ascii_hexdigit() || "xXoOtTzZ_.,:+- ".contains(c);
    let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && (text.chars().all(numeral) || text[1..].to_ascii_lowercase().ends_with("inf") || text.to_ascii_lowercase().ends_with("nan"));
    !word && !number
}

/// Builds nodes from a bounded number of parser steps.
struct Tree<'a> {
    parser: Parser<std::str::Chars<'a>>,
    nodes: usize,
}

impl<'a> Tree<'a> {
    /// The only document; none where the file is empty.
    fn read(text: &'a str) -> Result<Option<Node>, String> {
        let mut tree = Tree { parser: Parser::new_from_str(text), nodes: 0 };
        loop {
            match tree.next()? {
                Event::StreamStart | Event::Nothing => {}
                Event::DocumentStart => break,
                _ => return Ok(None),
            }
        }
        let first = tree.next()?;
        let root = tree.node(first, 0)?;
        loop {
            match tree.next()? {
                Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(Some(root)),
                _ => return Err("it holds more than one document".to_owned()),
            }
        }
    }

    fn next(&mut self) -> Result<Event, String> {
        self.parser.next_token().map(|(event, _)| event).map_err(|error| format!("it is not YAML: {error}"))
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Node, String> {
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST_NODES {
            return Err("it is too large or too deep".to_owned());
        }
        match event {
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                Err("it holds a tag".to_owned())
            }
            Event::Alias(_) => Err("it holds an alias".to_owned()),
            Event::Scalar(text, style, _, None) => Ok(Node::Scalar { text, plain: style == TScalarStyle::Plain }),
            Event::SequenceStart(_, None) => self.list(depth),
            Event::MappingStart(_, None) => self.map(depth),
            _ => Err("it is not YAML that gate reads".to_owned()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Node::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let (mut fields, mut seen) = (Vec::new(), std::collections::HashSet::new());
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Node::Map(fields)),
                event => self.node(event, depth + 1)?,
            };
            let Node::Scalar { text: key, .. } = key else { return Err("a key is no text".to_owned()) };
            if key == "<<" || !seen.insert(key.clone()) {
                return Err(format!("the key `{key}` stands twice or merges"));
            }
            let event = self.next()?;
            fields.push((key, self.node(event, depth + 1)?));
        }
    }
}
