//! The table of the capture benches: one row as clinical observations have it, some 200 bytes in the stream.

use crate::{
    cluster::{Cluster, ROLE},
    outcome::Outcome,
    spawn::SLOT,
};

const TABLE: &str = "\
CREATE TABLE bench_records (
    id bigint PRIMARY KEY, patient_id int NOT NULL, encounter_id int NOT NULL, concept_id int NOT NULL,
    value_numeric numeric, value_text text, obs_datetime timestamptz NOT NULL, voided boolean NOT NULL DEFAULT false,
    uuid uuid NOT NULL, ts timestamptz NOT NULL DEFAULT clock_timestamp())";
const INSERTS: &str = "\
CREATE PROCEDURE bench_insert(n bigint, per bigint) LANGUAGE plpgsql AS $$
DECLARE lo bigint := 1;
BEGIN
    WHILE lo <= n LOOP
        INSERT INTO bench_records
            (id, patient_id, encounter_id, concept_id, value_numeric, value_text, obs_datetime, voided, uuid)
        SELECT g, 1 + g % 50000, 1 + g % 400000, 5000 + g % 700, round((g % 20000) / 100.0, 2),
            'Observation ' || g || ' recorded at triage, reviewed by nurse ' || (g % 97),
            timestamptz '2024-01-01' + g * interval '7 seconds', g % 211 = 0, gen_random_uuid()
        FROM generate_series(lo, least(lo + per - 1, n)) g;
        COMMIT;
        lo := lo + per;
    END LOOP;
END $$";
const UPDATES: &str = "\
CREATE PROCEDURE bench_update(n bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        UPDATE bench_records SET value_numeric = value_numeric + 0.5, voided = NOT voided, ts = clock_timestamp()
        WHERE id = i;
        COMMIT;
    END LOOP;
END $$";

/// The table, its publication, and the procedures that fill it.
pub fn create(cluster: &Cluster) -> Outcome<()> {
    for statement in [TABLE, INSERTS, UPDATES] {
        cluster.sql(statement)?;
    }
    cluster.sql(&format!("CREATE PUBLICATION {SLOT} FOR TABLE bench_records"))?;
    Ok(())
}

/// Rows in transactions of a thousand.
pub fn insert(cluster: &Cluster, rows: u64) -> Outcome<()> {
    cluster.sql(&format!("CALL bench_insert({rows}, 1000)"))?;
    cluster.sql("VACUUM ANALYZE bench_records")?;
    Ok(())
}

/// One-row transactions.
pub fn update(cluster: &Cluster, rows: u64) -> Outcome<()> {
    // How fast the backlog is written is of no interest. A procedure that commits is a statement of its own, so the
    // setting is the role's.
    cluster.sql(&format!("ALTER ROLE {ROLE} SET synchronous_commit = off"))?;
    cluster.sql(&format!("CALL bench_update({rows})"))?;
    cluster.sql(&format!("ALTER ROLE {ROLE} RESET synchronous_commit"))?;
    Ok(())
}
