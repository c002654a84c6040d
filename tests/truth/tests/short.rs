//! Some rounds on every run of the tests, from a seed that is printed.

use lockstep_truth::{Truth, any_seed};

#[test]
fn the_journal_is_what_the_database_says_after_random_sql_and_kills() {
    let _timed = e2e::Timed::new("truth");
    let told = std::env::var("LOCKSTEP_SEED").ok().and_then(|text| text.parse().ok());
    let (seed, rounds) = (told.unwrap_or_else(any_seed), u64::from(e2e::rounds(4, 40)));
    println!("cargo x truth --seed {seed} --rounds {rounds}");
    let mut truth = Truth::new(seed);
    match truth.run(rounds, |_| ()) {
        Ok(summary) => println!("{summary:?}"),
        Err(differences) => panic!("{differences}\nkept: {}", truth.keep()),
    }
}
