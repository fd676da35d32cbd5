//! Symphonia's channel descriptions as ours.

use symphonia::core::audio::{AudioSpec, ChannelLabel, Channels, Position};

use crate::convert::{Layout, MAX_CHANNELS, RATES, Shape, Speaker};

/// The shape of a decoder's output, with no depth yet.
pub(super) fn shape(spec: &AudioSpec) -> Result<Shape, String> {
    if !RATES.contains(&spec.rate()) {
        return Err(format!("{} frames a second", spec.rate()));
    }
    Ok(Shape { rate: spec.rate(), layout: layout(spec.channels())?, bits: None })
}

/// Channels in the order of the decoder's planes: positioned ones in the order of their bits.
pub(super) fn layout(channels: &Channels) -> Result<Layout, String> {
    let count = channels.count();
    if count == 0 || count > MAX_CHANNELS {
        return Err(format!("{count} channels; up to {MAX_CHANNELS} can be played"));
    }
    let speakers: Vec<Speaker> = match channels {
        Channels::Positioned(positions) => positions.iter().map(speaker).collect(),
        Channels::Custom(labels) if labels.iter().all(|l| matches!(l, ChannelLabel::Positioned(_))) => labels
            .iter()
            .map(|label| if let ChannelLabel::Positioned(p) = label { speaker(*p) } else { Speaker::Elsewhere })
            .collect(),
        _ => return Ok(Layout::of_count(count)),
    };
    Layout::new(&speakers).filter(|l| l.len() == count).ok_or_else(|| "channels that have no order".to_owned())
}

fn speaker(position: Position) -> Speaker {
    const ORDER: [(Position, Speaker); 11] = [
        (Position::FRONT_LEFT, Speaker::FrontLeft),
        (Position::FRONT_RIGHT, Speaker::FrontRight),
        (Position::FRONT_CENTER, Speaker::FrontCentre),
        (Position::LFE1, Speaker::Lfe),
        (Position::REAR_LEFT, Speaker::BackLeft),
        (Position::REAR_RIGHT, Speaker::BackRight),
        (Position::FRONT_LEFT_CENTER, Speaker::FrontLeftOfCentre),
        (Position::FRONT_RIGHT_CENTER, Speaker::FrontRightOfCentre),
        (Position::REAR_CENTER, Speaker::BackCentre),
        (Position::SIDE_LEFT, Speaker::SideLeft),
        (Position::SIDE_RIGHT, Speaker::SideRight),
    ];
    ORDER.iter().find(|(p, _)| *p == position).map_or(Speaker::Elsewhere, |(_, s)| *s)
}
