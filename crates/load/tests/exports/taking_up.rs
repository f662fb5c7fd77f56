//! An export that stopped, and the same command again.

use lakehaul_fetch::{Auth, SecretStyle};
use lakehaul_load::{Earlier, ErrorKind};
use lakehaul_sim::{Endpoint, Fault, Personality, Target, When};

use crate::scene::{Scene, members};

#[test]
fn a_running_export_is_taken_up() {
    let scene = Scene::new(Personality::OneupProvider, |scenario| {
        scenario.members(&members()).running(1).retry_after(0).fault(
            Endpoint::Status,
            When::First(2),
            Fault::status(500),
        )
    });
    let mut request = scene.request();
    request.client.patience.retries = 0;
    let error = scene.export(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    assert_eq!(lakehaul_load::unfinished(&scene.lake()).unwrap().len(), 1);
    request.client.patience.retries = 3;
    let summary = scene.export(&request).unwrap();
    scene.is_whole(&summary);
    assert_eq!(scene.sim.export_count(), 1);
    assert_eq!(lakehaul_load::unfinished(&scene.lake()).unwrap(), []);
}

#[test]
fn fresh_starts_another() {
    let scene = Scene::new(Personality::Smart, |scenario| {
        scenario.members(&members()).fault(Target::AnyFile, When::First(1), Fault::status(500))
    });
    let mut request = scene.request();
    request.client.patience.retries = 0;
    scene.export(&request).unwrap_err();
    request.earlier = Earlier::Forget;
    scene.is_whole(&scene.export(&request).unwrap());
    assert_eq!(scene.sim.export_count(), 2);
}

#[test]
fn what_was_refused_has_not_begun() {
    let scene = Scene::new(Personality::OneupProvider, |scenario| scenario.members(&members()));
    let mut request = scene.request();
    request.client.auth = Auth::ClientSecret {
        client_id: "somebody".to_owned(),
        secret: "else".to_owned().into(),
        style: SecretStyle::Form,
    };
    assert_eq!(scene.export(&request).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(lakehaul_load::unfinished(&scene.lake()).unwrap(), []);
    assert_eq!(scene.sim.export_count(), 0);
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_where_the_status_is_told() {
    use std::os::unix::fs::PermissionsExt;

    let scene = Scene::new(Personality::Smart, |scenario| {
        scenario.members(&members()).fault(Target::AnyFile, When::First(1), Fault::status(500))
    });
    let mut request = scene.request();
    request.client.patience.retries = 0;
    request.options.mode = Some(0o644);
    scene.export(&request).unwrap_err();
    let (run, _) = lakehaul_load::unfinished(&scene.lake()).unwrap().remove(0);
    let kept = format!("{}/_lake/staging/{run}/export.json", scene.lake());
    assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
}
