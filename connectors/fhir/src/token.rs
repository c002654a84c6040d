//! The bearer token: held in memory, and read again from its file when the server does not know it any more.
//!
//! Never prints it. A file that cannot be read, or holds no token, changes nothing: the token before goes on being refused,
//! and the fault says how to renew it.

use crate::{config::Options, error::Error};
use ports::Secret;
use reqwest::header::HeaderValue;
use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The token of one server.
pub(crate) struct Token {
    file: Option<PathBuf>,
    header: Mutex<Option<HeaderValue>>,
}

impl Token {
    /// As the options have it.
    pub(crate) fn new(options: &Options) -> Result<Token, Error> {
        let unusable = || Error::Unusable("the token cannot stand in a request".to_owned());
        let header = options.bearer.as_ref().map(|secret| header(secret).ok_or_else(unusable)).transpose()?;
        Ok(Token { file: options.bearer_file.clone(), header: Mutex::new(header) })
    }

    /// What `Authorization` says now.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        self.lock().clone()
    }

    /// Another token than the one that was refused: one that a request beside this one has read already, or what the file
    /// holds now. None: there is no other.
    pub(crate) fn other_than(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        let file = self.file.as_ref()?;
        let mut held = self.lock();
        if held.as_ref() != Some(refused) {
            return held.clone();
        }
        let read = std::fs::read_to_string(file).map_err(|error| {
            tracing::warn!("the token's file {} cannot be read: {error}", file.display());
        });
        let renewed = header(&Secret::new(&read.ok()?)).filter(|renewed| renewed != refused)?;
        tracing::info!("the token was renewed: it is read again from its file");
        *held = Some(renewed);
        held.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// None for what is no token.
fn header(secret: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", secret.token()?)).ok()?;
    value.set_sensitive(true);
    Some(value)
}
