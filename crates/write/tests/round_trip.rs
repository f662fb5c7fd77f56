//! JSON → columns → Parquet → JSON gives every resource back.

mod generator;
mod there_and_back;

use generator::{Choices, Line};
use lakehaul_schema::ElementTable;
use proptest::prelude::*;
use there_and_back::{Settings, check, check_lines};

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// Any lines of up to three types, under any settings.
    #[test]
    fn whatever_is_loaded_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        check(&bytes);
    }
}

/// Each of the 146 types, its elements at random but the same ones every time.
#[test]
fn every_type_comes_back() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for resource_type in ElementTable::r4().resource_types() {
        let bytes: Vec<u8> = std::iter::repeat_with(|| xorshift(&mut state)).take(2_500).collect();
        let mut choices = Choices::new(&bytes);
        let settings = Settings::new(&mut choices);
        let mut lines = Vec::new();
        while !choices.spent() {
            lines.push(generator::line(&mut choices, resource_type));
        }
        check_lines(&settings, &lines);
    }
}

fn xorshift(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u8
}

/// The fuzzer's kept corpus.
#[test]
fn the_kept_corpus_comes_back() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/round_trip");
    let entries = std::fs::read_dir(folder).expect("the corpus is in the repository");
    let kept: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    assert!(!kept.is_empty());
    for path in kept {
        check(&std::fs::read(&path).expect("a readable file"));
    }
}

/// What a generator meets too seldom, written out.
#[test]
fn known_hard_lines_come_back() {
    let deep_array = format!(r#"{{"resourceType":"Patient","x":{}1{}}}"#, "[".repeat(98), "]".repeat(98));
    let long_text = format!(r#"{{"resourceType":"Patient","gender":"{}"}}"#, "é".repeat(3 << 20));
    let many_unknown: String = (0..3000).map(|at| format!(r#","x{}":{at}"#, at * 7919 % 3000)).collect();
    let many_unknown = format!(r#"{{"resourceType":"Patient"{many_unknown}}}"#);
    let long_list = format!(r#"{{"resourceType":"Patient","name":[{}{{"given":[null]}}]}}"#, "null,".repeat(70_000));
    let texts = [
        r#"{"resourceType":"Patient"}"#,
        r#" { "resourceType" : "Patient" , "id" : "a" } "#,
        r#"{"id":"last","resourceType":"Patient"}"#,
        r#"{"res\u006furceType":"Pat\u0069ent"}"#,
        r#"{"resourceType":"Patient","name":{},"contact":[],"maritalStatus":[],"photo":[[]],"link":[{}]}"#,
        r#"{"resourceType":"Patient","name":[null,[],{"given":[[]]},{"given":[{}],"family":{}},5,"x",null]}"#,
        r#"{"resourceType":"Patient","name":[{"0":1,"given":["a"],"":{"":[]}}],"":null,"0":{"/":"~"}}"#,
        r#"{"resourceType":"Patient","_birthDate":{"extension":[{"url":"u","extension":[]}]},"_gender":null}"#,
        r#"{"resourceType":"Patient","birthDate":null,"active":null,"deceasedBoolean":"true","deceasedDateTime":true}"#,
        r#"{"resourceType":"Patient","multipleBirthInteger":-0,"multipleBirthBoolean":false}"#,
        r#"{"resourceType":"Patient","contained":[{"resourceType":"X","a":1,"a":2},{},[],null,"s",{ }]}"#,
        r#"{"resourceType":"Patient","contained":{"resourceType":"Organization"}}"#,
        r#"{"resourceType":"Patient","photo":[{"data":""},{"data":"AB=="},{"data":"A\u0041=\u003d","hash":"AAAA"}]}"#,
        r#"{"resourceType":"Patient","gender":"\ud83d\ude00\ud83d","id":"\ude00","language":"\u0000"}"#,
        r#"{"resourceType":"Patient","id":5,"meta":{"tag":[{"system":null,"code":{}}]},"text":{"div":7}}"#,
        &deep_array,
        &long_text,
        &many_unknown,
        &long_list,
    ];
    let line = |text: &&str| Line { resource_type: "Patient".to_owned(), text: text.as_bytes().to_vec(), sound: true };
    let lines: Vec<Line> = texts.iter().map(line).collect();
    for bytes in [&[][..], &[0, 0, 3, 3, 2, 1, 1, 1, 2, 1, 1], &[1, 1, 0, 0, 1, 0, 2, 2, 3, 2, 1]] {
        check_lines(&Settings::new(&mut Choices::new(bytes)), &lines);
    }
}
