//! A join that is `stale: allowed`: values as of the last mapping are no difference, and hide none (J14).

use crate::setting::{counts, names, setting};
use flow::Limits;
use lockstep_verify::{Class, Leg};
use model::{FieldAddress, Json};
use sim::{MAP, World};

/// Patients whose names are as of their last mapping, at rest.
fn rested(seed: u64) -> World {
    let mut world = World::new(seed, Limits::default());
    world.open();
    let text = MAP.replace("many: [name_id],    stale: remap", "many: [name_id], stale: allowed");
    assert_ne!(text, MAP);
    sim::activate_text(&mut world, &text).expect("a map");
    for _ in 0..60 {
        world.source.commit(4);
        world.drain();
    }
    world
}

#[test]
fn values_as_of_the_last_mapping_are_counted_by_name_and_are_no_difference() {
    let report = setting(&mut rested(3)).verify();
    assert_eq!(counts(&report), [], "{:?}", report.findings);
    assert!(report.as_of_last_mapping > 0 && !report.complete(), "some name came since");
    for ((entity, field), units) in &report.not_compared {
        assert!(entity.as_str() == "patient" && field.starts_with("name") && *units > 0, "{field}");
    }
}

#[test]
fn a_field_that_differs_for_another_reason_is_named_beside_a_stale_one() {
    let mut world = rested(3);
    let quiet = setting(&mut world).verify();
    let mut setting = setting(&mut world);
    let patients = setting.shown("Patient/");
    for unit in &patients {
        setting.change_state(unit, |state| {
            state.fields.set(&FieldAddress::new("birthDate"), Some(Json::text("1900-01-01")));
        });
    }
    let report = setting.verify();
    for unit in &patients {
        assert!(names(&report, Leg::Units, Class::Different, unit, &["birthDate"]), "{:?}", report.findings);
    }
    assert_eq!((report.as_of_last_mapping, &report.not_compared), (quiet.as_of_last_mapping, &quiet.not_compared));
}
