//! The replication slot: looking at it, making it, dropping it, and refusing one that cannot be gone on from.
//!
//! A slot that is only *wanted* holds nothing of ours and is made anew (J6). A started one is never touched when it does not
//! fit: that is a gap, and a person decides (J10).

use crate::{
    config::Options,
    error::Error,
    position::Lsn,
    prerequisites,
    session::{Sql, connect, literal},
    wire::Wire,
};
use ports::{Fault, OpenFault, Resume};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep},
};

/// A connection that was cut is noticed by its walsender a little later.
const RELEASE_WAIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// When waiting for running transactions is worth telling.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What the server says of a slot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SlotState {
    plugin: String,
    database: String,
    pub(crate) active_pid: Option<i32>,
    pub(crate) confirmed: Option<Lsn>,
    lost: bool,
}

/// Who the server is: a restored or failed-over server has another log under the same positions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) system: String,
    pub(crate) timeline: String,
    /// Where its log ended when it was asked.
    pub(crate) end: Lsn,
}

impl Identity {
    /// Asks the server.
    pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<Identity, Error> {
        let rows = wire.query("identifying the server", "IDENTIFY_SYSTEM").await?;
        match rows.first().map(Vec::as_slice) {
            Some([Some(system), Some(timeline), Some(end), ..]) => {
                let end = Lsn::parse(end).ok_or_else(|| Error::Protocol("a log without an end".to_owned()))?;
                Ok(Identity { system: system.clone(), timeline: timeline.clone(), end })
            }
            _ => Err(Error::Protocol("the server does not say who it is".to_owned())),
        }
    }

    /// As it stands in the journal, in the first line.
    pub(crate) fn text(&self) -> String {
        format!("systemid={} timeline={}", self.system, self.timeline)
    }

    /// What differs from `recorded`, in words; none if nothing does.
    fn differs(&self, recorded: &str) -> Option<String> {
        let recorded = recorded.lines().next().unwrap_or_default();
        let of = |name: &str| recorded.split(' ').find_map(|pair| pair.strip_prefix(name)).unwrap_or("?").to_owned();
        let (system, timeline) = (of("systemid="), of("timeline="));
        if system != self.system {
            return Some(format!(
                "this is another server (system {}, the journal was captured from {system})",
                self.system
            ));
        }
        (timeline != self.timeline).then(|| {
            format!("the server is on timeline {} and the journal was captured from timeline {timeline}", self.timeline)
        })
    }
}

impl SlotState {
    /// Looks at the slot; none if there is none.
    pub(crate) async fn find(sql: &Sql, name: &str) -> Result<Option<SlotState>, Error> {
        let query = format!(
            "SELECT plugin, database, active_pid, confirmed_flush_lsn, wal_status, restart_lsn \
             FROM pg_replication_slots WHERE slot_name = {}",
            literal(name)
        );
        let rows = sql.rows("looking at the slot", &query).await?;
        Ok(rows.first().map(|row| SlotState {
            plugin: row.get(0).unwrap_or_default().to_owned(),
            database: row.get(1).unwrap_or_default().to_owned(),
            active_pid: row.get(2).and_then(|pid| pid.parse().ok()),
            confirmed: row.get(3).and_then(Lsn::parse),
            lost: row.get(4) == Some("lost") || row.get(5).is_none(),
        }))
    }
}

/// Waits until nobody reads the slot.
pub(crate) async fn released(sql: &Sql, name: &str) -> Result<Option<SlotState>, Error> {
    let since = Instant::now();
    loop {
        let slot = SlotState::find(sql, name).await?;
        match slot.as_ref().and_then(|slot| slot.active_pid) {
            Some(pid) if since.elapsed() >= RELEASE_WAIT => {
                return Err(Error::server(
                    "waiting for the slot",
                    "55006",
                    &format!("the slot {name} is read by process {pid}; is another Lockstep running on it?"),
                ));
            }
            Some(_) => sleep(LOOK_EVERY).await,
            None => return Ok(slot),
        }
    }
}

