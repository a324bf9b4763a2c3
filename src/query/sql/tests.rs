//! A session over files: what a file's columns are, that counting by SQL and by file agree, how answers are written.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use tempfile::TempDir;

use super::*;
use crate::event::DAY;
use crate::profile::CompiledLayout;
use crate::query::{reference_file, sample_file};
use crate::store::testing::{score, scratch, window};
use crate::store::windows::insert;
use crate::store::{alerts, layouts, scores::RuleScore};
use crate::window::WindowSpec;

/// Numbers and what is not, texts, truths, and a time that is none.
const MIXED: &str = "\
ts,n,w,Mixed,flag,code,none
2026-01-01T00:00:00Z,0.5,1,1,true,007,
2026-01-02T00:00:00Z,NaN,2,n/a,FALSE,12,
2026-01-03T00:00:00Z,-inf,,2.5,,a,
2026-01-04T00:00:00Z,1e3,-4,,true,,
";

fn csv(name: &str, text: &str) -> (TempDir, File) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("the folder is writable");
    (folder, File::Path(path))
}

fn session() -> Sql {
    Sql::new(crate::reference::value)
}

async fn rows(sql: &Sql, statement: &str) -> Vec<RecordBatch> {
    let mut answer = sql.ask(statement).await.expect(statement);
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await.expect(statement) {
        batches.push(batch);
    }
    batches
}

async fn written(sql: &Sql, statement: &str, form: Form) -> String {
    let mut out = Vec::new();
    let answer = sql.ask(statement).await.expect(statement);
    answer.write(form, &mut out).await.expect(statement);
    String::from_utf8(out).expect("text")
}

async fn refused(sql: &Sql, statement: &str) -> String {
    match sql.ask(statement).await {
        Err(error) => error.to_string(),
        Ok(mut answer) => loop {
            match answer.next().await {
                Err(error) => break error.to_string(),
                Ok(Some(_)) => {}
                Ok(None) => panic!("{statement} was answered"),
            }
        },
    }
}

#[tokio::test]
async fn the_whole_csv_file_says_what_a_column_holds() {
    let (_folder, file) = csv("t.csv", MIXED);
    let mut sql = session();
    sql.add_table("t", &file).await.expect("a readable file");
    assert_eq!(
        written(&sql, "SELECT * FROM t ORDER BY ts", Form::Csv).await,
        "\
ts,n,w,Mixed,flag,code,none
2026-01-01T00:00:00Z,0.5,1,1,true,007,
2026-01-02T00:00:00Z,NaN,2,n/a,false,12,
2026-01-03T00:00:00Z,-inf,,2.5,,a,
2026-01-04T00:00:00Z,1000.0,-4,,true,,
"
    );
    let sum = rows(&sql, "SELECT sum(w), count(code) FROM t WHERE n > 0.4").await;
    let sum: Vec<i64> = sum[0]
        .columns()
        .iter()
        .map(|column| column.as_primitive::<Int64Type>().value(0))
        .collect();
    // SQL ranks NaN above all numbers.
    assert_eq!(sum, [-1, 2]);
}

/// Whatever a layout expects of a column, SQL counts what a file gives.
#[tokio::test]
async fn a_file_counted_by_sql_is_the_file_counted() {
    let (_folder, file) = csv("t.csv", MIXED);
    // The other layout was learned where `n` are texts, `code` numbers and so on.
    let (_other_folder, other) = csv(
        "o.csv",
        "n,w,Mixed,flag,code,none\nx,y,1,3,4,5\nz,u,2,4,5,6\nz,u,3,9,5,7\n",
    );
    for learned_from in [&file, &other] {
        let sample = sample_file(learned_from, None).await.expect("readable");
        let layout = Arc::new(Layout::learn(&sample, &ColumnRules::default()));
        let compiled = CompiledLayout::new(Arc::clone(&layout));
        let blocks = reference_file(&file, &compiled, &WindowSpec::default(), None).await;
        let mut whole = Profile::new(&layout);
        for (_, block) in blocks.expect("readable") {
            whole.merge(&block).expect("one layout");
        }
        let mut sql = session();
        sql.add_layout("l", &layout);
        sql.add_table("t", &file).await.expect("readable");
        let mut counted = 0;
        for (index, column) in layout.columns.iter().enumerate() {
            if column.name == "latency_ms" {
                continue;
            }
            let statement = format!("SELECT profile(\"{}\", 'l') FROM t", column.name);
            let found = rows(&sql, &statement).await;
            let one = Layout::of_one(column);
            let expect = whole.of_one(index, &one).expect("it is there");
            let bytes = found[0].column(0).as_binary::<i32>().value(0);
            assert_eq!(
                Profile::from_bytes(bytes, &one).expect("own bytes"),
                expect,
                "{}",
                column.name
            );
            counted += 1;
        }
        assert!(counted >= 4, "{counted}");
    }
}

