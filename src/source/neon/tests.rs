//! Small pickles put together by hand: models, and files that only look like one.

use super::*;
use crate::source::document::Document;

/// The model in `bytes`.
fn read(bytes: &[u8]) -> Result<Contents> {
    super::read(&Pieces::of(bytes.to_vec()))
}

/// The same, whole.
fn document(bytes: &[u8]) -> Result<Document> {
    super::document(&Pieces::of(bytes.to_vec()))
}

fn text(text: &str) -> Vec<u8> {
    [b"U", &[text.len() as u8][..], text.as_bytes()].concat()
}

fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries
        .iter()
        .map(|(k, v)| [&text(k), v.as_slice(), b"s"].concat());
    [b"}".to_vec(), entries.collect::<Vec<_>>().concat()].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let items = items.iter().map(|item| [item.as_slice(), b"a"].concat());
    [b"]".to_vec(), items.collect::<Vec<_>>().concat()].concat()
}

/// A column of bytes: u1, so that each value takes one byte of the file.
fn array(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_le_bytes();
    [
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR(K\x01(J",
        &length[..],
        b"K\x01tcnumpy\ndtype\n(U\x02u1K\0K\x01tR(K\x03U\x01|NNNtbI00\nT",
        &length,
        data,
        b"tb",
    ]
    .concat()
}

fn layer(name: Option<&str>, params: Vec<u8>) -> Vec<u8> {
    let config = name.map_or(dict(&[]), |name| dict(&[("name", text(name))]));
    dict(&[
        ("type", text("x.Linear")),
        ("config", config),
        ("params", params),
    ])
}

fn read_layers(layers: Vec<u8>) -> Result<Vec<SourceLayer>> {
    let model = dict(&[("config", dict(&[("layers", layers)]))]);
    let root = [dict(&[("model", model)]), b".".to_vec()].concat();
    read(&root).map(|contents| contents.layers)
}

fn refusal(layers: Vec<u8>) -> String {
    let error = read_layers(layers).err();
    error.map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_layer_has_the_arrays_of_its_parameters_and_not_its_settings() -> Result<()> {
    let params = dict(&[
        ("W", array(&[3, 4])),
        ("rho", b"F0.9\n".to_vec()),
        ("A", array(&[])),
    ]);
    let layers = read_layers(list(&[layer(Some("fc"), params)]))?;
    assert_eq!(layers[0].kind.as_deref(), Some("Linear"));
    let tensors: Vec<_> = layers[0]
        .tensors
        .iter()
        .map(|t| (&*t.name, t.values.to_f64()))
        .collect();
    assert_eq!(tensors, [("A", vec![]), ("W", vec![3.0, 4.0])]);
    Ok(())
}

#[test]
fn parameters_that_cannot_be_used_are_refused_by_layer() {
    let params = dict(&[("W", array(&[1]))]);
    let nameless = refusal(list(&[layer(None, params)]));
    assert!(
        nameless.starts_with("layer 0: has parameters and no name"),
        "{nameless}"
    );
    let lists = dict(&[("W", list(&[]))]);
    let listed = refusal(list(&[
        layer(Some("a"), dict(&[])),
        layer(Some("b"), lists),
    ]));
    assert_eq!(listed, "layer 1: b: W: is not a numpy array");
    let mut short = array(&[1, 2]);
    let at = short
        .windows(2)
        .position(|pair| pair == b"(J")
        .unwrap_or_default();
    short[at + 2] = 3;
    let damaged = refusal(list(&[layer(Some("a"), dict(&[("W", short)]))]));
    assert!(damaged.contains("shape (3, 1) has 2 bytes"), "{damaged}");
}

#[test]
fn a_pickle_of_something_else_is_refused_with_what_it_holds() {
    let other = [
        dict(&[("weights", array(&[1])), ("epoch", b"N".to_vec())]),
        b".".to_vec(),
    ];
    for (bytes, found) in [
        (other.concat(), "`weights`, `epoch`"),
        (b"}.".to_vec(), "no named"),
    ] {
        let message = read(&bytes)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(message.contains("not a model that neon saved"), "{message}");
        assert!(message.contains(found), "{message}");
    }
    assert!(read(b"K\x01.").is_err());
}

#[test]
fn a_container_in_itself_is_refused() {
    // The list of layers, memoized, holds a container whose layers it is.
    let inner = dict(&[("config", dict(&[("layers", b"h\x05".to_vec())]))]);
    let layers = [b"]q\x05", inner.as_slice(), b"a"].concat();
    assert!(refusal(layers).contains("contains itself"));
}

#[test]
fn layers_that_share_one_large_array_cannot_fill_the_memory() {
    let large = [array(&[0; 100_000]), b"q\x05".to_vec()].concat();
    let first = layer(Some("first"), dict(&[("W", large)]));
    let other = layer(Some("other"), dict(&[("W", b"h\x05".to_vec())]));
    let layers = [vec![first], vec![other; 1000]].concat();
    assert!(refusal(list(&layers)).contains("more values than the file has bytes"));
}

#[test]
fn dictionaries_and_lists_too_large_for_a_model_are_refused() {
    let keys: Vec<_> = (0..200).map(|_| ("k", b"N".to_vec())).collect();
    assert!(refusal(list(&[dict(&keys)])).contains("200 entries"));
    assert!(refusal([&b"]("[..], &b"N".repeat(20_000), b"e"].concat()).contains("too many"));
    assert!(refusal(b"K\x01".to_vec()).contains("not a list"));
}

/// What `document` says of a model that holds `more` besides.
fn document_refusal(more: Vec<u8>) -> String {
    let root = dict(&[("model", dict(&[])), ("more", more)]);
    let error = document(&[root, b".".to_vec()].concat()).err();
    error.map(|error| error.to_string()).unwrap_or_default()
}

/// `first`, and a reference to it `times` times.
fn shared(first: &[u8], times: usize) -> Vec<u8> {
    [&b"]("[..], first, b"q\x05", &b"h\x05".repeat(times), b"e"].concat()
}

fn long_text(bytes: usize) -> Vec<u8> {
    let length = (bytes as u32).to_le_bytes();
    [&b"T"[..], &length, &vec![b'x'; bytes]].concat()
}

#[test]
fn values_that_are_shared_cannot_fill_the_memory_of_convert() {
    let much = "holds too much text for a model";
    assert_eq!(document_refusal(shared(&long_text(100_000), 2000)), much);
    let key = long_text(900);
    let keyed = [&b"}"[..], &key, b"Ns"].concat();
    assert_eq!(document_refusal(shared(&keyed, 50_000)), much);
    // Each of them is noted as left out, with its place.
    let deep = [&b"}"[..], &key, b"}", &key, b"cnumpy\ndtype\nss"].concat();
    assert_eq!(document_refusal(shared(&deep, 12_000)), much);
    let many = "holds too many values for a model";
    let same_key = [&b"}("[..], &b"U\x01kN".repeat(2000), b"u"].concat();
    assert_eq!(document_refusal(shared(&same_key, 2000)), many);
    let states = dict(&[
        ("params", dict(&[])),
        ("states", [&b"]("[..], &b"]".repeat(2000), b"e"].concat()),
    ]);
    assert_eq!(document_refusal(shared(&states, 2000)), many);
}

#[test]
fn a_long_key_is_left_out_and_named() -> Result<()> {
    let root = [
        &b"}U\x05model}sU\x04more}"[..],
        &long_text(LONGEST_NAME + 1),
        b"Nss.",
    ]
    .concat();
    let expected = ["`more` has a key that is no name"];
    assert_eq!(document(&root)?.left_out, expected);
    Ok(())
}

#[test]
fn a_parameter_that_reads_as_an_optimizer_state_is_refused() {
    let params = dict(&[("0", array(&[1]))]);
    let message = document_refusal(layer(Some("optimizer.fc.weight"), params));
    let expected = "optimizer.fc.weight: `optimizer.fc.weight.0` would be taken for what an optimizer \
                    remembers\n  help: ";
    assert!(message.starts_with(expected), "{message}");
}
