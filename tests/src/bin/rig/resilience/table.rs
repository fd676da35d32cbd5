//! The table as it is printed, and what its targets say.

use super::{MAY_TAKE_S, Outcome, Scene};
use crate::attempts::NOT_BEGUN;
use crate::run::System;

pub(super) fn heading() {
    println!(
        "{:<9} {:<9} {:>5}  {:>5} {:>9} {:>9} {:>9} {:>9}  {:>8} {:>8} {:>7} {:>10} {:>7} {:>6}  {:>12}",
        "scene",
        "system",
        "delay",
        "gaps",
        "concealed",
        "median us",
        "p99 us",
        "max us",
        "repaired",
        "repair %",
        "kbit/s",
        "latency ms",
        "sender%",
        "room %",
        "stalls, worst"
    );
}

pub(super) fn row(o: &Outcome) {
    let number = |n: Option<u64>| n.map_or("-".into(), |n| n.to_string());
    println!(
        "{:<9} {:<9} {:>5}  {:>5} {:>9} {:>9.1} {:>9.1} {:>9.1}  {:>8} {:>8.2} {:>7.0} {:>10} {:>7.2} {:>6.2}  {:>4}, {:>4.0} ms{}",
        o.scene.name,
        format!("{:?}", o.system).to_lowercase(),
        o.delay_ms,
        o.gaps,
        number(o.concealed),
        o.verdict.spread_us.median,
        o.verdict.spread_us.p99,
        o.verdict.spread_us.max,
        number(o.repaired),
        o.repair_percent,
        o.sent_kbps,
        o.latency_ms.map_or("-".into(), |ms| format!("{ms:.0}")),
        o.server.cpu_percent,
        o.rooms.iter().map(|u| u.cpu_percent).fold(0.0, f64::max),
        o.stalls.over_10_ms,
        o.stalls.worst_ms,
        judgement(o),
    );
    if let Some(back_s) = o.back_s {
        println!("          all rooms sound {back_s:.2} s after the link came back");
    }
    if let Some(lost) = o.crowd_lost {
        println!("          packets that the crowd could not have played: {lost}");
    }
    o.unclean.iter().for_each(|what| println!("          {what}"));
}

pub(super) fn not_begun(scene: &Scene, system: System, delay_ms: u32) {
    println!("{:<9} {:<9} {delay_ms:>5}  {NOT_BEGUN}", scene.name, format!("{system:?}").to_lowercase());
}

fn judgement(o: &Outcome) -> String {
    let Some((gaps, p99_us)) = o.scene.target.filter(|_| o.system == System::Unisono) else { return String::new() };
    let over = [
        (o.gaps > gaps).then(|| format!("gaps > {gaps}")),
        (o.verdict.spread_us.p99 > p99_us).then(|| format!("p99 > {p99_us}")),
        (o.verdict.windows == 0).then(|| "nothing to compare".into()),
        (o.scene.crowd > 0 && o.repair_percent > 5.0).then(|| "repair > 5 %".into()),
        (o.scene.outage_s.is_some() && o.back_s.is_none_or(|s| s > MAY_TAKE_S)).then(|| "back > 1 s".into()),
    ];
    let over: Vec<String> = over.into_iter().flatten().collect();
    if over.is_empty() { "  ok".into() } else { format!("  OVER: {}", over.join(", ")) }
}
