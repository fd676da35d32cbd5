use super::*;

fn at(ms: i64) -> LocalTime {
    LocalTime::from_ns(1_000_000_000 + ms * 1_000_000)
}

/// A room that loses a share of the 200 packets a second that come by multicast.
struct Room {
    delivery: Delivery,
    ms: i64,
    expected: u64,
    came: f64,
    said: Vec<Kind>,
}

impl Room {
    fn new(wish: Wish) -> Self {
        Self { delivery: Delivery::new(wish, DEFAULT_SHARE, at(0)), ms: 0, expected: 0, came: 0.0, said: vec![] }
    }

    fn pass(&mut self, seconds: i64, lost: f64, alive: bool) {
        for _ in 0..seconds * 200 {
            self.ms += 5;
            self.expected += 1;
            self.came += 1.0 - lost;
            if lost < 1.0 {
                self.delivery.heard(at(self.ms));
            }
            let clock = alive.then(|| at(self.ms - 100));
            self.said.extend(self.delivery.look(at(self.ms), self.expected, self.came as u64, clock));
        }
    }
}

#[test]
fn a_room_that_hears_the_group_never_asks() {
    let mut room = Room::new(Wish::Auto);
    room.pass(60, 0.1, true);
    assert_eq!((room.delivery.way(), room.said.len()), (Way::Multicast, 0));
}

#[test]
fn a_room_that_hears_nothing_asks_within_a_second_and_goes_back_later() {
    let mut room = Room::new(Wish::Auto);
    room.pass(1, 1.0, true);
    assert_eq!((room.delivery.way(), &room.said[..]), (Way::Unicast, &[Kind::Ask][..]));
    room.pass(30, 1.0, true);
    assert!((30..=32).contains(&room.said.len()), "{}", room.said.len());
    room.pass(20, 0.0, true);
    assert_eq!(room.delivery.way(), Way::Multicast);
    assert_eq!(room.said.iter().filter(|kind| **kind == Kind::End).count(), 1);
}

#[test]
fn a_sender_that_is_gone_is_not_asked() {
    let mut room = Room::new(Wish::Auto);
    room.pass(30, 1.0, false);
    assert_eq!((room.delivery.way(), room.said.len()), (Way::Multicast, 0));
}

#[test]
fn too_much_loss_leads_away_and_going_back_in_vain_takes_longer_each_time() {
    let mut room = Room::new(Wish::Auto);
    room.pass(10, 0.4, true);
    assert_eq!(room.delivery.way(), Way::Unicast);
    let mut trials = vec![];
    for _ in 0..4 {
        let begun = room.ms;
        while room.delivery.way() == Way::Unicast {
            room.pass(1, 0.0, true);
        }
        trials.push((room.ms - begun) / 1_000);
        room.pass(8, 0.5, true);
        assert_eq!(room.delivery.way(), Way::Unicast);
    }
    assert!(trials.windows(2).all(|w| w[1] > w[0] + 5), "{trials:?}");
}

#[test]
fn a_wish_is_a_wish() {
    let mut room = Room::new(Wish::Multicast);
    room.pass(10, 1.0, true);
    assert_eq!((room.delivery.way(), room.said.len()), (Way::Multicast, 0));
    let mut room = Room::new(Wish::Unicast);
    room.pass(60, 0.0, true);
    assert_eq!(room.delivery.way(), Way::Unicast);
    let mut room = Room::new(Wish::Unicast);
    assert_eq!(room.delivery.look(at(5), 0, 0, None), Some(Kind::Ask));
    room.delivery.ask_again();
    assert_eq!(room.delivery.look(at(6), 0, 0, None), Some(Kind::Ask));
    assert_eq!(room.delivery.look(at(7), 0, 0, None), None);
}
