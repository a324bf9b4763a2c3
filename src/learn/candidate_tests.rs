use super::*;

#[test]
fn names_read_back_and_differ() {
    for (candidate, name) in Candidate::all().iter().zip(NAMES) {
        assert_eq!(candidate.name(), name);
        assert_eq!(Candidate::parse(name).as_ref(), Ok(candidate));
        assert_eq!(NAMES.iter().filter(|other| **other == name).count(), 1);
    }
    assert_eq!(
        Candidate::parse("svm").map_err(|error| error.to_string()),
        Err("`svm` is no candidate; the candidates are logistic, tree, forest, elastic_net, regression_tree, regression_forest".to_owned())
    );
}

#[test]
fn every_task_has_candidates_that_pass_their_own_check() {
    let names = |task| {
        Candidate::for_task(task)
            .iter()
            .map(Candidate::name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(Task::Binary), ["logistic", "tree", "forest"]);
    assert_eq!(names(Task::Multiclass), names(Task::Binary));
    assert_eq!(
        names(Task::Regression),
        ["elastic_net", "regression_tree", "regression_forest"]
    );
    for task in [Task::Binary, Task::Multiclass, Task::Regression] {
        for candidate in Candidate::for_task(task) {
            assert_eq!(candidate.check(task), Ok(()));
        }
    }
}

#[test]
fn hyper_parameters_outside_their_range_are_refused() {
    #[track_caller]
    fn refused(text: &str, task: Task, sentence: &str) {
        let candidate: Candidate = serde_json::from_str(text).expect("a candidate");
        let refusal = candidate.check(task).expect_err("outside its range");
        assert_eq!(refusal.to_string(), sentence);
    }
    refused(
        r#"{"kind":"logistic","l2":-1.0,"steps":5}"#,
        Task::Binary,
        "`logistic` with l2 -1: it needs a number from 0",
    );
    refused(
        r#"{"kind":"logistic","l2":1.0,"steps":0}"#,
        Task::Multiclass,
        "`logistic` with steps 0: it needs at least 1",
    );
    refused(
        r#"{"kind":"tree","depth":21,"leaf_rows":5}"#,
        Task::Binary,
        "`tree` with depth 21: it needs 1 to 20",
    );
    refused(
        r#"{"kind":"forest","growth":{"depth":3,"leaf_rows":1},"wood":{"trees":0,"columns":1.0,"sample_rows":9}}"#,
        Task::Binary,
        "`forest` with trees 0: it needs 1 to 1000 trees",
    );
    refused(
        r#"{"kind":"elastic_net","strength":0.0,"l1_share":1.5,"steps":9}"#,
        Task::Regression,
        "`elastic_net` with l1_share 1.5: it needs a share from 0 to 1",
    );
    assert!(
        serde_json::from_str::<Candidate>(r#"{"kind":"tree","depth":3,"leaf_rows":5,"x":1}"#)
            .is_err()
    );
}