/// Drops the slot, ending the walsender that reads it; whether there was one.
pub(crate) async fn drop(sql: &Sql, name: &str) -> Result<bool, Error> {
    let Some(slot) = SlotState::find(sql, name).await? else { return Ok(false) };
    if let Some(pid) = slot.active_pid {
        sql.run("ending the slot's reader", &format!("SELECT pg_terminate_backend({pid})")).await?;
    }
    let since = Instant::now();
    loop {
        match sql.run("dropping the slot", &format!("SELECT pg_drop_replication_slot({})", literal(name))).await {
            // Still active: its reader is on its way out.
            Err(error) if error.code() == Some("55006") && since.elapsed() < RELEASE_WAIT => sleep(LOOK_EVERY).await,
            Err(error) if error.code() == Some("42704") => return Ok(false),
            dropped => return dropped.map(|()| true),
        }
    }
}

/// Makes a slot; its consistent point and, where asked, the name of the snapshot that it exports. The server waits for
/// transactions that are running: `waiting` hears their pids.
pub(crate) async fn create<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    sql: &Sql,
    name: &str,
    temporary_with_snapshot: bool,
    waiting: &mut (dyn FnMut(Vec<i32>) + Send),
) -> Result<(Lsn, String), Error> {
    // The older form of the options is understood by every version from 14 on.
    let command = if temporary_with_snapshot {
        format!("CREATE_REPLICATION_SLOT \"{name}\" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
    } else {
        format!("CREATE_REPLICATION_SLOT \"{name}\" LOGICAL pgoutput NOEXPORT_SNAPSHOT")
    };
    let pid = wire.pid();
    let mut creating = std::pin::pin!(wire.query("making the slot", &command));
    let rows = loop {
        tokio::select! {
            rows = &mut creating => break rows?,
            () = sleep(TELL_EVERY) => {
                let blockers = format!("SELECT unnest(pg_blocking_pids({pid}))");
                let rows = sql.rows("looking for what the slot waits for", &blockers).await?;
                let pids: Vec<i32> = rows.iter().filter_map(|row| row.get(0)?.parse().ok()).collect();
                if !pids.is_empty() {
                    waiting(pids);
                }
            }
        }
    };
    match rows.first().map(Vec::as_slice) {
        Some([_, Some(point), snapshot, ..]) => {
            let point =
                Lsn::parse(point).ok_or_else(|| Error::Protocol("a slot without a consistent point".to_owned()))?;
            Ok((point, snapshot.clone().unwrap_or_default()))
        }
        _ => Err(Error::Protocol("a slot without a consistent point".to_owned())),
    }
}

/// Refuses a started slot that cannot be gone on from at `passed`.
pub(crate) fn check(
    options: &Options,
    slot: Option<&SlotState>,
    here: &Identity,
    recorded: Option<&str>,
    passed: Lsn,
) -> Result<(), OpenFault> {
    let name = options.name();
    let what = match slot {
        _ if recorded.is_some_and(|recorded| here.differs(recorded).is_some()) => {
            recorded.and_then(|recorded| here.differs(recorded)).unwrap_or_default()
        }
        // Nothing was ever captured that had not reached the server's disk, so the server has lost it.
        _ if here.end < passed => {
            format!("the server's log ends at {}, before the journal at {passed}: an older copy was restored", here.end)
        }
        None => format!("the slot {name} is gone"),
        Some(slot) if slot.plugin != "pgoutput" || slot.database != options.address.database => {
            format!("the slot {name} is another one (plugin {}, database {})", slot.plugin, slot.database)
        }
        Some(slot) if slot.lost => {
            format!("the slot {name} was invalidated: the server has removed log that we had not read")
        }
        Some(SlotState { confirmed: Some(confirmed), .. }) if *confirmed > passed => {
            format!(
                "the slot {name} stands at {confirmed}, ahead of the journal at {passed}: it was advanced or made anew"
            )
        }
        Some(_) => return Ok(()),
    };
    Err(OpenFault::Gap {
        passed: Some(passed.position()),
        slot: slot.and_then(|slot| slot.confirmed).map(Lsn::position),
        what,
        plan: gap_plan(&name, passed),
    })
}

/// Whether a source that was started could be gone on from, judged as opening it would. Changes nothing. A running engine
/// moves both: the journal is read behind the slot, which it only follows, and before the end of the server's log.
pub async fn goes_on(options: &Options, journal: impl FnOnce() -> Result<Resume, Fault>) -> Result<(), OpenFault> {
    let sql = Sql::open(options).await.map_err(Fault::from)?;
    let slot = SlotState::find(&sql, &options.name()).await.map_err(Fault::from)?;
    let resume = journal()?;
    if !resume.started {
        return Ok(());
    }
    let known = resume.tables.keys().cloned().collect();
    // What is missing stops it first, and is told by whoever asks for prerequisites.
    if prerequisites::blocking(&sql, options, &known).await.map_err(Fault::from)?.everything.is_some() {
        return Ok(());
    }
    let mut wire = Wire::open(connect(options).await.map_err(Fault::from)?, options).await.map_err(Fault::from)?;
    let here = Identity::ask(&mut wire).await.map_err(Fault::from)?;
    let passed = resume.passed.as_ref().and_then(Lsn::of).unwrap_or_default();
    check(options, slot.as_ref(), &here, resume.identity.as_deref(), passed)
}

/// What will be done once a person accepts a gap behind `passed`.
pub(crate) fn gap_plan(name: &str, passed: Lsn) -> String {
    format!(
        "changes behind {passed} may be missing. Once you accept this: the slot {name} is dropped and made anew, and every \
         table is read again in marked chunks; rows that were deleted meanwhile are found by their absence. Nothing is \
         done before: `lockstep held ls` shows it, `lockstep held answer` accepts it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Place, Tls};

    fn options() -> Options {
        Options {
            pipeline: "clinic".into(),
            system: "legacy".into(),
            address: Address {
                place: Place::Tcp("h".into(), 1),
                user: "u".into(),
                database: "ehr".into(),
                tls: Tls::Disable,
            },
            password: None,
            ca: None,
            tables: vec!["public.a".into()],
            chunk_rows: 10,
            heartbeat: Duration::from_secs(1),
        }
    }

    fn slot(confirmed: u64) -> SlotState {
        SlotState {
            plugin: "pgoutput".into(),
            database: "ehr".into(),
            confirmed: Some(Lsn(confirmed)),
            ..SlotState::default()
        }
    }

    #[test]
    fn a_slot_behind_the_journal_is_gone_on_from_and_every_other_is_a_gap() {
        let here = Identity { system: "7".into(), timeline: "1".into(), end: Lsn(200) };
        let verdict =
            |slot: Option<SlotState>, recorded: &str| check(&options(), slot.as_ref(), &here, Some(recorded), Lsn(100));
        assert_eq!(verdict(Some(slot(100)), "systemid=7 timeline=1"), Ok(()));
        assert_eq!(verdict(Some(slot(40)), "systemid=7 timeline=1"), Ok(()));
        let gaps = [
            (Some(slot(101)), "systemid=7 timeline=1", "ahead of the journal"),
            (None, "systemid=7 timeline=1", "is gone"),
            (Some(SlotState { lost: true, ..slot(40) }), "systemid=7 timeline=1", "invalidated"),
            (Some(SlotState { plugin: "test_decoding".into(), ..slot(40) }), "systemid=7 timeline=1", "another one"),
            (Some(slot(40)), "systemid=8 timeline=1", "another server"),
            (Some(slot(40)), "systemid=7 timeline=2", "timeline"),
        ];
        for (slot, recorded, words) in gaps {
            match verdict(slot, recorded) {
                Err(OpenFault::Gap { what, plan, passed, .. }) => {
                    assert!(what.contains(words), "{what}");
                    assert!(plan.contains("0/64") && passed == Some(Lsn(100).position()));
                }
                other => panic!("{words}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_server_that_was_restored_from_an_older_copy_is_a_gap_although_its_slot_is_behind() {
        let here = Identity { system: "7".into(), timeline: "1".into(), end: Lsn(99) };
        let verdict = check(&options(), Some(&slot(40)), &here, Some("systemid=7 timeline=1"), Lsn(100));
        assert!(matches!(verdict, Err(OpenFault::Gap { what, .. }) if what.contains("older copy")));
    }
}
