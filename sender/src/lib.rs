//! The sender: turns music into streams, and keeps the house. In the order of the data path:
//!
//! - [`cli`]: the command line and the configuration that it names;
//! - [`service`]: opens everything, starts it, ends it;
//! - [`library`]: the files of a folder and the order they are played in;
//! - [`unisono_audio::decode`]: from a file to PCM;
//! - [`unisono_audio::convert`]: from any PCM to a stream's format;
//! - [`source`]: where a stream's audio comes from, and the queue it waits in;
//! - [`unisono_audio::mixdown`] (pure): several streams into one;
//! - [`timeline`], [`pace`], [`steer`] (pure): which frames a packet holds, and when it leaves;
//! - [`packetize`] (pure): frames into packets;
//! - [`transmit`]: the real-time thread that sends them.
//!
//! Beside it:
//!
//! - [`timeserver`]: the clock that rooms follow;
//! - [`describe`] (pure): who a stream is on the network;
//! - [`aes67`]: streams by the clock of a PTP grandmaster;
//! - [`live`]: streams put on air, changed and taken off while the others play on;
//! - [`paging`]: a file that rooms play over their music, in step;
//! - [`announce`], [`report`], and [`teller`], which runs them: SAP and RTCP;
//! - [`repair`]: packets that rooms have lost, sent again;
//! - [`streams`]: the streams as the API and the page see them;
//! - [`hub`]: keeps the [`house`] (rooms, what they play and how loud) in its [`store`], and its rooms' links;
//! - [`api`]: the hub over HTTP, for pages, programs and rooms;
//! - [`listen`]: streams as files without end, for whatever speaks no RTP;
//! - [`discovery`]: being found;
//! - [`client`], [`ctl`], [`watch`]: the API from the other side, for the command line;
//! - [`doctor`]: what is wrong with this host, for the command line too.

pub mod aes67;
pub mod announce;
pub mod api;
pub mod cli;
pub mod client;
pub mod ctl;
pub mod describe;
pub mod discovery;
pub mod doctor;
pub mod house;
pub mod hub;
pub mod library;
pub mod listen;
pub mod live;
mod mailbox;
pub mod pace;
pub mod packetize;
pub mod paging;
pub mod repair;
pub mod report;
pub mod service;
pub mod source;
pub mod steer;
pub mod store;
pub mod streams;
pub mod teller;
pub mod timeline;
pub mod timeserver;
pub mod transmit;
pub mod watch;

#[cfg(test)]
mod testing;
