//! Who holds a lease, written so that another process of the same machine can see whether the holder still lives.
//!
//! A lease runs out by itself; this only spares a restart the wait. **Invariant:** a holder is called gone only when
//! this process could see it if it were there. Whoever is wrongly called gone writes nothing: leases are fenced.
//!
//! What is assumed: processes that share a process table (one boot of one kernel, one process-id namespace) see each
//! other under `/proc`. Containers have namespaces of their own, so between them, between machines, after a reboot
//! and where `/proc` hides other users' processes nobody is called gone, and the lease is waited for. A process id
//! that was given to another process, or to us, is told apart by when its process was started.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a process knows of itself; the same for all that run in it.
struct Own {
    host: String,
    /// Names the process table: one boot, one namespace. `None` where the system does not tell.
    table: Option<String>,
    /// In clock ticks after boot.
    started: Option<u64>,
}

static OWN: LazyLock<Own> = LazyLock::new(|| {
    let line = |path: &str| {
        fs::read_to_string(path)
            .ok()
            .map(|text| text.trim().to_owned())
    };
    let boot = line("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid")
        .ok()
        .map(|link| link.display().to_string());
    Own {
        host: line("/proc/sys/kernel/hostname")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "localhost".into()),
        table: boot
            .zip(namespace)
            .map(|(boot, namespace)| format!("{boot},{namespace}")),
        started: start_of(std::process::id()).ok(),
    }
});

/// A holder's name, unique to one run of the service: `host/process/started/run/table`.
pub fn name() -> String {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let (pid, started) = (std::process::id(), OWN.started.unwrap_or(0));
    let table = match &OWN.table {
        Some(table) if OWN.started.is_some() => table.clone(),
        // Nobody can look this one up; the clock keeps the name unique.
        _ => format!("?{:?}", std::time::SystemTime::now()),
    };
    format!("{}/{pid}/{started}/{run}/{table}", OWN.host)
}

/// Is it certain that the process which holds a lease under this name has ended?
pub fn is_gone(holder: &str) -> bool {
    let mut parts = holder.splitn(5, '/');
    let (Some(host), Some(pid), Some(started), Some(_), Some(table)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return false;
    };
    let (Ok(pid), Ok(started)) = (pid.parse::<u32>(), started.parse::<u64>()) else {
        return false;
    };
    if host != OWN.host || OWN.table.as_deref() != Some(table) {
        return false;
    }
    match start_of(pid) {
        Ok(found) => found != started,
        // With `hidepid` other users' processes look as if they were not there; the first process shows whether it is so.
        Err(error) => error.kind() == io::ErrorKind::NotFound && Path::new("/proc/1").exists(),
    }
}

/// When a process was started, in clock ticks after boot: the 22nd field of its `stat` (proc(5)).
fn start_of(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the command in parentheses, and may hold anything, blanks and parentheses too.
    let after_command = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let started = after_command
        .split_whitespace()
        .nth(19)
        .and_then(|field| field.parse().ok());
    started.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "/proc/PID/stat is not as proc(5) says",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The own name with one of its parts replaced.
    fn altered(place: usize, with: &str) -> String {
        let name = name();
        let mut parts: Vec<&str> = name.splitn(5, '/').collect();
        parts[place] = with;
        parts.join("/")
    }

    #[test]
    fn who_lives_is_not_gone() {
        assert!(!is_gone(&name()));
        assert!(!is_gone(&name()), "another run in this process");
    }

    #[test]
    fn every_run_has_a_name_of_its_own() {
        assert_ne!(name(), name());
    }

    #[test]
    fn a_process_id_in_other_hands_is_gone() {
        assert!(
            is_gone(&altered(2, "1")),
            "a process id that was used again"
        );
    }

    #[test]
    fn a_child_is_gone_when_it_has_ended() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep runs");
        let pid = child.id();
        let started = start_of(pid).expect("a child is seen").to_string();
        let holder = altered(1, &pid.to_string());
        let holder = holder.replacen(
            &format!("/{}/", OWN.started.expect("we are seen")),
            &format!("/{started}/"),
            1,
        );
        assert!(!is_gone(&holder));
        child.kill().expect("it is our child");
        child.wait().expect("it ends");
        assert!(is_gone(&holder));
    }

    #[test]
    fn of_others_nothing_is_known() {
        for (place, with) in [
            (0, "elsewhere"),
            (1, "x"),
            (2, "x"),
            (4, "another boot or namespace"),
        ] {
            assert!(!is_gone(&altered(place, with)), "part {place}");
        }
        assert!(!is_gone(""));
        assert!(!is_gone("a-1-2"));
    }
}
