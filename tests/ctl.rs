//! `crossbarctl` from outside: completions and man pages cover all programs, and `check` takes whatever is a
//! configuration.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

fn crossbarctl(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbarctl"));
    command.args(arguments).output().expect("the program is started")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// The commands of a program, as its help lists them.
fn commands_of(program: &str) -> BTreeSet<String> {
    let output = Command::new(program).arg("--help").output().expect("the program is started");
    let help = stdout(&output);
    let Some((_, list)) = help.split_once("Commands:\n") else { return BTreeSet::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

/// Where each program is, and its name.
const PROGRAMS: [(&str, &str); 4] = [
    (env!("CARGO_BIN_EXE_crossbar-edge"), "crossbar-edge"),
    (env!("CARGO_BIN_EXE_crossbar-master"), "crossbar-master"),
    (env!("CARGO_BIN_EXE_crossbar-probe"), "crossbar-probe"),
    (env!("CARGO_BIN_EXE_crossbarctl"), "crossbarctl"),
];

#[test]
fn every_program_and_command_has_a_man_page() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = directory.path().join("man1");
    stdout(&crossbarctl(&["man", at.to_str().expect("UTF-8")]));
    let mut n_commands = 0;
    for (program, name) in PROGRAMS {
        let page = |name: &str| std::fs::read_to_string(at.join(format!("{name}.1"))).unwrap_or_default();
        assert!(page(name).contains(".SH SYNOPSIS"), "{name}");
        for command in commands_of(program) {
            assert!(page(&format!("{name}-{command}")).contains(".SH SYNOPSIS"), "{name} {command}");
            n_commands += 1;
        }
    }
    assert!(n_commands > 20, "{n_commands} commands");
    assert!(stdout(&crossbarctl(&["man"])).contains("crossbarctl"));
}

#[test]
fn every_shell_completes_every_program() {
    for shell in ["bash", "zsh", "fish"] {
        for (program, name) in PROGRAMS {
            let script = stdout(&crossbarctl(&["completions", shell, "--program", name]));
            for command in commands_of(program) {
                assert!(script.contains(&command), "{shell}: {name} {command}");
            }
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    let script = stdout(&crossbarctl(&["completions", "bash"]));
    let mut check = Command::new("bash");
    check.arg("-c").arg(format!("{script}\ncomplete -p crossbarctl"));
    assert!(stdout(&check.output().expect("bash is started")).contains("-F _crossbarctl"));
    let unknown = crossbarctl(&["completions", "bash", "--program", "crossbar"]);
    let stderr = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(1) && stderr.contains("there is no program 'crossbar'"), "{stderr}");
}

#[test]
fn check_takes_our_own_files_too() {
    let minimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/edge-minimal.toml");
    let name = minimal.to_str().expect("UTF-8");
    assert_eq!(stdout(&crossbarctl(&["check", name])), format!("{name}: no mistakes\n"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let bad = directory.path().join("edge");
    std::fs::write(&bad, "[node]\nidd = \"edge1\"\n").expect("written");
    let refused = crossbarctl(&["check", bad.to_str().expect("UTF-8")]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78));
    assert!(stderr.contains(":2:1: unknown key 'idd' in [node], did you mean 'id'?"), "{stderr}");
}
