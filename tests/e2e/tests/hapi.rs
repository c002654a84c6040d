//! The loop with kills against a real HAPI FHIR JPA on PostgreSQL: `LOCKSTEP_HAPI=1`, see README.md.

use lockstep_e2e::{Dice, Flag, Load, Shape, Timed, World, check, rounds};
use std::time::Duration;

#[test]
fn kills_before_a_real_hapi() {
    if std::env::var_os("LOCKSTEP_HAPI").is_none() {
        println!("left out: LOCKSTEP_HAPI=1 runs it; it needs a JDK, Maven and some minutes");
        return;
    }
    let _timed = Timed::new("a real HAPI");
    let mut dice = Dice::new("a real HAPI");
    let mut world = World::before_hapi(Shape { preload: 60, chunk_rows: 50, ..Shape::new(Flag::Hapi) });
    // A cold JVM takes seconds for its first writes.
    world.engine.settings.request_timeout_seconds = 20;
    let rounds = rounds(12, 40);
    for round in 1..=rounds {
        world.engine.start();
        let load = Load::start(&world.cluster.writer_url(), dice.number(), 15.0);
        std::thread::sleep(dice.millis(400, 3_000));
        world.engine.kill();
        let also = round % 4 == 0;
        if also {
            // The target dies too, with requests on their way.
            world.engine.start();
            std::thread::sleep(dice.millis(200, 1_500));
            world.target.kill();
            std::thread::sleep(dice.millis(0, 1_000));
            world.engine.kill();
        }
        // It starts for a minute, and takes some fifty resources a second.
        load.stop();
        if also {
            world.target.up();
        }
        if also || round == rounds {
            world.engine.start();
            let lsn = world.cluster.lsn();
            world.engine.settle_within(lsn, Duration::from_secs(600));
            println!("round {round} of {rounds}: {:?}", check(&mut world));
        }
    }
}
