//! The machine that figures are of.

use std::fs;

/// Processor, how many of them, kernel and system, for the line above a table.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (processors, release) = (read("/proc/cpuinfo"), read("/etc/os-release"));
    // On ARM the board's name is the better one.
    let board = read("/proc/device-tree/model");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(board.trim_end_matches('\0'), |(_, model)| model);
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {count} processors, Linux {}, {}", kernel.trim(), system.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_one_line() {
        let described = super::describe();
        assert!(described.contains("Linux") && described.lines().count() == 1, "{described}");
    }
}
