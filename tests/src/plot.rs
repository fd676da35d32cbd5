//! Offset of each room against time, as SVG.

use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

use crate::analysis::{Quantiles, Survey};

/// One system in one scene.
#[derive(Debug)]
pub struct Panel<'a> {
    /// What it shows.
    pub title: String,
    /// Its rooms' positions.
    pub survey: &'a Survey,
    /// What is left out of the scale at its beginning, in seconds.
    pub skip_s: f64,
}

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 300;
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x33, 0x33, 0x33),
];

/// Draws panels one above the other, each on its own scale.
pub fn draw(path: &Path, panels: &[Panel]) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, (WIDTH, PANEL_HEIGHT * panels.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        draw_panel(area, panel)?;
    }
    Ok(root.present()?)
}

/// Draws each curve against the number of rooms, one above the other.
pub fn against_rooms(path: &Path, curves: &[(&str, Vec<(f64, f64)>)]) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, (WIDTH, PANEL_HEIGHT * curves.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, (title, points)) in root.split_evenly((curves.len(), 1)).iter().zip(curves) {
        let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(1e-3, f64::max) * 1.1;
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..most(|p| p.0), 0.0..most(|p| p.1))?;
        chart.configure_mesh().x_desc("rooms").light_line_style(WHITE).draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), COLOURS[0].stroke_width(2)))?;
        chart.draw_series(points.iter().map(|p| Circle::new(*p, 4, COLOURS[0].filled())))?;
    }
    Ok(root.present()?)
}

fn draw_panel(area: &DrawingArea<SVGBackend, plotters::coord::Shift>, panel: &Panel) -> anyhow::Result<()> {
    let survey = panel.survey;
    let end_s = survey.times.last().map_or(1.0, |t| t + 0.5);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end_s, scale(panel))?;
    chart
        .configure_mesh()
        .x_desc("seconds since the first sound")
        .y_desc("µs from the rooms' mean")
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(0xdd, 0xdd, 0xdd))
        .draw()?;
    for room in 0..survey.rooms.len() {
        let colour = COLOURS[room % COLOURS.len()];
        let y = chart.as_coord_spec().get_y_range();
        let points: Vec<_> = (0..survey.times.len())
            .filter_map(|i| Some((survey.times[i], survey.offset_us(room, i)?)))
            .filter(|(_, offset)| y.contains(offset))
            .collect();
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(1)))?
            .label(format!("room {}", room + 1))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    Ok(())
}

/// Symmetric about zero, wide enough for all but the wildest hundredth of what counts.
fn scale(panel: &Panel) -> Range<f64> {
    let survey = panel.survey;
    let offsets = (0..survey.rooms.len()).flat_map(|room| {
        let counts = move |i: &usize| survey.times[*i] >= panel.skip_s;
        (0..survey.times.len()).filter(counts).filter_map(move |i| survey.offset_us(room, i).map(f64::abs))
    });
    let limit = (Quantiles::of(offsets.collect()).p99 * 1.5).max(2.0);
    -limit..limit
}
