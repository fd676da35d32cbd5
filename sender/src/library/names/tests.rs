use super::*;

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_by_key(|name| sort_file(OsStr::new(name)));
    names
}

#[test]
fn numbers_sort_by_value_and_letters_without_case() {
    let right = vec!["1 a", "2 b", "10 c", "Äpfel", "b2", "B10", "c"];
    let mut mixed = right.clone();
    mixed.reverse();
    assert_eq!(sorted(mixed), right);
}

#[test]
fn a_folder_comes_after_its_parent_and_before_its_parents_neighbour() {
    let mut folders = ["b", "a/10/x", "a", "a/9", "a b", "a/10"];
    folders.sort_by_key(|path| sort_folder(Path::new(path)));
    assert_eq!(folders, ["a", "a/9", "a/10", "a/10/x", "a b", "b"]);
}

#[test]
fn articles_and_accents_do_not_count() {
    let mut names = ["The Beatles", "Björk", "ABBA", "Édith Piaf", "An Horse", "\"Weird Al\""];
    names.sort_by_key(|name| sort_name(name));
    assert_eq!(names, ["ABBA", "The Beatles", "Björk", "Édith Piaf", "An Horse", "\"Weird Al\""]);
}

#[test]
fn keys_are_sixteen_digits_and_come_back() {
    let key = Key::of_path(Path::new("/music/a.flac"));
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!(Key::from_sql(key.to_sql()), key);
    assert_ne!(key, Key::of_path(Path::new("/music/b.flac")));
    for wrong in ["", "0", "g000000000000000", "+000000000000000", "ABCDEFABCDEFABCD"] {
        assert_eq!(wrong.parse::<Key>(), Err(()), "{wrong}");
    }
}

#[test]
fn strangers_texts_are_one_line_and_bounded() {
    assert_eq!(bounded("  a\n\u{7}b  ", 10), Some("a  b".to_owned()));
    assert_eq!(bounded(&"ä".repeat(1_000), 5), Some("äääää".to_owned()));
    assert_eq!(bounded(" \u{0} ", 10), None);
}
