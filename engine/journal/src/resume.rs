//! The resume of every source as bytes: it stands in each segment's first batch, so that recovery reads one segment (J6).
//!
//! Knows the fields of `Resume`; the fold itself is in `ports`.

use crate::codec::Resumes;
use model::{Fingerprint, Incarnation, RowKey, SourcePosition, SystemId, TableName, TableSchema};
use ports::{Resume, TableResume};
use schemas::{Reader, Wire, WireError, Writer};

pub(crate) fn encode(resumes: &Resumes, out: &mut Vec<u8>) {
    let mut out = Writer::new(out);
    out.array(resumes.iter(), |out, (source, resume)| {
        source.put(out);
        put(resume, out);
    });
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Resumes, WireError> {
    let mut from = Reader::new(bytes);
    let resumes = from.array(|from| Ok((SystemId::get(from)?, get(from)?)))?;
    from.end()?;
    Ok(resumes.into_iter().collect())
}

fn put(resume: &Resume, out: &mut Writer<'_>) {
    let Resume { incarnation, wanted, started, passed, identity, tables, schemas } = resume;
    incarnation.0.put(out);
    wanted.put(out);
    started.put(out);
    passed.put(out);
    identity.put(out);
    out.array(tables.iter(), |out, (table, state)| {
        table.put(out);
        match state {
            TableResume::Ready => out.branch(0),
            TableResume::Open { next_chunk, done_upto } => {
                out.branch(1);
                next_chunk.put(out);
                done_upto.put(out);
            }
        }
    });
    out.array(schemas.iter(), |out, (table, (print, schema))| {
        table.put(out);
        print.put(out);
        schema.put(out);
    });
}

fn get(from: &mut Reader<'_>) -> Result<Resume, WireError> {
    let incarnation = Incarnation(u32::get(from)?);
    let wanted = Option::get(from)?;
    let started = bool::get(from)?;
    let passed = Option::<SourcePosition>::get(from)?;
    let identity = Option::get(from)?;
    let tables = from.array(|from| {
        let table = TableName::get(from)?;
        let state = match from.branch()? {
            0 => TableResume::Ready,
            1 => TableResume::Open { next_chunk: u64::get(from)?, done_upto: Option::<RowKey>::get(from)? },
            _ => return Err(from.refuse("a table's state")),
        };
        Ok((table, state))
    })?;
    let schemas = from.array(|from| Ok((TableName::get(from)?, (Fingerprint::get(from)?, TableSchema::get(from)?))))?;
    let (tables, schemas) = (tables.into_iter().collect(), schemas.into_iter().collect());
    Ok(Resume { incarnation, wanted, started, passed, identity, tables, schemas })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Cell, Column, ColumnType};

    #[test]
    fn a_resume_comes_back_as_it_was() {
        let schema = TableSchema {
            table: "public.patient".into(),
            columns: vec![Column { name: "id".into(), ty: ColumnType::Int, native: 20 }],
            key: vec![0],
        };
        let resume = Resume {
            incarnation: Incarnation(3),
            wanted: Some("lockstep_clinic".into()),
            started: true,
            passed: SourcePosition::new(&[0, 7, 255]),
            identity: Some("7412:1".into()),
            tables: [
                ("public.a".into(), TableResume::Ready),
                (
                    "public.patient".into(),
                    TableResume::Open { next_chunk: 9, done_upto: RowKey::encode([Cell::Int(90_000)]) },
                ),
                ("public.z".into(), TableResume::Open { next_chunk: 0, done_upto: None }),
            ]
            .into(),
            schemas: [(schema.table.clone(), (Fingerprint(u64::MAX), schema))].into(),
        };
        let resumes: Resumes = [("legacy".into(), resume), ("other".into(), Resume::default())].into();
        let mut bytes = Vec::new();
        encode(&resumes, &mut bytes);
        assert_eq!(decode(&bytes), Ok(resumes));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err());
        }
    }
}
