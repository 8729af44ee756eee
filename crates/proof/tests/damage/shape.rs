//! The stores to damage, each with a model of what every generation holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use genstore::{Commit, Store};

use crate::support::{Noise, Place, copy_dir, manifest_name, tree};

/// One file of a generation, and where its bytes are.
#[derive(Clone)]
pub(crate) struct Stored {
    /// The name in the store.
    pub(crate) file: String,
    /// The generation that wrote the bytes.
    pub(crate) generation: u64,
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// Every file of one generation, by path.
pub(crate) type State = BTreeMap<String, Stored>;

/// What a store holds, according to the calls that wrote it.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) head: u64,
    /// Every generation whose manifest was written, including an interrupted commit.
    pub(crate) states: BTreeMap<u64, State>,
    pub(crate) parents: BTreeMap<u64, u64>,
    pub(crate) interrupted: Option<u64>,
}

/// Names in a directory: the bytes of a file, or `None` for a directory.
pub(crate) type Disk = BTreeMap<String, Option<Arc<Vec<u8>>>>;

/// One store before any damage.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Whether every bit is tried in every run, and not only in a long one.
    pub(crate) is_every_bit: bool,
    pub(crate) model: Model,
    pub(crate) disk: Disk,
    /// The pointer as it was at each generation.
    pub(crate) pointers: BTreeMap<u64, Vec<u8>>,
    /// What other histories hold under a name of this one. Each is intact in itself.
    pub(crate) foreign: Vec<(&'static str, String, Vec<u8>)>,
}

impl Shape {
    /// The files whose names begin with this.
    pub(crate) fn files(&self, prefix: &str) -> impl Iterator<Item = (&String, &Arc<Vec<u8>>)> {
        let prefix = prefix.to_owned();
        let files = self.disk.iter().filter_map(|(name, bytes)| Some((name, bytes.as_ref()?)));
        files.filter(move |(name, _)| name.starts_with(&prefix))
    }
}

/// The names and bytes in a directory, which contains only files and directories.
pub(crate) fn disk(dir: &Path) -> Disk {
    let items = tree(dir).into_iter();
    items.map(|(name, item)| (name, (item.kind == "file").then(|| Arc::new(item.bytes.0)))).collect()
}

enum Change {
    Put(Vec<u8>),
    /// From this path.
    Rename(&'static str),
    Remove,
}

struct Builder {
    place: Place,
    store: Store,
    model: Model,
    pointers: BTreeMap<u64, Vec<u8>>,
}

fn text(content: &str) -> Change {
    Change::Put(content.as_bytes().to_vec())
}

impl Builder {
    fn new() -> Self {
        let place = Place::quick();
        let store = Store::create(place.store()).unwrap();
        let model = Model {
            head: 1,
            states: BTreeMap::from([(1, State::new())]),
            parents: BTreeMap::new(),
            interrupted: None,
        };
        let mut builder = Self { place, store, model, pointers: BTreeMap::new() };
        builder.note_pointer();
        builder
    }

    fn note_pointer(&mut self) {
        self.pointers.insert(self.model.head, fs::read(self.place.inside("CURRENT")).unwrap());
    }

    fn committed(&mut self, commit: &Commit, state: State) {
        let number = commit.generation.get();
        self.model.parents.insert(number, self.model.head);
        self.model.states.insert(number, state);
        self.model.head = number;
        self.note_pointer();
    }

    fn commit(&mut self, changes: Vec<(&str, Change)>) {
        let next = self.model.head + 1;
        let mut state = self.model.states[&self.model.head].clone();
        let mut tx = self.store.begin().unwrap();
        for (path, change) in changes {
            match change {
                Change::Put(bytes) => {
                    tx.put(path, bytes.clone()).unwrap();
                    let file = format!("data/{path}.g{next}");
                    state.insert(path.to_owned(), Stored { file, generation: next, bytes: Arc::new(bytes) });
                }
                Change::Rename(from) => {
                    tx.rename(from, path).unwrap();
                    let stored = state.remove(from).unwrap();
                    state.insert(path.to_owned(), stored);
                }
                Change::Remove => {
                    tx.remove(path).unwrap();
                    state.remove(path).unwrap();
                }
            }
        }
        let commit = tx.commit("commit").unwrap();
        assert_eq!(commit.generation.get(), next);
        self.committed(&commit, state);
    }

    fn rollback(&mut self, to: u64) {
        let commit = self.store.rollback(to.to_string().as_str(), "back").unwrap();
        let state = self.model.states[&to].clone();
        self.committed(&commit, state);
    }

    /// Leaves the commit as a crash between barrier 1 and the swap of the pointer would.
    fn interrupt(&mut self, changes: Vec<(&str, Change)>) {
        let head = self.model.head;
        self.commit(changes);
        let current = self.place.inside("CURRENT");
        fs::rename(&current, self.place.inside("CURRENT.next")).unwrap();
        fs::write(current, &self.pointers[&head]).unwrap();
        self.model.interrupted = Some(self.model.head);
        self.model.head = head;
        self.pointers.remove(&self.model.interrupted.unwrap());
    }

