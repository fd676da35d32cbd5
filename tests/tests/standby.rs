//! Two senders and two real keepalived, as docs/standby.md says: the active host dies, the other stands in, and there is no
//! fight when the first comes back. Needs root, a C compiler and keepalived; skipped, loudly, where there are none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{AUDIBLE_NS, Playing, end, file, skipped};
use unisono_tests::house::{Room, binaries};
use unisono_tests::processes::{Launch, Process};
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

const KEEPALIVED: &str = "/usr/sbin/keepalived";
const ADDRESS: &str = "10.77.0.100";

/// From the active one's death to sound, in seconds: about one to notice it, and what a sender and a room need.
const MAY_TAKE_S: f64 = 3.0;

/// A host with keepalived, which starts and stops a sender on it. All of it lives in a process namespace, and dies with it.
struct Host {
    keepalived: Process,
    sender_log: PathBuf,
}

/// Writes the sender's configuration, keepalived's and its notify script, and starts keepalived.
fn start(playing: &Playing, name: &str, priority: u8) -> Host {
    let dir = playing.dir.path();
    let text = playing.house.sender_configuration(&playing.stream()).replace("state-sender", &format!("state-{name}"));
    let text = format!("address = \"{ADDRESS}\"\nidentity = \"our house\"\n{text}");
    let toml = file(&playing.dir, &format!("{name}.toml"), &text);
    let (pid_file, sender_log) = (dir.join(format!("{name}.pid")), dir.join(format!("{name}-sender.log")));
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstart) {program} --config {toml} >>{log} 2>&1 & echo $! >{pid} ;;\n\
         stop) [ -f {pid} ] && kill $(cat {pid}); rm -f {pid} ;;\nesac\n",
        program = binaries().unwrap().join("unisono-sender").display(),
        toml = toml.display(),
        log = sender_log.display(),
        pid = pid_file.display(),
    );
    let _ = std::fs::remove_file(&pid_file);
    let notify = file(&playing.dir, &format!("{name}.sh"), &script);
    std::fs::set_permissions(&notify, PermissionsExt::from_mode(0o755)).unwrap();
    let notify = notify.display();
    let configuration = format!(
        "global_defs {{\n  script_user root\n}}\n\
         vrrp_instance unisono {{\n  state BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id 77\n  \
         priority {priority}\n  version 3\n  advert_int 0.3\n  virtual_ipaddress {{ {ADDRESS}/24 }}\n  \
         notify_master \"{notify} start\"\n  notify_backup \"{notify} stop\"\n  notify_fault \"{notify} stop\"\n}}\n"
    );
    let configuration = file(&playing.dir, &format!("{name}.conf"), &configuration);
    Host { keepalived: keepalived(playing, name, &configuration), sender_log }
}

fn keepalived(playing: &Playing, name: &str, configuration: &Path) -> Process {
    let dir = playing.dir.path();
    let pid = |of: &str| dir.join(format!("{name}-{of}.pid")).display().to_string();
    let arguments = [
        // Whatever is started in there is killed when this is.
        "--pid".to_owned(),
        "--fork".to_owned(),
        "--kill-child".to_owned(),
        "--mount-proc".to_owned(),
        KEEPALIVED.to_owned(),
        "--dont-fork".to_owned(),
        "--log-console".to_owned(),
        "--vrrp".to_owned(),
        format!("--use-file={}", configuration.display()),
        format!("--pid={}", pid("keepalived")),
        format!("--vrrp_pid={}", pid("vrrp")),
    ];
    let launch = Launch {
        name: &format!("{name}-keepalived"),
        program: Path::new("/usr/bin/unshare"),
        arguments: arguments.to_vec(),
        environment: vec![],
        namespace: None,
        priority: None,
        logs: dir,
    };
    playing.house.launch(launch, name).unwrap()
}

impl Host {
    /// How often a sender was started here.
    fn starts(&self) -> usize {
        std::fs::read_to_string(&self.sender_log).unwrap_or_default().matches("sender starts").count()
    }

    /// As when the power fails: nothing says goodbye.
    fn die(mut self, playing: &Playing, number: usize) {
        playing.house.network().unwrap().plug(number, false).unwrap();
        self.keepalived.signal(libc::SIGKILL);
        self.keepalived.wait(Duration::from_secs(3));
    }

    fn log(&self) -> String {
        self.keepalived.log() + &std::fs::read_to_string(&self.sender_log).unwrap_or_default()
    }
}

#[test]
fn the_other_sender_stands_in_and_there_is_no_fight_when_the_first_comes_back() {
    if !Path::new(KEEPALIVED).exists() {
        return skipped::<()>("keepalived isn't there (Debian: apt install keepalived)").unwrap_or_default();
    }
    undisturbed(stand_in_and_come_back);
}

fn stand_in_and_come_back() {
    // Rooms 2 and 3 are the hosts of the two senders.
    let Some(playing) = Playing::impaired(3) else { return };
    let network = playing.house.network().unwrap();
    let first = start(&playing, "r2", 100);
    // Neither takes over from one that is active (`nopreempt`), so the first must be it before the second comes.
    let serves = truth::wait_for(Duration::from_secs(20), || (first.starts() == 1).then_some(()));
    assert!(serves.is_some(), "{}", first.log());
    let second = start(&playing, "r3", 90);
    let mut room = playing.house.start_receiver(1, &Room::default(), "u1", "").unwrap();
    let sounds = |from_ns| playing.wait_for_sound("u1", from_ns);
    assert!(sounds(0).is_some(), "{}\n{}\n{}", first.log(), second.log(), room.log());
    assert_eq!((first.starts(), second.starts()), (1, 0), "the first is the active one");

    truth::pause(Duration::from_secs(2));
    let died_ns = truth::now_ns();
    first.die(&playing, 2);
    // What was on its way plays out first.
    let heard = sounds(died_ns + AUDIBLE_NS);
    assert!(heard.is_some(), "{}\n{}", second.log(), room.log());
    let after_s = (heard.unwrap() - died_ns) as f64 / 1e9;
    println!("sound again {after_s:.2} s after the active one's death");
    assert!(after_s < MAY_TAKE_S, "{after_s:.2} s\n{}\n{}", second.log(), room.log());

    // The first host boots again, without the address.
    network.forget_address("r2", ADDRESS);
    network.plug(2, true).unwrap();
    let again = start(&playing, "r2", 100);
    // A fight would have begun: they tell each other every 0.3 s that they are there.
    truth::pause(Duration::from_secs(4));
    assert_eq!((again.starts(), second.starts()), (1, 1), "{}\n{}", again.log(), second.log());
    assert!(sounds(truth::now_ns()).is_some(), "{}\n{}", second.log(), room.log());
    end(&mut [&mut room]);
}
