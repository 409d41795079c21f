//! Rooms: the directories and files directly below a package's `src`. Rooms of a package
//! must not import one another in a cycle.
//!
//! The reader knows no Rust beyond what rustfmt guarantees: an item that begins in the
//! first column ends in a line that begins there too.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use anyhow::{Result, ensure};
use fs_err as fs;

use crate::checkout;

/// The directories that contain rooms, in the order of ARCHITECTURE.md. The BPF programs
/// are one room: the verifier sees one program, whatever file a function is in.
pub(super) const ROOTS: [&str; 8] = [
    "probe-ebpf/src",
    "probe-user/src",
    "probe-daemon/src",
    "probe-cli/src",
    "tests/src",
    "tests/fixture/src",
    "fuzz/src",
    "xtask/src",
];

/// Files directly below a root that connect the rooms and are not rooms themselves.
const NO_ROOMS: [&str; 3] = ["lib", "main", "fuzzing"];

/// Fails with the cycles.
pub(super) fn check() -> Result<()> {
    let mut packages: BTreeMap<&str, Vec<Source>> = BTreeMap::new();
    for file in checkout::files()? {
        let root = ROOTS.into_iter().find(|root| file.starts_with(root));
        if let Some(root) = root
            && let Some(modules) = modules(file.strip_prefix(root)?)
        {
            let code = code(&fs::read_to_string(checkout::root().join(&file))?);
            let source = Source {
                file,
                modules,
                code,
            };
            packages.entry(root).or_default().push(source);
        }
    }
    let packages = packages.into_iter();
    let cycles = packages.flat_map(|(root, sources)| cycles(root, imports(&sources)));
    let cycles = cycles.collect::<Vec<_>>().join("\n");
    ensure!(cycles.is_empty(), "rooms import one another:\n{cycles}");
    Ok(())
}

struct Source {
    file: PathBuf,
    /// The path of its module: `["wait", "watch"]`.
    modules: Vec<String>,
    /// The text without comments and without items for tests.
    code: String,
}

/// From one room to another, with the files that import.
type Imports = BTreeMap<(String, String), BTreeSet<PathBuf>>;

/// The path of a file's module; `None` for tests and for programs in `bin`, which are
/// crates of their own.
fn modules(below: &Path) -> Option<Vec<String>> {
    if below.extension()? != "rs" {
        return None;
    }
    let below = below.with_extension("");
    let names = below.components().filter_map(|it| match it {
        Component::Normal(name) => name.to_str().map(str::to_owned),
        _ => None,
    });
    let mut modules: Vec<_> = names.collect();
    modules.pop_if(|it| it == "mod");
    let is_left_out = modules.first()? == "bin" || modules.iter().any(|it| it == "tests");
    (!is_left_out).then_some(modules)
}

