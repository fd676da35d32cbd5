use super::*;

fn round(order: &mut Order) -> Vec<usize> {
    std::iter::from_fn(|| order.next()).collect()
}

#[test]
fn in_order() {
    let mut order = Order::new(None);
    order.begin(3, None);
    assert_eq!(round(&mut order), [0, 1, 2]);
    order.begin(2, Some(2));
    assert_eq!(round(&mut order), [0, 1]);
    order.begin(0, None);
    assert_eq!(order.next(), None);
}

#[test]
fn shuffled_each_plays_once_a_round_and_never_twice_running() {
    let mut order = Order::new(Some(Rng::new(1)));
    let mut last = None;
    let mut firsts = [0; 7];
    for _ in 0..500 {
        order.begin(7, last);
        let items = round(&mut order);
        assert_ne!(items.first().copied(), last);
        firsts[items[0]] += 1;
        last = items.last().copied();
        let mut sorted = items;
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
    }
    assert!(firsts.iter().all(|&n| n > 40), "{firsts:?}");
}

#[test]
fn a_single_item_plays_again() {
    let mut order = Order::new(Some(Rng::new(1)));
    order.begin(1, Some(0));
    assert_eq!(round(&mut order), [0]);
}

#[test]
fn it_returns_to_what_was_played() {
    let mut order = Order::new(None);
    order.begin(10, None);
    assert_eq!((0..5).filter_map(|_| order.next()).count(), 5);
    assert!(order.return_to(0, |item| item == 3));
    assert_eq!(order.next(), Some(3));
    assert!(order.return_to(1, |item| item == 3));
    assert_eq!(order.next(), Some(2));
    assert!(order.return_to(1, |item| item == 0));
    assert_eq!(order.next(), Some(0));
    assert!(!order.return_to(0, |item| item == 9));
    assert_eq!(order.next(), Some(1));
}
