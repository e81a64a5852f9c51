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
fn every_command_explains_itself_and_its_own_options_come_first() {
    let project = Project::new();
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    let mut commands = 0;
    while let Some(command) = waiting.pop() {
        let mut arguments = command.clone();
        arguments.push("--help".to_owned());
        let help = project.run(&arguments);
        let about = help.lines().next().unwrap();
        assert!(about.len() > 10, "{arguments:?}: {help}");
        let (own, shared) = help.split_once("Global options:").unwrap();
        assert!(shared.contains("--project") && !own.contains("--project"), "{arguments:?}: {help}");
        let listed = own.split("Commands:\n").nth(1).unwrap_or_default();
        let names =
            listed.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
        for name in names.filter(|name| *name != "help") {
            waiting.push(command.iter().cloned().chain([name.to_owned()]).collect());
        }
        commands += 1;
    }
    assert!(commands > 25, "only {commands} commands were found");
}

#[test]
fn colours_are_for_terminals_alone() {
    let project = Project::new();
    let output = project.mailimg(["build"]).output().unwrap();
    assert!(!output.stderr.contains(&0x1b), "{}", String::from_utf8_lossy(&output.stderr));
    let in_terminal = |no_color: Option<&str>| {
        let mut command = std::process::Command::new("script");
        let run = format!("'{}' build", env!("CARGO_BIN_EXE_mailimg"));
        command
            .args(["-qec", &run, "/dev/null"])
            .current_dir(project.path())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        command.envs(no_color.map(|value| ("NO_COLOR", value))).stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout.contains(&0x1b)
    };
    assert!(in_terminal(None));
    assert!(!in_terminal(Some("1")));
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

#[test]
fn every_command_has_a_man_page() {
    let project = Project::new();
    project.run(["man", "pages"]);
    let page = project.read("pages/mailimg-up.1");
    assert!(page.contains(".TH") && page.contains("Build and start the mail server"), "{page}");
    let pages: Vec<_> =
        fs_err::read_dir(project.path().join("pages")).unwrap().map(|it| it.unwrap().file_name()).collect();
    for page in ["mailimg.1", "mailimg-secrets-rotate.1", "mailimg-repo-import-debian.1"] {
        assert!(pages.iter().any(|name| name == page), "{page} in {pages:?}");
    }
}
