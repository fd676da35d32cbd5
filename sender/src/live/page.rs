//! Streams that are on the air for one announcement.

use std::collections::BTreeMap;
use std::sync::Arc;

use unisono_common::config::sender::{Profile, SourceConfig, StreamConfig};
use unisono_common::control::Announced;
use unisono_common::format::Format;
use unisono_common::identity::StreamIdentity;
use unisono_host::multicast::{self, MulticastSender, SendOptions};
use unisono_host::{clock, random};

use super::{DSCP, Inner, Live, described, wait_for_end};
use crate::aes67::Timing;
use crate::describe;
use crate::paging::{HOLD_MS, LEAD, Page, PageError, PageRequest};
use crate::service::StartError;
use crate::source;
use crate::streams::{Address, OnAir, Quiet};
use crate::transmit::{Feed, Outgoing};
use unisono_audio::mixdown::{Mixdown, Rules};

/// What an announcement shares with the stream that it is played over.
struct Under {
    format: Format,
    profile: Profile,
    /// The PTP clock that both go by, if they do.
    timing: Option<Arc<Timing>>,
    /// The stream's key in the transmit thread, and its rank; none when nothing is played under it.
    lane: Option<(u64, u8)>,
}

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
            let under = self.under(over.as_deref());
            let said = self.begin_over(request, &mut page, &mut voices, &under);
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

    /// What the announcement over a stream has of it. A stream that is not on air for want of its clock is not heard.
    fn under(&mut self, id: Option<&str>) -> Under {
        let entry = self.entries.iter().find(|entry| Some(entry.config.id.as_str()) == id);
        let timing = entry.and_then(|entry| entry.stream.on_air.as_ref()?.timing.clone());
        let timing = timing.filter(|timing| timing.is_described());
        let heard = entry.filter(|entry| entry.config.profile == Profile::Unisono || timing.is_some());
        let (format, profile) =
            heard.map_or_else(Default::default, |entry| (Some(entry.config.format), entry.config.profile));
        let format = format.unwrap_or(Format::DEFAULT);
        let rank = heard.map_or(0, |entry| u8::from(matches!(entry.config.source, SourceConfig::Mix { .. })));
        let lane = heard.map(|entry| entry.config.id.clone()).map(|id| (self.key(&id), rank));
        Under { format, profile, timing, lane }
    }

    /// The announcement over one stream; `voices` are the file's sources, by format and clock.
    fn begin_over(
        &mut self,
        request: &PageRequest,
        page: &mut Page,
        voices: &mut BTreeMap<String, u64>,
        under: &Under,
    ) -> Result<Announced, StartError> {
        let &Under { format, profile, ref timing, lane } = under;
        let kind = format!("{format} {:?}", profile.ptp_domain());
        let voice = match voices.get(&kind) {
            Some(voice) => *voice,
            None => {
                let voice = self.voice(request, page, under)?;
                voices.insert(kind, voice);
                voice
            }
        };
        let key = self.new_key();
        let id = format!("page-{:08x}", random::nonzero_u32());
        let keys: Vec<u64> = std::iter::once(voice).chain(lane.map(|(key, _)| key)).collect();
        let mut config = StreamConfig::new(&id, SourceConfig::Demo);
        (config.format, config.profile, config.name) = (format, profile, "Announcement".to_owned());
        let samples = config.packet_frames() as usize * usize::from(format.channels);
        let rules = Rules::new(request.duck_db, 0, HOLD_MS, format.rate);
        let mix = Mixdown::new(rules, &keys, format.channels.into(), format.depth.bits(), samples);
        let taken = self.entries.iter().flat_map(|entry| entry.groups.addresses()).collect();
        let groups = describe::groups_beside(&config, taken);
        let identity = StreamIdentity::new(random::number().to_be_bytes());
        let host = &self.network.host;
        let ptp = timing.as_ref().and_then(|timing| timing.described_by());
        let clock = ptp.map_or_else(|| describe::own_clock(host), |(name, domain)| describe::ptp_clock(name, domain));
        let sdp = describe::session(&config, &groups, host, &identity, clock).to_string();
        let options = SendOptions { source_port: groups.media.port(), ttl: host.ttl, dscp: DSCP };
        let socket = MulticastSender::open(&self.network.interface, multicast::IPV4, options)
            .map_err(|error| StartError::Network { id: id.clone(), error })?;
        let (status, control) = source::none(format);
        let quiet = Quiet::new(config.silence_db, format.depth.bits(), config.idle_after_s, clock::now());
        let mut on_air =
            OnAir::new(Address { group: groups.media, ssrc: identity.ssrc, sdp: sdp.clone() }, status, control, quiet);
        on_air.timing.clone_from(timing);
        let copies = self.repair.begin(&config, &groups, &on_air, host.playout_delay_ms);
        self.transmitter.put(Outgoing {
            key,
            rank: 1 + lane.map_or(0, |(_, rank)| rank),
            stream: Arc::new(described(&config, Some(on_air))),
            clock: timing.as_ref().map(|timing| timing.clock()),
            feed: Feed::Mix(Box::new(mix)),
            socket: Some(Arc::new(socket)),
            from_frame: i64::MIN,
            copies: Some(copies),
        });
        page.lanes.push(key);
        Ok(Announced { id, sdp })
    }

    /// The file as a stream that is only mixed into others; its key.
    fn voice(&mut self, request: &PageRequest, page: &mut Page, under: &Under) -> Result<u64, StartError> {
        let &Under { format, profile, ref timing, .. } = under;
        let config = StreamConfig { format, profile, ..StreamConfig::new("announcement", SourceConfig::Demo) };
        let source =
            source::clip(&request.file, format).map_err(|error| StartError::Source { id: config.id.clone(), error })?;
        let key = self.new_key();
        page.sources.push(source.status());
        page.lanes.push(key);
        let begins = timing.as_ref().and_then(|timing| timing.media_at(page.begins));
        let begins = begins.unwrap_or_else(|| self.clock.at(page.begins));
        self.transmitter.put(Outgoing {
            key,
            rank: 0,
            stream: Arc::new(described(&config, None)),
            clock: timing.as_ref().map(|timing| timing.clock()),
            feed: Feed::Source(source),
            socket: None,
            from_frame: begins.to_frame(format.rate),
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
