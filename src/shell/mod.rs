//! The strict reader of shell scripts: what it calls static is surely what a POSIX shell, or bash, would run.
//!
//! It goes over a script once, from left to right, and knows the grammar that people and programs write every day. Whatever it is not
//! sure of is opaque, which can only make an answer stricter.
#![forbid(unsafe_code)]

mod arithmetic;
mod braced;
mod builtin_words;
mod builtins;
mod compound;
mod expand;
mod function;
mod place;
mod reader;
mod redirect;
mod script;
mod simple;
mod state;
mod tolerant;
mod tolerant_commands;
mod word;

use reader::Reader;

pub use script::{Command, Input, Piece, Place, Redirection, Script, Shell, Word};

/// The longest script that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// How many variables may turn out to hold something else than a number, each of which has the script read once more.
const OTHERS: usize = 8;

/// Reads a script strictly.
pub fn read(script: &[u8], shell: Shell) -> Script {
    match commands(script, shell) {
        Ok(found) => Script::Static(found),
        Err(why) => Script::Opaque { why, seen: tolerant::see(script) },
    }
}

/// Splits one command as the strict reader sees it; `None` where it is not exactly one static command.
pub fn words(script: &[u8]) -> Option<Vec<Vec<u8>>> {
    readable(script).ok()?;
    let mut reader = Reader::new(script, Shell::Posix);
    reader.lines().ok()?;
    let simple = reader.simple_words().ok()?;
    reader.lines().ok()?;
    let nothing_else = reader.at == script.len() && reader.found.is_empty();
    if nothing_else { simple.command.plain() } else { None }
}

fn readable(script: &[u8]) -> reader::Result<()> {
    if script.len() > LIMIT {
        return Err("the script is too long to be read");
    }
    if script.contains(&0) {
        return Err("a NUL byte, which shells drop");
    }
    if script.contains(&b'\r') {
        return Err("a carriage return");
    }
    Ok(())
}

fn commands(script: &[u8], shell: Shell) -> reader::Result<Vec<Command>> {
    readable(script)?;
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        let mut reader = Reader::new(script, shell);
        reader.known.others = others;
        let read = reader.list().and_then(|_| reader.ended()).and_then(|()| reader.finish());
        if reader.known.again {
            others = std::mem::take(&mut reader.known.others);
            continue;
        }
        read?;
        if reader.found.is_empty() {
            // The shell does it all by itself.
            reader.push(Command::default())?;
        }
        return Ok(reader.found);
    }
    Err("too many numbers that become something else")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tolerant_tests;
