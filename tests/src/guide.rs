//! The commands of docs/install.md: which machine of the boot test runs each, as it stands there, or why none does.

/// Who runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The machine that has the music.
    Server,
    /// The machine in a room.
    Room,
    /// The boot test, in a chapter of its own.
    Chapter,
    /// Nobody, because it needs this.
    Not(&'static str),
}

use Runs::{Chapter, Not, Room, Server};

/// Every command, in the order of the guide.
pub const COMMANDS: [(&str, Runs); 38] = [
    ("sudo apt install ./unisono-sender_*.deb", Chapter),
    ("sudo apt install ./unisono-receiver_*.deb", Chapter),
    ("sudo unisono-sender ctl link", Server),
    ("sudo unisono-sender check-config /etc/unisono/sender.toml", Server),
    ("sudo systemctl reload unisono-sender", Server),
    ("unisono-receiver doctor", Chapter),
    ("unisono-sender doctor", Chapter),
    ("echo dtoverlay=hifiberry-dacplus | sudo tee -a /boot/firmware/config.txt", Not("the firmware of a Raspberry Pi")),
    ("sudo reboot", Chapter),
    ("amixer -c sndrpihifiberry scontrols", Not("a sound card")),
    ("sudo systemctl restart unisono-receiver", Chapter),
    ("sudo mkdir -p /etc/unisono/rooms", Room),
    (
        "printf 'room = \"Terrace\"\\n[output]\\ndevice = \"hw:CARD=D10\"\\n' | sudo tee /etc/unisono/rooms/terrace.toml",
        Room,
    ),
    ("sudo systemctl enable --now unisono-receiver@terrace", Room),
    ("sudo unisono-receiver check-config /etc/unisono/receiver.toml", Room),
    ("sudo ethtool -s eth0 wol g", Not("a network card that can be woken")),
    ("sudo usermod -aG unisono mpd", Server),
    ("sudo systemctl restart mpd", Not("MPD")),
    ("sudo systemctl reload unisono-sender", Server),
    ("sudo nmcli connection modify NAME wifi.powersave 2", Not("Wi-Fi")),
    ("sudo iw dev wlan0 set power_save off", Not("Wi-Fi")),
    ("journalctl -u unisono-receiver -f", Not("somebody who ends it")),
    ("journalctl -u unisono-receiver -p warning", Room),
    ("sudo apt install ./unisono-receiver_*.deb", Chapter),
    ("sudo systemctl stop unisono-sender", Server),
    ("sudo tar -C /var/lib -czf unisono-state.tar.gz unisono", Server),
    ("sudo systemctl start unisono-sender", Server),
    ("sudo apt install --allow-downgrades ./unisono-receiver_*.deb", Chapter),
    ("sudo systemctl stop unisono-sender", Server),
    ("sudo tar -C /var/lib -xzf unisono-state.tar.gz", Server),
    ("sudo systemctl start unisono-sender", Server),
    ("sudo apt remove unisono-receiver", Chapter),
    ("sudo apt purge unisono-receiver", Chapter),
    ("sudo deluser unisono", Chapter),
    ("systemd/package", Not("a minute of the compiler; ./test --all runs it")),
    ("systemd/package arm64", Not("a minute of the compiler; ./test --all runs it")),
    ("systemd/package armhf", Not("a minute of the compiler; ./test --all runs it")),
    ("sudo ./test --all", Not("an hour; it is what runs all of these")),
];

/// Words that commands of the guide begin with.
const PROGRAMS: [&str; 10] = [
    "sudo",
    "unisono-sender",
    "unisono-receiver",
    "systemctl",
    "journalctl",
    "echo",
    "printf",
    "amixer",
    "systemd/package",
    "iw",
];

/// The commands that stand in a Markdown text as lines of code, without the remarks behind them.
pub fn commands(text: &str) -> Vec<String> {
    let command = |line: &str| {
        let command = line.strip_prefix("    ")?.split(" #").next()?.trim();
        PROGRAMS.contains(&command.split(' ').next()?).then(|| command.to_owned())
    };
    text.lines().filter_map(command).collect()
}

/// The blocks of code in a Markdown text that are configuration: those that begin with a table or a key.
pub fn configurations(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(code) => {
                if let Some(block) = blocks.last_mut() {
                    *block += &format!("{}\n", code.trim());
                }
            }
            None => blocks.push(String::new()),
        }
    }
    let is_configuration = |block: &String| {
        let first = block.lines().next().unwrap_or_default();
        let is_key =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        first.starts_with('[') || first.split_once(" = ").is_some_and(|(key, _)| is_key(key))
    };
    blocks.into_iter().filter(is_configuration).collect()
}
