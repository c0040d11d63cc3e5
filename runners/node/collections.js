'use strict';
/*
 * The collections of a runner: the tests that there are, and what that depends on. The files are loaded in a thread,
 * which holds them from then on; here are only names. Runs in the supervisor.
 */

const fs = require('node:fs');
const path = require('node:path');
const { frame, payloadOf } = require('./framing.js');
const { KeywordError, compileKeyword } = require('./keywords.js');
const { pack, unpack } = require('./msgpack.js');
const { statOf } = require('./notes.js');
const { State } = require('./slots.js');

/** What came of one `Collect`. */
class Collection {
  constructor(number, root) {
    this.number = number;
    this.ids = [];
    this.tests = []; // of documents, in the order of the ids
    this.used = new Set(); // the files whose tests ran
    this._root = root;
  }

  /** Note which files a job needs. */
  use(tests) {
    for (const [, id, test] of tests) {
      if (test === undefined) this.used.add(path.resolve(this._root, id.slice(0, id.lastIndexOf('::'))));
      else if (test.module) this.used.add(test.module);
    }
  }
}

/** A thread that collects. It may end while it does: a file that ends it is left out, and another thread goes on. */
class Collecting {
  constructor(owner, order, skip = {}) {
    this._owner = owner;
    this._order = order;
    this._skip = skip;
    this._files = [];
    this._errors = [];
    this._collection = new Collection(order.collection, owner.settings.root);
    this.number = order.collection;
    this._over = false;
    this.dropped = false;
    this.seat = owner.threads.take();
    this.seat.owner = this;
    this.seat.tell({
      type: 'Collect',
      collection: order.collection,
      paths: order.paths,
      cwd: owner.settings.cwd || owner.settings.root,
      skip,
    });
  }

  heard(type, whole) {
    if (this.dropped) return;
    if (type === 'Dependencies' || type === 'Modules' || type === 'Judge') this._owner.agent.forward(whole);
    else this._take(unpack(payloadOf(whole)));
  }

  _take(message) {
    if (message.type === 'Found') this._files = message.files;
    else if (message.type === 'Failed') this._errors.push(...message.errors);
    else if (message.type === 'Listed') this._page(message);
    else if (message.type === 'Refused') this._refuse('usage', message.message, { hint: message.hint, exit_code: 4 });
  }

  _page({ items, done, notices = [], tests = [] }) {
    this._collection.tests.push(...tests);
    for (const [id] of items) this._collection.ids.push(id);
    const { settings } = this._owner;
    const stem = settings.stem !== false;
    this._owner.agent.tell({
      type: 'Collected',
      collection: this.number,
      items,
      done,
      errors: done ? this._errors : [],
      deselected: 0,
      forkable: stem,
      reason: stem ? '' : 'no threads are kept: fork = false',
      framework: done ? `testd ${settings.kind}, Node.js ${process.versions.node}` : '',
      maxfail: 0,
      notices,
      patterns: done ? [settings.kind === 'cases' ? '*.suite.json' : '*.test.*'] : [],
    });
    if (!done) return;
    this._over = true;
    this._owner.collected(this._collection, this.seat);
  }

  _refuse(code, message, more) {
    this._over = true;
    this._owner.agent.fault(code, message, { ...more, id: this.number });
    this._owner.forget(this);
    this.seat.end();
  }

  /** Its thread ended, or the whole host. */
  ended({ status, signal, text, outOfMemory, slot }) {
    if (this._over || this.dropped) return;
    this._owner.forget(this);
    const file = slot?.state === State.LOADING ? this._files[slot.test] : undefined;
    const how = howEnded({ status, signal, text, outOfMemory });
    const told = `the process ended while this file was loaded: ${how}`;
    if (file !== undefined && !(file in this._skip)) {
      this._owner.again(this._order, { ...this._skip, [file]: text ? `${told}\n${text}` : told });
    } else {
      this._over = true;
      this._owner.agent.fault('collect', `the thread that collects the tests ended: ${how}`, {
        detail: text,
        id: this.number,
      });
    }
  }
}

/** Return how a thread or its process ended, in a few words. */
function howEnded({ status, signal, text, outOfMemory }) {
  if (outOfMemory) return 'it ran out of memory';
  if (signal) return `it was killed by ${signal}`;
  return status === null ? text.split('\n', 1)[0] : `exit status ${status}`;
}

