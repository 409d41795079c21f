//! Tests of the committed BPF objects, of both byte orders: they contain the programs,
//! maps and globals that the loader names, and no others.
//!
//! The tests read them as plain ELF, because aya parses only objects of the machine's own
//! byte order. `cargo xtask bpf --check` compares them with the source.

use std::collections::{BTreeMap, BTreeSet};

use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind, read::elf::ElfFile64};
use probe_ebpf::config::{FILTER_SYMBOL, Filter, OFFSETS_SYMBOL, Offsets};
use probe_user::unstable::bpf::{
    OBJECT,
    hook::{ExitShape, Hook},
};

/// The objects, aligned for the parser.
static LITTLE: &[u8] = aya::include_bytes_aligned!("../bpf/probe.bpfel.o");
static BIG: &[u8] = aya::include_bytes_aligned!("../bpf/probe.bpfeb.o");

/// The maps that the loader opens.
const MAPS_OF_THE_LOADER: [&str; 9] = [
    "CGROUPS",
    "COUNTERS",
    "DECISIVE",
    "FOLLOWED",
    "OOM_VICTIMS",
    "PARKED",
    "PIDS",
    "STREAM",
    "WATCHED",
];

/// The maps that only the programs use, and that of aya-log.
const OTHER_MAPS: [&str; 6] = [
    "AYA_LOGS",
    "CGROUP_SCRATCH",
    "EXEC_SCRATCH",
    "FATAL_SIGNALS",
    "OOM_KILLS",
    "PENDING_SIGNALS",
];

type File = ElfFile64<'static, Endianness>;

fn files() -> [File; 2] {
    [LITTLE, BIG].map(|bytes| File::parse(bytes).expect("an ELF file"))
}

/// The global symbols of one kind in sections with this prefix: section and size, by name.
fn symbols(file: &File, kind: SymbolKind, section: &str) -> BTreeMap<String, (String, u64)> {
    file.symbols()
        .filter(|symbol| symbol.is_global() && symbol.kind() == kind)
        .filter_map(|symbol| {
            let found = file.section_by_index(symbol.section_index()?).ok()?;
            let found = found.name().ok()?;
            let name = symbol.name().ok()?.to_owned();
            found
                .starts_with(section)
                .then(|| (name, (found.to_owned(), symbol.size())))
        })
        .collect()
}

/// The programs that the loader names, with the section of their tracepoint.
fn programs_of_the_loader() -> BTreeMap<String, String> {
    let mut programs = BTreeMap::new();
    for hook in Hook::ALL {
        let names = if hook == Hook::Exit {
            for name in ExitShape::Classic.programs() {
                programs.insert((*name).to_owned(), "tracepoint".to_owned());
            }
            [ExitShape::GroupDead, ExitShape::Live]
                .map(ExitShape::programs)
                .concat()
        } else {
            vec![hook.as_str()]
        };
        for name in names {
            programs.insert(name.to_owned(), format!("raw_tp/{}", hook.tracepoint()));
        }
    }
    programs
}

#[test]
fn the_embedded_object_has_this_machines_byte_order() {
    let committed = if cfg!(target_endian = "little") {
        LITTLE
    } else {
        BIG
    };
    assert!(OBJECT == committed);
    assert_eq!(files().map(|file| file.is_little_endian()), [true, false]);
}

#[test]
fn the_licence_is_gpl_compatible() {
    for file in files() {
        let license = file.section_by_name("license").expect("a licence");
        assert_eq!(license.data().expect("its text"), b"Dual MIT/GPL\0");
    }
}

#[test]
fn the_programs_and_their_tracepoints_are_those_of_the_loader() {
    for file in files() {
        let programs: BTreeMap<_, _> = ["raw_tp/", "tracepoint"]
            .into_iter()
            .flat_map(|section| symbols(&file, SymbolKind::Text, section))
            .map(|(name, (section, _))| (name, section))
            .collect();
        assert_eq!(programs, programs_of_the_loader());
    }
}

