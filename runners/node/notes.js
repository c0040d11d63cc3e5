'use strict';
/*
 * Which files are read and which folders are listed while test files load: if one of them changes, what was loaded is
 * stale. Node.js itself reads modules through these functions, so modules count like a table that a test file reads.
 *
 * The functions are replaced only while files load, and put back before a test runs.
 */

const fs = require('node:fs');
const path = require('node:path');
const { syncBuiltinESMExports } = require('node:module');
const { pathOf } = require('./text.js');

const READERS = [
  [fs, 'readFileSync'],
  [fs, 'readFile'],
  [fs, 'openSync'],
  [fs, 'open'],
  [fs, 'createReadStream'],
  [fs.promises, 'readFile'],
  [fs.promises, 'open'],
];
const LISTERS = [
  [fs, 'readdirSync'],
  [fs, 'readdir'],
  [fs.promises, 'readdir'],
  [fs, 'opendirSync'],
];
const IGNORED = ['/proc/', '/dev/', '/sys/', __dirname + path.sep];
const { accessSync, constants, readdirSync, statSync } = fs;

class Notes {
  constructor() {
    this.files = new Set();
    this.folders = new Set();
    this._originals = [];
  }

  /** Note from now on. */
  start() {
    if (this._originals.length) return;
    for (const [owner, name] of READERS) this._replace(owner, name, (place, flags) => this._file(place, flags));
    for (const [owner, name] of LISTERS) this._replace(owner, name, (place) => this._add(this.folders, place));
    syncBuiltinESMExports();
  }

  /** Note no more; what user code replaced itself meanwhile stays. */
  stop() {
    for (const [owner, name, original, ours] of this._originals) if (owner[name] === ours) owner[name] = original;
    this._originals = [];
    syncBuiltinESMExports();
  }

  _replace(owner, name, note) {
    const original = owner[name];
    const ours = function (...args) {
      note(args[0], args[1]);
      return Reflect.apply(original, this, args);
    };
    Object.defineProperties(ours, Object.getOwnPropertyDescriptors(original));
    owner[name] = ours;
    this._originals.push([owner, name, original, ours]);
  }

  _file(place, options) {
    const flags = typeof options === 'string' ? options : (options?.flag ?? options?.flags ?? '');
    if (!/^(?:w|a|x|r\+)/.test(flags)) this._add(this.files, place);
  }

  _add(set, place) {
    const text = place instanceof URL ? place.href : Buffer.isBuffer(place) ? place.toString() : place;
    if (typeof text !== 'string') return;
    const file = path.resolve(pathOf(text));
    if (!IGNORED.some((prefix) => file.startsWith(prefix))) set.add(file);
  }
}

/**
 * Return a file's `[path, mtime in ns, size, permissions]`: -1 where it is missing, -2 for the time where it changed
 * since `since` (ns) or cannot be read, null where it does not count.
 */
function statOf(file, since) {
  const status = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (status === undefined) return [file, -1, -1, -1];
  if (!status.isFile()) return null;
  const mode = Number(status.mode) & 0o7777;
  return [file, status.mtimeNs >= since || !readable(file) ? -2 : status.mtimeNs, status.size, mode];
}

/** To make a file readable moves neither its time nor its size: what could not be read is looked at again. */
function readable(file) {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Return a folder's `[path, mtime in ns, names, everything]`, as the agent lists it again. */
function listingOf(folder, everything) {
  let mtime = -1;
  let names = [];
  try {
    mtime = statSync(folder, { bigint: true }).mtimeNs;
    names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => matters(folder, entry, everything))
      .map((entry) => entry.name);
  } catch {
    // it is gone: that has no names
  }
  return [folder, mtime, names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))), everything];
}

const SOURCES = [
  '.py',
  '.pth',
  '.so',
  '.pyd',
  '.ini',
  '.cfg',
  '.toml',
  '.suite.json',
  '.test.js',
  '.test.mjs',
  '.test.cjs',
  '.test.ts',
  '.test.mts',
  '.test.cts',
];

function matters(folder, entry, everything) {
  const { name } = entry;
  if (name === '__pycache__' || name.endsWith('.pyc') || (name.startsWith('.') && name !== '.pytest.ini')) return false;
  if (everything || SOURCES.some((ending) => name.endsWith(ending)) || entry.isDirectory()) return true;
  return entry.isSymbolicLink() && Boolean(statSync(path.join(folder, name), { throwIfNoEntry: false })?.isDirectory());
}

module.exports = { Notes, listingOf, statOf };
