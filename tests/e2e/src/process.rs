//! A child process that ends with its owner, and whose output is kept in a file.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running program.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it; both of its outputs are appended to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Process {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let both = file.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(file).stderr(both).spawn();
        Process { child: child.unwrap_or_else(|fault| panic!("{command:?} does not start: {fault}")) }
    }

    /// Its id.
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// A signal; none is sent to a process that ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(self.id(), signal).ok();
        }
    }

    /// `kill -9`, and waits for the kernel to have done it.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        loop {
            match self.ended() {
                Some(status) => return Some(status),
                None if started.elapsed() > limit => return None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}