/// A text without comments and without items for tests.
fn code(text: &str) -> String {
    let mut lines = text.lines();
    let mut code = String::new();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let is_end =
                |line: &&str| !line.starts_with([' ', '#', '/']) && line.ends_with([';', '}']);
            lines.by_ref().find(is_end);
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

fn imports(sources: &[Source]) -> Imports {
    let (roots, sources): (Vec<_>, Vec<_>) = sources.iter().partition(|it| is_root(it));
    let rooms: BTreeSet<_> = sources.iter().map(|it| it.modules[0].as_str()).collect();
    // Names that the root of the crate exports, with the rooms that they come from.
    let mut exported = BTreeMap::new();
    for statement in roots.iter().flat_map(|it| it.code.split(';')) {
        if let Some((_, path)) = statement.split_once("use ") {
            let words = path.split(|it| !is_word(it));
            let mut words = words.filter(|it| !["", "self"].contains(it));
            if let Some(room) = words.next().and_then(|it| rooms.get(it)) {
                exported.extend(words.map(|name| (name, *room)));
            }
        }
    }
    let mut imports = Imports::new();
    for source in sources {
        let own = source.modules[0].as_str();
        // As many as lead from the file's module to the root of the crate.
        let supers = "super::".repeat(source.modules.len());
        for name in ["crate::", &supers]
            .iter()
            .flat_map(|it| names(&source.code, it))
        {
            let room = rooms.get(name).or_else(|| exported.get(name));
            if let Some(room) = room.filter(|room| **room != own) {
                let edge = (own.to_owned(), (*room).to_owned());
                imports.entry(edge).or_default().insert(source.file.clone());
            }
        }
    }
    imports
}

fn is_root(source: &Source) -> bool {
    matches!(source.modules.as_slice(), [only] if NO_ROOMS.contains(&only.as_str()))
}

/// The names after a prefix: `a` and `c` for `crate::` in `crate::{a::B, c};`.
fn names<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|it| is_word(it) || it == ':' || it == '$') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let name = |text: &'a str| text.trim_start().split(|it| !is_word(it)).next();
        found.extend(name(rest));
        let mut depth = 0_usize;
        for (at, it) in rest.char_indices().take_while(|_| rest.starts_with('{')) {
            match it {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(it, '{' | ',') {
                found.extend(name(&rest[at + 1..]));
            }
        }
    }
    found
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// The imports that are part of a cycle or lie between cycles, with their files.
fn cycles(root: &str, mut imports: Imports) -> Vec<String> {
    loop {
        let importing: BTreeSet<_> = imports.keys().map(|(from, _)| from.clone()).collect();
        let imported: BTreeSet<_> = imports.keys().map(|(_, to)| to.clone()).collect();
        let before = imports.len();
        imports.retain(|(from, to), _| imported.contains(from) && importing.contains(to));
        if imports.len() == before {
            break;
        }
    }
    let shown = |((from, to), files): (&(String, String), &BTreeSet<PathBuf>)| {
        let files: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
        format!("{root}: {from} → {to}: {}", files.join(" "))
    };
    imports.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(file, text): &(&str, &str)| Source {
            file: file.into(),
            modules: modules(Path::new(file)).expect("part of the package"),
            code: code(text),
        };
        let sources: Vec<_> = files.iter().map(source).collect();
        cycles("src", imports(&sources))
    }

    #[test]
    fn a_cycle_of_three_rooms_is_shown_with_its_files() {
        let files = [
            ("a/mod.rs", "use crate::b::B;"),
            ("b.rs", "fn f() { crate::c::g() }"),
            (
                "c/d.rs",
                "use crate::{\n    x::{Y, Z},\n    a::{self, B},\n};",
            ),
        ];
        let imports = ["a → b: a/mod.rs", "b → c: b.rs", "c → a: c/d.rs"];
        assert_eq!(found(&files), imports.map(|it| format!("src: {it}")));
    }

    #[test]
    fn imports_in_one_direction_are_not_a_cycle() {
        let files = [
            ("a/mod.rs", "use crate::{b, c::{C, D}};\nuse self::own;"),
            ("a/own.rs", "use super::other;\npub(in crate::a) fn f() {}"),
            ("b.rs", "use crate::c::C;\nuse std::b::a;"),
            ("c.rs", "macro_rules! m { () => { $crate::a } }"),
        ];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn a_path_through_the_root_and_a_name_that_the_root_exports_are_imports() {
        let climbs = [
            ("a/x.rs", "use super::super::b::B;"),
            ("b.rs", "use super::a;"),
        ];
        assert_eq!(found(&climbs).len(), 2);
        let exported = [
            ("lib.rs", "mod a;\nmod b;\npub use a::{A, inner::C as D};"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::D;"),
        ];
        assert_eq!(found(&exported).len(), 2);
        let uses = ("b.rs", "use crate::{d::D, e};");
        assert!(found(&[exported[0], exported[1], uses]).is_empty());
    }

    #[test]
    fn tests_and_comments_import_nothing() {
        let text = "//! See [`crate::b`].\n#[cfg(test)]\nuse crate::b::B;\n\
                    #[cfg(test)]\nmod tests {\n    use crate::b::B;\n\n    fn f() {}\n}\n";
        let files = [("a.rs", text), ("b.rs", "use crate::a::A;")];
        assert!(found(&files).is_empty());
        for left_out in ["a/tests.rs", "a/tests/x.rs", "bin/main.rs", "a.txt"] {
            assert_eq!(modules(Path::new(left_out)), None, "{left_out}");
        }
    }
}
