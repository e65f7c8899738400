//! The exit codes of gate itself: one table for the program, the manual and the README.

/// The command line could not be understood.
pub const USAGE: u8 = 64;
/// No channel of the terms could be reached.
pub const UNREACHABLE: u8 = 69;
/// Asked and not decided: expired or still pending.
pub const UNDECIDED: u8 = 75;
/// Denied, rejected, cancelled, or changed while waiting.
pub const REFUSED: u8 = 77;
/// Bad configuration or policy.
pub const CONFIG: u8 = 78;
/// gate itself failed.
pub const INTERNAL: u8 = 125;
/// The program was found but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The program was not found.
pub const NOT_FOUND: u8 = 127;

/// The table that the man page and the README print: code and meaning.
pub const TABLE: [(u8, &str); 8] = [
    (USAGE, "the command line could not be understood"),
    (UNREACHABLE, "asked, but no way to reach somebody who may decide (also: no terminal, or `--non-interactive`)"),
    (UNDECIDED, "asked and not decided: expired, or still pending"),
    (REFUSED, "denied, rejected, cancelled, or changed while waiting"),
    (CONFIG, "bad configuration or policy"),
    (INTERNAL, "gate itself failed, the audit log included"),
    (NOT_EXECUTABLE, "the command was found but cannot be executed"),
    (NOT_FOUND, "the command was not found"),
];
