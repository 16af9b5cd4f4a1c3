use super::*;

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn text(value: &str) -> OwnedValue {
    OwnedValue::Text(value.to_owned())
}

fn inserted(key: &str, value: OwnedValue) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, key, value);
    headers
}

#[test]
fn values_come_in_the_order_of_their_headers() {
    let headers = headers(&[("b", b"1"), ("a", b"2"), ("c", b"3"), ("a", b"4")]);
    let values: Vec<_> = iter(&headers).collect();
    let expected = [("b", "1"), ("a", "2"), ("a", "4"), ("c", "3")];
    assert_eq!(values, expected.map(|(key, value)| (key, Value::Text(value))));
}

#[test]
fn headers_of_http_and_grpc_are_no_metadata() {
    let headers = headers(&[
        ("te", b"trailers"),
        ("content-type", b"application/grpc"),
        ("content-length", b"5"),
        ("grpc-timeout", b"1S"),
        ("grpc-encoding", b"gzip"),
        ("grpc-accept-encoding", b"gzip"),
        ("grpc-message-type", b"a.B"),
        ("user-agent", b"grpc-go/1.0"),
        ("grpc-trace-bin", b"AA"),
    ]);
    let keys: Vec<_> = iter(&headers).map(|(key, _)| key).collect();
    assert_eq!(keys, ["user-agent", "grpc-trace-bin"]);
    assert_eq!(first(&headers, "te"), None);
}

#[test]
fn binary_values_are_decoded_with_and_without_padding() {
    for encoded in [&b"AAE="[..], b"AAE", b"AAF"] {
        assert_eq!(first(&headers(&[("k-bin", encoded)]), "k-bin"), Some(Value::Binary(vec![0, 1])));
    }
    assert_eq!(first(&headers(&[("k-bin", b"")]), "k-bin"), Some(Value::Binary(vec![])));
}

#[test]
fn binary_values_between_commas_are_several() {
    let headers = headers(&[("k-bin", b"AA==, AQ,,Ag=="), ("k-bin", b"Aw")]);
    let values: Vec<_> = iter(&headers).map(|(_, value)| value).collect();
    let expected: [&[u8]; 5] = [&[0], &[1], &[], &[2], &[3]];
    assert_eq!(values, expected.map(|value| Value::Binary(value.to_vec())));
}

#[test]
fn a_comma_is_part_of_a_text() {
    assert_eq!(first(&headers(&[("k", b"a, b")]), "k"), Some(Value::Text("a, b")));
}

#[test]
fn what_is_not_valid_is_left_out() {
    let headers = headers(&[("a", "ä".as_bytes()), ("a", b"1\t2"), ("k-bin", b"A"), ("k-bin", b"A-_A,AQ")]);
    assert_eq!(iter(&headers).collect::<Vec<_>>(), [("k-bin", Value::Binary(vec![1]))]);
    assert_eq!(first(&headers, "a"), None);
}

#[test]
fn the_first_value_is_found_by_a_key_in_any_case() {
    let headers = headers(&[("a", "ä".as_bytes()), ("a", b"1"), ("a", b"2"), ("k-bin", b"!,AQ")]);
    assert_eq!(first(&headers, "A"), Some(Value::Text("1")));
    assert_eq!(first(&headers, "K-Bin"), Some(Value::Binary(vec![1])));
    assert_eq!(first(&headers, "b"), None);
    assert_eq!(first(&headers, "not a key"), None);
}

#[test]
fn text_is_sent_as_it_is_under_a_lower_case_key() {
    assert_eq!(inserted("Key.x_1", text("a b,c"))["key.x_1"], "a b,c");
    assert_eq!(inserted("k", text(" a "))["k"], "a");
    assert_eq!(inserted("k", OwnedValue::Binary(b"abc".to_vec()))["k"], "abc");
}

#[test]
fn bytes_are_sent_in_base64_without_padding() {
    assert_eq!(inserted("k-bin", OwnedValue::Binary(vec![0, 255]))["k-bin"], "AP8");
    assert_eq!(inserted("K-Bin", text("é"))["k-bin"], "w6k");
}

#[test]
fn values_of_one_key_are_all_sent() {
    let mut headers = inserted("k", text("1"));
    insert(&mut headers, "k", text("2"));
    assert_eq!(headers.get_all("k").iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn what_cannot_be_sent_is_left_out() {
    let keys =
        ["", ":path", "a b", "ä", "a\n", "a!b", "Content-Type", "grpc-status", "GRPC-Message", "te", "Connection"];
    for key in keys {
        assert_eq!(inserted(key, text("v")), HeaderMap::new(), "{key}");
    }
    for value in [text("ä"), text("a\nb"), text("a\tb"), OwnedValue::Binary(vec![255])] {
        assert_eq!(inserted("k", value.clone()), HeaderMap::new(), "{value:?}");
    }
}

#[test]
fn what_services_say_in_grpc_names_of_their_own_is_sent() {
    assert_eq!(inserted("grpc-retry-pushback-ms", text("-1"))["grpc-retry-pushback-ms"], "-1");
    let details = OwnedValue::Binary(vec![8, 5]);
    assert_eq!(inserted("grpc-status-details-bin", details)["grpc-status-details-bin"], "CAU");
}

#[test]
fn a_full_map_takes_no_more() {
    let mut headers = HeaderMap::new();
    for index in 0..40_000 {
        insert(&mut headers, &format!("k{index}"), text("v"));
    }
    assert!(headers.len() > 20_000 && headers.len() < 40_000);
}
