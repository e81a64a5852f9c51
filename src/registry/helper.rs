//! Docker's credential helpers: programs that keep passwords (docker/docker-credential-helpers, its README).

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::keychain::{Credential, without_bom};

/// The time limit for a helper: some ask the user.
const LIMIT: Duration = Duration::from_secs(30);

/// The time to read the rest of what a helper that has exited has written.
const REST: Duration = Duration::from_millis(200);

/// The answer of a helper without an entry for the registry.
const NOT_FOUND: &str = "credentials not found";

/// A helper did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("can't run {program}: {source}")]
    Run { program: String, source: io::Error },
    #[error("{program} did not answer within {} seconds", .limit.as_secs())]
    Slow { program: String, limit: Duration },
    #[error("{program} failed: {said}")]
    Failed { program: String, said: String },
    #[error("{program} gave an unexpected answer")]
    Answer { program: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-NAME` for a registry's credentials.
pub(super) async fn ask(name: &str, server: &str) -> Result<Option<Credential>, HelperError> {
    run(&format!("docker-credential-{name}"), LIMIT, server).await
}

async fn run(program: &str, limit: Duration, server: &str) -> Result<Option<Credential>, HelperError> {
    let program = program.to_owned();
    let run = |source| HelperError::Run { program: program.clone(), source };
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(run)?;
    let asked = async {
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that doesn't read its input may still answer.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        output_of(&mut child).await
    };
    let output = tokio::time::timeout(limit, asked).await;
    let output = output.map_err(|_| HelperError::Slow { program: program.clone(), limit })?.map_err(run)?;
    if !output.status.success() {
        if [&output.stdout, &output.stderr].iter().any(|bytes| String::from_utf8_lossy(bytes).contains(NOT_FOUND)) {
            return Ok(None);
        }
        return Err(HelperError::Failed { program, said: complaint(&output) });
    }
    let Answer { username, secret } =
        serde_json::from_slice(without_bom(&output.stdout)).map_err(|_| HelperError::Answer { program })?;
    Ok(match username.as_str() {
        _ if secret.is_empty() => None,
        "<token>" => Some(Credential::IdentityToken(secret)),
        _ => Some(Credential::Login { user: username, password: secret.into_bytes() }),
    })
}

/// What a program writes until it exits. Another that it started may keep its output open for longer.
async fn output_of(child: &mut Child) -> io::Result<Output> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let status = {
        let mut read = std::pin::pin!(async { tokio::join!(read(out, &mut stdout), read(err, &mut stderr)) });
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(REST, read).await;
                status?
            }
            _ = &mut read => child.wait().await?,
        }
    };
    Ok(Output { status, stdout, stderr })
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(bytes).await?;
    }
    Ok(())
}

/// What may be shown of a failed helper's output: not its answer, which may have a password nevertheless.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    match said.trim() {
        "" => output.status.to_string(),
        said if said.contains("Secret") => output.status.to_string(),
        said => said.chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a helper that is this script.
    async fn answer(script: &str) -> Result<Option<Credential>, HelperError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker-credential-made-up");
        // Another process writes it: a file that is open for writing here, or in a process just forked, can't be run.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2"; chmod 755 "$2""#;
        let written = std::process::Command::new("sh").args(["-c", write, "sh", script]).arg(&path).status().unwrap();
        assert!(written.success());
        run(&path.display().to_string(), Duration::from_secs(2), "r.example.org").await
    }

    #[tokio::test]
    async fn takes_what_a_helper_knows() {
        let login = answer(r#"echo "{\"ServerURL\":\"x\",\"Username\":\"bob\",\"Secret\":\"$(cat)\"}""#).await.unwrap();
        assert_eq!(login, Some(Credential::Login { user: "bob".to_owned(), password: b"r.example.org".to_vec() }));
        let token = answer(r#"echo '{"Username":"<token>","Secret":"t"}'"#).await.unwrap();
        assert_eq!(token, Some(Credential::IdentityToken("t".to_owned())));
        let with_mark = answer(r#"printf '\357\273\277{"Username":"<token>","Secret":"t"}'"#).await.unwrap();
        assert_eq!(with_mark, token);
        let leaves_another = answer(r#"sleep 5 & echo '{"Username":"<token>","Secret":"t"}'"#).await.unwrap();
        assert_eq!(leaves_another, token);
        let nothing = answer("echo credentials not found in native keychain; exit 1").await.unwrap();
        assert_eq!(nothing, None);
        let empty = answer(r#"echo '{"Username":"","Secret":""}'"#).await.unwrap();
        assert_eq!(empty, None);
    }

    #[tokio::test]
    async fn tells_of_a_helper_that_fails() {
        let failed = answer("echo the keychain is locked >&2; exit 3").await.unwrap_err();
        assert!(failed.to_string().ends_with("failed: the keychain is locked"), "{failed}");
        for answered in ["", ">&2"] {
            let script = format!(r#"echo '{{"Username":"bob","Secret":"hidden"}}' {answered}; exit 3"#);
            let failed = answer(&script).await.unwrap_err();
            assert!(failed.to_string().ends_with("failed: exit status: 3"), "{failed}");
        }
        let nonsense = answer("echo secret").await.unwrap_err();
        assert!(nonsense.to_string().ends_with("gave an unexpected answer"), "{nonsense}");
        let missing = ask("that-is-not-there", "r.example.org").await.unwrap_err();
        assert!(missing.to_string().starts_with("can't run docker-credential-that-is-not-there"), "{missing}");
        let slow = answer("exec sleep 60").await.unwrap_err();
        assert!(matches!(slow, HelperError::Slow { .. }), "{slow}");
    }
}
