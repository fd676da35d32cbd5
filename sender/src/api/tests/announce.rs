//! Files that are announced.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_file_to_be_announced_is_private_and_is_removed_after_use_and_at_the_start() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("announcements");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("left"), "by a run that was killed").unwrap();
    let served = Served::with(AutoApprove::Always, DoorSettings::default(), state);
    assert!(!folder.exists());
    let kept = served.hub.keep_announcement(b"sound", Vec::new(), -18.0).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((kept.file.parent(), mode(&folder), mode(&kept.file)), (Some(&*folder), 0o700, 0o600));
    assert_eq!(std::fs::read(&kept.file).unwrap(), b"sound");
    drop(kept);
    let rubbish = served.local().text("POST", "/api/v1/announce", Some(&json!("no sound"))).unwrap();
    assert_eq!(rubbish.0, 422, "{}", rubbish.1);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
