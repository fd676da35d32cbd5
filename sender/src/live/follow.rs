//! The network as it comes and goes: to the kernel an adapter that is plugged in again is another interface of the same
//! name, and a lease may bring another address.
//!
//! With the same address the sockets stay what they are, and packets go on: groups are sent to, and joined, on the
//! interface that is there now. Another address is in the description of every stream, so each becomes another session,
//! as after a change of the configuration ([`describe::settle`]). The clock's server and the page listen at every address.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tracing::{debug, info, warn};
use unisono_common::config::sender::SourceConfig;
use unisono_host::interface::Interface;
use unisono_host::multicast::{self, MulticastError, MulticastSender, SendOptions};
use unisono_host::stop::{self, StopHandle};
use unisono_host::{clock, wait};

use super::{DSCP, Entry, Inner, Live};
use crate::aes67::Clocks;
use crate::describe;
use crate::repair::RepairSocket;
use crate::service::StartError;
use crate::streams::OnAir;

/// Between two looks at the interface.
const LOOK_NS: i64 = 1_000_000_000;

/// The thread that looks. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Lookout {
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

impl Lookout {
    /// Starts to look, and to take these streams along.
    pub(crate) fn start(live: Live) -> io::Result<Self> {
        let (stop, signal) = stop::pair()?;
        let thread = thread::Builder::new().name("lookout".to_owned()).spawn(move || {
            while !signal.is_raised() {
                live.inner().look();
                let _ = wait::any([], clock::now() + LOOK_NS, Some(&signal));
            }
        })?;
        Ok(Lookout { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It can only have failed by a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn look(&mut self) {
        if let Some(now) = self.network.interface.moved(self.config.address.is_some()) {
            self.follow(now);
        }
        if self.lacking {
            self.complete();
        }
    }

    /// Goes on on the interface as it is now.
    fn follow(&mut self, now: Interface) {
        let elsewhere = now.ipv4 != self.network.interface.ipv4;
        if !elsewhere {
            self.clocks.listen_on(now.clone());
            self.repair.follow(now.clone());
        } else if let Err(error) = self.readdress(&now) {
            // The next look tries again.
            return debug!("{error}");
        }
        let address = self.network.host.address;
        info!(interface = now.name, %address, "the network is another one: streams go on there");
        self.teller.moved(now.clone());
        self.network.interface = now;
        let (mut deaf, mut anew) = (Vec::new(), Vec::new());
        for entry in std::mem::take(&mut self.entries) {
            let follows = |socket: &Arc<MulticastSender>| socket.follow(&self.network.interface).is_ok();
            if elsewhere || !entry.socket.as_ref().is_none_or(follows) {
                anew.push(entry);
            } else if entry.socket.is_some() && matches!(entry.config.source, SourceConfig::Rtp { .. }) {
                deaf.push(entry);
            } else {
                self.entries.push(entry);
            }
        }
        for entry in deaf {
            let config = entry.config.clone();
            let listens = self.change_source(entry, &config);
            self.note(listens);
        }
        for entry in anew {
            let opened = self.reopen(entry);
            self.note(opened);
        }
        self.list();
    }

    /// Takes to another address what is bound to this one.
    fn readdress(&mut self, now: &Interface) -> Result<(), MulticastError> {
        let host = &mut self.network.host;
        let options = SendOptions { source_port: 0, ttl: host.ttl, dscp: DSCP };
        let socket = RepairSocket::open(now, multicast::IPV4, options, self.config.repair_port)?;
        host.repair = socket.local_addr();
        host.address = now.ipv4.unwrap_or(host.address);
        self.repair.move_to(socket);
        self.clocks = Clocks::new(now.clone());
        Ok(())
    }

    /// Takes a stream off air and puts it there again, as the network is now.
    fn reopen(&mut self, entry: Entry) -> Result<(), StartError> {
        let (config, groups) = (entry.config.clone(), entry.groups);
        let on = entry.stream.on_air.as_ref().is_none_or(OnAir::is_on);
        self.take_off(entry);
        let opened = self.open(&config, groups)?;
        if let Some(on_air) = &opened.entry.stream.on_air {
            on_air.switch(on);
        }
        self.put(opened)
    }

    /// What can't be had now is tried for with each look.
    fn note(&mut self, result: Result<(), StartError>) {
        if let Err(error) = result {
            warn!("{error}");
            self.lacking = true;
        }
    }

    /// Puts on air what is configured and not there.
    fn complete(&mut self) {
        self.lacking = false;
        let streams = self.config.streams.clone();
        for (stream, groups) in streams.iter().zip(describe::groups(&streams)) {
            if self.entries.iter().any(|entry| entry.config.id == stream.id) {
                continue;
            }
            if let Err(error) = self.open(stream, groups).and_then(|opened| self.put(opened)) {
                debug!("{error}");
                self.lacking = true;
            }
        }
    }
}
