//! Doors for `tests/fuzz`: batches whose checksums are right and whose content is anything. No part of the API.
//!
//! Bytes that are only mutated never pass a CRC, so that nothing behind it would be tried.

use crate::{
    EntryCodec,
    batch::{Encoder, Frames, Head, decode},
    frame::{self, FRAME_HEAD, Kind, Seed},
    segment::SegmentId,
};

/// Reads `bytes` as bodies of frames, each behind two bytes of kind and length, with the checksum that it should have.
/// How many entries were decoded.
pub fn sealed(bytes: &[u8]) -> usize {
    let seed = Seed::new(SegmentId(1), 7);
    let (mut batch, mut rest) = (Vec::new(), bytes);
    while let [kind, length, tail @ ..] = rest {
        let kind = [Kind::Head, Kind::Entry, Kind::Close][usize::from(*kind) % 3];
        let (body, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        let start = frame::begin(&mut batch, kind);
        batch.extend_from_slice(body);
        frame::finish(&mut batch, start, seed).expect("a body of at most 255 bytes");
        rest = tail;
    }
    read(&batch, seed)
}

/// Reads `bytes` as the body of one entry, in a batch that is whole.
pub fn entry(bytes: &[u8]) -> bool {
    decode::<EntryCodec>(1, bytes).is_ok()
}

fn read(batch: &[u8], seed: Seed) -> usize {
    let _ = Head::looks_like(batch);
    let Ok(head) = Head::parse(batch, seed) else { return 0 };
    drop(head.resumes(batch));
    let mut decoded = 0;
    let mut frames = Frames::new(batch, &head, seed);
    while let Ok(Some((seq, body))) = frames.next() {
        decoded += usize::from(decode::<EntryCodec>(seq, body).is_ok());
    }
    drop(frames.close());
    // A frame's announced size is asked for before the frame is here.
    let _ = frame::announced(batch.get(FRAME_HEAD..).unwrap_or_default());
    decoded
}

/// An input of [`sealed`] that holds: a head with a resume, an entry, a close.
pub fn sealed_seed(entry: &model::Entry, resumes: &crate::Resumes) -> Vec<u8> {
    let (writer, term, appended_at) = (model::WriterId(1), model::Term(1), model::Timestamp(5));
    let (seed, fingerprint) = (Seed::new(SegmentId(1), 7), schemas::ENTRY_FINGERPRINT);
    let encoder = Encoder { seed, fingerprint, durable_upto: 0, writer, term, appended_at };
    let mut batch = Vec::new();
    let pushed = encoder.push::<EntryCodec>(
        &mut batch,
        std::slice::from_ref(entry),
        1,
        model::Hash::default(),
        (!resumes.is_empty()).then_some(resumes),
    );
    let (mut input, mut rest) = (Vec::new(), &batch[..]);
    while let (Ok(_), Ok(size), false) = (&pushed, frame::announced(rest), rest.is_empty()) {
        let (head, tail) = rest.split_at(usize::try_from(size).unwrap_or(usize::MAX).min(rest.len()));
        let (kind, body) = (head[FRAME_HEAD], &head[FRAME_HEAD + 1..]);
        input.push([b'H', b'E', b'C'].iter().position(|known| *known == kind).unwrap_or_default() as u8);
        input.push(u8::try_from(body.len()).unwrap_or(u8::MAX));
        input.extend_from_slice(&body[..body.len().min(usize::from(u8::MAX))]);
        rest = tail;
    }
    input
}