#[test]
fn the_maps_are_those_of_the_loader_and_of_the_programs() {
    let expected: BTreeSet<_> = MAPS_OF_THE_LOADER.into_iter().chain(OTHER_MAPS).collect();
    for file in files() {
        let maps = symbols(&file, SymbolKind::Data, "maps");
        assert_eq!(
            maps.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            expected
        );
    }
}

#[test]
fn the_globals_have_the_sizes_that_the_loader_writes() {
    let expected = BTreeMap::from([
        (OFFSETS_SYMBOL.to_owned(), size_of::<Offsets>() as u64),
        (FILTER_SYMBOL.to_owned(), size_of::<Filter>() as u64),
        // The global of aya-log.
        ("AYA_LOG_LEVEL".to_owned(), 1),
    ]);
    for file in files() {
        let globals: BTreeMap<_, _> = symbols(&file, SymbolKind::Data, ".rodata")
            .into_iter()
            .map(|(name, (_, size))| (name, size))
            .collect();
        assert_eq!(globals, expected);
    }
}

#[test]
fn the_objects_have_types_and_no_debug_information() {
    for file in files() {
        for section in [".BTF", ".BTF.ext"] {
            assert!(file.section_by_name(section).is_some(), "no {section}");
        }
        assert!(file.section_by_name(".debug_info").is_none());
    }
}

#[test]
fn the_objects_name_no_directory_of_the_build_machine() {
    for bytes in [LITTLE, BIG] {
        let text = String::from_utf8_lossy(bytes);
        for directory in [
            "/home/",
            "/root/",
            ".cargo",
            ".rustup",
            env!("CARGO_MANIFEST_DIR"),
        ] {
            assert!(!text.contains(directory), "{directory}");
        }
    }
}

/// The words of the type section in `.BTF`: maps with their keys and values, and programs.
fn types(file: &File) -> Vec<u32> {
    let section = file.section_by_name(".BTF").expect("types");
    let words: Vec<u32> = section
        .data()
        .expect("their bytes")
        .as_chunks()
        .0
        .iter()
        .map(|&word| {
            if file.is_little_endian() {
                u32::from_le_bytes(word)
            } else {
                u32::from_be_bytes(word)
            }
        })
        .collect();
    // The words are: magic and version, length of the header, position of the types after
    // it, length of the types.
    let [_, header, begin, length] = words[..4] else {
        panic!("no header");
    };
    let begin = (header + begin) as usize / 4;
    words[begin..begin + length as usize / 4].to_vec()
}

#[test]
fn both_byte_orders_have_maps_of_the_same_types() {
    let [little, big] = files().map(|file| types(&file));
    assert!(!little.is_empty());
    assert!(little == big);
}

/// A program that is preempted may not undo what another one added meanwhile.
#[test]
fn the_programs_add_to_counters_by_one_instruction() {
    // `lock *(u64 *)(dst + 0) += src`: its first byte; the offset and the immediate are 0.
    // <https://docs.kernel.org/bpf/standardization/instruction-set.html#atomic-operations>
    const ATOMIC_ADD: u8 = 0xdb;
    for file in files() {
        let programs = symbols(&file, SymbolKind::Text, "raw_tp/").into_iter();
        let programs = programs.chain(symbols(&file, SymbolKind::Text, "tracepoint"));
        for (name, (section, size)) in programs {
            let section = file.section_by_name(&section).expect("it has the symbol");
            let symbol = file.symbols().find(|it| it.name() == Ok(&name));
            let address = symbol.expect("it was just listed").address();
            let code = section.data_range(address, size).expect("an ELF file");
            let code: &[u8] = code.expect("the symbol is in the section");
            let is_add = |it: &&[u8; 8]| it[0] == ATOMIC_ADD && it[2..] == [0; 6];
            let adds = code.as_chunks().0.iter().filter(is_add).count();
            // This one counts nothing.
            assert!(adds > 0 || name == "signal_deliver", "{name}");
        }
    }
}
