//! Lays down the tool files: reads `policies/*.toml` with the very rooms that read policies at run time, runs the tests in
//! them, and writes them as static tables. A policy that does not pass its own tests does not build.
#![expect(dead_code, unused_imports, unreachable_pub, reason = "the rooms serve the program; the build uses a part of them")]

#[path = "src/policy/mod.rs"]
mod policy;
#[path = "src/request/mod.rs"]
mod request;
#[path = "src/shell/mod.rs"]
mod shell;
#[path = "src/text/mod.rs"]
mod text;
#[path = "src/tool/mod.rs"]
mod tool;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use policy::{FileKind, Layers, Policy, PolicyFile, Tools};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=policies");
    for room in ["policy", "request", "shell", "text", "tool"] {
        println!("cargo::rerun-if-changed=src/{room}");
    }
    only_where_it_runs()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let files = policy_files()?;
    let tables = Tables::read(&files)?;
    run_tests(&files, &tables)?;
    tables.write(&out)
}

fn only_where_it_runs() -> Result<(), String> {
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux") => Ok(()),
        other => Err(format!("gate runs on Linux, and `{}` is not", other.unwrap_or("unknown"))),
    }
}

fn policy_files() -> Result<Vec<PolicyFile>, Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = fs::read_dir("policies")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: &PathBuf| -> Result<PolicyFile, Box<dyn Error>> {
        let family = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a policy file's name is not UTF-8")?.to_owned();
        Ok(PolicyFile { name: format!("policies/{family}.toml"), family, bytes: fs::read(path)? })
    };
    paths.iter().map(read).collect()
}

struct Tables {
    names: Vec<(String, u16)>,
    ids: Vec<String>,
    locked: Vec<String>,
    blobs: Vec<Vec<u8>>,
}

impl Tables {
    fn read(files: &[PolicyFile]) -> Result<Self, Box<dyn Error>> {
        let mut tables = Self { names: Vec::new(), ids: Vec::new(), locked: Vec::new(), blobs: Vec::new() };
        for (at, file) in files.iter().enumerate() {
            let read = policy::embedded_file(&file.name, &file.bytes).map_err(|error| error.to_string())?;
            let number = u16::try_from(at)?;
            tables.names.extend(read.names.into_iter().map(|name| (name, number)));
            tables.ids.extend(read.ids);
            tables.locked.extend(read.locked);
            tables.blobs.push(read.blob);
        }
        tables.names.sort();
        tables.ids.sort();
        tables.locked.sort();
        if let Some(twice) = tables.names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("the program `{}` stands in two files", twice[0].0).into());
        }
        if let Some([twice, _]) = tables.ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("the rule id `{twice}` stands in two files").into());
        }
        Ok(tables)
    }

    /// What the record names gate's own rules by.
    fn digest(&self) -> [u8; 32] {
        let mut all = ring::digest::Context::new(&ring::digest::SHA256);
        for (name, at) in &self.names {
            all.update(format!("{name} {at}\n").as_bytes());
        }
        for blob in &self.blobs {
            all.update(&blob.len().to_be_bytes());
            all.update(blob);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(all.finish().as_ref());
        digest
    }

    fn write(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        let mut code = String::new();
        writeln!(code, "static NAMES: &[(&str, u16)] = &{:?};", self.names)?;
        writeln!(code, "static IDS: &[&str] = &{:?};", self.ids)?;
        writeln!(code, "static LOCKED: &[&str] = &{:?};", self.locked)?;
        writeln!(code, "static DIGEST: [u8; 32] = {:?};", self.digest())?;
        writeln!(code, "static FILES: &[&[u8]] = &[")?;
        for (at, blob) in self.blobs.iter().enumerate() {
            let name = format!("tool-{at}.bin");
            fs::write(out.join(&name), blob)?;
            writeln!(code, "    include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")),")?;
        }
        writeln!(code, "];")?;
        Ok(fs::write(out.join("embedded.rs"), code)?)
    }
}

fn run_tests(files: &[PolicyFile], tables: &Tables) -> Result<(), Box<dyn Error>> {
    fn forever<T>(items: Vec<T>) -> &'static [T] {
        Box::leak(items.into_boxed_slice())
    }
    let tools = Tools {
        names: forever(tables.names.iter().map(|(name, at)| (forever_text(name), *at)).collect()),
        ids: forever(tables.ids.iter().map(|id| forever_text(id)).collect()),
        locked: forever(tables.locked.iter().map(|id| forever_text(id)).collect()),
        files: forever(tables.blobs.iter().map(|blob| forever(blob.clone())).collect()),
        digest: [0; 32],
        sha256: |_| [0; 32],
    };
    let policy = Policy::load(Layers::default(), tools).map_err(|error| error.to_string())?;
    let mut failed = 0;
    for file in files {
        let (_, failures) = policy::check_file(&policy, file, FileKind::Embedded).map_err(|error| error.to_string())?;
        for failure in &failures {
            failed += 1;
            for line in failure.error.to_string().lines() {
                println!("cargo::error={line}");
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} tests in `policies/` failed").into()) }
}

fn forever_text(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}
