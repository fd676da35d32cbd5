use super::*;

fn environment() -> Environment {
    Environment {
        state_directory: Some("/var/lib/private/unisono:/other".into()),
        system_writable: true,
        xdg_state_home: Some("/home/user/state".into()),
        home: Some("/home/user".into()),
    }
}

#[test]
fn state_dir_goes_from_the_file_to_systemd_to_the_system_to_the_user() {
    let mut environment = environment();
    assert_eq!(state_dir(Some(Path::new("/here")), &environment), Path::new("/here"));
    assert_eq!(state_dir(None, &environment), Path::new("/var/lib/private/unisono"));
    environment.state_directory = Some("".into());
    assert_eq!(state_dir(None, &environment), Path::new("/var/lib/unisono"));
    environment.system_writable = false;
    assert_eq!(state_dir(None, &environment), Path::new("/home/user/state/unisono"));
    environment.xdg_state_home = None;
    assert_eq!(state_dir(None, &environment), Path::new("/home/user/.local/state/unisono"));
    environment.home = None;
    assert_eq!(state_dir(None, &environment), Path::new("/var/lib/unisono"));
}
