//! Rooms: the directories and files directly below a package's `src`. Inside a
//! package they must not import one another in a cycle.
//!
//! The reader knows no Rust beyond what rustfmt guarantees: an item that begins in
//! the first column ends in a line that begins there too.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::checkout;

/// The directories that contain rooms. The BPF programs are one room: the verifier sees
/// one program, whatever file a function is in.
pub(super) const ROOTS: [&str; 8] = [
    "probe-ebpf/src",
    "probe-user/src",
    "probe-daemon/src",
    "probe-cli/src",
    "xtask/src",
    "tests/src",
    "tests/fixture/src",
    "fuzz/src",
];

/// Files directly below a root that are no rooms: they connect the rooms.
const NO_ROOMS: [&str; 3] = ["lib", "main", "fuzzing"];

/// Fails with the cycles.
pub(super) fn check() -> Result<()> {
    let mut packages: BTreeMap<&str, Vec<Source>> = BTreeMap::new();
    for file in checkout::files()? {
        let root = ROOTS.into_iter().find(|root| file.starts_with(root));
        if let Some(root) = root
            && let Some(modules) = modules(file.strip_prefix(root)?)
        {
            let text = fs::read_to_string(checkout::root().join(&file))
                .with_context(|| format!("read {}", file.display()))?;
            let source = Source {
                file,
                modules,
                code: code(&text),
            };
            packages.entry(root).or_default().push(source);
        }
    }
    let cycles: Vec<_> = packages
        .into_iter()
        .flat_map(|(root, sources)| cycles(root, &imports(&sources)))
        .collect();
    if !cycles.is_empty() {
        bail!(
            "rooms import one another in a cycle:\n{}",
            cycles.join("\n")
        );
    }
    Ok(())
}

/// One file.
struct Source {
    file: PathBuf,
    /// The path of its module: `["wait", "watch"]`.
    modules: Vec<String>,
    /// The text without comments and without items for tests.
    code: String,
}

/// From one room to another, with the files that import.
type Imports = BTreeMap<(String, String), BTreeSet<PathBuf>>;

/// The path of a file's module; `None` for tests and for programs in `bin`, which
/// are crates of their own.
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

/// A file without comments and without items for tests.
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
    let is_room = |it: &&Source| it.modules.len() > 1 || !is_root(it);
    let rooms: BTreeSet<_> = sources
        .iter()
        .filter(is_room)
        .map(|it| it.modules[0].as_str())
        .collect();
    let at_root: BTreeMap<_, _> = sources
        .iter()
        .filter(|it| is_root(it))
        .flat_map(|it| paths(&it.code, "use "))
        .filter_map(|path| {
            let room = rooms.get(first(&path))?;
            Some((last(&path).to_owned(), *room))
        })
        .collect();
    let mut imports = Imports::new();
    for source in sources.iter().filter(is_room) {
        // As many as lead from the file's module to the root of the crate.
        let supers = "super::".repeat(source.modules.len());
        for prefix in ["crate::", &supers] {
            for path in paths(&source.code, prefix) {
                let name = first(&path);
                let room = rooms.get(name).or_else(|| at_root.get(name));
                if let Some(room) = room.filter(|&&room| room != source.modules[0]) {
                    let edge = (source.modules[0].clone(), (*room).to_owned());
                    imports.entry(edge).or_default().insert(source.file.clone());
                }
            }
        }
    }
    imports
}

fn is_root(source: &Source) -> bool {
    matches!(source.modules.as_slice(), [only] if NO_ROOMS.contains(&only.as_str()))
}

fn first(path: &str) -> &str {
    let path = path.strip_prefix("self::").unwrap_or(path);
    path.split("::").next().unwrap_or(path).trim()
}

/// The name that a path brings into scope.
fn last(path: &str) -> &str {
    let path = path.rsplit("::").next().unwrap_or(path);
    path.rsplit(" as ").next().unwrap_or(path).trim()
}

