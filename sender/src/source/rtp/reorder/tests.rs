use proptest::prelude::*;

use super::*;

fn run(numbers: &[u16]) -> (Vec<u8>, u64) {
    let (mut order, mut out) = (Reorder::default(), Vec::new());
    for &number in numbers {
        order.insert(number, &[number as u8 | 0x80], |payload| out.extend_from_slice(payload));
    }
    (out, order.lost())
}

#[test]
fn order_is_restored_across_the_wrap() {
    let (out, lost) = run(&[65_534, 0, 65_535, 2, 1, 2, 3]);
    assert_eq!((out, lost), (vec![0xfe, 0xff, 0x80, 0x81, 0x82, 0x83], 0));
}

#[test]
fn what_is_lost_is_silence_in_its_place() {
    let (out, lost) = run(&[0, 1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!((out, lost), (vec![0x80, 0x81, 0, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89], 1));
}

#[test]
fn after_a_beginning_nothing_is_filled_in() {
    let (mut order, mut out) = (Reorder::default(), Vec::new());
    order.insert(0, &[1], |payload| out.extend_from_slice(payload));
    order.insert(2, &[2], |payload| out.extend_from_slice(payload));
    order.begin_anew();
    order.insert(200, &[3], |payload| out.extend_from_slice(payload));
    assert_eq!((out, order.lost()), (vec![1, 3], 0));
}

#[test]
fn a_jump_is_a_new_beginning() {
    assert_eq!(run(&[0, 1, 30_000, 30_001, 2]).0.len(), 5);
}

proptest! {
    #[test]
    fn any_numbers_do_no_harm(numbers: Vec<u16>) {
        let (out, _) = run(&numbers);
        prop_assert!(out.len() <= numbers.len() * (JUMP as usize + 1));
    }
}
