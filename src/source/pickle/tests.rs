//! Hand-written programs for the machine, harmless and hostile; files of Python, against serde-pickle.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

/// The pickle in `bytes`, of numpy's dialect.
pub fn parse(bytes: &[u8]) -> Result<Pickle> {
    super::parse(&Pieces::of(bytes.to_vec()), 0, Dialect::Numpy)
}

/// The opcodes of a program, and the globals that it names.
pub fn opcodes_and_globals(bytes: &[u8]) -> Result<(BTreeSet<u8>, BTreeSet<String>)> {
    let pieces = Pieces::of(bytes.to_vec());
    let mut input = input::Input::new(&pieces, 0);
    let (mut opcodes, mut globals) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let opcode = input.byte()?;
        opcodes.insert(opcode);
        if input.literal(opcode)?.is_some() {
            continue;
        }
        match opcode {
            opcode::STOP => return Ok((opcodes, globals)),
            opcode::PROTO | opcode::BINPUT | opcode::BINGET => drop(input.byte()?),
            opcode::LONG_BINPUT | opcode::LONG_BINGET => drop(input.u32()?),
            opcode::GLOBAL => {
                let (module, name) = (input.line()?, input.line()?);
                globals.insert(format!("{module} {name}"));
            }
            _ => {}
        }
    }
}

fn refusal(program: &[u8]) -> String {
    parse(program)
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default()
}

/// Parsing must end soon whatever the program: generous, for a busy machine without optimization.
fn within_seconds<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    result
}

#[test]
fn numbers_of_every_protocol_are_read() -> Result<()> {
    let cases: [(&[u8], Node); 12] = [
        (b"I-12\n.", Node::Int(-12)),
        (b"I01\n.", Node::Bool(true)),
        (b"L70000L\n.", Node::Int(70_000)),
        (b"L99999999999999999999999L\n.", Node::HugeInt),
        (b"K\xff.", Node::Int(255)),
        (b"M\x01\x02.", Node::Int(513)),
        (b"J\xff\xff\xff\xff.", Node::Int(-1)),
        (b"\x8a\x02\x00\xff.", Node::Int(-256)),
        (b"\x8a\x00.", Node::Int(0)),
        (b"\x8a\x09\0\0\0\0\0\0\0\0\x01.", Node::HugeInt),
        (b"F3.25\n.", Node::Float(3.25)),
        (b"G\x40\x0a\0\0\0\0\0\0.", Node::Float(3.25)),
    ];
    for (program, expected) in cases {
        let pickle = parse(program)?;
        assert_eq!(*pickle.node(pickle.root()), expected, "{program:?}");
    }
    Ok(())
}

#[test]
fn strings_of_protocol_0_are_unescaped() -> Result<()> {
    let pickle = parse(b"S'a\\x00\\xff\\n\\'\\\\'\n.")?;
    assert_eq!(
        *pickle.node(pickle.root()),
        Node::Bytes(Bytes::Held(b"a\x00\xff\n'\\"[..].into()))
    );
    let pickle = parse(b"V\xfc\\u20ac\\U0001f600 \\n\n.")?;
    assert_eq!(pickle.text(pickle.root()), Some("ü€😀 \\n"));
    for malformed in [
        &b"Sabc\n."[..],
        b"S'a\n.",
        b"S'\\x4'\n.",
        b"S'\\q'\n.",
        b"V\\u12\n.",
    ] {
        assert!(refusal(malformed).contains("malformed"), "{malformed:?}");
    }
    Ok(())
}

#[test]
fn of_equal_keys_the_last_counts_and_memoized_values_are_shared() -> Result<()> {
    // {'a': x, 'a': y, 'b': y} where y = [7]
    let pickle = parse(b"}(U\x01aNU\x01a]q\x05K\x07aU\x01bh\x05u.")?;
    let root = pickle.root();
    assert_eq!(pickle.get(root, "a"), pickle.get(root, "b"));
    let list = pickle.get(root, "a").and_then(|id| pickle.items(id));
    assert_eq!(list.map(<[_]>::len), Some(1));
    assert_eq!(pickle.get(root, "c"), None);
    Ok(())
}