class Collections {
  constructor(agent, threads) {
    this.agent = agent;
    this.threads = threads;
    this.settings = null;
    this._collections = new Map();
    this._collecting = new Set();
    this._told = false;
  }

  get(number) {
    return this._collections.get(number);
  }

  collect(order) {
    this._tellBelow(order.collection);
    this.again(order, {});
  }

  again(order, skip) {
    this._collecting.add(new Collecting(this, order, skip));
  }

  collected(collection, seat) {
    this._collections.set(collection.number, collection);
    for (const found of this._collecting) if (found.seat === seat) this._collecting.delete(found);
    if (this.settings.stem === false) {
      seat.owner = null;
      seat.end();
    } else {
      this.threads.keep(seat, collection.number);
      this.threads.warmSoon();
    }
  }

  forget(collecting) {
    this._collecting.delete(collecting);
  }

  /** The host of threads that collect is gone. */
  hostLost(host, how) {
    for (const collecting of [...this._collecting]) {
      if (collecting.seat.host !== host) continue;
      const slot = host.process.slot(collecting.seat.number);
      collecting.ended({
        ...how,
        text: [how.problem, host.process.tail()].filter(Boolean).join('\n'),
        outOfMemory: false,
        slot,
      });
    }
  }

  drop({ collection, configured = false, started = false }) {
    const all = configured || started;
    for (const collecting of [...this._collecting]) {
      if (!all && collecting.number !== collection) continue;
      collecting.dropped = true;
      this._collecting.delete(collecting);
      collecting.seat.end();
    }
    if (all) this._collections.clear();
    else this._collections.delete(collection);
    this.threads.drop(all ? 0 : collection);
    if (all) this._told = false;
    if (started) this.threads.renew();
    this.threads.warm();
  }

  /** Pass an answer on to the thread that asked while it collected; its number is that of the collection, below 0. */
  judged(message) {
    for (const found of this._collecting) if (found.number === -message.worker) found.seat.tell(message);
  }

  select({ id, collection: number, keyword, filters = {} }) {
    const collection = this.get(number);
    if (collection === undefined) return this.agent.fault('internal', `there is no collection ${number}`, { id });
    let matches;
    try {
      matches = compileKeyword(keyword);
    } catch (error) {
      if (!(error instanceof KeywordError)) throw error;
      const hint = "names joined by and, or, not and parentheses: 'cart and not slow'";
      return this.agent.fault('usage', `-k '${keyword}': ${error.message}`, { hint, exit_code: 4, id });
    }
    const tests = [];
    collection.ids.forEach((test, index) => {
      const at = test.lastIndexOf('::');
      const named = matches([...test.slice(0, at).split('/'), test.slice(at + 2)]);
      const fits = ([name, wanted]) => isOf(collection.tests[index], test.slice(0, at), name, wanted);
      if (named && Object.entries(filters).every(fits)) tests.push(index);
    });
    return this.agent.tell({ type: 'Selected', id, tests });
  }

  /** A thread has loaded a collection again: what it met beyond the first time counts too. */
  preloaded(whole) {
    const { collection, files, directories } = unpack(payloadOf(whole));
    if (!this._collections.has(collection)) return;
    this.agent.forward(frame(pack({ type: 'Dependencies', checkpoint: 'collected', collection, files, directories })));
  }

  /** What the lower checkpoints are made of: this Node.js, and the project's package.json. */
  _tellBelow(collection) {
    if (this._told) return;
    this._told = true;
    const never = BigInt(Date.now()) * 2000000n;
    const packages = path.join(this.settings.root, 'package.json');
    for (const [checkpoint, file] of [
      ['started', fs.realpathSync(process.execPath)],
      ['configured', packages],
    ]) {
      const stat = statOf(file, never);
      this.agent.tell({
        type: 'Dependencies',
        checkpoint,
        collection,
        files: stat === null ? [] : [stat],
        directories: [],
      });
    }
  }
}

/** Whether a case matches a filter: `id` exactly, the others as a part. `id` and `name` may be its suite's. */
function isOf({ part = {}, head = {} } = {}, file, name, wanted) {
  const meta = (part.function_to_execute ?? part).function_meta ?? {};
  if (name === 'id') return [part.id, part.execution_id, head.id].includes(wanted);
  const of = {
    name: [part.name, head.name],
    module: [meta.module_name],
    function: [meta.function_name],
    file: [meta.file_name, file],
  };
  return of[name].some((text) => typeof text === 'string' && text.includes(wanted));
}

module.exports = { Collections };
