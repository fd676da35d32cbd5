//! `unisono-sender ctl`: the house from the command line.

mod library;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::serve::SOCKET;
use crate::client::{ClientError, Target};
use library::{QueueRequest, escaped};

/// Which hub is meant.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// Hub to ask; without it the one of this host, through the socket in its state directory.
    #[arg(long, value_name = "http://HOST:PORT", global = true)]
    hub: Option<String>,
    /// Token of the sign-in link, to change something at a hub elsewhere; $UNISONO_TOKEN serves as well.
    #[arg(long, global = true)]
    token: Option<String>,
    /// State directory of the sender on this host.
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
    /// Prints JSON as the API gives it.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to ask of the hub. A room or a stream goes by its id or its name.
#[derive(Clone, Debug, Subcommand)]
pub enum Request {
    /// Lists the rooms.
    Rooms,
    /// Lists the streams.
    Streams,
    /// Reads the configuration file anew; streams that are the same in it play on.
    Reload,
    /// Lists the groups.
    Groups,
    /// Lists the scenes.
    Scenes,
    /// Lets a room play a stream.
    Patch {
        /// The room, or "everywhere".
        room: String,
        /// The stream, or "none" for silence.
        stream: String,
    },
    /// Sets the volume of a room or a group.
    Volume {
        /// The room or the group.
        room: String,
        /// -60 (silence) to 0 dB, or 0% to 100% of a fader's travel.
        #[arg(allow_hyphen_values = true)]
        volume: String,
    },
    /// Sets the loudest that a room may be.
    Max {
        /// The room.
        room: String,
        /// -60 to 0, in dB.
        #[arg(allow_hyphen_values = true)]
        db: f32,
    },
    /// Silences a room; it stays in step.
    Mute {
        /// The room.
        room: String,
    },
    /// Takes a mute back.
    Unmute {
        /// The room.
        room: String,
    },
    /// Moves a room's sound in time.
    Trim {
        /// The room.
        room: String,
        /// Microseconds; positive is later.
        #[arg(allow_hyphen_values = true)]
        us: i64,
    },
    /// Sets which channels a room plays.
    Channels {
        /// The room.
        room: String,
        /// stereo, left, right or mono.
        channels: String,
    },
    /// Renames a room.
    Rename {
        /// The room.
        room: String,
        /// Its new name.
        name: String,
    },
    /// Makes a room chirp.
    Identify {
        /// The room.
        room: String,
    },
    /// Lets a room in that waits at the door.
    Admit {
        /// The room.
        room: String,
    },
    /// Forgets a room that is gone, or turns one away.
    Forget {
        /// The room.
        room: String,
    },
    /// Makes a group of rooms.
    Group {
        /// Its name.
        name: String,
        /// Its rooms.
        #[arg(required = true, num_args = 2..)]
        rooms: Vec<String>,
    },
    /// Dissolves a group.
    Ungroup {
        /// The group.
        group: String,
    },
    /// Keeps the house as it stands.
    Keep {
        /// Name of the scene.
        scene: String,
    },
    /// Puts the house as it stood.
    Recall {
        /// The scene.
        scene: String,
    },
    /// Switches a stream on.
    Enable {
        /// The stream.
        stream: String,
    },
    /// Switches a stream off; its rooms are silent.
    Disable {
        /// The stream.
        stream: String,
    },
    /// Lets a stream's source go on.
    Play {
        /// The stream.
        stream: String,
    },
    /// Holds a stream's source.
    Pause {
        /// The stream.
        stream: String,
    },
    /// To the next track.
    Next {
        /// The stream.
        stream: String,
    },
    /// To the start of the track, or the one before.
    Previous {
        /// The stream.
        stream: String,
    },
    /// To a position in the track.
    Seek {
        /// The stream.
        stream: String,
        /// Seconds from its start.
        position_s: f64,
    },
    /// Finds pieces in the library.
    Search {
        /// Beginnings of words in title, artist or album.
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Says how much there is in the library and how its reading goes; with `--scan` all folders are read again.
    Library {
        /// Reads all folders again.
        #[arg(long)]
        scan: bool,
    },
    /// Shows or changes what a stream plays next.
    Queue {
        /// The stream.
        stream: String,
        /// What is to be done; without anything it is shown.
        #[command(subcommand)]
        change: Option<QueueRequest>,
    },
    /// Makes a new sign-in link and prints it; the old one is worth nothing any more.
    Link,
    /// Sets the password, read from standard input; an empty line takes it away.
    Password,
}

impl Where {
    /// The hub, as far as the command line tells.
    pub fn target(&self) -> Result<Target, ClientError> {
        let token = self.token.clone().or_else(|| std::env::var("UNISONO_TOKEN").ok());
        match &self.hub {
            Some(url) => Target::url(url, token),
            None => Ok(Target::Socket(unisono_host::state::directory(self.state_dir.as_deref()).join(SOCKET))),
        }
    }
}

/// Does it, and returns what is to be printed.
pub fn run(hub: &Where, request: &Request) -> Result<String, ClientError> {
    let house = House::of(hub.target()?)?;
    let answer = house.perform(request)?;
    Ok(match (hub.json, request) {
        (true, _) if answer.is_null() => String::new(),
        (true, _) => format!("{answer:#}\n"),
        (false, Request::Rooms) => table(&answer, &["name", "presence", "stream", "volume_db", "mute", "id"]),
        (false, Request::Streams) => table(&answer, &["id", "name", "kind", "format", "address", "enabled"]),
        (false, Request::Groups) => table(&answer, &["name", "volume_db", "rooms", "id"]),
        (false, Request::Scenes) => table(&answer, &["name", "current", "id"]),
        (false, Request::Search { .. }) => table(&answer, &["id", "title", "artist", "album", "duration_s"]),
        (false, Request::Library { scan: false }) => lines(&answer),
        (false, Request::Queue { change: Some(QueueRequest::Player { .. }), .. }) => lines(&answer),
        (false, Request::Queue { change: None, .. }) => table(&answer, &["entry", "title", "artist", "album", "id"]),
        (false, Request::Reload) => format!("{answer:#}\n"),
        (false, Request::Link) => format!("{}\n", house.link(&answer)),
        (false, _) => String::new(),
    })
}

/// The hub with its house as it was a moment ago, to look names up in.
struct House {
    target: Target,
    view: Value,
}

impl House {
    fn of(target: Target) -> Result<Self, ClientError> {
        Ok(House { view: target.get("/api/v1/house")?, target })
    }

