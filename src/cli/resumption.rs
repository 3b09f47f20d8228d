//! Where the events of one run end, kept in a file for the next run (N-9).

use crate::exit::Failure;
use everwire::{ClientBuilder, ResumePoint};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// The file, as JSON.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    last_sequence: Option<u64>,
}

/// A client that goes on where the file says, and from the beginning where there is none yet.
pub(crate) fn resumed(builder: ClientBuilder, path: &Path) -> Result<ClientBuilder, Failure> {
    let kept: Kept = match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|_| Failure::local(format!("{}: not a file that --resume-file wrote", path.display())))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Kept::default(),
        Err(error) => return Err(unusable(path, &error)),
    };
    Ok(builder.resume_from(ResumePoint::new(kept.session.as_deref(), kept.last_sequence)))
}

/// Writes the file anew, or removes it where there is nothing to go on with.
pub(crate) fn keep(point: Option<ResumePoint>, path: &Path) -> Result<(), Failure> {
    let kept = match point {
        Some(point) => replace(
            path,
            &Kept { session: point.session.as_deref().map(str::to_owned), last_sequence: point.last_sequence },
        ),
        None => {
            fs::remove_file(path).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        }
    };
    kept.map_err(|error| unusable(path, &error))
}

/// In one step: a run that is cut off leaves the old file. The session is a secret, so nobody else may read it.
fn replace(path: &Path, kept: &Kept) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_kept_replaced_and_removed() {
        let path = std::env::temp_dir().join(format!("everwire-resumption-{}", std::process::id()));
        for last in [7, 8] {
            assert!(keep(Some(ResumePoint::new(Some("s"), Some(last))), &path).is_ok());
            assert_eq!(fs::read_to_string(&path).unwrap(), format!(r#"{{"session":"s","last_sequence":{last}}}"#));
        }
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        for _ in 0..2 {
            assert!(keep(None, &path).is_ok() && !path.exists());
        }
        assert!(keep(Some(ResumePoint::default()), &path.join("nowhere")).is_err());
    }
}
