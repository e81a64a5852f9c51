//! A real registry: Debian's `docker-registry`.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::wait_for;

/// A registry on its own port, which ends with the test.
pub struct Registry {
    process: Child,
    port: u16,
    data: tempfile::TempDir,
}

impl Registry {
    /// A registry that anybody can use.
    pub fn start() -> Self {
        Self::run(None)
    }

    /// A registry that only this user can use.
    pub fn start_for(user: &str, password: &str) -> Self {
        Self::run(Some((user, password)))
    }

    fn run(account: Option<(&str, &str)>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = data.path().display();
        let auth = account.map(|(user, password)| {
            let hash = bcrypt::hash(password, 5).unwrap();
            std::fs::write(data.path().join("htpasswd"), format!("{user}:{hash}\n")).unwrap();
            format!("auth: {{htpasswd: {{realm: tests, path: {root}/htpasswd}}}}\n")
        });
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n{}",
            auth.unwrap_or_default()
        );
        let file = data.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs Debian's package docker-registry: apt-get install docker-registry");
        let registry = Self { process, port, data };
        wait_for("docker-registry", Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).ok());
        registry
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file that contains a blob, by the digits of its digest.
    pub fn blob(&self, digits: &str) -> std::path::PathBuf {
        let blobs = self.data.path().join("docker/registry/v2/blobs/sha256");
        blobs.join(&digits[..2]).join(digits).join("data")
    }

    /// The full name for a path in the registry.
    pub fn name(&self, path: &str) -> String {
        format!("127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
