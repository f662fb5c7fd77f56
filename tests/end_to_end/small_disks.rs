//! A lake on a disk that is too small, of several sizes; then there is room, and the same command goes on. Where nobody may
//! mount a small disk, a word on stderr says that nothing was checked.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lakehaul::{Place, text};
use crate::payer::patients;

const PATIENTS: usize = 20_000;

/// A disk of memory, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None: nobody may mount one.
    fn mount(path: &Path, kib: usize) -> Option<SmallDisk> {
        std::fs::create_dir(path).expect("a new folder");
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "none", text(path)]);
        mounted.then(|| SmallDisk(path.to_owned()))
    }

    fn grow(&self, kib: usize) {
        assert!(mount(&["-o", &format!("remount,size={kib}k"), text(&self.0)]), "it was mounted");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str]) -> bool {
    Command::new("mount").args(arguments).output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_is_told_and_room_lets_it_go_on() {
    for checkpoint in ["0s", "60s"] {
        let mut too_small = 0;
        // From one that has no room for a plan to one that is full while the run is published.
        for kib in (8..).step_by(24) {
            let place = Place::new();
            place.write("in/a.ndjson", patients("a", PATIENTS));
            place.write("in/b.ndjson", format!("{}no resource\n", patients("b", PATIENTS)));
            let Some(disk) = SmallDisk::mount(&place.path("disk"), kib) else {
                eprintln!("skipped: a small disk cannot be mounted here");
                return;
            };
            let lake = "disk/lake";
            let command = ["load", "in", "--to", lake, "--allow-rejects", "--threads", "2", "--checkpoint", checkpoint];
            let full = place.run(&command);
            if full.code == Some(0) {
                break;
            }
            full.exits_with(8).tells("No space left on device").tells("make room, then run the same command again");
            too_small += 1;
            disk.grow(64 << 10);
            place.run(&command).exits_with(0);
            place.run(&["verify", lake]).exits_with(0);
            let expected = patients("a", PATIENTS) + &patients("b", PATIENTS);
            assert!(place.sorted_rows(lake, "Patient").join("\n") + "\n" == expected, "{kib} KiB, {checkpoint}");
        }
        assert!(too_small >= 3, "{checkpoint}: {too_small}");
    }
}
