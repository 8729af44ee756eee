//! The public interface as a list: whatever changes for users of the library changes `public_api.txt`, and so is seen in a
//! review. `UPDATE_PUBLIC_API=1 cargo test --test public_api` writes the list again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{LineColumn, Span};
use syn::{Fields, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// A source file, from which the text of signatures is taken.
struct Source {
    text: String,
    items: Vec<Item>,
}

impl Source {
    /// The text between two places, with its white space folded.
    fn between(&self, from: LineColumn, to: LineColumn) -> String {
        let lines = self.text.lines().enumerate().skip(from.line - 1).take(to.line + 1 - from.line);
        let part = lines.map(|(at, line)| {
            let end = if at + 1 == to.line { to.column } else { usize::MAX };
            let begin = if at + 1 == from.line { from.column } else { 0 };
            line.chars().take(end).skip(begin).collect::<String>()
        });
        let text = part.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        text.replace("( ", "(").replace(", )", ")")
    }

    /// The rest of a line, without what ends or begins a body.
    fn line(&self, span: Span) -> String {
        let line = self.text.lines().nth(span.start().line - 1).unwrap().trim();
        line.trim_end_matches('{').trim_end_matches(',').trim_end().to_owned()
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn names(tree: &UseTree, found: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => names(&path.tree, found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, found)),
        UseTree::Name(name) => drop(found.insert(name.ident.to_string())),
        UseTree::Rename(name) => drop(found.insert(name.rename.to_string())),
        UseTree::Glob(_) => panic!("a glob hides what is public"),
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What one item shows, under its name.
fn show(
    source: &Source,
    item: &Item,
    list: &mut BTreeMap<String, BTreeSet<String>>,
    wanted: &BTreeSet<String>,
) {
    let mut add = |name: &syn::Ident, span: Span| -> Option<String> {
        let name = name.to_string();
        wanted.contains(&name).then(|| {
            list.entry(name.clone()).or_default().insert(format!("0 {}", source.line(span)));
            name
        })
    };
    let mut members = Vec::new();
    let name = match item {
        Item::Struct(it) if is_public(&it.vis) => {
            let fields: Vec<_> = match &it.fields {
                Fields::Named(fields) => fields.named.iter().filter(|field| is_public(&field.vis)).collect(),
                _ => Vec::new(),
            };
            members.extend(fields.iter().map(|field| source.line(field.ident.as_ref().unwrap().span())));
            add(&it.ident, it.ident.span())
        }
        Item::Enum(it) if is_public(&it.vis) => {
            members.extend(it.variants.iter().map(|variant| source.line(variant.ident.span())));
            add(&it.ident, it.ident.span())
        }
        Item::Trait(it) if is_public(&it.vis) => {
            members.extend(it.items.iter().filter_map(|item| match item {
                TraitItem::Fn(it) => Some(source.line(it.sig.ident.span())),
                _ => None,
            }));
            add(&it.ident, it.ident.span())
        }
        Item::Fn(it) if is_public(&it.vis) => add(&it.sig.ident, it.sig.ident.span()),
        Item::Const(it) if is_public(&it.vis) => add(&it.ident, it.ident.span()),
        Item::Type(it) if is_public(&it.vis) => add(&it.ident, it.ident.span()),
        Item::Impl(it) => {
            let Type::Path(path) = &*it.self_ty else { return };
            let name = path.path.segments.last().unwrap().ident.to_string();
            match &it.trait_ {
                Some(_) => {
                    let from = it.impl_token.span.start();
                    members.push(source.between(from, it.brace_token.span.open().start()));
                }
                None => members.extend(it.items.iter().filter_map(|item| match item {
                    ImplItem::Fn(it) if is_public(&it.vis) => {
                        let from = it.sig.fn_token.span.start();
                        Some(source.between(from, it.block.brace_token.span.open().start()))
                    }
                    ImplItem::Const(it) if is_public(&it.vis) => Some(source.line(it.ident.span())),
                    _ => None,
                })),
            }
            wanted.contains(&name).then_some(name)
        }
        _ => None,
    };
    if let Some(name) = name {
        list.entry(name).or_default().extend(members.into_iter().map(|member| format!("1 {member}")));
    }
}

/// The name of a public type of a module that is public as a whole.
fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Struct(it) => (&it.vis, &it.ident),
        Item::Enum(it) => (&it.vis, &it.ident),
        Item::Type(it) => (&it.vis, &it.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}

fn listing() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let mut wanted = BTreeSet::new();
    let lib = syn::parse_file(&fs::read_to_string(root.join("lib.rs")).unwrap()).unwrap();
    for item in &lib.items {
        if let Item::Use(it) = item
            && is_public(&it.vis)
        {
            names(&it.tree, &mut wanted);
        }
    }
    let mut list: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let items = syn::parse_file(&text).unwrap().items;
        if file.ends_with("src/sim.rs") {
            wanted.extend(items.iter().filter_map(public_name));
        }
        let source = Source { text, items };
        source.items.iter().for_each(|item| show(&source, item, &mut list, &wanted));
    }
    for name in &wanted {
        let members = list.entry(name.clone()).or_default();
        if !members.iter().any(|member| member.starts_with("0 ")) {
            members.insert(format!("0 {name}, which a macro declares"));
        }
    }
    let mut text = String::new();
    for members in list.values() {
        for member in members {
            text.push_str(member.strip_prefix("0 ").map_or("    ", |_| "\n"));
            text.push_str(&member[2..]);
            text.push('\n');
        }
    }
    text.trim_start().to_owned()
}

#[test]
fn the_public_interface_is_the_one_that_is_listed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_api.txt");
    let found = listing();
    if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let listed = fs::read_to_string(&file).unwrap_or_default();
    let only = |one: &str, two: &str| -> Vec<String> {
        let two: BTreeSet<&str> = two.lines().collect();
        one.lines().filter(|line| !two.contains(line)).map(str::to_owned).collect()
    };
    assert!(
        found == listed,
        "the public interface has changed; UPDATE_PUBLIC_API=1 writes the list again\nnew: {:#?}\ngone: {:#?}",
        only(&found, &listed),
        only(&listed, &found)
    );
}
