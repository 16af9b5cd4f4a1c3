use super::*;

const BOTH: [Encoding; 2] = [Encoding::Gzip, Encoding::Deflate];

/// Some data that can be compressed, but not to nothing.
fn data(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if state >> 62 == 0 { (state >> 32) as u8 } else { 0 }
    };
    (0..size).map(|_| next()).collect()
}

fn inflater(encoding: Encoding, compressed: Vec<u8>, limit: usize) -> Inflater {
    Inflater::new(encoding, Bytes::from(compressed), limit)
}

/// The end, and the number of steps that led to it.
fn run(mut inflater: Inflater) -> (Progress, usize) {
    for steps in 1.. {
        match inflater.step() {
            Progress::More => assert!(inflater.output.len() <= inflater.limit),
            end => return (end, steps),
        }
    }
    unreachable!()
}

fn end(encoding: Encoding, compressed: Vec<u8>, limit: usize) -> Progress {
    run(inflater(encoding, compressed, limit)).0
}

fn reason(encoding: Encoding, compressed: Vec<u8>) -> String {
    match end(encoding, compressed, 1 << 20) {
        Progress::Malformed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn encodings_have_the_names_of_grpc() {
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Deflate] {
        assert_eq!(Encoding::parse(encoding.name().as_bytes()), Some(encoding));
    }
    for name in [&b""[..], b"GZIP", b"zstd", b"gzip ", b"\xff"] {
        assert_eq!(Encoding::parse(name), None);
    }
}

#[test]
fn the_best_accepted_encoding_is_gzip_before_deflate() {
    let best = |names| Encoding::accepted(Some(&HeaderValue::from_static(names)));
    assert_eq!(best("identity, deflate, gzip"), Encoding::Gzip);
    assert_eq!(best("deflate,identity"), Encoding::Deflate);
    assert_eq!(best("zstd, snappy"), Encoding::Identity);
    assert_eq!(best(""), Encoding::Identity);
    assert_eq!(Encoding::accepted(None), Encoding::Identity);
    assert_eq!(best(Encoding::ACCEPTED), Encoding::Gzip);
}

#[test]
fn a_message_in_parts_comes_back_as_one() {
    let whole = data(300_000);
    let (first, rest) = whole.split_at(5);
    for encoding in BOTH {
        for level in 1..=3 {
            let compressed = compress(encoding, level, &[first, &[], rest]);
            assert!(compressed.len() < whole.len() / 2);
            assert_eq!(end(encoding, compressed, whole.len()), Progress::Done(Bytes::from(whole.clone())));
        }
    }
}

#[test]
fn identity_is_the_parts_one_after_the_other() {
    assert_eq!(compress(Encoding::Identity, 1, &[b"ab", b"", b"c"]), b"abc");
}

#[test]
fn an_empty_message_comes_back_empty_under_any_limit() {
    for encoding in BOTH {
        assert_eq!(end(encoding, compress(encoding, 1, &[]), 0), Progress::Done(Bytes::new()));
    }
}

#[test]
fn a_step_writes_no_more_than_its_size() {
    let size = 10 * STEP;
    for encoding in BOTH {
        let (end, steps) = run(inflater(encoding, compress(encoding, 2, &[&vec![0; size]]), size));
        assert_eq!(end, Progress::Done(Bytes::from(vec![0; size])));
        assert!((10..=12).contains(&steps), "{steps}");
    }
}

#[test]
fn a_step_reads_no_more_than_its_size() {
    // Empty stored blocks, the last of them marked as such.
    let mut blocks = [0, 0, 0, 0xFF, 0xFF].repeat(2 * STEP);
    blocks.extend([1, 0, 0, 0xFF, 0xFF]);
    let compressed = [&[0x78, 0x01], &blocks[..], &[0, 0, 0, 1]].concat();
    let (end, steps) = run(inflater(Encoding::Deflate, compressed, 100));
    assert_eq!(end, Progress::Done(Bytes::new()));
    assert!((10..=12).contains(&steps), "{steps}");
}

#[test]
fn a_message_is_too_large_from_one_byte_above_the_limit() {
    for encoding in BOTH {
        let compressed = compress(encoding, 2, &[&data(100_000)]);
        assert!(matches!(end(encoding, compressed.clone(), 100_000), Progress::Done(_)));
        assert_eq!(end(encoding, compressed, 99_999), Progress::TooLarge { at_least: 100_000 });
    }
}

#[test]
fn the_size_is_told_up_to_twice_the_limit() {
    for encoding in BOTH {
        let compressed = compress(encoding, 2, &[&vec![0; 2 << 20]]);
        assert_eq!(end(encoding, compressed.clone(), 1 << 20), Progress::TooLarge { at_least: 2 << 20 });
        let Progress::TooLarge { at_least } = end(encoding, compressed, 1000) else { panic!() };
        assert!((2001..=1000 + STEP as u64).contains(&at_least), "{at_least}");
    }
}

#[test]
fn nothing_is_kept_of_a_message_above_the_limit() {
    let mut inflater = inflater(Encoding::Gzip, compress(Encoding::Gzip, 2, &[&vec![0; 20 * STEP]]), 12 * STEP);
    let mut most = 0;
    while inflater.step() == Progress::More {
        most = most.max(inflater.produced());
    }
    assert_eq!(most, 12 * STEP as u64);
    assert_eq!((inflater.produced(), inflater.output.capacity()), (0, 0));
}

#[test]
fn every_truncated_message_is_malformed() {
    for encoding in BOTH {
        let compressed = compress(encoding, 2, &[&data(1000)]);
        for size in 0..compressed.len() {
            let end = end(encoding, compressed[..size].to_vec(), 1 << 20);
            assert!(matches!(end, Progress::Malformed(_)), "{encoding:?} {size}: {end:?}");
        }
    }
}

#[test]
fn bytes_after_a_message_are_malformed() {
    for encoding in BOTH {
        let compressed = [compress(encoding, 2, &[b"abc"]), vec![0]].concat();
        assert!(reason(encoding, compressed).ends_with("something follows its data"));
    }
    let member = compress(Encoding::Gzip, 2, &[b"abc"]);
    assert!(reason(Encoding::Gzip, member.repeat(2)).ends_with("something follows its data"));
}

#[test]
fn a_wrong_checksum_is_malformed() {
    for encoding in BOTH {
        let mut compressed = compress(encoding, 2, &[&data(1000)]);
        *compressed.last_mut().unwrap() ^= 1;
        reason(encoding, compressed);
    }
}

#[test]
fn what_is_malformed_is_named() {
    let other = |encoding| compress(encoding, 1, &[b"abc"]);
    let expected = "it is not valid gzip: its header is not one";
    assert_eq!(reason(Encoding::Gzip, other(Encoding::Deflate)), expected);
    let expected = "it is not valid deflate: its data are corrupt";
    assert_eq!(reason(Encoding::Deflate, other(Encoding::Gzip)), expected);
    let expected = "it is not valid deflate: its data end too early";
    assert_eq!(reason(Encoding::Deflate, vec![]), expected);
    let expected = "its call has no grpc-encoding";
    assert_eq!(reason(Encoding::Identity, b"abc".to_vec()), expected);
}

#[test]
fn a_malformed_message_above_the_limit_is_too_large() {
    let mut compressed = compress(Encoding::Gzip, 2, &[&data(1000)]);
    compressed.truncate(compressed.len() - 20);
    let Progress::TooLarge { at_least } = end(Encoding::Gzip, compressed, 600) else { panic!() };
    assert!((601..1000).contains(&at_least));
}

#[test]
fn what_refers_to_before_its_beginning_finds_nothing_there() {
    // Three bytes from one before the first.
    let compressed = b"\x78\x9c\x03\x02\x00\x00\x03\x00\x01".to_vec();
    let end = end(Encoding::Deflate, compressed, 100);
    assert!(matches!(end, Progress::Malformed(_)) || end == Progress::Done(Bytes::from_static(&[0; 3])), "{end:?}");
}
