//! Names the two targets once (`native`, `web`) and bakes in the client id `everwire/<version> (<short sha>)`.

use std::{env, fs, path::Path};

fn main() {
    cfg_aliases::cfg_aliases! {
        web: { target_family = "wasm" },
        native: { not(web) },
    }
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets the version");
    let id = match short_sha(Path::new(".git")) {
        Some(sha) => format!("everwire/{version} ({sha})"),
        None => format!("everwire/{version}"),
    };
    println!("cargo:rustc-env=EVERWIRE_CLIENT_ID={id}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=.git/HEAD");
}

/// The commit checked out here, read from the files git keeps: a source archive has none, and no program is run.
fn short_sha(git: &Path) -> Option<String> {
    // In a linked worktree `.git` is a file that points at the real folder.
    let git = match fs::read_to_string(git) {
        Ok(pointer) => pointer.trim().strip_prefix("gitdir: ")?.into(),
        Err(_) => git.to_path_buf(),
    };
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let sha = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(name) => {
            let common = match fs::read_to_string(git.join("commondir")) {
                Ok(path) => git.join(path.trim()),
                Err(_) => git,
            };
            println!("cargo:rerun-if-changed={}", common.join(name).display());
            match fs::read_to_string(common.join(name)) {
                Ok(sha) => sha.trim().to_owned(),
                Err(_) => packed_ref(&common, name)?,
            }
        }
    };
    (sha.len() >= 8 && sha.is_ascii()).then(|| sha[..8].to_owned())
}

fn packed_ref(git: &Path, name: &str) -> Option<String> {
    let refs = fs::read_to_string(git.join("packed-refs")).ok()?;
    refs.lines().find_map(|line| Some(line.strip_suffix(name)?.trim().to_owned()).filter(|sha| !sha.starts_with('#')))
}
