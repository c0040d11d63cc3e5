'use strict';
/*
 * Collecting: which tests there are, and what that depends on. Runs in a worker thread, which afterwards holds the
 * modules and waits for tests.
 */

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { writeCompiled } = require('./compiled.js');
const { describe, detail } = require('./failures.js');
const { SUITE, UsageFault, fileId, find } = require('./files.js');
const { importsAmong } = require('./imports.js');
const { Notes, listingOf, statOf } = require('./notes.js');
const { State } = require('./slots.js');
const { strangers } = require('./strangers.js');

const PAGE = 2000;
/** Cases come with all that is written of them. */
const CASES_PAGE = 100;

/**
 * Load the files that paths mean, and tell their tests: `Found`, then `Dependencies`, pages of `Listed`, and `Modules`.
 * @param {import('./session.js').Session} session
 * @param {{collection: number, paths: string[], cwd: string, skip: Object<string, string>}} order `skip` has files that
 *     ended the thread which loaded them, and how
 */
async function collect(session, order) {
  const since = BigInt(Date.now()) * 1000000n - 20000000n;
  const notes = new Notes();
  let found;
  try {
    found = find(order.paths, order.cwd, session.cases === null ? undefined : SUITE);
  } catch (error) {
    if (!(error instanceof UsageFault)) throw error;
    session.endpoint.send({ type: 'Refused', message: error.message, hint: error.hint });
    return;
  }
  const files = [...found.requests.keys()];
  session.endpoint.send({ type: 'Found', files });
  const collection = new Collection(session.settings.root, found.typed);
  notes.start();
  for (const [n, file] of files.entries()) {
    session.slot.set(State.LOADING, 0, n);
    const id = fileId(file, session.settings.root);
    if (session.cases !== null) await session.cases.collect(collection, id, file, file in order.skip);
    else if (file in order.skip)
      collection.broken(
        id,
        detail({ phase: 'collect', kind: 'crash', message: order.skip[file], text: order.skip[file] }),
      );
    else collection.take(id, file, await session.load(file), found.requests.get(file));
  }
  notes.stop();
  session.slot.set(State.LOADING, 0, -1);
  if (collection.refused) session.endpoint.send({ type: 'Refused', ...collection.refused });
  else tell(session, order, collection, dependencies(session, notes, files, found.folders, since), files);
}

/** Load files into a thread that waits for the next run; what is new about them is told. */
async function preload(session, { collection, files }) {
  const since = BigInt(Date.now()) * 1000000n - 20000000n;
  const notes = new Notes();
  notes.start();
  for (const [n, file] of files.entries()) {
    session.slot.set(State.LOADING, 0, n);
    if (session.cases !== null) await session.cases.prepare([file]);
    else await session.load(file);
  }
  notes.stop();
  const { stats, folders } = dependencies(session, notes, files, [], since);
  session.endpoint.send({ type: 'Preloaded', collection, files: stats, directories: folders });
}

/** The tests and errors of a collection as they come. */
class Collection {
  constructor(root, typed) {
    this._root = root;
    this.items = [];
    this.tests = []; // of documents, in the order of the items
    this.errors = [];
    this.notices = [];
    this.refused = null;
    if (typed) {
      this.notices.push(
        `${typed} TypeScript test file${typed === 1 ? '' : 's'} left out: Node.js ${process.versions.node} ` +
          'does not take TypeScript, 22.6 and later do',
      );
    }
  }

  broken(id, what) {
    this.errors.push({ id, detail: what, verdict: 'error' });
  }

  take(id, file, { tests, classes, error }, request) {
    if (error !== null && error.thrown?.name === 'Skip') {
      this.errors.push({
        id,
        detail: detail({ phase: 'collect', message: String(error.thrown.message) }),
        verdict: 'skipped',
      });
      return;
    }
    if (error !== null) {
      const what = describe(error.thrown, { root: this._root, file, phase: 'collect' });
      this.broken(id, { ...what, text: what.text.slice(0, 16 * 1024) });
      return;
    }
    for (const test of this._chosen(id, tests, request)) this.items.push([`${id}::${test.name}`, test.line]);
    if (classes.length)
      this.notices.push(`${id}: ${classes.join(', ')} not run: tests are exported functions, not classes`);
  }

