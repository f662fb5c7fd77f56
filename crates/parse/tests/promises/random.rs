//! Random files and random JSON, legal, spoilt and wild, through the fuzzer's bodies.

use proptest::prelude::*;

use crate::{frame_body, parse_body};

/// White space of a kind; mostly none.
fn white() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(String::new()), 1 => Just(" ".to_owned()), 1 => "[ \t\r]{1,3}"]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![4 => "-?(0|[1-9][0-9]{0,4})", 2 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", 1 => "[-+.eE0-9]{1,6}"]
}

fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[ -!#-\\[\\]-~]{0,40}",
        2 => "\\PC{0,8}",
        1 => r#"\\["\\/bfnrt]"#,
        1 => "\\\\u[0-9a-fA-F]{4}",
        1 => "\\\\u[dD][89abAB][0-9a-f]{2}\\\\u[dD][c-fC-F][0-9a-f]{2}",
        1 => "\\\\u[dD][89a-fA-F][0-9a-f]{2}",
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat().replace(['\0'], "")))
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![4 => string(), 2 => number(), 1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned)];
    let padded = |s: BoxedStrategy<String>| (white(), s, white()).prop_map(|(a, s, b)| format!("{a}{s}{b}"));
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let name = prop_oneof![4 => "\"[a-zA-Z]{0,30}\"", 1 => string()];
        let member =
            (padded(name.boxed()), padded(inner.clone().boxed())).prop_map(|(name, value)| format!("{name}:{value}"));
        prop_oneof![
            prop::collection::vec(padded(inner.boxed()), 0..5).prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// One thing done to a text's bytes.
#[derive(Debug, Clone)]
enum Spoil {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let place = any::<prop::sample::Index>;
    let byte = || prop_oneof![3 => prop::sample::select(b"{}[]\",:\\-+.0123eEutfn \t\r\n".to_vec()), 1 => any::<u8>()];
    prop_oneof![
        (place(), byte()).prop_map(|(at, byte)| Spoil::Replace(at, byte)),
        place().prop_map(Spoil::Remove),
        (place(), byte()).prop_map(|(at, byte)| Spoil::Insert(at, byte)),
        place().prop_map(Spoil::Cut),
    ]
}

fn apply(text: &mut Vec<u8>, spoil: &Spoil) {
    if text.is_empty() {
        return;
    }
    let len = text.len();
    match spoil {
        Spoil::Replace(at, byte) => text[at.index(len)] = *byte,
        Spoil::Remove(at) => drop(text.remove(at.index(len))),
        Spoil::Insert(at, byte) => text.insert(at.index(len), *byte),
        Spoil::Cut(at) => text.truncate(at.index(len)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "slow, and simd-json does not run there")]
    fn legal_json(value in value(), behind in white()) {
        parse_body::check(format!("{value}{behind}").as_bytes());
    }

    #[test]
    #[cfg_attr(miri, ignore = "slow, and simd-json does not run there")]
    fn spoilt_json(value in value(), spoils in prop::collection::vec(spoil(), 1..4)) {
        let mut text = value.into_bytes();
        spoils.iter().for_each(|spoil| apply(&mut text, spoil));
        parse_body::check(&text);
    }

    #[test]
    #[cfg_attr(miri, ignore = "slow, and simd-json does not run there")]
    fn wild_text(text in prop::collection::vec(prop::sample::select(b"{}[]\",:\\-0.1eu \rtruefalsnd8c\n\x01\xC3\xBC".to_vec()), 0..60)) {
        parse_body::check(&text);
    }

    #[test]
    #[cfg_attr(miri, ignore = "slow")]
    fn files(choices: [u8; 4], file in prop::collection::vec(prop::sample::select(b"\n\n\r\r{} x\xEF\xBB\xBF".to_vec()), 0..200)) {
        frame_body::check(&[&choices[..], &file].concat());
    }
}
