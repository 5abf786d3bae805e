//! What the kernel knows of processes: processor time, memory, context switches.

use std::fs;

/// Processor seconds and memory of one process, as of now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    /// Processor seconds.
    pub user: f64,
    pub system: f64,
    /// Resident memory, in percent of what the machine has.
    pub mem_percent: f64,
    /// Voluntary context switches.
    pub switches: u64,
}

impl Load {
    /// Of this process.
    pub(super) fn of_self() -> Load {
        Load::read("self")
    }

    pub(super) fn cpu_seconds(&self) -> f64 {
        self.user + self.system
    }

    fn read(process: &str) -> Load {
        let file = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
        let status = file("status");
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let [user, system] = cpu_seconds(&file("stat"));
        let total = number(&memory, "MemTotal:").unwrap_or(u64::MAX);
        Load {
            user,
            system,
            mem_percent: number(&status, "VmRSS:").unwrap_or(0) as f64 * 100.0 / total as f64,
            switches: number(&status, "voluntary_ctxt_switches:").unwrap_or(0),
        }
    }
}

/// Processor seconds, user and system, of any process and the threads that it has; none when there is no such process.
pub(super) fn cpu_seconds_of(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(cpu_seconds(&stat).iter().sum())
}

/// The 14th and 15th field of `stat`, user and system time. The second field is the program's name in parentheses,
/// which may hold anything; the fields are counted from behind it.
fn cpu_seconds(stat: &str) -> [f64; 2] {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name.split_whitespace().skip(11).map(|field| field.parse::<f64>().unwrap_or(0.0));
    [fields.next(), fields.next()].map(|ticks| ticks.unwrap_or(0.0) / TICKS_PER_SECOND)
}

/// The number behind `key` at the beginning of a line.
fn number(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The kernel's USER_HZ, which is part of its interface and 100 on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) R 1 1 1 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), [2.5, 0.5]);
        assert_eq!(cpu_seconds("nonsense"), [0.0, 0.0]);
        let status = "VmRSS:\t  12 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(number(status, "VmRSS:"), Some(12));
        assert_eq!(number(status, "voluntary_ctxt_switches:"), Some(5));
    }

    #[test]
    fn this_process_has_a_load_and_no_process_has_none() {
        let load = Load::of_self();
        assert!(load.mem_percent > 0.0 && load.mem_percent < 100.0, "{load:?}");
        assert!(cpu_seconds_of(std::process::id()).is_some());
        assert_eq!(cpu_seconds_of(u32::MAX), None);
    }
}
