#!/usr/bin/env python3
"""Reads a genstore store by docs/format.md alone, and changes nothing.

    read_store.py STORE                   check every byte of the newest generation and list its files
    read_store.py STORE GENERATION        the same for an earlier generation
    read_store.py STORE GENERATION PATH   print one file of it

BLAKE3 is checked when the package is there: pip install blake3.
"""
import json, re, signal, sys, zlib
from pathlib import Path
try:
    from blake3 import blake3
except ImportError:
    blake3 = print("read_store.py: hashes are not checked, as there is no package blake3", file=sys.stderr)

def need(ok, text):
    return ok or sys.exit(f"read_store.py: {text}")

def once(pairs):
    return need(len(pairs) == len(dict(pairs)), "a key stands twice in one object") and dict(pairs)

def read(name, blake=None):
    path = STORE / name
    need(path.resolve() == path and path.is_file(), f"{name} is missing, or there is a link on the way to it")
    data = path.read_bytes()
    need(not (blake and blake3) or blake3(data).hexdigest() == blake, f"{name} has another BLAKE3")
    return data

def documents(name, blake=None):
    data = read(name, blake)
    last = re.fullmatch(rb'\{"sum":"crc32:([0-9a-f]{8})"\}\n', data[-25:])
    need(last and int(last[1], 16) == zlib.crc32(data[:-25]), f"{name} has another CRC-32")
    texts = data[:-25].splitlines() if name.endswith(".jsonl") else [data[:-25]]
    first, *rest = [json.loads(text, object_pairs_hook=once) for text in texts]
    need(first.get("checkpoint", first)["format"] == 1, f"{name} is in another format")
    return first, rest

def manifest(link):
    found, _ = documents(f"manifests/{link['generation']:010}.json", link["manifest"])
    need(found["generation"] == link["generation"], "a manifest is of another generation")
    need(not found["parent"] or found["parent"]["generation"] < found["generation"], "a parent is not earlier")
    return found

def add(table, entry):
    entry.setdefault("stored_as", entry["path"])
    for path in entry["path"], entry["stored_as"]:
        need(not re.search(r'[\\:*?"<>|\x00-\x1f]|(^|/)\.{0,2}(/|$)', path), f"{path!r} is no path")
    table[entry["path"]] = entry

def check(table, totals):
    found = len(table), sum(entry["bytes"] for entry in table.values())
    need(found == (totals["files"], totals["bytes"]), "the totals are others")

def checkpoint(link):
    table = {}
    try:
        head, entries = documents(f"checkpoints/{link['generation']:010}.jsonl")
        need(head["checkpoint"]["manifest"] == link["manifest"], "a checkpoint is of another manifest")
        [add(table, entry) for entry in entries]
        check(table, head["checkpoint"])
        return table
    except (SystemExit, ValueError, KeyError):
        return None  # There is none, or it is damaged: the manifests give the same table.

def table_at(link):
    table, later = checkpoint(link), []
    while link and table is None:
        later.append(manifest(link))
        link = later[-1]["parent"]
        table = checkpoint(link) if link else {}
    for found in reversed(later):
        for change in found["changes"]:
            need("remove" not in change or table.pop(change["remove"], None), "what was removed was not there")
        for change in found["changes"]:
            if "put" in change:
                add(table, {"path": change["put"], "generation": change.get("from", found["generation"]), **change})
        check(table, found)
    return table

if len(sys.argv) not in (2, 3, 4) or not all(word.isdecimal() for word in sys.argv[2:3]):
    print("usage: read_store.py STORE [GENERATION [PATH]]", file=sys.stderr)
    sys.exit(2)
if hasattr(signal, "SIGPIPE"):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # A reader that has gone, as head does, ends this.
STORE = Path(sys.argv[1]).resolve()
link, _ = documents("CURRENT")
wanted = int(sys.argv[2]) if len(sys.argv) > 2 else link["generation"]
while link and link["generation"] > wanted:
    link = manifest(link)["parent"]
need(link and link["generation"] == wanted, f"there is no generation {wanted}")
table = table_at(link)
need(len(sys.argv) < 4 or sys.argv[3] in table, f"generation {wanted} does not have {sys.argv[-1]}")
for path, entry in sorted(table.items()):
    if path in sys.argv[3:] or len(sys.argv) < 4:
        data = read(f"data/{entry['stored_as']}.g{entry['generation']}", entry["blake3"])
        need(len(data) == entry["bytes"], f"{path} has another length")
        sys.stdout.buffer.write(data) if sys.argv[3:] else print(entry["bytes"], entry["generation"], path)
