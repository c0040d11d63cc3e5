'use strict';
/*
 * Who imports whom among the files of a project: read from their sources, because Node.js tells nobody. Runs where
 * tests run.
 *
 * Files count that are imported only while tests run, too. A file that imports under a name which only a run could tell
 * is taken to import every file of the project that is no test file.
 */

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { fileURLToPath } = require('node:url');

const { readFileSync, realpathSync, statSync } = fs;
const SOURCE = /\.[cm]?[jt]s$/;
const OWN = /\.(?:[cm]?[jt]s|json|node|wasm)$/;
const PACKAGES = `${path.sep}node_modules${path.sep}`;
const IMPORT = /(?:\bfrom|\bimport|\b(?:import|require)\s*\(|\bnew\s+URL\s*\()\s*(['"])([^'"\n]+)\1/g;
/** A call with anything else than one name in quotes; `require` under another name. */
const COMPUTED = /\b(?:import|require)\s*\(\s*(?!\s|\)|(['"])[^'"\n]+\1\s*[,)])/;
const RENAMED = /\bcreateRequire\s*\(/;
const USUAL = /\brequire\s*=\s*(?:\w+\.)*createRequire\s*\(/;
const ENDINGS = ['', '.js', '.json', '.node', '/index.js', '/index.json', '/index.node'];

/**
 * Return `{files, imports}` of a `Modules` message. A name is the path relative to the root.
 * @param {Iterable<string>} loaded absolute paths
 * @param {string} root
 * @param {Iterable<string>} tests the test files: nothing imports them without naming them
 */
function importsAmong(loaded, root, tests = []) {
  const nameOf = (file) => path.relative(root, file).split(path.sep).join('/');
  const found = new Map(); // file → what it imports, null: anything
  const waiting = [...loaded].filter(isOwn);
  while (waiting.length) {
    const file = waiting.pop();
    if (found.has(file)) continue;
    found.set(file, SOURCE.test(file) ? importsOf(file) : new Set());
    waiting.push(...(found.get(file) ?? []));
  }
  const files = {};
  const imports = {};
  const known = new Set(tests);
  const all = [...found.keys()].filter((file) => !known.has(file)).map(nameOf);
  for (const [file, targets] of found) {
    files[nameOf(file)] = file;
    const names = targets === null ? all : [...targets].map(nameOf);
    if (names.length) imports[nameOf(file)] = names;
  }
  return { files, imports };
}

const isOwn = (file) => OWN.test(file) && !file.includes(PACKAGES);

/** Return the files of the project that a source imports, null where only a run could tell. */
function importsOf(file) {
  const source = textOf(file);
  if (COMPUTED.test(source) || (RENAMED.test(source) && !USUAL.test(source))) return null;
  const imported = new Set();
  for (const [, , specifier] of source.matchAll(IMPORT)) {
    const targets = targetsOf(specifier, file);
    if (targets === null) return null;
    for (const target of targets) if (isOwn(target)) imported.add(target);
  }
  return imported;
}

/** Return the files that a specifier may mean: none for what comes with Node.js or is installed, null if not known. */
function targetsOf(specifier, file) {
  if (Module.builtinModules.includes(specifier) || /^(?:node|data|https?):/.test(specifier)) return [];
  if (specifier.startsWith('file:')) return placed(fileURLToPath(specifier));
  if (/^(?:\.{1,2}$|\.{0,2}\/)/.test(specifier)) {
    return placed(path.resolve(path.dirname(file), specifier.replace(/[?#].*$/, '')));
  }
  const scope = packageOf(path.dirname(file));
  if (specifier.startsWith('#')) return scope === null ? null : mapped(scope, scope.json.imports, specifier);
  const [name] = /^(?:@[^/]+\/)?[^/]+/.exec(specifier) ?? [''];
  const inside = `.${specifier.slice(name.length)}`;
  if (scope?.json.name === name && scope.json.exports) return mapped(scope, scope.json.exports, inside);
  return installed(path.dirname(file), name, inside);
}

/** Return the file at a place: as Node.js completes it. What is not there is nothing yet: once it is, it is new. */
function placed(place) {
  for (const ending of ENDINGS) {
    if (statSync(place + ending, { throwIfNoEntry: false })?.isFile()) return [realpathSync(place + ending)];
  }
  return [];
}

/** Return the nearest package.json as `{folder, json}`, null where there is none that can be read. */
function packageOf(folder) {
  for (let at = folder; ; at = path.dirname(at)) {
    const text = textOf(path.join(at, 'package.json'));
    if (text) {
      try {
        return { folder: at, json: JSON.parse(text) };
      } catch {
        return null;
      }
    }
    if (at === path.dirname(at)) return null;
  }
}

/** Return every file that a package's `imports` or `exports` have for a name, whatever the conditions. */
function mapped({ folder, json }, map, name) {
  const named = map !== null && typeof map === 'object' && Object.keys(map).some((key) => /^[.#]/.test(key));
  const table = named ? map : { '.': map };
  for (const [key, value] of Object.entries(table)) {
    const [before, after] = key.split('*');
    const whole = after === undefined ? name === key : name.startsWith(before) && name.endsWith(after);
    if (!whole) continue;
    const middle = after === undefined ? '' : name.slice(before.length, name.length - after.length);
    const targets = leaves(value).map((leaf) => leaf.replaceAll('*', middle));
    if (targets.some((leaf) => leaf.startsWith('#'))) return null;
    const lists = targets.map((leaf) => targetsOf(leaf, path.join(folder, 'package.json')));
    return lists.includes(null) ? null : lists.flat();
  }
  return json.main && name === '.' ? placed(path.join(folder, json.main)) : null;
}

function leaves(value) {
  if (typeof value === 'string') return [value];
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(leaves) : [];
}

/** Return the files of a package in a node_modules: none but where it is a link to a folder of the project. */
function installed(folder, name, inside) {
  for (let at = folder; ; at = path.dirname(at)) {
    const place = path.join(at, 'node_modules', name);
    if (fs.existsSync(place)) {
      const real = realpathSync(place);
      if (`${real}${path.sep}`.includes(PACKAGES)) return [];
      const scope = packageOf(real);
      if (scope?.json.exports) return mapped(scope, scope.json.exports, inside);
      return placed(inside === '.' ? path.join(real, scope?.json.main ?? '') : path.join(real, inside));
    }
    if (at === path.dirname(at)) return null;
  }
}

function textOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

module.exports = { importsAmong };
