use super::machine::{Disk, Firewall, Limits, Machine, MayOpen, Nic, judge, nft_drops};
use super::{Finding, Level, Report};

fn good() -> Machine {
    Machine {
        raspberry_pi: true,
        cards: Some(MayOpen { user: "unisono".into(), allowed: true }),
        limits: Some(Limits { whose: "the service".into(), rtprio: 80, memlock: u64::MAX }),
        governors: vec!["performance".into()],
        throttled: Some(0),
        nic: Some(Nic {
            name: "eth0".into(),
            mtu: Some(1_500),
            eee: Some(false),
            stamps: Some((true, true)),
            address: true,
            ..Nic::default()
        }),
        igmp_version: Some(3),
        firewall: Firewall::default(),
        disk: Some(Disk { path: "/var/lib/unisono".into(), free_bytes: 1 << 33, writable: true }),
    }
}

fn level_of(machine: &Machine, check: &str) -> Level {
    let findings = judge(machine, &[("UDP", 5004)]);
    findings.iter().filter(|finding| finding.check == check).map(|finding| finding.level).max().expect(check)
}

#[test]
fn a_machine_in_order_has_nothing_but_ok() {
    let findings = judge(&good(), &[("UDP", 5004)]);
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:#?}");
    assert!(findings.len() >= 10, "{findings:#?}");
}

#[test]
fn what_is_wrong_is_found_and_has_a_fix() {
    let nic = |change: fn(&mut Nic)| {
        let mut machine = good();
        machine.nic.as_mut().into_iter().for_each(change);
        machine
    };
    let with = |change: fn(&mut Machine)| {
        let mut machine = good();
        change(&mut machine);
        machine
    };
    let cases = [
        ("group", with(|m| m.cards.iter_mut().for_each(|cards| cards.allowed = false)), Level::Problem),
        ("priority", with(|m| m.limits.iter_mut().for_each(|l| l.rtprio = 0)), Level::Problem),
        ("memory", with(|m| m.limits.iter_mut().for_each(|l| l.memlock = 65_536)), Level::Note),
        ("governor", with(|m| m.governors = vec!["powersave".into()]), Level::Problem),
        ("governor", with(|m| m.governors = vec!["ondemand".into()]), Level::Note),
        ("power", with(|m| m.throttled = Some(0x5_0005)), Level::Problem),
        ("power", with(|m| m.throttled = Some(0x5_0000)), Level::Note),
        ("wifi", nic(|n| (n.wireless, n.power_save) = (true, Some(true))), Level::Problem),
        ("eee", nic(|n| n.eee = Some(true)), Level::Note),
        ("mtu", nic(|n| n.mtu = Some(1_200)), Level::Problem),
        ("stamps", nic(|n| n.stamps = Some((false, true))), Level::Note),
        ("network", nic(|n| n.address = false), Level::Problem),
        ("network", with(|m| m.nic = None), Level::Problem),
        ("igmp", with(|m| m.igmp_version = Some(1)), Level::Note),
        ("firewall", with(|m| m.firewall.ufw = true), Level::Note),
        ("firewall", with(|m| m.firewall.ruleset = Some(DROPS.into())), Level::Problem),
        ("disk", with(|m| m.disk.iter_mut().for_each(|d| d.free_bytes = 1 << 20)), Level::Problem),
        ("disk", with(|m| m.disk.iter_mut().for_each(|d| d.writable = false)), Level::Problem),
    ];
    for (check, machine, level) in &cases {
        assert_eq!(level_of(machine, check), *level, "{check}");
        let findings = judge(machine, &[("UDP", 5004)]);
        assert!(findings.iter().all(|finding| finding.level == Level::Ok || finding.fix.is_some()), "{findings:#?}");
    }
}

const DROPS: &str = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
                     \t\ttcp dport 22 accept\n\t\tudp dport { 5353, 9875 } accept\n\t}\n}\n";

#[test]
fn a_rule_set_that_drops_by_default_is_read_for_the_ports_it_lets_in() {
    assert_eq!(nft_drops(DROPS, &[("UDP", 5004), ("UDP", 9875), ("TCP", 22)]), [("UDP", 5004)]);
    assert_eq!(nft_drops(&DROPS.replace("policy drop", "policy accept"), &[("UDP", 5004)]), []);
    assert_eq!(nft_drops("", &[("UDP", 5004)]), []);
}

#[test]
fn a_report_tells_each_finding_with_its_fix_and_counts() {
    let mut report = Report { findings: vec![Finding::ok("card", "hw:CARD=D10")] };
    assert!(!report.has_problems());
    assert!(report.to_string().ends_with("nothing is wrong\n"));
    report.findings.push(Finding::problem("mtu", "1200", "do this\nand that"));
    assert!(report.has_problems());
    let text = report.to_string();
    assert!(
        text.contains("WRONG mtu") && text.contains("-> and that") && text.ends_with("one thing is wrong\n"),
        "{text}"
    );
}
