//! The command line: what can be typed, and nothing of what it does.

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::commands::{approvers, audit, check, completions, demo, doctor, key, login, policy, review, serve};

/// Puts human judgement in front of a command: reads it against policy, asks people where policy says so, runs exactly what
/// they saw, once, and keeps a signed record.
#[derive(Parser, Debug)]
#[command(
    name = "gate",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "gate [OPTIONS] -- COMMAND [ARG]...\n       gate SUBCOMMAND"
)]
pub struct Cli {
    /// What else gate does.
    #[command(subcommand)]
    pub subcommand: Option<Sub>,
    /// How the command is run.
    #[command(flatten)]
    pub run: RunArgs,
    /// The command and its arguments; everything after `--` is the command's own.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Options of `gate -- COMMAND`.
#[derive(Args, Debug, Default, Clone)]
pub struct RunArgs {
    /// Tell a refusal or an error as one JSON object on stderr (also: `GATE_ERROR_FORMAT=json`).
    #[arg(long)]
    pub json: bool,
    /// Never prompt: what would need an answer at the terminal is refused.
    #[arg(long)]
    pub non_interactive: bool,
    /// Why it has to run: those who are asked read it, and terms may want it.
    #[arg(long, value_name = "TEXT")]
    pub justification: Option<String>,
    /// Supervise the command, and write one JSON line about how it went to this descriptor.
    #[arg(long, value_name = "N")]
    pub status_fd: Option<i32>,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Sub {
    /// Say what would be decided, and how the command was read; run nothing.
    Check(check::CheckArgs),
    /// Show, test and check policies.
    Policy(policy::PolicyArgs),
    /// Read and verify the record.
    Audit(audit::AuditArgs),
    /// Show who may approve by which keys, and change it.
    Approvers(approvers::ApproversArgs),
    /// Show the keys that sign the record, and change the record key.
    Key(key::KeyArgs),
    /// Act as yourself at a server where people decide.
    Login(login::LoginArgs),
    /// End that.
    Logout(login::LogoutArgs),
    /// List what waits for your decision.
    Pending(review::PendingArgs),
    /// Show a request as its approvers see it.
    Show(review::ShowArgs),
    /// Approve a request of somebody else.
    Approve(review::ApproveArgs),
    /// Reject a request.
    Reject(review::RejectArgs),
    /// List approvals that are good for more runs than one, or end one.
    Grants(review::GrantsArgs),
    /// Run the approval server, where other people decide.
    Serve(serve::ServeArgs),
    /// Check this installation: layers, files, a probe that must be denied, the log.
    Doctor(doctor::DoctorArgs),
    /// Show the main job in a scratch directory; needs no set-up and no terminal.
    Demo(demo::DemoArgs),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
}

/// The whole command line, for completions and the manual.
pub fn command() -> clap::Command {
    Cli::command()
}
