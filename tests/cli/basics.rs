use crate::common::project::Project;

#[test]
fn help_names_every_exit_code() {
    let help = Project::new().run(["--help"]);
    let codes = help.split("Exit codes:").nth(1).unwrap().replace('\n', " ");
    for code in 0..=6 {
        assert!(codes.contains(&format!("{code} ")), "{code} in {codes}");
    }
}

#[test]
fn unknown_command_is_a_usage_error() {
    let output = Project::new().mailimg(["biuld"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("biuld"));
    assert!(output.stdout.is_empty());
}

#[test]
fn results_survive_a_reader_that_goes_away() {
    let project = Project::new();
    let script = format!(
        "'{}' completions bash | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_mailimg")
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).current_dir(project.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "{}", String::from_utf8_lossy(&output.stderr));
}
