//! Who speaks on the control socket: the kernel names the peer's uid; nobody is anonymous (clinical U1).

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use model::Principal;
use std::fs;
use tokio::net::UnixListener;

/// The peer of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        Peer { uid: stream.io().peer_cred().ok().map(|cred| cred.uid()) }
    }
}

impl Peer {
    /// The principal of an act. None if the kernel does not say who it is: then nothing is done.
    pub(crate) fn principal(self) -> Option<Principal> {
        Some(principal_of(self.uid?, "control socket"))
    }
}

/// The principal of a uid of this machine; `how` says by which way it came.
pub fn principal_of(uid: u32, how: &str) -> Principal {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    Principal {
        issuer: "unix".into(),
        subject: uid.to_string().into(),
        name: name_of(uid, &passwd).unwrap_or_else(|| format!("uid {uid}")).into(),
        roles: Vec::new(),
        how: how.into(),
    }
}

/// The user of this process, for what a command does by itself.
pub fn principal_of_process(how: &str) -> Principal {
    principal_of(rustix::process::getuid().as_raw(), how)
}

fn name_of(uid: u32, passwd: &str) -> Option<String> {
    let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut named = line.filter(|fields| fields.get(2).and_then(|id| id.parse().ok()) == Some(uid));
    named.next().and_then(|fields| fields.first().map(|name| (*name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_its_users_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("ada"));
        assert_eq!(name_of(7, passwd), None);
    }
}
