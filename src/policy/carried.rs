//! What comes with a command from outside of its argv: variables by which it runs other code, surroundings that a wrapper changes.

use super::decide::{Fired, Given};
use super::layers::View;
use super::pattern::fits;
use crate::tool::{Grammar, Reading};

/// Variables by which any program runs other code than its own.
const LOADERS: &[&str] =
    &["LD_*", "BASH_ENV", "BASH_FUNC_*", "GIT_CONFIG_*", "GCONV_PATH", "LOCPATH", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES"];

/// Wrappers that run a command as it is: same user, same directory, same variables.
const TRANSPARENT: &[&str] =
    &["bash", "chrt", "dash", "find", "ionice", "nice", "nohup", "setsid", "sh", "stdbuf", "time", "timeout", "xargs"];

/// Whether what a wrapper runs acts on the target that its caller would act on.
pub(super) fn keeps_surroundings(grammar: &Grammar, reading: &Reading<'_>) -> bool {
    let named = |list: &[&str]| grammar.names.iter().any(|name| list.contains(&name.as_str()));
    let elsewhere = reading.options.iter().any(|option| option.is("-execdir") || option.is("-okdir"));
    named(TRANSPARENT) && !elsewhere || named(&["env"]) && reading.options.is_empty() && reading.operands.is_empty()
}

/// The variable or option by which an allowed command would run other code, unless a rule that allows it names that.
pub(super) fn other_code(view: &View, reading: &Reading<'_>, given: &Given<'_>, allowed: &[Fired]) -> Option<String> {
    let named = |name: &str| {
        allowed.iter().any(|found| found.env_allow.iter().any(|pattern| pattern == name || fits(pattern.as_bytes(), name.as_bytes())))
    };
    let variable = LOADERS.iter().copied().chain(view.grammar.executes.iter().map(String::as_str).filter(|name| !name.starts_with('-')));
    for pattern in variable {
        if !named(pattern) && (given.variables)(pattern) {
            return Some(pattern.to_owned());
        }
    }
    let of_word = reading.word.into_iter().flat_map(|word| &word.executes);
    let options = view.grammar.executes.iter().chain(of_word).filter(|name| name.starts_with('-'));
    options.filter(|name| !named(name)).find(|name| reading.options.iter().any(|option| option.is(name))).cloned()
}
