//! One room: follows the sender's clock and puts each frame on the DAC at its time.
//!
//! In the order of the data path:
//!
//! - [`session`]: one stream, from its packets to steered content;
//! - [`jitter`]: the ring of frames indexed by the clock ([`conceal`]: what is played where frames are missing);
//! - [`resample`]: from content's rate to the card's, with exact positions ([`position`]);
//! - [`servo`]: how fast content must run;
//! - [`playout`]: which content goes into which frame of the device ([`mix`]: channels, fades, volume);
//! - [`pointer`], [`dac`]: at which instant each of those frames leaves.
//!
//! What is missing is asked for again as [`repair`] says; [`delivery`] decides by which way packets come.
//!
//! What runs it all: [`room`] decides what plays; [`discover`] and [`intake`] bring streams and their packets,
//! [`timeclient`] and `follow` their clock; [`audio`] and [`output`] keep the card playing, [`volume`] says
//! how loud; [`idle`] tells when there is nothing to play, [`amplifier`] and [`wake`] switch what else it takes;
//! [`hub`] is the link to who gives the orders, and [`status`] what is told about it all; [`doctor`] looks for what
//! is wrong with any of it.

pub mod amplifier;
pub mod audio;
pub mod cli;
pub mod conceal;
pub mod dac;
pub mod delivery;
pub mod discover;
pub mod doctor;
mod follow;
pub mod hub;
pub mod idle;
pub mod intake;
pub mod jitter;
pub mod mix;
pub mod output;
pub mod playout;
pub mod pointer;
pub mod position;
pub mod repair;
pub mod resample;
pub mod room;
pub mod servo;
pub mod session;
pub mod status;
pub mod timeclient;
pub mod volume;
pub mod wake;
