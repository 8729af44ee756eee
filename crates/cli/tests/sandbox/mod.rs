//! A directory of its own for each test, and the command run on it.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The path of the command. In another package the environment names the one built for its tests.
pub fn program() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_genstore") {
        Some(program) => program.into(),
        None => std::env::var_os("GENSTORE_PROGRAM")
            .expect("GENSTORE_PROGRAM names the command, as crates/proof/prove sets it")
            .into(),
    }
}

pub struct Sandbox {
    dir: TempDir,
}

/// The result of one run of the command.
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

pub struct LockHolder(Child);

impl LockHolder {
    /// The process ends when its input ends.
    pub fn release(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    pub fn new_in(dir: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("genstore-cli-").tempdir_in(dir).unwrap();
        // Some tests run the command as another user, who must be able to enter.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    /// A sandbox with an empty store.
    pub fn with_store() -> Self {
        let sandbox = Self::new();
        sandbox.ok(&["init"]);
        sandbox
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The names in the sandbox, that of the store included.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The command in the sandbox, without a store and with a known environment.
    pub fn bare(&self) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(self.dir.path())
            .env_remove("GENSTORE_STORE")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env("USER", "tester")
            .stdin(Stdio::null());
        command
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bare();
        command.arg("--store").arg(self.store()).args(words);
        command
    }

    pub fn run(&self, words: &[&str]) -> Run {
        finish(&mut self.command(words))
    }

    /// Runs the command, which must succeed and print nothing on standard error. Gives standard
    /// output.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let run = self.run(words);
        assert_eq!((run.code, quiet(&run.stderr)), (0, ""), "{words:?}");
        String::from_utf8(run.stdout).unwrap()
    }

    /// As `ok`, with another code and any text on standard error.
    #[track_caller]
    pub fn ok_code(&self, code: i32, words: &[&str]) -> String {
        let run = self.run(words);
        assert_eq!(run.code, code, "{words:?}: {}", run.stderr);
        String::from_utf8(run.stdout).unwrap()
    }

    /// As `ok` with --json: one value for each line.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Vec<Value> {
        json_lines(&self.ok(&[&["--json"], words].concat()))
    }

    #[track_caller]
    pub fn one_json(&self, words: &[&str]) -> Value {
        let mut lines = self.json(words);
        assert_eq!(lines.len(), 1, "{words:?}: {lines:?}");
        lines.remove(0)
    }

    /// Commits these bytes with `put` from a file.
    #[track_caller]
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let file = self.write("put-input", bytes);
        self.ok(&["put", path, file.to_str().unwrap(), "-m", &format!("commit {path}")]);
    }

    /// Runs the command, which must fail with this code, print nothing and explain itself in one
    /// sentence. Gives the sentence.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let run = self.run(words);
        assert_eq!(run.code, code, "{words:?}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{words:?} printed {}", String::from_utf8_lossy(&run.stdout));
        assert_sentence(&run.stderr);
        run.stderr
    }

    /// The `error` object of a failure with --json.
    #[track_caller]
    pub fn error(&self, code: i32, words: &[&str]) -> Value {
        let run = self.run(&[&["--json"], words].concat());
        assert_eq!(run.code, code, "{words:?}: {}", run.stderr);
        assert!(run.stdout.is_empty());
        let line: Value = serde_json::from_str(&run.stderr).unwrap();
        line["error"].clone()
    }

    /// Starts the command with its input and outputs held open.
    pub fn spawn(&self, words: &[&str]) -> Child {
        self.command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Every name under the store with its bytes, to show that the store is as it was. `locks/` is
    /// left out: it holds no data and names the last holder of the lock.
    pub fn store_bytes(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut all = tree(&self.store());
        all.retain(|name, _| !name.starts_with("locks"));
        all
    }

    /// Another process takes and keeps the writer lock.
    pub fn hold_lock(&self) -> LockHolder {
        let mut process = Command::new("flock")
            .arg(self.store().join("locks/writer"))
            .args(["sh", "-c", "echo held; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 5];
        process.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"held\n");
        LockHolder(process)
    }

    /// The command as a user without privileges, even if the tests run as root.
    pub fn unprivileged(&self, words: &[&str]) -> Command {
        if !rustix::process::geteuid().is_root() {
            return self.command(words);
        }
        // That user may not be able to enter the build directory.
        let program = self.path("genstore");
        if !program.exists() {
            fs::copy(self::program(), &program).unwrap();
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program)
            .arg("--store")
            .arg(self.store())
            .args(words)
            .current_dir(self.dir.path())
            .env_remove("GENSTORE_STORE")
            .stdin(Stdio::null());
        command
    }
}

/// Standard error, or nothing if every line is a warning: warnings about the medium depend on where
/// the tests run.
pub fn quiet(stderr: &str) -> &str {
    if stderr.lines().all(|line| line.starts_with("genstore: warning: ")) { "" } else { stderr }
}

#[track_caller]
pub fn finish(command: &mut Command) -> Run {
    run_of(command.output().unwrap())
}

#[track_caller]
pub fn run_of(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}")),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[track_caller]
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Fails unless the text is one line: `genstore: what happened; what it means; what to do.`
#[track_caller]
pub fn assert_sentence(stderr: &str) {
    let line = stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {stderr:?}"));
    assert!(!line.contains('\n'), "more than one line: {stderr}");
    assert!(line.starts_with("genstore: "), "{stderr}");
    assert!(line.ends_with('.') && !line.ends_with(".."), "{stderr}");
    assert!(line.matches("; ").count() >= 2, "a part is missing: {stderr}");
}

/// The names in an object, sorted.
#[track_caller]
pub fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Every name under a directory with its bytes. Directories have no bytes.
pub fn tree(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                waiting.push(path);
            } else {
                found.insert(name, Some(fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// Changes one byte in the middle of a read-only file.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}
