//! The I/O calls that a crash may fall before: what reaches a disk or a peer.

use nix::libc;
use nix::unistd::Pid;
use std::path::Path;

/// Calls on an open file, by the number that the kernel knows them by.
const ON_FILES: [(i64, &str); 11] = [
    (libc::SYS_write, "write"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_pwritev, "pwritev"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_shutdown, "shutdown"),
];
/// Calls that name what they change by a path.
const ON_NAMES: [(i64, &str); 8] = [
    (libc::SYS_rename, "rename"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_mkdir, "mkdir"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_openat, "openat"),
];

/// One call: which thread is about to make it, and what it is done to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The thread's name.
    pub thread: String,
    /// The call's name.
    pub name: &'static str,
    /// The kind of thing: a folder of `data_dir`, `socket`, or nothing for a call that names a path.
    pub on: String,
}

impl std::fmt::Display for Call {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Call { thread, name, on } = self;
        if on.is_empty() { write!(out, "{thread}: {name}") } else { write!(out, "{thread}: {name} {on}") }
    }
}

/// What the thread `tid` is about to do, if it counts: `number` is the call's, `first` and `third` its arguments. What it
/// prints and how it wakes its own threads does not count.
pub fn counted(data_dir: &Path, tid: Pid, number: i64, first: u64, third: u64) -> Option<Call> {
    let find = |table: &[(i64, &'static str)]| table.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    let (name, on) = match (find(&ON_FILES), find(&ON_NAMES)) {
        (Some(name), _) => (name, opened(data_dir, tid, first)?),
        // Opening changes something only if it makes a file.
        (_, Some("openat")) if third & u64::from(libc::O_CREAT.unsigned_abs()) == 0 => return None,
        (_, Some(name)) => (name, String::new()),
        (None, None) => return None,
    };
    let thread = std::fs::read_to_string(format!("/proc/{tid}/comm")).unwrap_or_default();
    Some(Call { thread: thread.trim().to_owned(), name, on })
}

/// What an open file is: a folder of `data_dir`, or a socket; nothing else counts.
fn opened(data_dir: &Path, tid: Pid, number: u64) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/{tid}/fd/{number}")).ok()?;
    if link.to_string_lossy().starts_with("socket:") {
        return Some("socket".to_owned());
    }
    let inside = link.strip_prefix(data_dir).ok()?;
    let first = inside.components().next();
    Some(first.map_or_else(|| ".".to_owned(), |folder| folder.as_os_str().to_string_lossy().into_owned()))
}