    fn perform(&self, request: &Request) -> Result<Value, ClientError> {
        match request {
            Request::Rooms => Ok(self.view["rooms"].clone()),
            Request::Streams => Ok(self.view["streams"].clone()),
            Request::Reload => self.post("reload", None),
            Request::Groups => Ok(self.view["groups"].clone()),
            Request::Scenes => Ok(self.view["scenes"].clone()),
            Request::Patch { room, stream } => self.patch(room, stream),
            Request::Volume { room, volume } => self.volume(room, volume),
            Request::Max { room, db } => self.room(room, json!({"max_db": db})),
            Request::Mute { room } => self.room(room, json!({"mute": true})),
            Request::Unmute { room } => self.room(room, json!({"mute": false})),
            Request::Trim { room, us } => self.room(room, json!({"trim_us": us})),
            Request::Channels { room, channels } => self.room(room, json!({"channels": channels})),
            Request::Rename { room, name } => self.room(room, json!({"name": name})),
            Request::Identify { room } => self.post(&format!("rooms/{}/identify", self.id("rooms", room)?), None),
            Request::Admit { room } => self.post(&format!("rooms/{}/admit", self.id("rooms", room)?), None),
            Request::Forget { room } => self.delete(&format!("rooms/{}", self.id("rooms", room)?)),
            Request::Group { name, rooms } => {
                let rooms: Vec<_> = rooms.iter().map(|room| self.id("rooms", room)).collect::<Result<_, _>>()?;
                self.post("groups", Some(json!({"name": name, "rooms": rooms})))
            }
            Request::Ungroup { group } => self.delete(&format!("groups/{}", self.id("groups", group)?)),
            Request::Keep { scene } => self.post("scenes", Some(json!({"name": scene}))),
            Request::Recall { scene } => self.post(&format!("scenes/{}/recall", self.id("scenes", scene)?), None),
            Request::Enable { stream } => self.enable(stream, true),
            Request::Disable { stream } => self.enable(stream, false),
            Request::Play { stream } => self.act(stream, json!({"action": "play"})),
            Request::Pause { stream } => self.act(stream, json!({"action": "pause"})),
            Request::Next { stream } => self.act(stream, json!({"action": "next"})),
            Request::Previous { stream } => self.act(stream, json!({"action": "previous"})),
            Request::Seek { stream, position_s } => {
                self.act(stream, json!({"action": "seek", "position_s": position_s}))
            }
            Request::Search { words } => {
                self.target.get(&format!("/api/v1/library/search?q={}", escaped(&words.join(" "))))
            }
            Request::Library { scan: true } => self.post("library/scan", None),
            Request::Library { scan: false } => self.target.get("/api/v1/library"),
            Request::Queue { stream, change } => self.queue(&self.id("streams", stream)?, change.as_ref()),
            Request::Link => self.post("sign-in-link", None),
            Request::Password => self.password(),
        }
    }

