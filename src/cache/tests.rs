use super::*;

const KEY: Key = [7; 32];

fn row(seed: usize) -> Vec<u8> {
    (0..10).map(|byte| (seed * 31 + byte) as u8).collect()
}

fn never() -> bool {
    false
}

fn begin(cache: &Cache, key: &Key, rows: usize) -> Filling {
    match cache.make(key, rows, 10, &never).unwrap() {
        Making::Begun(filling) => filling,
        _ => panic!("it is to be filled"),
    }
}

/// An entry of `rows` rows under `key`.
fn made(cache: &Cache, key: &Key, rows: usize) -> Entry {
    let mut filling = begin(cache, key, rows);
    (filling.done()..rows).for_each(|place| filling.push(&row(place)).unwrap());
    filling.finish().unwrap()
}

fn found(cache: &Cache, key: &Key, rows: usize) -> Entry {
    match cache.find(key, rows, 10).unwrap() {
        Found::Entry(entry) => entry,
        other => panic!("{other:?}"),
    }
}

fn is_there(cache: &Cache, key: &Key) -> bool {
    cache.path(key, COMPLETE).exists()
}

#[test]
fn rows_come_back_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().join("below/it"), 1000);
    assert!(matches!(cache.find(&KEY, 4, 10).unwrap(), Found::Absent));
    made(&cache, &KEY, 4);
    let mut out = Vec::new();
    found(&cache, &KEY, 4).read(&[2, 0, 2], &mut out).unwrap();
    assert_eq!(out, [row(2), row(0), row(2)].concat());
    assert!(!cache.path(&KEY, LOCK).exists());
    assert!(!cache.path(&KEY, PARTIAL).exists());
}

#[test]
fn every_flipped_bit_cut_or_added_byte_is_noticed_and_the_file_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1000);
    drop(made(&cache, &KEY, 3));
    let path = cache.path(&KEY, COMPLETE);
    let whole = fs::read(&path).unwrap();
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
    let mut exchanged = whole.clone();
    exchanged[64..64 + 28].rotate_left(14);
    let longer = [&whole[..], &[0]].concat();
    for bytes in flipped.chain(cut).chain([exchanged, longer]) {
        fs::write(&path, bytes).unwrap();
        let found = cache.find(&KEY, 3, 10).unwrap();
        assert!(matches!(found, Found::Damaged(_)), "{found:?}");
        assert!(!path.exists());
    }
}

#[test]
fn a_file_of_another_shape_or_key_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1000);
    drop(made(&cache, &KEY, 3));
    let other = [8; 32];
    fs::copy(cache.path(&KEY, COMPLETE), cache.path(&other, COMPLETE)).unwrap();
    let found = cache.find(&other, 3, 10).unwrap();
    assert!(matches!(found, Found::Damaged(_)));
    assert!(matches!(
        cache.find(&KEY, 4, 10).unwrap(),
        Found::Damaged(_)
    ));
}

#[test]
fn a_row_that_changes_while_it_is_in_use_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1000);
    let entry = made(&cache, &KEY, 3);
    let path = cache.path(&KEY, COMPLETE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[64 + 14 + 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    entry.read(&[0], &mut out).unwrap();
    let error = entry.read(&[1], &mut out).unwrap_err().to_string();
    assert!(error.contains("row 1 has changed"), "{error}");
}

#[test]
fn an_entry_that_was_interrupted_is_taken_up_behind_its_last_whole_row() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1000);
    let mut filling = begin(&cache, &KEY, 5);
    (0..3).for_each(|place| filling.push(&row(place)).unwrap());
    drop(filling);
    assert!(matches!(cache.find(&KEY, 5, 10).unwrap(), Found::Absent));
    // Of the third row, only a part came to the disk.
    let partial = cache.path(&KEY, PARTIAL);
    let mut bytes = fs::read(&partial).unwrap();
    bytes[64 + 2 * 14 + 5..].fill(0);
    fs::write(&partial, bytes).unwrap();
    assert_eq!(begin(&cache, &KEY, 5).done(), 2);
    let mut out = Vec::new();
    made(&cache, &KEY, 5).read(&[1, 4], &mut out).unwrap();
    assert_eq!(out, [row(1), row(4)].concat());
}

#[test]
fn the_least_recently_used_goes_first_and_none_in_use() {
    let directory = tempfile::tempdir().unwrap();
    // Room for three entries of 2 rows.
    let cache = Cache::new(directory.path(), 3 * (64 + 2 * 14));
    let keys: Vec<Key> = (0..5).map(|key| [key; 32]).collect();
    let in_use = made(&cache, &keys[0], 2);
    for (key, seconds) in [(&keys[1], 20), (&keys[2], 10)] {
        drop(made(&cache, key, 2));
        let file = File::open(cache.path(key, COMPLETE)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }
    drop(found(&cache, &keys[1], 2));
    drop(made(&cache, &keys[3], 2));
    assert!(is_there(&cache, &keys[0]), "in use");
    assert!(is_there(&cache, &keys[1]), "used a moment ago");
    assert!(!is_there(&cache, &keys[2]), "the oldest");
    let others = [&keys[3], &keys[1]].map(|key| found(&cache, key, 2));
    let refused = cache.make(&keys[4], 2, 10, &never).unwrap();
    assert!(matches!(refused, Making::NoRoom), "all are in use");
    drop((in_use, others));
    drop(made(&cache, &keys[4], 2));
}

#[test]
fn what_is_larger_than_the_limit_makes_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().join("cache"), 50);
    let refused = cache.make(&KEY, 2, 10, &never).unwrap();
    assert!(matches!(refused, Making::NoRoom));
    assert!(!directory.path().join("cache").exists());
}

#[test]
fn of_two_makers_one_waits_and_finds_what_the_other_made() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1000);
    let mut filling = begin(&cache, &KEY, 2);
    let other = {
        let cache = cache.clone();
        std::thread::spawn(move || match cache.make(&KEY, 2, 10, &never).unwrap() {
            Making::Made(entry) => entry,
            _ => panic!("it was made"),
        })
    };
    let stopped = cache.make(&KEY, 2, 10, &|| true).unwrap();
    assert!(matches!(stopped, Making::Stopped));
    (0..2).for_each(|place| filling.push(&row(place)).unwrap());
    drop(filling.finish().unwrap());
    let mut out = Vec::new();
    other.join().unwrap().read(&[1], &mut out).unwrap();
    assert_eq!(out, row(1));
}
