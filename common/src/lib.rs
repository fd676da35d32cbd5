//! What both ends of Unisono must agree on, and nothing else.
//!
//! Everything here is pure: no socket, thread, file, clock or random source. Time and randomness come in as
//! arguments, so that every decision can be replayed. In the order of the data path:
//!
//! - [`time`]: the two time domains, local time and media time, and how frames and RTP timestamps follow from them;
//! - [`format`](mod@format): the shape of a stream's PCM and the RTP profile that follows from it;
//! - [`pcm`]: samples to bytes and back;
//! - [`rtp`], [`sequence`]: the packets that carry them;
//! - [`sdp`], [`sap`]: how a stream is described and announced;
//! - [`rtcp`]: the reports beside it, and requests for what was lost;
//! - [`rtx`]: packets that are sent again;
//! - [`fec`]: parity across packets, to compute what was lost;
//! - [`delivery`]: a stream by unicast, for a room that does not hear its group;
//! - [`clock`]: how a receiver learns the sender's clock;
//! - [`playout_delay`]: one figure for all rooms, and how it changes unheard;
//! - [`identity`]: what a stream keeps over restarts;
//! - [`config`]: the configuration files of both daemons;
//! - [`control`]: what the hub and a room say to each other;
//! - [`doctor`]: what a machine that is looked at for faults is found to have.
#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
pub mod control;
pub mod delivery;
pub mod doctor;
pub mod fec;
pub mod format;
pub mod identity;
pub mod pcm;
pub mod playout_delay;
pub mod rtcp;
pub mod rtp;
pub mod rtx;
pub mod sap;
pub mod sdp;
pub mod sequence;
pub mod time;
