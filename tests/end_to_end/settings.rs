//! Where an option's value comes from: flags > environment > config file > defaults.

use crate::lakehaul::{Place, text};

const LINES: &str = "{\"resourceType\":\"Patient\",\"id\":\"p\"}\nnot json\n";

fn place() -> Place {
    let place = Place::new();
    place.write("p.ndjson", LINES);
    place
}

#[test]
fn a_flag_beats_the_environment_beats_the_file() {
    let place = place();
    place.write("config/lakehaul/config.toml", "to = \"from-file\"\nallow-rejects = true\n");
    let load = ["load", "p.ndjson"];
    place.run(&load).exits_with(0);
    assert!(place.path("from-file").is_dir());

    place.run_with(&[("LAKEHAUL_TO", "from-environment")], &load).exits_with(0);
    assert!(place.path("from-environment").is_dir());

    let flag = ["load", "p.ndjson", "--to", "from-flag", "--allow-rejects", "0"];
    place.run_with(&[("LAKEHAUL_TO", "other"), ("LAKEHAUL_ALLOW_REJECTS", "all")], &flag).exits_with(7);
    assert!(place.path("from-flag").is_dir() && !place.path("other").exists());

    // The environment can switch off what the file switches on.
    place.run_with(&[("LAKEHAUL_TO", "l4"), ("LAKEHAUL_ALLOW_REJECTS", "none")], &load).exits_with(7);
}

#[test]
fn a_config_file_can_be_named_and_is_never_taken_from_the_current_folder() {
    let place = place();
    for name in ["lakehaul.toml", "config.toml", ".lakehaul.toml", "lakehaul/config.toml"] {
        place.write(name, "allow-rejects = true\nto = \"lake\"");
    }
    place.run(&["load", "p.ndjson"]).exits_with(2).tells("--to LAKE");
    let named = place.write("my.toml", "allow-rejects = 1\nto = \"lake\"\nquiet = true\n");
    let outcome = place.run(&["load", "p.ndjson", "--config", text(&named)]);
    outcome.exits_with(0);
    assert_eq!(outcome.stdout, "");
    place.run_with(&[("LAKEHAUL_CONFIG", text(&named))], &["load", "p.ndjson"]).exits_with(0);
}

#[test]
fn a_wrong_config_file_is_told_by_name() {
    let place = place();
    place.run(&["load", "p.ndjson", "--config", "none.toml"]).exits_with(2).tells("config file none.toml");
    for (content, sentence) in [
        ("memroy = 1", "`memroy` is no option"),
        ("memory = \"1G\"", "say GB (1000s) or GiB (1024s)"),
        ("threads = [1", "wrong.toml"),
    ] {
        place.write("wrong.toml", content);
        let outcome = place.run(&["load", "p.ndjson", "--to", "lake", "--config", "wrong.toml"]);
        outcome.exits_with(2).tells("config file wrong.toml").tells(sentence);
    }
    assert!(!place.path("lake").exists());
}

#[test]
fn a_wrong_variable_is_told() {
    let place = place();
    let load = ["load", "p.ndjson", "--to", "lake", "--allow-rejects"];
    place.run_with(&[("LAKEHAUL_THREADS", "many")], &load).exits_with(2).tells("many").tells("LAKEHAUL_THREADS");
    place.run_with(&[("LAKEHAUL_MEMROY", "1GiB")], &load).exits_with(0).tells("LAKEHAUL_MEMROY is set");
}
