//! What the kernel knows of this process: descriptors, memory, processor time.

use std::fs;
use std::time::Duration;

/// Read when somebody asks. What cannot be read is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub open_files: u64,
    pub open_files_max: u64,
    pub resident_bytes: u64,
    pub cpu_time: Duration,
}

impl Process {
    pub fn read() -> Process {
        Process::read_knowing(count_open_files())
    }

    /// The same for whoever knows how many descriptors are open: to count a million of them takes a while.
    pub fn read_knowing(open_files: u64) -> Process {
        Process {
            open_files,
            open_files_max: rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(0, |(soft, _)| soft),
            resident_bytes: fs::read_to_string("/proc/self/status").map_or(0, |status| resident_bytes(&status)),
            cpu_time: fs::read_to_string("/proc/self/stat").map_or(Duration::ZERO, |stat| cpu_time(&stat)),
        }
    }
}

/// Every open descriptor, one by one.
pub fn count_open_files() -> u64 {
    // The directory handle that does the counting is one of those counted.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1) as u64)
}

/// `VmRSS: 1234 kB` of `/proc/self/status`.
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// The 14th and 15th field of `/proc/self/stat`, user and system time. The second field is the program's name in
/// parentheses, which may hold anything; the fields are counted from behind it.
fn cpu_time(stat: &str) -> Duration {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

/// The kernel's USER_HZ, which is part of its interface and 100 on every architecture that we run on.
const TICKS_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) R 1 1 1 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0";
        assert_eq!(cpu_time(stat), Duration::from_secs(3));
        assert_eq!(cpu_time("nonsense"), Duration::ZERO);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    12 kB\n"), 12 * 1024);
    }

    #[test]
    fn this_process_has_figures() {
        let process = Process::read();
        assert!(process.open_files > 0 && process.open_files <= process.open_files_max, "{process:?}");
        assert!(process.resident_bytes > 100_000, "{process:?}");
    }
}
