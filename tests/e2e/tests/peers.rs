//! The peers themselves: what the other tests stand on.

use lockstep_e2e::{Cluster, Flag, Target, Timed, expected, load};

#[test]
fn a_cluster_survives_a_kill_and_keeps_the_clinic() {
    let _timed = Timed::new("cluster");
    let mut cluster = Cluster::clinic();
    load::write(&cluster.writer_url(), 3, 100);
    let count = |cluster: &Cluster| cluster.value("SELECT count(*) FROM observation");
    let before = count(&cluster);
    assert_eq!(cluster.value("SELECT count(*) FROM patient_name WHERE family NOT LIKE 'CANARY-%'"), "0");
    cluster.kill();
    cluster.up();
    assert_eq!(count(&cluster), before);
    let rows = expected::Rows::read(&cluster);
    assert!(!expected::differences(&rows, &lockstep_e2e::target::Everything::new()).is_empty());
}

#[test]
fn a_target_survives_a_kill_and_keeps_its_versions() {
    let _timed = Timed::new("target");
    let folder = tempfile::tempdir().unwrap();
    let mut target = Target::start(folder.path(), Flag::Spec);
    for active in [true, false] {
        let body = format!("{{\"resourceType\":\"Patient\",\"id\":\"a\",\"active\":{active}}}");
        assert!(target.put("/Patient/a", &body).status < 300);
    }
    target.kill();
    target.up();
    let everything = target.everything();
    let versions: Vec<&str> = everything["Patient/a"].iter().map(|version| &*version.id).collect();
    assert_eq!(versions, ["1", "2"]);
}