#[tokio::test]
async fn a_reference_file_is_layout_and_reference() {
    let flights = File::Bytes {
        name: "flights.parquet",
        bytes: include_bytes!("../../../tests/data/flights.parquet"),
    };
    let mut sql = session();
    sql.add_reference_file("f", &flights)
        .await
        .expect("readable");
    sql.add_table("t", &flights).await.expect("readable");
    // 1,356,998,400,000 is the first of January 2013.
    let found = rows(
        &sql,
        "SELECT (ts - 1356998400000) / (91 * 86400000) AS quarter, profile_rows(profile(temp, 'f')) AS n,
                psi(profile(temp, 'f'), reference('f', 'temp')) AS psi,
                js(profile(carrier, 'f'), reference('f', 'carrier')) AS js
         FROM t GROUP BY 1 ORDER BY 1",
    )
    .await;
    let n: Vec<i64> = found[0]
        .column(1)
        .as_primitive::<Int64Type>()
        .values()
        .to_vec();
    assert_eq!(n.iter().sum::<i64>(), 84_194);
    let psi = found[0].column(2).as_primitive::<Float64Type>();
    assert!(psi.value(0) > 0.5, "winter is no year: {psi:?}");
    let js = found[0].column(3).as_primitive::<Float64Type>();
    assert!(js.value(0) < 0.1, "airlines are the same: {js:?}");
    let itself = rows(
        &sql,
        "SELECT psi(profile(temp, 'f'), reference('f', 'temp')), profile(temp, 'f') = reference('f', 'temp') FROM t",
    )
    .await;
    assert_eq!(
        itself[0].column(0).as_primitive::<Float64Type>().value(0),
        0.0
    );
    assert!(itself[0].column(1).as_boolean().value(0), "the same bytes");
}

#[tokio::test]
async fn a_statement_can_only_read() {
    let (folder, file) = csv("t.csv", MIXED);
    let mut sql = session();
    sql.add_table("t", &file).await.expect("readable");
    let copy = folder.path().join("copy.csv");
    for statement in [
        "CREATE TABLE u AS SELECT 1".to_owned(),
        "DROP TABLE t".to_owned(),
        "INSERT INTO t SELECT * FROM t".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        format!("COPY t TO '{}'", copy.display()),
        format!(
            "CREATE EXTERNAL TABLE u STORED AS CSV LOCATION '{}'",
            file.name()
        ),
    ] {
        let why = refused(&sql, &statement).await;
        assert!(why.contains("not supported"), "{statement}: {why}");
    }
    assert!(!copy.exists());
    let shown = written(&sql, "SHOW TABLES", Form::Csv).await;
    assert!(shown.contains("datafusion,public,t,VIEW"), "{shown}");
}

#[tokio::test]
async fn mistakes_are_sentences() {
    let (_folder, file) = csv("t.csv", MIXED);
    let mut sql = session();
    sql.add_table("t", &file).await.expect("readable");
    let twice = sql.add_table("t", &file).await.expect_err("it is there");
    assert_eq!(
        twice.to_string(),
        "there are two tables \"t\"; give one of them another name"
    );
    assert_eq!(
        refused(&sql, "SELECT profile(n, 'x') FROM t").await,
        "the statement has no answer: there is no layout \"x\"; there is none"
    );
    sql.add_reference_file("r", &file).await.expect("readable");
    let twice = sql.add_reference_file("r", &file).await;
    assert_eq!(
        twice.expect_err("it is there").to_string(),
        "the name \"r\" is taken, by a model or a reference; give this one another"
    );
    let unknown = refused(&sql, "SELECT m FROM t").await;
    assert!(
        unknown.starts_with("the statement has no answer: ")
            && unknown.contains("No field named m"),
        "{unknown}"
    );
    assert!(!unknown.contains('\n'), "{unknown}");
    let wrong = refused(&sql, "SELEC 1").await;
    assert!(wrong.contains("SELEC"), "{wrong}");
}

#[tokio::test]
async fn answers_are_written_in_three_forms() {
    let (_folder, file) = csv("t.csv", "a,b\n1,x\n,y\n");
    let mut sql = session();
    sql.add_reference_file("r", &file).await.expect("readable");
    sql.add_table("t", &file).await.expect("readable");
    let statement = "SELECT a, b FROM t ORDER BY b";
    assert_eq!(
        written(&sql, statement, Form::Table).await,
        "+---+---+\n| a | b |\n+---+---+\n| 1 | x |\n|   | y |\n+---+---+\n"
    );
    assert_eq!(written(&sql, statement, Form::Csv).await, "a,b\n1,x\n,y\n");
    assert_eq!(
        written(&sql, statement, Form::Json).await,
        "[{\"a\":1,\"b\":\"x\"},{\"a\":null,\"b\":\"y\"}]\n"
    );
    let nothing = "SELECT a, b FROM t WHERE a > 7";
    assert_eq!(written(&sql, nothing, Form::Csv).await, "a,b\n");
    assert_eq!(written(&sql, nothing, Form::Json).await, "[]\n");
    let bytes = written(&sql, "SELECT reference('r', 'b') AS p", Form::Table).await;
    assert!(bytes.contains(" bytes |"), "{bytes}");
    let not_finite = written(&sql, "SELECT CAST('NaN' AS DOUBLE) AS x", Form::Json).await;
    assert_eq!(not_finite, "[{\"x\":null}]\n");
}