    fn finish(self, name: &'static str) -> Shape {
        let Self { place, store, model, pointers } = self;
        drop(store);
        let disk = disk(&place.store());
        let mut foreign = Vec::new();
        // The last two generations, as if something else had been committed.
        for base in
            model.parents.get(&model.head).into_iter().flat_map(|one| [Some(one), model.parents.get(one)])
        {
            let Some(base) = base else { continue };
            let fork = Place::quick();
            copy_dir(&place.store(), &fork.store());
            for above in model.states.keys().filter(|number| *number > base) {
                let _ = fs::remove_file(fork.inside(&manifest_name(*above)));
                let _ = fs::remove_file(fork.inside(&format!("checkpoints/{above:010}.jsonl")));
            }
            let _ = fs::remove_file(fork.inside("locks/writer"));
            let _ = fs::remove_file(fork.inside("CURRENT"));
            fs::write(fork.inside("CURRENT"), &pointers[base]).unwrap();
            fs::remove_dir_all(fork.inside("data")).unwrap();
            let store = Store::open(fork.store()).unwrap();
            for number in base + 1..=model.head {
                let mut tx = store.begin().unwrap();
                tx.put("forked", number.to_string()).unwrap();
                assert_eq!(tx.commit("of another history").unwrap().generation.get(), number);
                let name = manifest_name(number);
                let bytes = fs::read(fork.inside(&name)).unwrap();
                foreign.push(("the one of a fork", name, bytes));
            }
            foreign.push(("the one of a fork", "CURRENT".into(), fs::read(fork.inside("CURRENT")).unwrap()));
        }
        let (other, store) = Place::with_store();
        for number in 2..=model.head {
            let mut tx = store.begin().unwrap();
            tx.put("other", number.to_string()).unwrap();
            tx.commit("of another store").unwrap();
        }
        drop(store);
        for (name, item) in tree(&other.store()) {
            if disk.get(&name).is_some_and(Option::is_some) && !name.starts_with("locks") {
                foreign.push(("the one of another store", name, item.bytes.0));
            }
        }
        Shape { name, is_every_bit: name == "two commits", model, disk, pointers, foreign }
    }
}

/// Only the first generation. Nothing was ever committed.
fn first() -> Shape {
    Builder::new().finish("first generation")
}

/// Two commits. What is damaged here is next to what can be served instead.
fn two_commits() -> Shape {
    let mut builder = Builder::new();
    builder.commit(vec![("a", text("first")), ("b", text("kept"))]);
    builder.commit(vec![("a", text("second"))]);
    builder.finish("two commits")
}

fn handful() -> Builder {
    let mut builder = Builder::new();
    builder.commit(vec![
        ("index.json", text("{\"a\":1}")),
        ("stores/a.json", text("first a")),
        ("empty", text("")),
    ]);
    builder.commit(vec![("stores/a.json", text("second a")), ("stores/b.json", text("first b"))]);
    builder.commit(vec![("stores/c.json", Change::Rename("stores/a.json")), ("empty", Change::Remove)]);
    builder.commit(vec![("index.json", text("{\"c\":2}")), ("stores/b.json", Change::Remove)]);
    builder.rollback(3);
    builder.commit(vec![("moved/a", Change::Rename("stores/a.json")), ("stores/b.json", text("second b"))]);
    builder
}

/// Content that differs from commit to commit.
fn content(number: u64) -> Change {
    text(&format!("{{\"committed\":{number}}}"))
}

/// Commits until there is a checkpoint at the head.
fn with_checkpoint() -> Builder {
    let mut builder = Builder::new();
    builder.commit(vec![("a", content(2)), ("directory/b", content(20)), ("directory/c", content(200))]);
    builder.commit(vec![("a", content(3)), ("renamed/b", Change::Rename("directory/b"))]);
    for number in 4.. {
        builder.commit(vec![(["a", "directory/c", "d"][(number % 3) as usize], content(number))]);
        // When a handle is dropped, its checkpoint has been written.
        builder.store = Store::open(builder.place.store()).unwrap();
        if builder.place.inside("checkpoints").read_dir().unwrap().next().is_some() {
            break;
        }
    }
    builder
}

fn checkpoint_behind() -> Shape {
    let mut builder = with_checkpoint();
    let head = builder.model.head;
    builder.commit(vec![("a", content(head + 1)), ("e", content(500))]);
    builder.commit(vec![("directory/e", Change::Rename("e")), ("d", Change::Remove)]);
    builder.finish("checkpoint behind the head")
}

fn interrupted() -> Shape {
    let mut builder = Builder::new();
    builder.commit(vec![("a", text("first")), ("b/c", text("kept"))]);
    builder.commit(vec![("a", text("second"))]);
    builder.commit(vec![("d", Change::Rename("b/c")), ("e", text("new"))]);
    builder.interrupt(vec![("a", text("never acknowledged")), ("f/g", text("lost work"))]);
    builder.finish("interrupted commit")
}

fn large() -> Shape {
    let mut builder = Builder::new();
    let deep = "eins/zwei/drei/vier/fünf/sechs/sieben/acht.json";
    let noise = Noise::bytes(200_000);
    builder.commit(vec![
        ("Größe/großer Brocken.bin", Change::Put(noise[..100_000].to_vec())),
        (deep, text("deep")),
        ("日本語/東京.json", text("{}")),
    ]);
    builder.commit(vec![
        ("Größe/großer Brocken.bin", Change::Put(noise[100_000..].to_vec())),
        ("日本語/大阪", text("x")),
    ]);
    builder.commit(vec![("日本語/🚚.json", Change::Rename("日本語/東京.json")), (deep, text("deeper"))]);
    builder.finish("large file and deep names")
}

/// All shapes.
pub(crate) fn shapes() -> Vec<Shape> {
    vec![
        first(),
        two_commits(),
        handful().finish("renames, removals and a rollback"),
        checkpoint_behind(),
        with_checkpoint().finish("checkpoint at the head"),
        interrupted(),
        large(),
    ]
}
