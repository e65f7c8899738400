//! `gate completions SHELL`.

use clap::Args;
use clap_complete::Shell;

/// Arguments of `gate completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}

/// Prints completions.
pub fn run(args: &CompletionsArgs) -> u8 {
    clap_complete::generate(args.shell, &mut crate::cli::command(), "gate", &mut std::io::stdout());
    0
}
