use super::*;

/// A root with these files.
fn root(name: &str, files: &[(&str, &str)]) -> (PathBuf, Root) {
    let path = std::env::temp_dir().join(format!("unisono-{name}-{:x}", crate::random::number()));
    for (file, text) in files {
        let file = path.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    (path.clone(), Root::at(&path))
}

#[test]
fn a_pi_tells_of_itself() {
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max locked memory         unlimited            unlimited            bytes     \n\
                  Max realtime priority     80                   80                   \n";
    let (path, root) = root(
        "pi",
        &[
            ("sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
            ("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "ondemand\n"),
            ("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n"),
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\nunisono:x:996:996::/var/lib/unisono:/usr/sbin/nologin\n"),
            ("etc/group", "root:x:0:\naudio:x:29:pi,unisono\ngpio:x:997:pi\n"),
            ("etc/ufw/ufw.conf", "# on\nENABLED=yes\n"),
            ("proc/self/limits", ""),
            ("proc/411/cmdline", "/usr/bin/unisono-receiver\0doctor\0"),
            ("proc/412/cmdline", "/usr/bin/unisono-receiver\0--wait\0"),
            ("proc/412/limits", limits),
            ("sys/class/net/lo/mtu", "65536\n"),
            (
                "proc/net/igmp",
                "Idx\tDevice    : Count Querier\tGroup\n1\tlo        :     1      V3\n\t\t\t\t010000E0\n",
            ),
        ],
    );
    let lo = Interface::by_name("lo").unwrap();
    let machine = machine(&root, "unisono-receiver", Some(&lo), &path);
    assert!(machine.raspberry_pi && machine.firewall.ufw && !machine.firewall.firewalld);
    let cards = machine.cards.unwrap();
    assert!(cards.allowed && cards.user == "unisono");
    // Whoever asks, the service's user is what counts.
    assert_eq!(is_in_group(&root, "gpio"), Some(false));
    assert_eq!(is_in_group(&root, "nonesuch"), None);
    assert_eq!(machine.governors, ["ondemand"]);
    assert_eq!(machine.throttled, Some(0x5_0005));
    assert_eq!(machine.igmp_version, Some(3));
    let limits = machine.limits.unwrap();
    assert_eq!((limits.rtprio, limits.memlock, limits.whose.as_str()), (80, u64::MAX, "the running service"));
    assert_eq!(machine.nic.unwrap().mtu, Some(65_536));
    let disk = machine.disk.unwrap();
    assert!(disk.writable && disk.free_bytes > 0);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn what_cannot_be_seen_is_nothing() {
    let machine = machine(&Root::at(Path::new("/nonesuch")), "nobody", None, Path::new("/nonesuch/deep"));
    assert!(!machine.raspberry_pi && machine.limits.is_none() && machine.governors.is_empty());
    assert!(machine.throttled.is_none() && machine.nic.is_none() && machine.disk.is_some());
    assert_eq!(igmp_version("", "lo"), None);
    assert_eq!(group_line("audio:x"), None);
}

#[test]
fn programs_that_are_not_there_tell_nothing() {
    assert_eq!(tells("nonesuch-program", &[]), None);
    assert_eq!(tells("false", &[]), None);
    assert_eq!(tells("echo", &["yes"]).as_deref(), Some("yes\n"));
}