#[tokio::test]
async fn what_a_service_has_stored_is_tables() {
    let (_folder, store) = scratch();
    let (_file_folder, file) = csv("r.csv", "temp,day\n1,mo\n2,tu\n4,mo\n,tu\n");
    let sample = sample_file(&file, None).await.expect("readable");
    let layout = Arc::new(Layout::learn(&sample, &ColumnRules::default()));
    let compiled = CompiledLayout::new(Arc::clone(&layout));
    let blocks = reference_file(&file, &compiled, &WindowSpec::default(), None).await;
    let profile = blocks.expect("readable").remove(0).1;
    let stored = layouts::StoredLayout {
        hash: layout.hash(),
        body: layout.to_json(),
    };
    let mut first = window(3, 0);
    (first.layout_hash, first.profile) = (layout.hash(), profile.to_bytes());
    let mut revised = first.clone();
    revised.revision = 1;
    let scored = |statistic: &str, value| {
        let mut score = score("temp", statistic);
        (score.value, score.p_value) = (Some(value), Some(0.25));
        RuleScore {
            rule: "inputs".to_owned(),
            score,
        }
    };
    revised.scores = vec![scored("psi", 0.5), scored("ks", 0.125)];
    let alert = alerts::AlertRow {
        key: first.key.clone(),
        rule: "inputs".to_owned(),
        status: "firing".to_owned(),
        since: 4 * DAY,
        body: "{}".to_owned(),
    };
    store
        .write(move |tx| {
            layouts::insert_if_absent(tx, "delay", &stored)?;
            insert(tx, &first)?;
            insert(tx, &revised)?;
            alerts::save(tx, &alert)
        })
        .expect("writes");

    let mut sql = session();
    sql.add_layout("delay", &layout);
    sql.add_reference(&["delay"], &layout, &profile);
    sql.add_store(&store).await.expect("readable");
    assert_eq!(
        written(
            &sql,
            "SELECT model, version, window_start, window_end, revision, verdict, rows FROM windows",
            Form::Csv
        )
        .await,
        "model,version,window_start,window_end,revision,verdict,rows\n\
         delay,7,1970-01-04T00:00:00Z,1970-01-05T00:00:00Z,1,ok,20\n"
    );
    assert_eq!(
        written(
            &sql,
            "SELECT column_name, statistic, rule, verdict, value FROM verdicts
             WHERE window_start >= '1970-01-04' ORDER BY statistic",
            Form::Csv
        )
        .await,
        "column_name,statistic,rule,verdict,value\ntemp,ks,inputs,ok,0.125\ntemp,psi,inputs,ok,0.5\n"
    );
    assert_eq!(
        written(
            &sql,
            "SELECT column_name, population_stability_index, ks_statistic, ks_pvalue, js_distance FROM drift_metrics",
            Form::Csv
        )
        .await,
        "column_name,population_stability_index,ks_statistic,ks_pvalue,js_distance\ntemp,0.5,0.125,0.25,\n"
    );
    assert_eq!(
        written(
            &sql,
            "SELECT column_name, data_type, count, num_nulls, percent_null, min, max, profile_mean(profile) AS mean,
                    js(profile, reference('delay', column_name)) AS js
             FROM profile_metrics WHERE column_name <> 'latency_ms' ORDER BY column_name",
            Form::Csv
        )
        .await,
        "column_name,data_type,count,num_nulls,percent_null,min,max,mean,js\n\
         day,string,4,0,0.0,,,,0.0\n\
         temp,double,4,1,25.0,1.0,4.0,2.3333333333333335,0.0\n"
    );
    assert_eq!(
        written(&sql, "SELECT rule, status, since FROM alerts", Form::Csv).await,
        "rule,status,since\ninputs,firing,1970-01-05T00:00:00Z\n"
    );
    for table in ["transitions", "retrain_runs"] {
        let count = rows(&sql, &format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(count[0].column(0).as_primitive::<Int64Type>().value(0), 0);
    }
    let limited = rows(&sql, "SELECT * FROM verdicts LIMIT 1").await;
    assert_eq!(limited.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    let taken = sql.add_table("windows", &file).await.expect_err("taken");
    assert!(
        taken.to_string().contains("two tables \"windows\""),
        "{taken}"
    );
}
