//! The units of systemd in the package: what they say about cores and memory, which no program can say of itself.

use crate::harness::in_package;

const UNITS: [&str; 2] = ["systemd/crossbar-edge@.service", "systemd/crossbar-master.service"];

/// The value of a key in `[Service]`. There systemd takes the last one; more than one would be a mistake.
fn setting(unit: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(in_package(unit)).expect("the unit is there");
    let service = text.split_once("\n[Service]\n").expect("it has a [Service]").1;
    let service = service.split("\n[").next().unwrap_or(service);
    let mut values = service.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| *name == key);
    let found = values.next().map(|(_, value)| value.trim().to_owned());
    assert!(values.next().is_none(), "{unit}: {key} is there twice");
    found
}

/// A core of a router holds its clients' messages, one of a master its keys. A hung program is not told to dump one.
#[test]
fn no_unit_lets_a_core_be_written() {
    for unit in UNITS {
        assert_eq!(setting(unit, "LimitCORE").as_deref(), Some("0"), "{unit}");
        assert_eq!(setting(unit, "WatchdogSignal").as_deref(), Some("SIGKILL"), "{unit}: SIGABRT would dump one");
    }
}

/// A program that takes too much memory is ended, and nothing of the host in its place; then it is started anew.
#[test]
fn a_unit_that_grows_is_ended_alone() {
    for unit in UNITS {
        let max = setting(unit, "MemoryMax").unwrap_or_else(|| panic!("{unit} has no MemoryMax"));
        let percent: u32 = max.strip_suffix('%').and_then(|n| n.parse().ok()).expect("a part of the host's memory");
        assert!((1..100).contains(&percent), "{unit}: MemoryMax={max} leaves nothing to the rest of the host");
        // Less than 0 would have the kernel choose other programs when the host itself is out of memory.
        let adjusted = setting(unit, "OOMScoreAdjust").map_or(0, |value| value.parse::<i32>().expect("a number"));
        assert!(adjusted >= 0, "{unit}: OOMScoreAdjust={adjusted} sends the kernel to other programs");
        assert!(["on-failure", "always"].contains(&setting(unit, "Restart").as_deref().unwrap_or("no")), "{unit}");
        assert_ne!(
            setting(unit, "OOMPolicy").as_deref(),
            Some("continue"),
            "{unit}: it would go on without its program"
        );
    }
}
