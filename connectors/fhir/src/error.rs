//! What can go wrong between us and a FHIR server; each error names the next act.
//!
//! No text holds a patient's value: what a server says in words (`diagnostics`, `details`) is never repeated.

use ports::{Failure, Fault, SinkReply};

/// What helps against a 401.
pub(crate) const RENEW: &str =
    "renew the token that `auth` names: its file is read again by itself, a variable at a restart only";

/// An error of the connector.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request did not leave: no address, no connection, no agreement on TLS.
    #[error("the FHIR server cannot be reached: {0}")]
    Unreachable(String),
    /// The request left, and no whole answer came.
    #[error("the FHIR server gave no answer: {0}")]
    NoAnswer(String),
    /// The server does not know us, or does not let us.
    #[error("the FHIR server refuses us, while {during}: HTTP {status}")]
    Refused {
        /// What we were doing.
        during: &'static str,
        /// 401 or 403.
        status: u16,
    },
    /// Any other answer that a look-up cannot use.
    #[error("the FHIR server answered HTTP {status}, while {during}")]
    Status {
        /// What we were doing.
        during: &'static str,
        /// Which.
        status: u16,
    },
    /// An answer that is not what FHIR says.
    #[error("the FHIR server's answer is not FHIR R4 JSON: {0}")]
    Malformed(&'static str),
    /// More than we take.
    #[error("the FHIR server's answer is longer than {0} MiB")]
    TooLong(usize),
    /// A link to another server.
    #[error("the FHIR server links its pages to an address that is not below base_url")]
    ForeignLink,
    /// The configuration does not make a client.
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// What it means for whoever meets it.
    pub fn failure(&self) -> Failure {
        match self {
            Error::Unreachable(_) | Error::NoAnswer(_) | Error::Status { .. } => Failure::Transient,
            Error::Refused { .. }
            | Error::Malformed(_)
            | Error::TooLong(_)
            | Error::ForeignLink
            | Error::Unusable(_) => Failure::Misconfigured,
        }
    }

    fn cure(&self) -> &'static str {
        match self {
            Error::Unreachable(_) => {
                "is the server up, do host and port of `base_url` lead to it, and does `ca_file` name its authority?"
            }
            Error::NoAnswer(_) => "it is tried again; raise `request_timeout_seconds` if the server is only slow",
            Error::Refused { status: 401, .. } => RENEW,
            Error::Refused { .. } => "have the server's owner give our token the scopes to read and write these types",
            Error::Status { .. } => "",
            Error::Malformed(_) => "does `base_url` end at the FHIR base, and is there no login page before it?",
            Error::TooLong(_) => "have the server's owner look at that resource, or use smaller pages there",
            Error::ForeignLink => "set `base_url` to the address by which the server knows itself",
            Error::Unusable(_) => "correct the configuration",
        }
    }

    /// What it means for a write that is being settled: nothing is known, save that a person must act first.
    pub(crate) fn unsettled(self) -> SinkReply {
        match self.failure() {
            Failure::Transient => SinkReply::Unknown { what: format!("the outcome is not known: {self}") },
            Failure::Rejected | Failure::Misconfigured | Failure::Corrupt => SinkReply::Failed(self.into()),
        }
    }

    /// What it means for a write that was sent, or could not be.
    pub(crate) fn unanswered(self) -> SinkReply {
        match &self {
            Error::Unreachable(_) => self.unsent(),
            _ => self.unsettled(),
        }
    }

    /// What it means for a write that did not leave.
    pub(crate) fn unsent(self) -> SinkReply {
        match self.failure() {
            Failure::Transient => {
                SinkReply::NotApplied { what: self.to_string(), retry_after_ms: None, why: ports::NotApplied::Busy }
            }
            Failure::Rejected | Failure::Misconfigured | Failure::Corrupt => SinkReply::Failed(self.into()),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let fault = Fault::new(error.failure(), error.to_string()).cure(error.cure());
        match error {
            Error::Unreachable(_) | Error::NoAnswer(_) => fault.unreachable(),
            _ => fault,
        }
    }
}
