//! What comes with a command from outside of its argv: variables by which it runs other code, surroundings that a wrapper changes.

use super::decide::{Fired, Given};
use super::layers::View;
use super::pattern::fits;
use crate::tool::{Assigned, Grammar, Reading};

/// Variables by which any program runs other code than its own.
const LOADERS: &[&str] = &[
    "LD_*",
    "DYLD_*",
    "BASH_ENV",
    "BASH_FUNC_*",
    "GIT_CONFIG_*",
    "GCONV_PATH",
    "LOCPATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
];

/// Variables that many have set for good, and by which many programs run other code: they count where the command itself sets them.
const SET_ON_THE_WAY: &[&str] = &[
    "PAGER",
    "MANPAGER",
    "EDITOR",
    "VISUAL",
    "BROWSER",
    "SHELL",
    "LESS",
    "LESSOPEN",
    "LESSCLOSE",
    "*_PAGER",
    "*_EDITOR",
    "*_ASKPASS",
    "*ASKPASS",
    "PATH",
    "HOME",
    "IFS",
    "*_PROXY",
    "*_proxy",
    "*_COMMAND",
    "*_CMD",
    "*_HELPER",
    "*_CONFIG",
    "*_HOME",
    "*_HOST",
    "*_ENDPOINT*",
    "*_URL",
    "XDG_*",
    "PYTHON*",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL*",
    "RUBY*",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "RUSTC*",
    "RUSTDOC*",
    "CARGO_*",
    "CC",
    "CXX",
    "LD",
    "AR",
    "MAKEFLAGS",
    "MAKEFILES",
    "npm_config_*",
    "NPM_CONFIG_*",
    "PIP_*",
    "UV_*",
    "GIT_*",
    "SSH_*",
    "DOCKER_*",
    "KUBE*",
    "AWS_*",
    "CLOUDSDK_*",
    "GOOGLE_*",
    "AZURE_*",
    "TF_*",
    "VAULT_*",
    "PGHOST*",
    "PGSERVICE*",
    "TERMINFO*",
    "NLSPATH",
    "ENV",
    "PS4",
];

/// Values of such variables that change nothing but how much is said, or where a tool would page and ask.
const HARMLESS: &[&str] = &[
    "GIT_PAGER=cat",
    "GIT_PAGER=",
    "PAGER=cat",
    "PAGER=",
    "MANPAGER=cat",
    "AWS_PAGER=",
    "AWS_PAGER=cat",
    "GH_PAGER=cat",
    "GIT_TERMINAL_PROMPT=*",
    "EDITOR=true",
    "GIT_EDITOR=true",
    "VISUAL=true",
    "AWS_REGION=*",
    "AWS_DEFAULT_REGION=*",
    "AWS_DEFAULT_OUTPUT=*",
    "TF_IN_AUTOMATION=*",
    "TF_INPUT=*",
    "TF_LOG=*",
    "DOCKER_BUILDKIT=*",
    "PYTHONUNBUFFERED=*",
    "PYTHONDONTWRITEBYTECODE=*",
    "PYTHONHASHSEED=*",
    "PYTHONWARNINGS=*",
    "PYTHONIOENCODING=*",
    "PYTHONUTF8=*",
    "CARGO_TERM_COLOR=*",
    "CARGO_INCREMENTAL=*",
    "CARGO_TARGET_DIR=target",
    "RUSTC_BOOTSTRAP=*",
    "PIP_DISABLE_PIP_VERSION_CHECK=*",
    "PIP_NO_INPUT=*",
    "MAKEFLAGS=-j1",
    "MAKEFLAGS=-j2",
    "MAKEFLAGS=-j4",
    "MAKEFLAGS=-j8",
    "MAKEFLAGS=-j16",
    "NODE_OPTIONS=--max-old-space-size=2048",
    "NODE_OPTIONS=--max-old-space-size=4096",
    "NODE_OPTIONS=--max-old-space-size=8192",
    "NODE_OPTIONS=--max-old-space-size=16384",
];

/// Programs that run the project's own Python code anyway, so that finding its modules changes nothing.
const PYTHON: &[&str] =
    &["python", "python3", "pytest", "py.test", "tox", "nox", "mypy", "pylint", "pyright", "coverage", "uvicorn", "flask"];

/// Whether a variable with this value lets no tool run other code, or work on another target.
pub(super) fn harmless(name: &[u8], value: Option<&[u8]>) -> bool {
    value.is_some_and(|value| {
        let set = [name, b"=", value].concat();
        HARMLESS.iter().any(|pattern| fits(pattern.as_bytes(), &set))
    })
}

/// Whether a variable that is set on the way is one by which programs run other code, or work on another target.
pub(super) fn risky((name, value): &Assigned) -> bool {
    SET_ON_THE_WAY.iter().any(|pattern| fits(pattern.as_bytes(), name)) && !harmless(name, value.as_deref())
}

/// Wrappers that run a command as it is: same user, same directory, same variables.
const TRANSPARENT: &[&str] =
    &["bash", "chrt", "dash", "find", "ionice", "nice", "nohup", "setsid", "sh", "stdbuf", "time", "timeout", "xargs"];

/// Whether what a wrapper runs acts on the target that its caller would act on.
pub(super) fn keeps_surroundings(grammar: &Grammar, reading: &Reading<'_>) -> bool {
    let named = |list: &[&str]| grammar.names.iter().any(|name| list.contains(&name.as_str()));
    let elsewhere = reading.options.iter().any(|option| option.is("-execdir") || option.is("-okdir"));
    named(TRANSPARENT) && !elsewhere || named(&["env"]) && reading.options.is_empty() && reading.operands.is_empty()
}

fn is_one_of(view: &View, list: &[&str]) -> bool {
    view.grammar.names.iter().any(|name| list.contains(&name.as_str()))
}

/// Whether a variable only tells Python where the project's own modules are.
fn own_modules(name: &[u8], view: &View, given: &Given<'_>) -> bool {
    let own = |value: &Option<Vec<u8>>| matches!(value.as_deref(), Some(b"src" | b"." | b"./src"));
    name == b"PYTHONPATH" && is_one_of(view, PYTHON) && given.assigned.iter().filter(|(set, _)| set == name).all(|(_, value)| own(value))
}

/// The variables whose values make would run: it expands them as if its own file had set them.
fn expanded<'a>(view: &View, given: &'a Given<'_>) -> impl Iterator<Item = &'a [u8]> {
    let makes = !given.assigned.is_empty() && is_one_of(view, &["make", "gmake"]);
    let runs = |value: &Option<Vec<u8>>| value.as_ref().is_none_or(|value| value.windows(2).any(|pair| matches!(pair, b"$(" | b"${")));
    given.assigned.iter().filter(move |(_, value)| makes && runs(value)).map(|(name, _)| name.as_slice())
}

/// The variable or option by which an allowed command would run other code, unless a rule that allows it names that.
pub(super) fn other_code(view: &View, reading: &Reading<'_>, given: &Given<'_>, allowed: &[Fired]) -> Option<String> {
    let named = |name: &str| {
        allowed.iter().any(|found| found.env_allow.iter().any(|pattern| pattern == name || fits(pattern.as_bytes(), name.as_bytes())))
    };
    let risky = given.risky.iter().filter(|name| !own_modules(name, view, given)).map(|name| String::from_utf8_lossy(name));
    let risky = risky.chain(expanded(view, given).map(String::from_utf8_lossy)).find(|name| !named(name));
    if let Some(name) = risky {
        return Some(name.into_owned());
    }
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