  _chosen(id, tests, { names, lines, whole }) {
    if (whole) return tests;
    const chosen = new Set();
    for (const name of names) {
      const test = tests.find((found) => found.name === name);
      if (test) chosen.add(test);
      else
        this._refuse(
          `${id} has no test '${name}'`,
          `its tests are: ${
            tests
              .map((found) => found.name)
              .slice(0, 20)
              .join(', ') || 'none'
          }`,
        );
    }
    for (const line of lines) {
      const before = tests.filter((test) => test.line > 0 && test.line <= line).pop();
      if (before) chosen.add(before);
      else this._refuse(`${id} has no test at line ${line}`, 'give a line inside a test function');
    }
    return [...chosen];
  }

  _refuse(message, hint) {
    this.refused = this.refused ?? { message, hint };
  }
}

/** Return what was loaded: every file with its time and size, every folder that was listed. */
function dependencies(session, notes, files, walked, since) {
  const loaded = new Set([...files, ...notes.files, ...Object.keys(Module._cache)]);
  for (const file of [...loaded]) if (file.startsWith(__dirname + path.sep)) loaded.delete(file);
  const looked = new Set(loaded);
  for (const file of loaded) for (const place of lookedFor(file, session.settings.root)) looked.add(place);
  const stats = [...looked].map((file) => statOf(file, since)).filter((entry) => entry !== null);
  const folders = walked.map((folder) => listingOf(folder, false));
  for (const folder of notes.folders) folders.push(listingOf(folder, true));
  return { stats, folders, loaded };
}

const seen = new Map();

/** Yield what decides how a file is loaded, from its folder up to the root: package.json, and a nearer node_modules. */
function lookedFor(file, root) {
  const folder = path.dirname(file);
  const known = seen.get(folder);
  if (known !== undefined) return known;
  const places = [];
  for (let at = folder; ; at = path.dirname(at)) {
    places.push(path.join(at, 'package.json'));
    const packages = path.join(at, 'node_modules');
    if (path.basename(at) !== 'node_modules' && !fs.existsSync(packages)) places.push(packages);
    if (at === root || at === path.dirname(at)) break;
  }
  seen.set(folder, places);
  return places;
}

function tell(session, { collection: number }, collection, { stats, folders, loaded }, files) {
  const { endpoint, settings } = session;
  collection.notices.push(...strangers(loaded, settings.root));
  endpoint.send({
    type: 'Dependencies',
    checkpoint: 'collected',
    collection: number,
    files: stats,
    directories: folders,
  });
  const page = collection.tests.length ? CASES_PAGE : PAGE;
  for (let at = 0; at < collection.items.length; at += page) {
    const tests = collection.tests.slice(at, at + page);
    endpoint.send({ type: 'Listed', items: collection.items.slice(at, at + page), done: false, tests });
  }
  for (let at = 0; at < collection.errors.length; at += 100) {
    endpoint.send({ type: 'Failed', errors: collection.errors.slice(at, at + 100) });
  }
  // In front of the last page: behind it the thread belongs to whoever runs its tests.
  const { files: modules, imports } = importsAmong(loaded, settings.root, files);
  for (const [n, [id]] of collection.items.entries()) named(imports, id, collection.tests[n]?.module, settings.root);
  endpoint.send({ type: 'Modules', collection: number, files: modules, imports, worker: 0 });
  endpoint.send({ type: 'Listed', items: [], done: true, notices: collection.notices });
  setImmediate(writeCompiled); // nobody waits for it
}

/** Let a document import the module that one of its tests names. */
function named(imports, id, module, root) {
  if (!module || !path.isAbsolute(module)) return;
  const file = id.slice(0, id.indexOf('::'));
  const name = fileId(module, root);
  imports[file] = imports[file] ?? [];
  if (!imports[file].includes(name)) imports[file].push(name);
}

module.exports = { collect, preload };
