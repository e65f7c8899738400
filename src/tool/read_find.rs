//! find's own syntax: starting points, then an expression with commands in it.

use super::arg::Arg;
use super::command::Inner;
use super::grammar::{Runs, Takes};
use super::inner;
use super::read::{Next, Reader};

impl<'a> Reader<'a> {
    /// find's start points as far as they are known; none known where one is not.
    fn start_points(&self) -> Vec<Vec<u8>> {
        let starts = &self.reading.operands;
        if starts.is_empty() {
            return vec![b".".to_vec()];
        }
        // `-execdir` and `-files0-from` have other paths in mind.
        let elsewhere = self.reading.options.iter().any(|option| option.is("-files0-from"));
        let known = !elsewhere && starts.iter().all(Arg::is_known);
        if known { starts.iter().map(|arg| arg.text.to_vec()).collect() } else { Vec::new() }
    }

    pub(super) fn read_find(&mut self, args: &[Arg<'a>]) {
        let exec: &[String] = match &self.grammar.runs {
            Some(Runs::Exec(options)) => options,
            _ => &[],
        };
        let mut at = 0;
        let mut in_expression = false;
        while let Some(arg) = args.get(at) {
            at += 1;
            let text: &[u8] = &arg.text;
            let begins = arg.is_known() && (text.starts_with(b"-") && text.len() > 1 || matches!(text, b"(" | b")" | b"!" | b","));
            if !begins {
                if in_expression && arg.is_known() {
                    // A word inside the expression that no predicate took: GNU find calls this an error.
                    self.unknown(text.to_vec(), None, true);
                } else {
                    self.operand(arg.clone());
                }
                continue;
            }
            in_expression |= !matches!(text, b"-H" | b"-L" | b"-P" | b"-D") && !text.starts_with(b"-O");
            if exec.iter().any(|name| name.as_bytes() == text) {
                let end = (at..args.len()).find(|end| ends_command(text, args, *end)).unwrap_or(args.len());
                if let Some(spec) = self.find(text) {
                    self.known(text.to_vec(), spec, None);
                } else {
                    self.unknown(text.to_vec(), None, true);
                }
                let roots = self.start_points();
                let command = args[at..end].iter().map(|arg| inner::placeholder(arg, &roots)).collect();
                self.reading.inner.push(Inner::plain(command));
                at = (end + 1).min(args.len());
            } else if let Some(spec) = self.find(text) {
                let value = if spec.takes == Takes::Value { args.get(at).cloned() } else { None };
                at += usize::from(value.is_some());
                self.known(text.to_vec(), spec, value);
            } else if matches!(self.unknown(text.to_vec(), None, false), Next::Value) {
                at += usize::from(at < args.len());
            }
        }
    }
}

/// GNU find ends a command at `;`, and that of -exec and -execdir at the `+` of `{} +`; any other `+` is an argument.
fn ends_command(action: &[u8], args: &[Arg<'_>], at: usize) -> bool {
    let is = |at: usize, text: &[u8]| args.get(at).is_some_and(|arg| arg.is_known() && *arg.text == *text);
    is(at, b";") || is(at, b"+") && at > 0 && is(at - 1, b"{}") && !action.starts_with(b"-ok")
}
