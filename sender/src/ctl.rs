//! `unisono-sender ctl`: the house from the command line.

mod groups;
mod library;
mod table;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::serve::SOCKET;
use crate::client::{ClientError, Target};
use library::{QueueRequest, escaped};
pub(crate) use table::shown;
use table::{lines, table};

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
    /// Sets which streams a room plays while its own has been silent for long.
    Otherwise {
        /// The room.
        room: String,
        /// The streams, at most 8: the first that is not silent is played. Or "none".
        #[arg(required = true)]
        streams: Vec<String>,
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
    /// Silences a room or a group; it stays in step.
    Mute {
        /// The room or the group.
        room: String,
    },
    /// Takes a mute back.
    Unmute {
        /// The room or the group.
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
    /// Renames a room or a group.
    Rename {
        /// The room or the group.
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
    /// Adds rooms to a group.
    Join {
        /// The group.
        group: String,
        /// The rooms; each leaves the group it was in.
        #[arg(required = true)]
        rooms: Vec<String>,
    },
    /// Takes rooms out of a group, where two must stay.
    Leave {
        /// The group.
        group: String,
        /// The rooms.
        #[arg(required = true)]
        rooms: Vec<String>,
    },
    /// Dissolves a group; its rooms stay as they are.
    Ungroup {
        /// The group.
        group: String,
    },
    /// Keeps the house as it stands, over the scene of this name if there is one.
    Keep {
        /// Name of the scene.
        scene: String,
    },
    /// Puts the house as it stood.
    Recall {
        /// The scene.
        scene: String,
    },
    /// Forgets a scene.
    ForgetScene {
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
        (false, Request::Groups) => table(&answer, &["name", "volume_db", "mute", "rooms", "id"]),
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
            Request::Otherwise { room, streams } => self.otherwise(room, streams),
            Request::Volume { room, volume } => self.volume(room, volume),
            Request::Max { room, db } => self.room(room, json!({"max_db": db})),
            Request::Mute { room } => self.either(room, json!({"mute": true})),
            Request::Unmute { room } => self.either(room, json!({"mute": false})),
            Request::Trim { room, us } => self.room(room, json!({"trim_us": us})),
            Request::Channels { room, channels } => self.room(room, json!({"channels": channels})),
            Request::Rename { room, name } => self.either(room, json!({"name": name})),
            Request::Identify { room } => self.post(&format!("rooms/{}/identify", self.id("rooms", room)?), None),
            Request::Admit { room } => self.post(&format!("rooms/{}/admit", self.id("rooms", room)?), None),
            Request::Forget { room } => self.delete(&format!("rooms/{}", self.id("rooms", room)?)),
            Request::Group { name, rooms } => {
                let rooms = self.ids("rooms", rooms)?;
                self.post("groups", Some(json!({"name": name, "rooms": rooms})))
            }
            Request::Join { group, rooms } => self.join(group, rooms),
            Request::Leave { group, rooms } => self.leave(group, rooms),
            Request::Ungroup { group } => self.delete(&format!("groups/{}", self.id("groups", group)?)),
            Request::Keep { scene } => self.keep(scene),
            Request::Recall { scene } => self.post(&format!("scenes/{}/recall", self.id("scenes", scene)?), None),
            Request::ForgetScene { scene } => self.delete(&format!("scenes/{}", self.id("scenes", scene)?)),
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
        self.either(whose, change)
    }

    fn otherwise(&self, room: &str, streams: &[String]) -> Result<Value, ClientError> {
        let streams = match streams {
            [none] if none == "none" => Vec::new(),
            streams => self.ids("streams", streams)?,
        };
        self.room(room, json!({"otherwise": streams}))
    }

    /// Keeps the house over the scene that goes by this name or id, or else as a new one.
    fn keep(&self, scene: &str) -> Result<Value, ClientError> {
        let kept = self.called("scenes", scene);
        if kept.is_empty() {
            return self.post("scenes", Some(json!({"name": scene})));
        }
        let path = format!("/api/v1/scenes/{}", self.id("scenes", scene)?);
        self.target.ask("PUT", &path, Some(&json!({"name": kept[0]["name"]})))
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
        let those = self.called(kind, called);
        match those[..] {
            [one] => Ok(shown(&one["id"])),
            [] => {
                let names: Vec<_> = self.things(kind).iter().map(|thing| shown(&thing["name"])).collect();
                let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                Err(ClientError::Problem(format!("there is no \"{called}\" among the {kind}; there is: {there}")))
            }
            _ => Err(ClientError::Problem(format!("several {kind} are called \"{called}\"; give the id"))),
        }
    }

    fn ids(&self, kind: &str, called: &[String]) -> Result<Vec<String>, ClientError> {
        called.iter().map(|called| self.id(kind, called)).collect()
    }

    /// The thing of a kind that has this id, or else all that have this name.
    fn called(&self, kind: &str, called: &str) -> Vec<&Value> {
        let things = self.things(kind);
        let name = |thing: &&Value| thing["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(called));
        match things.iter().find(|thing| thing["id"] == called) {
            Some(thing) => vec![thing],
            None => things.iter().filter(name).collect(),
        }
    }

    fn things(&self, kind: &str) -> &[Value] {
        self.view[kind].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The link as it is opened from here: at the hub's address that was typed, or else at the hub's own name.
    fn link(&self, answer: &Value) -> String {
        match &self.target {
            Target::Network { .. } => format!("{}{}", self.target, shown(&answer["path"])),
            Target::Socket(_) => shown(&answer["url"]),
        }
    }
}
