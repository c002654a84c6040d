//! Changes as SQL, over one connection with its statements prepared.

use super::Summary;
use super::plan::{Change, Clinic};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Statement};

const PATIENT: &str =
    "INSERT INTO patient (patient_id, mrn, sex, born, is_test, notes) VALUES ($1, $2, $3, $4::text::date, $5, $6)";
const NAME: &str = "INSERT INTO patient_name (name_id, patient_id, kind, family, given) VALUES ($1, $2, $3, $4, $5)";
const ADDRESS: &str = "INSERT INTO patient_address (address_id, patient_id, street, city) VALUES ($1, $2, $3, $4)";
const VISIT: &str = "INSERT INTO encounter (encounter_id, patient_id, class, status, started) VALUES ($1, $2, $3, 'I', $4::text::timestamptz)";
const OBSERVATION: &str = "INSERT INTO observation (observation_id, patient_id, encounter_id, loinc, label, value, unit, status, taken_at, note) VALUES ($1, $2, $3, $4, $5, $6::text::numeric, $7, $8, $9::text::timestamptz, $10)";
const TOUCH: &str = "UPDATE patient SET weight = $2 WHERE patient_id = $1";
const RENAME: &str = "UPDATE patient_name SET family = $2 WHERE name_id = $1";
const MOVE: &str = "UPDATE patient_address SET street = $2 WHERE address_id = $1";
const FINISH_VISIT: &str = "UPDATE encounter SET status = 'F', ended = $2::text::timestamptz WHERE encounter_id = $1";
const CORRECT: &str = "UPDATE observation SET value = $2::text::numeric, status = 'C' WHERE observation_id = $1";
const VOID_OBSERVATION: &str = "UPDATE observation SET voided = $2 WHERE observation_id = $1";
const VOID_VISIT: &str = "UPDATE encounter SET voided = $2 WHERE encounter_id = $1";
const VOID_PATIENT: &str = "UPDATE patient SET voided = $2 WHERE patient_id = $1";
const DELETE_OBSERVATION: &str = "DELETE FROM observation WHERE observation_id = $1";

/// One connection with at most one open transaction.
pub struct Connection {
    client: Client,
    statements: Vec<(&'static str, Statement)>,
    savepoint: bool,
}

impl Connection {
    /// Connects and prepares what is needed again and again.
    pub async fn open(url: &str) -> Result<Connection, Error> {
        let client = connect(url).await?;
        client.batch_execute("SET search_path = public").await?;
        let mut statements = Vec::new();
        for sql in [
            PATIENT,
            NAME,
            ADDRESS,
            VISIT,
            OBSERVATION,
            TOUCH,
            RENAME,
            MOVE,
            FINISH_VISIT,
            CORRECT,
            VOID_OBSERVATION,
            VOID_VISIT,
            VOID_PATIENT,
            DELETE_OBSERVATION,
        ] {
            statements.push((sql, client.prepare(sql).await?));
        }
        Ok(Connection { client, statements, savepoint: false })
    }