#[test]
fn a_call_is_recorded_and_not_made() -> Result<()> {
    let pickle = parse(b"cnumpy\ndtype\n(U\x02f4I0\nI1\ntR(K\x03U\x01<tb.")?;
    let Node::Call {
        callable: Global::Dtype,
        arguments,
        state: Some(state),
    } = *pickle.node(pickle.root())
    else {
        return Err(crate::error::Error::new("no call"));
    };
    assert_eq!(pickle.items(arguments).map(<[_]>::len), Some(3));
    assert_eq!(pickle.items(state).map(<[_]>::len), Some(2));
    Ok(())
}

#[test]
fn an_ordered_dict_is_a_dictionary_however_it_is_filled() -> Result<()> {
    for program in [
        &b"ccollections\nOrderedDict\n)R(U\x01aK\x07u."[..],
        b"ccollections\nOrderedDict\n(]]U\x01aaK\x07aatR.",
    ] {
        let pickle = parse(program)?;
        let seven = pickle.get(pickle.root(), "a").map(|id| pickle.node(id));
        assert_eq!(seven, Some(&Node::Int(7)), "{program:?}");
    }
    Ok(())
}

#[test]
fn a_global_that_no_array_needs_is_refused_by_name() {
    for (program, name) in [
        (&b"cos\nsystem\n(S'true'\ntR."[..], "`os.system`"),
        (
            b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
            "`posix.system`",
        ),
        (b"c__builtin__\neval\n(S'1'\ntR.", "`__builtin__.eval`"),
        (b"\x80\x02cneon.layers\nEvil\n)\x81.", "`neon.layers.Evil`"),
        (
            b"cnumpy.core\nmultiarray._reconstruct\n.",
            "`numpy.core.multiarray._reconstruct`",
        ),
        (b"c\x1b[2J\nx\n.", "`\\u{1b}[2J.x`"),
    ] {
        let message = refusal(program);
        assert!(
            message.contains("refuses the global") && message.contains(name),
            "{message}"
        );
    }
}

#[test]
fn opcodes_that_make_objects_another_way_are_not_supported() {
    // INST, OBJ, PERSID, BINPERSID, EXT1, NEWOBJ_EX, NEXT_BUFFER
    for program in [
        &b"(ios\nsystem\n."[..],
        b"(cnumpy\ndtype\no.",
        b"Pid\n.",
        b"NQ.",
        b"\x82\x01.",
        b"\x92.",
        b"\x97.",
    ] {
        assert!(refusal(program).contains("is not supported"), "{program:?}");
    }
}

#[test]
fn a_malformed_program_is_refused() {
    for (program, problem) in [
        (&b""[..], "file ends"),
        (b".", "empty stack"),
        (b"0.", "empty stack"),
        (b"2.", "empty stack"),
        (b"(.", "empty stack"),
        (b"N(t(N(s.", "empty stack"),
        (b"t.", "mark"),
        (b"NNa.", "no list"),
        (b"](K\x01u.", "key without a value"),
        (b"]NNs.", "no dictionary"),
        (b"N)R.", "not a function"),
        (b"cnumpy\ndtype\nNR.", "not a function"),
        (b"NNb.", "state"),
        (b"h\x07.", "memo 7"),
        (b"g99999999999999999999\n.", "memo index"),
        (b"q\x07.", "empty stack"),
        (b"NN\x93.", "not text"),
        (b"\x80\x09.", "protocol 9"),
        (b"Iabc\n.", "malformed"),
        (b"I12", "middle of a line"),
    ] {
        let message = refusal(program);
        assert!(message.contains(problem), "{program:?}: {message}");
    }
}

#[test]
fn an_absurd_length_is_refused_without_allocating() {
    for program in [
        &b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff."[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x96\x00\x00\x00\x00\x00\x01\x00\x00.",
        b"T\xff\xff\xff\xff.",
        b"X\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\x7f.",
    ] {
        let message = refusal(program);
        assert!(
            message.contains("should follow, but the file ends"),
            "{message}"
        );
    }
}

#[test]
fn deep_nesting_and_containers_in_themselves_do_no_harm() -> Result<()> {
    let lists = |depth: usize| [b"]".repeat(depth), b"a".repeat(depth - 1), b".".to_vec()].concat();
    let tuples = |depth| [b"N".to_vec(), b"\x85".repeat(depth), b".".to_vec()].concat();
    for deep in [lists(100_000), tuples(200_000)] {
        within_seconds(|| parse(&deep).map(drop))?;
    }
    for too_deep in [lists(1_000_000), tuples(1_200_000)] {
        assert!(within_seconds(|| refusal(&too_deep)).contains("too long a program"));
    }
    let pickle = parse(b"]q\x00h\x00a.")?;
    assert_eq!(pickle.items(pickle.root()), Some(&[pickle.root()][..]));
    Ok(())
}

