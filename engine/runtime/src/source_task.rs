//! Reads the source: opens it where the flow says, and reads only while there is a place for what it brings.

use crate::inbox::{Inbox, Opening};
use flow::FlowInput;
use model::{Entry, SourcePosition};
use ports::{Fault, OpenFault, Resume, Source, SourceHandle, TableProgress};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::UnboundedReceiver;

/// Makes a source that is not open.
pub type MakeSource = Arc<dyn Fn() -> Result<Box<dyn Source>, Fault> + Send + Sync>;

/// What the flow says about the source.
pub(crate) enum SourceCommand {
    Open(Opening, Resume),
    Close,
}

/// The handle of the source that is open, for confirmations and progress.
#[derive(Default)]
pub(crate) struct Reading(Mutex<Option<Arc<dyn SourceHandle>>>);

impl Reading {
    fn set(&self, handle: Option<Arc<dyn SourceHandle>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    fn get(&self) -> Option<Arc<dyn SourceHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the source that everything up to there is durable; a closed source learns it when it is opened again.
    pub(crate) fn confirm(&self, upto: SourcePosition) {
        if let Some(handle) = self.get() {
            handle.confirm(upto);
        }
    }

    pub(crate) fn progress(&self) -> Vec<TableProgress> {
        self.get().map(|handle| handle.progress()).unwrap_or_default()
    }
}

/// The task's own.
pub(crate) struct SourceTask {
    pub make: MakeSource,
    pub commands: UnboundedReceiver<SourceCommand>,
    pub inbox: Arc<Inbox>,
    pub reading: Arc<Reading>,
}

/// What a command or the source's end leads to.
enum Next {
    Open(Opening, Resume),
    Closed,
    Over,
}

impl SourceTask {
    /// Runs until nobody commands any more.
    pub(crate) async fn run(mut self) {
        let mut next = Next::Closed;
        loop {
            next = match next {
                Next::Over => return,
                Next::Closed => command(&mut self.commands).await,
                Next::Open(opening, resume) => self.open_and_read(opening, resume).await,
            };
        }
    }

    async fn open_and_read(&mut self, opening: Opening, resume: Resume) -> Next {
        let mut source = match (self.make)() {
            Ok(source) => source,
            Err(fault) => return self.failed(opening, fault.into()),
        };
        let opened = tokio::select! {
            opened = source.open(resume) => opened,
            next = command(&mut self.commands) => return next,
        };
        let handle = match opened {
            Ok(handle) => handle,
            Err(fault) => return self.failed(opening, fault),
        };
        self.reading.set(Some(handle));
        self.inbox.push_source(opening, FlowInput::SourceOpened);
        let next = self.read(opening, source.as_mut()).await;
        self.reading.set(None);
        next
    }

    async fn read(&mut self, opening: Opening, source: &mut dyn Source) -> Next {
        loop {
            tokio::select! {
                () = self.inbox.place() => {}
                next = command(&mut self.commands) => return next,
            }
            let batch: Result<Vec<Entry>, OpenFault> = tokio::select! {
                batch = source.next_batch() => batch,
                next = command(&mut self.commands) => {
                    self.inbox.give_back();
                    return next;
                }
            };
            match batch {
                Ok(entries) if entries.is_empty() => self.inbox.give_back(),
                Ok(entries) => self.inbox.push_captured(opening, entries),
                Err(fault) => {
                    self.inbox.give_back();
                    return self.failed(opening, fault);
                }
            }
        }
    }

    fn failed(&self, opening: Opening, fault: OpenFault) -> Next {
        self.inbox.push_source(opening, FlowInput::SourceFailed(fault));
        Next::Closed
    }
}

async fn command(commands: &mut UnboundedReceiver<SourceCommand>) -> Next {
    match commands.recv().await {
        None => Next::Over,
        Some(SourceCommand::Open(opening, resume)) => Next::Open(opening, resume),
        Some(SourceCommand::Close) => Next::Closed,
    }
}
