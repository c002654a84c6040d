//! What can go wrong between us and PostgreSQL; each error names the next act.
//!
//! No text holds a patient's value: messages of the server about data (SQLSTATE classes 22 and 23) are reduced to their
//! code, and `DETAIL` is never shown.

use crate::pgoutput::Malformed;
use model::TableName;
use ports::{Failure, Fault};

/// An error of the connector.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("PostgreSQL at {address} cannot be reached: {source}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server ended the connection.
    #[error("PostgreSQL closed the connection")]
    Closed,
    /// The connection stands, and nothing comes.
    #[error("PostgreSQL has not answered for {0} seconds")]
    Silent(u64),
    /// No agreement on TLS.
    #[error("TLS with PostgreSQL at {address}: {what}")]
    Tls {
        /// Where.
        address: String,
        /// What.
        what: String,
    },
    /// The login needs what we do not have.
    #[error("login to PostgreSQL: {0}")]
    Login(String),
    /// The server answered with an error.
    #[error("PostgreSQL, while {during}: {message} (SQLSTATE {code})")]
    Server {
        /// What we were doing.
        during: &'static str,
        /// Five characters.
        code: String,
        /// Its message, unless it may hold data.
        message: String,
    },
    /// The stream is not what protocol 1 says.
    #[error("the change stream cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// The server said something that has no place there.
    #[error("the change stream cannot be read: {0}")]
    Protocol(String),
    /// A row does not fit its schema.
    #[error(transparent)]
    Row(#[from] schemas::RowError),
    /// What is published changed, or tables did without the log telling: they are read again.
    #[error("{what}; what changed meanwhile is in no log, so it is read again")]
    Republished {
        /// What happened.
        what: String,
        /// The table, if it is one alone.
        table: Option<TableName>,
    },
    /// Something a person must change.
    #[error("{what}")]
    Wrong {
        /// What was found.
        what: String,
        /// What to do.
        cure: String,
    },
}

impl Error {
    pub(crate) fn wrong(what: impl Into<String>, cure: impl Into<String>) -> Error {
        Error::Wrong { what: what.into(), cure: cure.into() }
    }

    /// An error of the server, without what may be data.
    pub(crate) fn server(during: &'static str, code: &str, message: &str) -> Error {
        let message = if ["22", "23", "P0"].iter().any(|class| code.starts_with(class)) {
            "an error about data"
        } else {
            message
        };
        Error::Server { during, code: code.to_owned(), message: message.to_owned() }
    }

    /// From the SQL client.
    pub(crate) fn sql(during: &'static str, address: &str, error: &tokio_postgres::Error) -> Error {
        use std::error::Error as _;
        if let Some(db) = error.as_db_error() {
            return Error::server(during, db.code().code(), db.message());
        }
        if let Some(io) = error.source().and_then(|source| source.downcast_ref::<std::io::Error>()) {
            let source = std::io::Error::new(io.kind(), io.to_string());
            return Error::Unreachable { address: address.to_owned(), source };
        }
        if error.is_closed() { Error::Closed } else { Error::Login(error.to_string()) }
    }

    /// The server's code, if it was the server.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Error::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    /// What it means for the source.
    pub fn failure(&self) -> Failure {
        match self {
            Error::Unreachable { .. } | Error::Closed | Error::Silent(_) | Error::Republished { .. } => {
                Failure::Transient
            }
            Error::Tls { .. } | Error::Login(_) | Error::Wrong { .. } => Failure::Misconfigured,
            Error::Malformed(_) | Error::Protocol(_) | Error::Row(_) => Failure::Misconfigured,
            Error::Server { code, .. } => match code.get(..2).unwrap_or_default() {
                "28" | "3D" | "42" | "0A" | "3F" | "0L" | "0P" | "22" | "23" => Failure::Misconfigured,
                _ => Failure::Transient,
            },
        }
    }

    fn unreachable(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Closed | Error::Silent(_) => true,
            // Starting up, shutting down, crashed: as good as not there.
            Error::Server { code, .. } => code.starts_with("57P0"),
            _ => false,
        }
    }

    fn cure(&self) -> String {
        match self {
            Error::Unreachable { .. } => "is the server up, and do host and port of `url` lead to it?".to_owned(),
            Error::Closed | Error::Silent(_) | Error::Republished { .. } => String::new(),
            Error::Tls { .. } => "check `sslmode` and `ca_file`; sslmode=disable is for this machine only".to_owned(),
            Error::Login(_) => "check `password`".to_owned(),
            Error::Malformed(_) | Error::Protocol(_) | Error::Row(_) => {
                "this server speaks a dialect that this version does not know; report it with the server's version".to_owned()
            }
            Error::Wrong { cure, .. } => cure.clone(),
            Error::Server { code, .. } => match code.as_str() {
                "28P01" => "the password is wrong, or the role does not exist: check `password` and the role in `url`",
                "28000" => "the server's pg_hba.conf does not let this role in from here (a replication connection to this database needs its own line only for physical replication), or the role may not log in or lacks REPLICATION",
                "3D000" => "check the database in `url`",
                "42501" => "a grant is missing: run `lockstep check`, it prints each one",
                "42704" | "42P01" => "run `lockstep check`, it says what is missing",
                "53300" | "53400" => "raise max_connections or max_wal_senders, or end other sessions",
                _ => "",
            }
            .to_owned(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let fault = Fault::new(error.failure(), error.to_string()).cure(error.cure());
        let table = match &error {
            Error::Republished { table, .. } => table.clone(),
            _ => None,
        };
        let fault = fault.table(table);
        if error.unreachable() { fault.unreachable() } else { fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_data_is_reduced_to_its_code() {
        let fault = Fault::from(Error::server("reading", "22P02", "invalid input syntax: \"canary\""));
        assert!(!fault.to_string().contains("canary"));
        assert!(fault.what.contains("22P02"));
    }

    #[test]
    fn a_wrong_password_stops_and_a_restart_is_waited_for() {
        let wrong = Fault::from(Error::server("logging in", "28P01", "password authentication failed for user \"u\""));
        assert_eq!((wrong.failure, wrong.unreachable), (Failure::Misconfigured, false));
        assert!(wrong.cure.contains("password"));
        let starting = Fault::from(Error::server("logging in", "57P03", "the database system is starting up"));
        assert_eq!((starting.failure, starting.unreachable), (Failure::Transient, true));
    }
}
