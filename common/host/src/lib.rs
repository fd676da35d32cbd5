//! What both ends of Unisono need of the machine they run on, and the only place of the workspace's shared code with
//! `unsafe`. It decides nothing: it reads clocks, opens sockets and asks for priorities, and says plainly what it got.
//!
//! - [`clock`]: CLOCK_MONOTONIC_RAW, sleeping until one of its readings, and packet stamps converted to it;
//! - [`facts`]: what `doctor` looks at;
//! - [`following`]: a thread that follows a clock;
//! - [`gpio`]: the line that switches an amplifier;
//! - [`interface`]: network interfaces by name;
//! - [`log`]: lines for people and for journald;
//! - [`multicast`]: sockets that send to and receive from groups on one interface;
//! - [`peer`]: the unicast socket by which lost packets are asked for and answered;
//! - [`stamped`]: the unicast socket of the clock exchange, with the kernel's own receive and transmit stamps;
//! - [`probe`]: whether groups are carried from the hub to here;
//! - [`realtime`]: scheduling, locked memory and thread names;
//! - [`seal`]: the link between a room and its hub, proved and encrypted;
//! - [`state`]: the small files that survive a restart;
//! - [`stop`]: ending threads that wait for packets;
//! - [`supervisor`]: what the service manager is told, its watchdog among it;
//! - [`wait`]: waiting for several sockets at once;
//! - [`random`]: numbers that nobody can guess, for epochs, seeds and identities.
//!
//! Linux only. Everything goes through libc (never raw system calls), so that a preloaded library can give a process
//! a clock of its own: that is how the tests make hosts with clocks that are off.
#![warn(clippy::multiple_unsafe_ops_per_block)]

pub mod clock;
pub mod facts;
pub mod following;
pub mod gpio;
pub mod interface;
pub mod log;
pub mod multicast;
mod nic;
pub mod peer;
pub mod probe;
pub mod ptp;
pub mod published;
pub mod random;
pub mod realtime;
pub mod seal;
mod socket;
pub mod stamped;
pub mod state;
pub mod stop;
pub mod supervisor;
pub mod wait;

pub use socket::Received;