/// Every path that stands behind a prefix, with braces expanded.
fn paths(code: &str, prefix: &str) -> Vec<String> {
    let begins_path = |(at, _): &(usize, _)| {
        let before = code[..*at].chars().next_back();
        before.is_none_or(|it| !is_word(it) && it != ':' && it != '$')
    };
    code.match_indices(prefix)
        .filter(begins_path)
        .flat_map(|(at, _)| expand(tree(&code[at + prefix.len()..])))
        .collect()
}

/// What belongs to the path, or the group of paths, that a text begins with.
fn tree(text: &str) -> &str {
    let end = text.find(|it: char| !is_word(it) && it != ':' && it != '*');
    let end = end.unwrap_or(text.len());
    if text[end..].starts_with('{') && (end == 0 || text[..end].ends_with("::")) {
        return &text[..end + group(&text[end..])];
    }
    &text[..end]
}

/// The length of a group in braces.
fn group(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, it) in text.char_indices() {
        match it {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else {
        return vec![tree.trim().to_owned()];
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0_usize;
    let items = group.split(|it| {
        match it {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        it == ',' && depth == 0
    });
    let items = items.map(str::trim).filter(|it| !it.is_empty());
    items
        .flat_map(expand)
        .map(|path| format!("{}{path}", prefix.trim()))
        .collect()
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// The shortest cycle through each room, once each, with the files that make it.
fn cycles(root: &str, imports: &Imports) -> Vec<String> {
    let rooms: BTreeSet<_> = imports.keys().map(|(from, _)| from.as_str()).collect();
    let mut found = BTreeMap::new();
    for room in rooms {
        if let Some(cycle) = cycle(imports, room) {
            let members: BTreeSet<_> = cycle.iter().copied().collect();
            found.entry(members).or_insert(cycle);
        }
    }
    let import = |edge: &[&str]| {
        let files = &imports[&(edge[0].to_owned(), edge[1].to_owned())];
        let files: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
        format!("\n  {} → {}: {}", edge[0], edge[1], files.join(" "))
    };
    let shown = |cycle: Vec<&str>| {
        let files: String = cycle.windows(2).map(import).collect();
        format!("{root}: {}{files}", cycle.join(" → "))
    };
    found.into_values().map(shown).collect()
}

/// The shortest way from a room back to itself.
fn cycle<'a>(imports: &'a Imports, room: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![room]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let here = way.last().copied()?;
        for (_, to) in imports.keys().filter(|(from, _)| from == here) {
            let longer = [way.as_slice(), &[to.as_str()]].concat();
            if to == room {
                return Some(longer);
            }
            if seen.insert(to) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(below: &str, text: &str) -> Source {
        Source {
            file: below.into(),
            modules: modules(Path::new(below)).expect("part of the package"),
            code: code(text),
        }
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files
            .iter()
            .map(|(file, text)| source(file, text))
            .collect();
        cycles("src", &imports(&sources))
    }

    #[test]
    fn a_cycle_of_three_rooms_is_shown_with_its_files() {
        let files = [
            ("a/mod.rs", "use crate::b::B;"),
            ("b.rs", "fn f() { crate::c::g() }"),
            (
                "c/d.rs",
                "use crate::{\n    a::{self, x::{Y, Z}},\n    e,\n};",
            ),
            ("e.rs", ""),
        ];
        let cycle = "src: a → b → c → a\n  a → b: a/mod.rs\n  b → c: b.rs\n  c → a: c/d.rs";
        assert_eq!(found(&files), [cycle]);
    }

    #[test]
    fn rooms_that_point_in_one_direction_are_no_cycle() {
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
        assert_eq!(found(&climbs).len(), 1);
        let exported = [
            ("lib.rs", "mod a;\nmod b;\npub use a::{A, inner::C as D};"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::D;"),
        ];
        assert_eq!(found(&exported).len(), 1);
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

    #[test]
    fn braces_are_expanded() {
        let paths = expand("a::{self, b::{C, D as E},\n    f}");
        assert_eq!(paths, ["a::self", "a::b::C", "a::b::D as E", "a::f"]);
    }
}
