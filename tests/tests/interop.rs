//! Other people's programs, in network namespaces with ours: they play our streams, we play theirs, they follow our clock.
//! Each test is one row of the table in docs/interop.md, which `UNISONO_WRITE_INTEROP=1` has them write anew.
//!
//! Needs root, a C compiler and the programs, which ./test installs; what isn't there is skipped, loudly.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "interop/clock.rs"]
mod clock;
mod common;
#[path = "interop/formats.rs"]
mod formats;
#[path = "interop/peers.rs"]
mod peers;
#[path = "interop/pipewire.rs"]
mod pipewire;
#[path = "interop/players.rs"]
mod players;
#[path = "interop/pulseaudio.rs"]
mod pulseaudio;
#[path = "interop/senders.rs"]
mod senders;
#[path = "interop/sound.rs"]
mod sound;
#[path = "interop/table.rs"]
mod table;
#[path = "interop/wire.rs"]
mod wire;