#[test]
fn programs_that_flood_the_machine_are_stopped() {
    let floods: [(&[u8], &[u8]); 7] = [
        (b"", b"("),
        (b"N", b"2"),
        (b"", b"]"),
        (b"N", b"\x94"),
        (b"", b"(t"),
        // A list of lists of lists, each of which holds the one before it twice.
        (b"N", b"q\x00]h\x00ah\x00a"),
        // Calls that share one long tuple.
        (b"cnumpy\ndtype\nq\x00)q\x01", b"h\x00h\x01R"),
    ];
    for (start, step) in floods {
        let program = [start, &step.repeat(300_000 / step.len())].concat();
        // None has a STOP; what matters is that it is refused soon.
        assert!(within_seconds(|| parse(&program).is_err()), "{step:?}");
    }
    assert!(refusal(&b"N".repeat(1_200_000)).contains("too long a program"));
}

#[test]
fn copying_a_long_list_again_and_again_is_stopped() {
    let pair = b"(NNt".repeat(50_000);
    let list = [
        b"](",
        pair.as_slice(),
        b"eq\x00ccollections\nOrderedDict\nq\x01",
    ]
    .concat();
    let copies = b"h\x01h\x00\x85R".repeat(1000);
    let message = within_seconds(|| refusal(&[list, copies].concat()));
    assert!(message.contains("too long a program"), "{message}");
}

/// Compares with what serde-pickle makes of the same file. It keeps only a call's last argument
/// or state, so that of calls no more can be compared than their presence.
fn assert_same(pickle: &Pickle, id: NodeId, other: &serde_pickle::Value) {
    use serde_pickle::{HashableValue, Value};
    match (pickle.node(id), other) {
        (Node::None, Value::None) | (Node::HugeInt, Value::Int(_)) => {}
        (Node::Bool(ours), Value::Bool(theirs)) => assert_eq!(ours, theirs),
        (Node::Int(ours), Value::I64(theirs)) => assert_eq!(ours, theirs),
        (Node::Float(ours), Value::F64(theirs)) => assert_eq!(ours, theirs),
        (Node::Bytes(ours), Value::Bytes(theirs)) => {
            assert_eq!(pickle.copy(ours).as_ref(), Ok(theirs));
        }
        (Node::Text(ours), Value::String(theirs)) => {
            assert_eq!(pickle.copy(ours).as_deref(), Ok(theirs.as_bytes()));
        }
        (Node::List(ours), Value::List(theirs)) | (Node::Tuple(ours), Value::Tuple(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter()
                .zip(theirs)
                .for_each(|(&id, other)| assert_same(pickle, id, other));
        }
        (Node::Dict(ours), Value::Dict(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            for (key, theirs) in theirs {
                let key = match key {
                    HashableValue::String(key) => key.clone(),
                    HashableValue::Bytes(key) => String::from_utf8_lossy(key).into_owned(),
                    _ => panic!("neon has no such key: {key}"),
                };
                match pickle.get(id, &key) {
                    Some(ours) => assert_same(pickle, ours, theirs),
                    None => panic!("we miss the key {key}"),
                }
            }
        }
        (Node::Call { .. } | Node::Global(_), _) => {}
        (Node::List(ours), Value::Set(theirs)) => assert_eq!(ours.len(), theirs.len()),
        (ours, theirs) => panic!("{ours:?} against {theirs:?}"),
    }
}

#[test]
fn the_structure_of_real_files_is_what_serde_pickle_finds() -> Result<(), Box<dyn std::error::Error>>
{
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for file in [
        "neon/source_vgg_tiny.p",
        "neon/source_vgg_tiny_py3.p",
        "neon/source_vgg_tiny_fused.p",
        "neon/source_old_format.p",
    ] {
        assert_decodes(&std::fs::read(data.join(file))?)?;
    }
    Ok(())
}

/// Checks that serde-pickle finds the same structure as we do.
pub fn assert_decodes(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let options = serde_pickle::DeOptions::new()
        .keep_restore_state()
        .replace_unresolved_globals();
    let theirs = serde_pickle::value_from_slice(bytes, options)?;
    let ours = parse(bytes)?;
    assert_same(&ours, ours.root(), &theirs);
    Ok(())
}