    /// The rows that are there.
    pub async fn clinic(&self) -> Result<Clinic, Error> {
        let mut clinic = Clinic::default();
        for (table, key, ids) in [
            ("patient WHERE NOT is_test AND NOT voided", "patient_id", &mut clinic.patients),
            ("patient WHERE NOT is_test AND voided", "patient_id", &mut clinic.voided_patients),
            ("patient_name", "name_id", &mut clinic.names),
            ("patient_address", "address_id", &mut clinic.addresses),
            ("observation WHERE NOT voided", "observation_id", &mut clinic.observations),
            ("observation WHERE voided", "observation_id", &mut clinic.voided_observations),
        ] {
            let rows = self.client.query(&format!("SELECT {key} FROM {table} ORDER BY {key}"), &[]).await?;
            ids.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        }
        for (voided, visits) in [(false, &mut clinic.visits), (true, &mut clinic.voided_visits)] {
            let sql = "SELECT encounter_id, patient_id FROM encounter WHERE voided = $1 ORDER BY encounter_id";
            let rows = self.client.query(sql, &[&voided]).await?;
            visits.extend(rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))));
        }
        // One sequence for all tables, above whatever any of them holds.
        let highest = "SELECT greatest((SELECT max(patient_id) FROM patient), (SELECT max(name_id) FROM patient_name), \
             (SELECT max(address_id) FROM patient_address), (SELECT max(encounter_id) FROM encounter), \
             (SELECT max(observation_id) FROM observation))";
        clinic.next_id = self.client.query_one(highest, &[]).await?.get::<_, Option<i64>>(0).unwrap_or(0);
        Ok(clinic)
    }

    /// Opens a transaction and makes the changes in it.
    pub async fn begin(&mut self, changes: &[Change]) -> Result<(), Error> {
        self.client.batch_execute("BEGIN").await?;
        for change in changes {
            self.apply(change).await?;
        }
        Ok(())
    }

    /// Ends the transaction; what stands behind a savepoint is undone first.
    pub async fn end(&mut self, commit: bool) -> Result<(), Error> {
        if std::mem::take(&mut self.savepoint) {
            self.client.batch_execute("ROLLBACK TO undone").await?;
        }
        self.client.batch_execute(if commit { "COMMIT" } else { "ROLLBACK" }).await
    }

    async fn apply(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::Patient { id, mrn, sex, born, is_test, notes } => {
                self.execute(PATIENT, &[id, mrn, sex, born, is_test, notes]).await
            }
            Change::Name { id, patient, kind, family, given } => {
                self.execute(NAME, &[id, patient, kind, family, given]).await
            }
            Change::Address { id, patient, street, city } => self.execute(ADDRESS, &[id, patient, street, city]).await,
            Change::Visit { id, patient, class, started } => self.execute(VISIT, &[id, patient, class, started]).await,
            Change::Observation(new) => {
                let (loinc, label, unit) = new.kind;
                let values: [&(dyn ToSql + Sync); 10] = [
                    &new.id,
                    &new.patient,
                    &new.visit,
                    loinc,
                    label,
                    &new.value,
                    unit,
                    &new.status,
                    &new.taken,
                    &new.note,
                ];
                self.execute(OBSERVATION, &values).await
            }
            Change::Touch { patient, weight } => self.execute(TOUCH, &[patient, weight]).await,
            Change::Rename { name, family } => self.execute(RENAME, &[name, family]).await,
            Change::Move { address, street } => self.execute(MOVE, &[address, street]).await,
            Change::FinishVisit { id, ended } => self.execute(FINISH_VISIT, &[id, ended]).await,
            Change::Correct { id, value } => self.execute(CORRECT, &[id, value]).await,
            Change::VoidObservation { id, voided } => self.execute(VOID_OBSERVATION, &[id, voided]).await,
            Change::VoidVisit { id, voided } => self.execute(VOID_VISIT, &[id, voided]).await,
            Change::VoidPatient { id, voided } => self.execute(VOID_PATIENT, &[id, voided]).await,
            Change::DeleteObservation { id } => self.execute(DELETE_OBSERVATION, &[id]).await,
            Change::Savepoint => {
                self.savepoint = true;
                self.client.batch_execute("SAVEPOINT undone").await
            }
        }
    }

    async fn execute(&self, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        let prepared = self.statements.iter().find(|(held, _)| *held == sql).map(|(_, statement)| statement);
        self.client.execute(prepared.expect("every statement of this file is prepared"), values).await.map(drop)
    }
}

/// Where a committed change is counted.
pub fn counted<'a>(change: &Change, done: &'a mut Summary) -> &'a mut u64 {
    match change {
        Change::Patient { .. }
        | Change::Name { .. }
        | Change::Address { .. }
        | Change::Visit { .. }
        | Change::Observation(_) => &mut done.inserted,
        Change::DeleteObservation { .. } => &mut done.deleted,
        Change::Touch { .. }
        | Change::Rename { .. }
        | Change::Move { .. }
        | Change::FinishVisit { .. }
        | Change::Correct { .. }
        | Change::VoidObservation { .. }
        | Change::VoidVisit { .. }
        | Change::VoidPatient { .. }
        | Change::Savepoint => &mut done.updated,
    }
}

/// Runs a script.
pub async fn run(url: &str, sql: &str) -> Result<(), Error> {
    connect(url).await?.batch_execute(sql).await
}

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Ends with the client; what broke it is told by the statement that fails next.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
