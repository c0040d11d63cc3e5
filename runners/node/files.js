'use strict';
/* Which files a path means. Runs in the thread that collects; loads nothing of the user's. */

const fs = require('node:fs');
const path = require('node:path');

/** The endings of JavaScript's test files, and of TypeScript's. */
const SCRIPT = /\.test\.(?:js|mjs|cjs)$/;
const TYPED = /\.test\.(?:ts|mts|cts)$/;
/** The ending of files that hold cases. */
const SUITE = /\.suite\.json$/;
const SKIPPED = new Set(['node_modules', '__pycache__', '__snapshots__', 'site-packages']);
/** Whether this Node.js takes TypeScript as it is. */
const STRIPS_TYPES = Boolean(process.features.typescript);

/** A collection cannot be made: what, where, and what would be right. */
class UsageFault extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/**
 * Find the test files that paths mean, each once, in the order of the paths and sorted within a folder.
 *
 * A path is a file, a folder, `FILE::NAME` or `FILE:LINE`, absolute or relative to `cwd`. None at all means `cwd`.
 * @param {string[]} paths
 * @param {string} cwd
 * @param {RegExp} [wanted] names of files in a folder that count; without it those of test files
 * @returns {{requests: Map<string, Request>, folders: string[], typed: number}} a `Request` is
 *     `{names: string[], lines: number[], whole: boolean}`: what is asked of each file; the folders that were listed; how many TypeScript files this Node.js cannot take
 * @throws {UsageFault} a path does not exist, or names a test in a folder
 */
function find(paths, cwd, wanted) {
  const found = { requests: new Map(), folders: [], typed: 0 };
  for (const asked of paths.length ? paths : [cwd]) {
    const { place, name, line } = split(asked, cwd);
    const status = fs.statSync(place, { throwIfNoEntry: false });
    if (status === undefined) throw new UsageFault(`no such file or folder: ${asked}`, `paths are relative to ${cwd}`);
    if (!status.isDirectory()) ask(found, place, name, line);
    else if (name || line)
      throw new UsageFault(`${asked}: ${place} is a folder, and only a file has tests`, 'name the file');
    else walk(place, found, new Set(), wanted);
  }
  return found;
}

function ask(found, file, name, line) {
  if (!found.requests.has(file)) found.requests.set(file, { names: [], lines: [], whole: false });
  const request = found.requests.get(file);
  if (name) request.names.push(name);
  else if (line) request.lines.push(line);
  else request.whole = true;
}

/** Split `FILE::NAME` and `FILE:LINE`. A file whose own name looks like that is taken as it is. */
function split(wanted, cwd) {
  const whole = path.resolve(cwd, wanted);
  if (fs.existsSync(whole)) return { place: whole, name: '', line: 0 };
  const colons = wanted.indexOf('::');
  if (colons > 0) return { place: path.resolve(cwd, wanted.slice(0, colons)), name: wanted.slice(colons + 2), line: 0 };
  const match = /^(.+):(\d+)$/.exec(wanted);
  return match
    ? { place: path.resolve(cwd, match[1]), name: '', line: Number(match[2]) }
    : { place: whole, name: '', line: 0 };
}

/** Take the test files below a folder: its own first, then folder by folder. */
function walk(folder, found, seen, wanted) {
  const status = fs.statSync(folder);
  const identity = `${status.dev}:${status.ino}`;
  if (seen.has(identity)) return; // a symbolic link that leads back
  seen.add(identity);
  found.folders.push(folder);
  const inner = [];
  for (const entry of listed(folder)) {
    const place = path.join(folder, entry.name);
    const kind = entry.isSymbolicLink() ? fs.statSync(place, { throwIfNoEntry: false }) : entry;
    if (kind === undefined) continue;
    if (kind.isDirectory()) {
      if (!entry.name.startsWith('.') && !SKIPPED.has(entry.name)) inner.push(place);
    } else if (wanted !== undefined) {
      if (wanted.test(entry.name)) ask(found, place, '', 0);
    } else if (SCRIPT.test(entry.name) || (TYPED.test(entry.name) && STRIPS_TYPES)) ask(found, place, '', 0);
    else if (TYPED.test(entry.name)) found.typed += 1;
  }
  for (const place of inner) walk(place, found, seen, wanted);
}

function listed(folder) {
  try {
    return fs.readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw new UsageFault(`cannot read the folder ${folder}: ${error.code}`, 'check its permissions');
  }
}

/** Return the part of a test's identity that its file gives: the path relative to the root. */
function fileId(file, root) {
  return path.relative(root, file).split(path.sep).join('/');
}

module.exports = { SCRIPT, STRIPS_TYPES, SUITE, TYPED, UsageFault, fileId, find };
