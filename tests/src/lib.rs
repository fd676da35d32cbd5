//! The system seen from outside: its own measuring rig, and what the end-to-end tests share.
//!
//! In the order in which a measurement goes:
//!
//! - [`signals`], [`album`]: what is played;
//! - [`feeder`]: puts it into a sender's pipe;
//! - [`namespaces`], [`processes`]: hosts on a switch, and programs on them; [`threads`]: which of their threads cost what;
//! - [`switch`]: a switch that loses, delays, reorders and doubles what passes it;
//! - [`instruments`]: what makes a program believe in a host clock that is off, and in a sound card that is;
//! - [`house`], [`snapcast`], [`pulseaudio`], [`player`]: Unisono, Snapcast, PulseAudio and the least of players in such a house;
//! - [`station`]: a sender of many streams on loopback, its API and its packets;
//! - [`capture`]: what passes a host's interface; [`aes67`]: what descriptions of such streams must say;
//! - [`records`]: what a simulated card put on its analog output;
//! - [`analysis`]: where each room was in the signal, and how far apart they were; pure;
//! - [`stalls`]: what the machine itself did meanwhile; [`machine`]: which one it is;
//! - [`interop`]: the table of other people's programs;
//! - [`container`], [`guide`]: machines that boot, and the commands of the guide that they run;
//! - [`plot`]: offset of each room against time;
//! - [`truth`]: the clock that all of this is measured by.
//!
//! Beside it, [`simulation`]: the pure cores in virtual time; and [`shelf`]: a library of any size.
//!
//! The rig is `cargo run --release -p unisono-tests --bin rig -- --help`.

pub mod aes67;
pub mod album;
pub mod analysis;
pub mod capture;
pub mod container;
pub mod feeder;
pub mod guide;
pub mod hot;
pub mod house;
pub mod instruments;
pub mod interop;
pub mod machine;
pub mod namespaces;
pub mod player;
pub mod plot;
pub mod processes;
pub mod pulseaudio;
pub mod records;
pub mod shelf;
pub mod signals;
pub mod simulation;
pub mod snapcast;
pub mod stalls;
pub mod station;
pub mod switch;
pub mod threads;
pub mod truth;

/// Above this, a sample is sound and not silence or dither; full scale is 1.
pub const AUDIBLE: f64 = 1e-3;
