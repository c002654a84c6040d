//! Who a unit is stays, whatever map is activated (clinical S1); what decides comes from the journal (J38).

use flow::Limits;
use lockstep_sim::{MAP, World, activate_text};
use ports::StateStore;

fn world() -> World {
    let mut world = World::new(3, Limits::default());
    world.source.commit(8);
    world.open();
    world.activate();
    world.drain();
    world
}

#[test]
fn a_map_that_gives_an_entity_another_identity_is_refused_and_the_one_before_stays_in_force() {
    let observation = "root: {table: public.observation, key: [observation_id], key_version: 1}";
    let another = observation.replace("key_version: 1", "key_version: 2");
    let wrong = [
        (MAP.replace(observation, &another), "had another root.key_version before"),
        (MAP.replace("  observation:\n", "  vital_sign:\n"), "would mint the ids of observation"),
    ];
    for (text, words) in wrong {
        assert_ne!(text, MAP);
        let mut world = world();
        let before = world.flow.status(world.store.txn()).map.ok();
        let refused = activate_text(&mut world, &text).expect_err("another identity");
        assert!(refused.what.contains(words), "{}", refused.what);
        assert_eq!(world.flow.status(world.store.txn()).map.ok(), before, "the map before stays in force");
        world.check();
    }
}

#[test]
fn an_entity_that_a_map_left_out_for_a_while_comes_back_under_its_own_name_only() {
    let mut world = world();
    let without = MAP.split("  observation:\n").next().expect("a head").to_owned();
    activate_text(&mut world, &without).expect("an entity may be left out");
    activate_text(&mut world, &MAP.replace("  observation:\n", "  vital_sign:\n")).expect_err("another name");
    activate_text(&mut world, MAP).expect("its own name");
    world.source.commit(4);
    world.drain();
    world.check();
}

#[test]
fn limits_that_are_changed_between_two_openings_decide_from_there_on_and_a_replay_agrees() {
    let mut world = World::new(5, Limits { step_units_max: 2, ..Limits::default() });
    world.source.commit(12);
    world.open();
    world.activate();
    world.drain();
    world.limits.step_units_max = 7;
    world.crash();
    world.source.commit(12);
    world.drain();
    let steps = world.decided().iter().map(|decided| decided.decisions.len()).max();
    assert!(steps > Some(2), "the new limit is in force: {steps:?}");
    // The replay is told neither of the two.
    world.check();
}
