//! One point: a life that is killed before one call, the next life, and the whole check.

use crate::calls::Call;
use crate::shape::{Life, Shape, begin_again, run, work};
use crate::traced::{Ended, Traced};
use e2e::{PATIENCE, World, check};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// How many rounds of work users do while the process lives.
const ROUNDS: u32 = 8;

/// Runs the shape without a kill, to its clean end: the calls that there are.
pub fn count(world: &mut World, shape: Shape) -> Ended {
    prepare(world, shape);
    let traced = start(world, None);
    live(world, shape, &traced, 0);
    let ended = traced.join();
    assert_eq!(ended.code, Some(0), "it did not end well by itself");
    world.target.faults("[]");
    world.engine.start();
    check(world);
    ended
}

/// Kills before call `number` of the shape, starts again, and checks everything; the call.
pub fn kill(world: &mut World, shape: Shape, number: u64) -> Call {
    prepare(world, shape);
    let mut left = number;
    let mut from = 0;
    let call = loop {
        let traced = start(world, Some(left));
        live(world, shape, &traced, from);
        let ended = traced.join();
        if let Some(call) = ended.killed_before {
            break call;
        }
        // How many calls there are hangs on how transactions meet in a batch: the count goes on in the next life.
        assert_eq!(ended.code, Some(0), "it ended by itself, and not well");
        left -= ended.count;
        from += ROUNDS;
        assert!(from < 80, "no life reaches call {number}");
    };
    world.target.faults("[]");
    world.engine.start();
    run(&world.cluster, &work(Life::First, 91), || true);
    check(world);
    call
}

fn prepare(world: &mut World, shape: Shape) {
    begin_again(world);
    if shape.life == Life::Later {
        world.engine.start();
        let lsn = world.cluster.lsn();
        world.engine.settle(lsn);
        run(&world.cluster, &work(Life::First, 90), || true);
        world.engine.kill();
    }
    world.target.faults(shape.faults);
}

fn start(world: &World, kill_before: Option<u64>) -> Traced {
    let engine = &world.engine;
    Traced::start(&engine.run_command(), &engine.log(), engine.data_dir(), kill_before)
}

/// Users at work until nothing is left to do, then the end; or until it dies.
fn live(world: &World, shape: Shape, traced: &Traced, from: u32) {
    let rounds: Vec<String> = (from..from + ROUNDS).flat_map(|round| work(shape.life, round)).collect();
    run(&world.cluster, &rounds, || {
        // One transaction a batch.
        std::thread::sleep(Duration::from_millis(12));
        !traced.has_ended()
    });
    let (lsn, started) = (world.cluster.lsn(), Instant::now());
    while !traced.has_ended() {
        assert!(started.elapsed() < PATIENCE, "neither dead nor settled");
        if world.engine.status().is_some_and(|status| e2e::engine::is_settled(&status, lsn)) {
            traced.signal(Signal::SIGTERM);
            break;
        }
        std::thread::sleep(Duration::from_millis(60));
    }
    while !traced.has_ended() {
        assert!(started.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}
