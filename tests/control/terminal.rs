//! `crossbarctl` on a terminal: `top` takes the whole of it, shows one picture after the other, and puts everything
//! back; what takes something away asks.

use crate::fixture::{command, start_cluster};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

/// A terminal of 40 lines of 120 characters: our end, and that of a program.
fn terminal() -> (File, File) {
    let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("the terminal is ours");
    unlockpt(&ours).expect("the terminal can be opened");
    let name = ptsname(&ours, Vec::new()).expect("the terminal has a name");
    let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().expect("UTF-8")).expect("it is opened");
    tcsetwinsize(&theirs, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).expect("it has a size");
    (ours.into(), theirs)
}

#[test]
fn a_question_is_asked_and_only_yes_is_yes() {
    let (_cluster, whom) = start_cluster();
    for (answer, is_done) in [("\n", false), ("no\n", false), ("y\n", true)] {
        let (mut ours, theirs) = terminal();
        let mut command = command(&whom.arguments("node remove edge2"));
        command.stdin(theirs.try_clone().expect("a second descriptor")).stderr(theirs.try_clone().expect("a third"));
        let mut asking = command.stdout(std::process::Stdio::null()).spawn().expect("crossbarctl is started");
        let (mut shown, mut buffer) = (String::new(), [0; 4_096]);
        while !shown.contains("Go on? [y/N] ") {
            let n = ours.read(&mut buffer).expect("the program goes on");
            shown.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        assert!(shown.contains("edge2 is taken out of the cluster"), "{shown}");
        ours.write_all(answer.as_bytes()).expect("an answer is typed");
        assert_eq!(asking.wait().expect("it ends").success(), is_done, "{answer:?}");
    }
}

#[test]
fn top_is_a_picture_that_ends_with_q() {
    let (_cluster, whom) = start_cluster();
    let (mut ours, theirs) = terminal();
    let mut command = command(&whom.arguments("top"));
    command.stdin(theirs.try_clone().expect("a second descriptor")).stdout(theirs.try_clone().expect("a third"));
    let mut top = command.spawn().expect("crossbarctl is started");
    drop(command);
    let mut shown = String::new();
    let mut read_until = |ours: &mut File, end: &str| {
        let mut buffer = [0; 4_096];
        while !shown.contains(end) {
            let n = ours.read(&mut buffer).expect("the program goes on");
            shown.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        std::mem::take(&mut shown)
    };
    let first = read_until(&mut ours, "\x1b[J");
    assert!(first.starts_with("\x1b[?1049h\x1b[?25l\x1b[H"), "{first}");
    for part in [
        "  the cluster is whole: 2 of 2 nodes up, ",
        "master matterhorn on ",
        "edge1  up ",
        "edge2 is linked with edge1",
    ] {
        assert!(first.contains(part), "{part} is not in\n{first}");
    }
    assert!(!tcgetattr(&theirs).expect("its modes").local_modes.contains(LocalModes::ICANON), "keys come at once");
    read_until(&mut ours, "\x1b[J");
    ours.write_all(b"q").expect("a key is pressed");
    assert!(read_until(&mut ours, "\x1b[?1049l").contains("\x1b[?25h"));
    assert!(top.wait().expect("it ends").success());
    let modes = tcgetattr(&theirs).expect("its modes").local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "the terminal is as it was");
}
