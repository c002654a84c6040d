//! `lockstep run` under ptrace: counts the I/O calls of all of its threads, and kills it exactly before the chosen one.
//!
//! A thread stops at every call that it makes, so one counter sees them all in the order in which they are made. At the
//! chosen one the process gets `SIGKILL` while the thread stands before the call: the kernel does not make it any more. The
//! other threads end wherever they are, as by any `kill -9`. Works for one's own child, as any user.

use crate::calls::{Call, counted};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// A process that is being counted.
pub struct Traced {
    /// Its id.
    pub id: Pid,
    thread: Option<JoinHandle<Ended>>,
}

/// How it ended, and what it did.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// The call before which it was killed.
    pub killed_before: Option<Call>,
    /// How many of each call were begun.
    pub calls: BTreeMap<Call, u64>,
    /// How many together.
    pub count: u64,
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
}

impl Traced {
    /// Starts it; killed before the `kill_before`th counted call, or never.
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it, and for each of its threads")]
    pub fn start(command: &Command, log: &Path, data_dir: PathBuf, kill_before: Option<u64>) -> Traced {
        let mut stopped = stopped_at_start(command, log);
        let (told, id) = channel();
        // Whoever starts a process under ptrace is its tracer: one thread, to the end.
        let thread = std::thread::spawn(move || {
            let child = stopped.spawn().unwrap_or_else(|fault| panic!("it does not start: {fault}"));
            let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
            follow(&Follow { id, data_dir, kill_before }, || told.send(id).unwrap())
        });
        Traced { id: first(&id), thread: Some(thread) }
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// A signal, as from outside.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            kill(self.id, signal).ok();
        }
    }

    /// Waits for its end.
    pub fn join(mut self) -> Ended {
        self.thread.take().map(|thread| thread.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn first(id: &Receiver<Pid>) -> Pid {
    id.recv().unwrap_or_else(|_| panic!("the process could not be traced"))
}

/// A shell that stops itself and then becomes the program: what is traced is traced from its first call.
fn stopped_at_start(command: &Command, log: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let file = File::options().create(true).append(true).open(log).unwrap();
    let both = file.try_clone().unwrap();
    shell.stdin(Stdio::null()).stdout(file).stderr(both);
    shell
}

struct Follow {
    id: Pid,
    data_dir: PathBuf,
    kill_before: Option<u64>,
}

/// Traces to the end.
fn follow(what: &Follow, started: impl FnOnce()) -> Ended {
    waitpid(what.id, Some(WaitPidFlag::WUNTRACED)).unwrap();
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::seize(what.id, options | Options::PTRACE_O_TRACEEXEC).unwrap();
    kill(what.id, Signal::SIGCONT).unwrap();
    started();
    let mut ended = Ended::default();
    loop {
        // This thread's children only: another thread traces another process.
        match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                if let Some(call) = entered(what, thread)
                    && ended.killed_before.is_none()
                {
                    ended.count += 1;
                    if what.kill_before == Some(ended.count) {
                        // The thread stays where it is: only the kill moves it.
                        kill(what.id, Signal::SIGKILL).unwrap();
                        ended.killed_before = Some(call);
                        continue;
                    }
                    *ended.calls.entry(call).or_default() += 1;
                }
                go_on(thread, None);
            }
            Ok(WaitStatus::Stopped(thread, signal)) => go_on(thread, Some(signal)),
            Ok(WaitStatus::PtraceEvent(thread, ..)) => go_on(thread, None),
            Ok(WaitStatus::Exited(id, code)) if id == what.id => return Ended { code: Some(code), ..ended },
            Ok(WaitStatus::Signaled(id, ..)) if id == what.id => return ended,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(fault) => panic!("waiting for the traced process: {fault}"),
        }
    }
}

/// A thread that is being killed is gone before it can be told.
fn go_on(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(fault) => panic!("a traced thread does not go on: {fault}"),
    }
}

/// The counted call that the thread is about to make; none when it comes back from one.
fn entered(what: &Follow, thread: Pid) -> Option<Call> {
    let regs = ptrace::getregs(thread).ok()?;
    // The kernel puts this there before a call, and its answer behind it.
    let before = -i64::from(nix::libc::ENOSYS);
    if regs.rax.cast_signed() != before {
        return None;
    }
    counted(&what.data_dir, thread, regs.orig_rax.cast_signed(), regs.rdi, regs.rdx)
}
