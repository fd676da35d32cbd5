//! Streams that are on the air for one announcement.

use std::collections::BTreeMap;
use std::sync::Arc;

use unisono_common::config::sender::{SourceConfig, StreamConfig};
use unisono_common::control::Announced;
use unisono_common::format::Format;
use unisono_common::identity::StreamIdentity;
use unisono_host::multicast::{self, MulticastSender, SendOptions};
use unisono_host::{clock, random};

use super::{DSCP, Inner, Live, described, wait_for_end};
use crate::describe;
use crate::mixdown::{Mixdown, Rules};
use crate::paging::{HOLD_MS, LEAD, Page, PageError, PageRequest};
use crate::service::StartError;
use crate::source;
use crate::streams::{Address, OnAir, Quiet};
use crate::transmit::{Feed, Outgoing};

impl Live {
    /// Puts an announcement on the air: its first word is [`LEAD`] from now.
    pub(crate) fn begin_page(&self, request: &PageRequest) -> Result<Page, PageError> {
        Ok(self.inner().begin_page(request)?)
    }

    /// Takes it off again.
    pub(crate) fn end_page(&self, page: Page) {
        self.inner().end_page(page);
    }
}

impl Inner {
    fn begin_page(&mut self, request: &PageRequest) -> Result<Page, StartError> {
        let begins = clock::now() + LEAD.as_nanos() as i64;
        let mut page = Page {
            instead: Vec::new(),
            lanes: Vec::new(),
            sources: Vec::new(),
            begins,
            ended: std::sync::Mutex::default(),
        };
        let mut voices = BTreeMap::new();
        for over in &request.over {
            let under = over.as_ref().and_then(|id| self.entries.iter().find(|entry| entry.config.id == *id));
            let format = under.map_or(Format::DEFAULT, |entry| entry.config.format);
            let rank = under.map_or(0, |entry| u8::from(matches!(entry.config.source, SourceConfig::Mix { .. })));
            let under = under.map(|entry| entry.config.id.clone()).map(|id| self.key(&id));
            let said = self.begin_over(request, &mut page, &mut voices, format, under.map(|key| (key, rank)));
            match said {
                Ok(announced) => page.instead.push((over.clone(), announced)),
                Err(error) => {
                    self.end_page(page);
                    return Err(error);
                }
            }
        }
        Ok(page)
    }

    /// The announcement over one stream, given by its key and rank; `voices` are the file's sources, by format.
    fn begin_over(
        &mut self,
        request: &PageRequest,
        page: &mut Page,
        voices: &mut BTreeMap<String, u64>,
        format: Format,
        under: Option<(u64, u8)>,
    ) -> Result<Announced, StartError> {
        let voice = match voices.get(&format.to_string()) {
            Some(voice) => *voice,
            None => {
                let voice = self.voice(request, page, format)?;
                voices.insert(format.to_string(), voice);
                voice
            }
        };
        let key = self.new_key();
        let id = format!("page-{:08x}", random::nonzero_u32());
        let keys: Vec<u64> = std::iter::once(voice).chain(under.map(|(key, _)| key)).collect();
        let samples = format.packet_frames() as usize * usize::from(format.channels);
        let rules = Rules::new(request.duck_db, 0, HOLD_MS, format.rate);
        let mix = Mixdown::new(rules, &keys, format.channels.into(), format.depth.bits(), samples);
        let mut config = StreamConfig::new(&id, SourceConfig::Demo);
        (config.format, config.name) = (format, "Announcement".to_owned());
        let taken = self.entries.iter().flat_map(|entry| entry.groups.addresses()).collect();
        let groups = describe::groups_beside(&config, taken);
        let identity = StreamIdentity::new(random::number().to_be_bytes());
        let host = &self.network.host;
        let sdp = describe::session(&config, &groups, host, &identity).to_string();
        let options = SendOptions { source_port: groups.media.port(), ttl: host.ttl, dscp: DSCP };
        let socket = MulticastSender::open(&self.network.interface, multicast::IPV4, options)
            .map_err(|error| StartError::Network { id: id.clone(), error })?;
        let (status, control) = source::none(format);
        let quiet = Quiet::new(config.silence_db, format.depth.bits(), config.idle_after_s, clock::now());
        let on_air =
            OnAir::new(Address { group: groups.media, ssrc: identity.ssrc, sdp: sdp.clone() }, status, control, quiet);
        let copies = self.repair.begin(&config, &groups, &on_air, host.playout_delay_ms);
        self.transmitter.put(Outgoing {
            key,
            rank: 1 + under.map_or(0, |(_, rank)| rank),
            stream: Arc::new(described(&config, Some(on_air))),
            feed: Feed::Mix(Box::new(mix)),
            socket: Some(Arc::new(socket)),
            from_frame: i64::MIN,
            copies: Some(copies),
        });
        page.lanes.push(key);
        Ok(Announced { id, sdp })
    }

    /// The file as a stream that is only mixed into others; its key.
    fn voice(&mut self, request: &PageRequest, page: &mut Page, format: Format) -> Result<u64, StartError> {
        let config = StreamConfig { format, ..StreamConfig::new("announcement", SourceConfig::Demo) };
        let source =
            source::clip(&request.file, format).map_err(|error| StartError::Source { id: config.id.clone(), error })?;
        let key = self.new_key();
        page.sources.push(source.status());
        page.lanes.push(key);
        self.transmitter.put(Outgoing {
            key,
            rank: 0,
            stream: Arc::new(described(&config, None)),
            feed: Feed::Source(source),
            socket: None,
            from_frame: self.clock.at(page.begins).to_frame(format.rate),
            copies: None,
        });
        Ok(key)
    }

    fn end_page(&mut self, page: Page) {
        for key in &page.lanes {
            self.transmitter.remove(*key);
        }
        self.transmitter.settle();
        page.sources.iter().for_each(wait_for_end);
    }
}