    fn patch(&self, room: &str, stream: &str) -> Result<Value, ClientError> {
        let stream = match stream {
            "none" => Value::Null,
            stream => self.id("streams", stream)?.into(),
        };
        let path = match room {
            "everywhere" => "/api/v1/subscriptions".to_owned(),
            room => format!("/api/v1/subscriptions/{}", self.id("rooms", room)?),
        };
        self.target.ask("PUT", &path, Some(&json!({"stream": stream})))
    }

    fn volume(&self, whose: &str, volume: &str) -> Result<Value, ClientError> {
        let wrong = || ClientError::Problem(format!("\"{volume}\" is no volume; write -60 to 0 (dB) or 0% to 100%"));
        let change = match volume.strip_suffix('%') {
            Some(percent) => json!({"volume": percent.parse::<f64>().map_err(|_| wrong())? / 100.0}),
            None => json!({"volume_db": volume.trim_end_matches("dB").trim().parse::<f64>().map_err(|_| wrong())?}),
        };
        match self.id("rooms", whose) {
            Ok(_) => self.room(whose, change),
            Err(error) => {
                let group = self.id("groups", whose).map_err(|_| error)?;
                self.target.ask("PATCH", &format!("/api/v1/groups/{group}"), Some(&change))
            }
        }
    }

    fn room(&self, room: &str, change: Value) -> Result<Value, ClientError> {
        self.target.ask("PATCH", &format!("/api/v1/rooms/{}", self.id("rooms", room)?), Some(&change))
    }

    fn enable(&self, stream: &str, enabled: bool) -> Result<Value, ClientError> {
        let path = format!("/api/v1/streams/{}", self.id("streams", stream)?);
        self.target.ask("PATCH", &path, Some(&json!({"enabled": enabled})))
    }

    fn act(&self, stream: &str, action: Value) -> Result<Value, ClientError> {
        self.post(&format!("streams/{}/playback", self.id("streams", stream)?), Some(action))
    }

    fn password(&self) -> Result<Value, ClientError> {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| ClientError::Problem(error.to_string()))?;
        let password = Some(line.trim_end_matches(['\r', '\n'])).filter(|line| !line.is_empty());
        self.target.ask("PUT", "/api/v1/password", Some(&json!({"password": password})))
    }

    fn post(&self, path: &str, body: Option<Value>) -> Result<Value, ClientError> {
        self.target.ask("POST", &format!("/api/v1/{path}"), body.as_ref())
    }

    fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.target.ask("DELETE", &format!("/api/v1/{path}"), None)
    }

    /// Id of the one thing of a kind that goes by this id or name.
    fn id(&self, kind: &str, called: &str) -> Result<String, ClientError> {
        let things = self.view[kind].as_array().map(Vec::as_slice).unwrap_or_default();
        if things.iter().any(|thing| thing["id"] == called) {
            return Ok(called.to_owned());
        }
        let name = |thing: &&Value| thing["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(called));
        let named: Vec<_> = things.iter().filter(name).collect();
        match named[..] {
            [one] => Ok(shown(&one["id"])),
            [] => {
                let names: Vec<_> = things.iter().map(|thing| shown(&thing["name"])).collect();
                let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                Err(ClientError::Problem(format!("there is no \"{called}\" among the {kind}; there is: {there}")))
            }
            _ => Err(ClientError::Problem(format!("several {kind} are called \"{called}\"; give the id"))),
        }
    }

    /// The link as it is opened from here: at the hub's address that was typed, or else at the hub's own name.
    fn link(&self, answer: &Value) -> String {
        match &self.target {
            Target::Network { .. } => format!("{}{}", self.target, shown(&answer["path"])),
            Target::Socket(_) => shown(&answer["url"]),
        }
    }
}

/// Rows of these fields, in columns.
fn table(rows: &Value, fields: &[&str]) -> String {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let head: Vec<String> = fields.iter().map(|field| field.trim_end_matches("_db").to_owned()).collect();
    let cells = rows.iter().map(|row| fields.iter().map(|field| shown(&row[*field])).collect::<Vec<_>>());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..fields.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// The fields of an object, a line each; those of objects in it too.
fn lines(object: &Value) -> String {
    let fields = object.as_object().into_iter().flatten();
    let line = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => lines(value).lines().map(|line| format!("{name}.{line}\n")).collect(),
        value => format!("{name}: {}\n", shown(value)),
    };
    fields.map(line).collect()
}

/// A value as people write it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        value => value.to_string(),
    }
}
