//! The memory of this process on the host.

/// Resident bytes: `VmRSS` in `/proc/self/status`, which is the second figure of `/proc/self/statm`
/// with its unit (proc(5)). `None` where there is no such file.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_that_is_written_is_resident() {
        let before = super::resident_bytes().unwrap();
        let written = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = super::resident_bytes().unwrap();
        assert!(after >= before + (32 << 20), "{before} {after} {}", written.len());
    }
}
