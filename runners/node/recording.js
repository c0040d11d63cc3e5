'use strict';
/*
 * Executed functions: calls as they are made, each with what it was given, what came of it, and the calls that it made.
 * Runs where functions are recorded. Who called whom is followed through promises and callbacks (AsyncLocalStorage).
 */

const { AsyncLocalStorage } = require('node:async_hooks');
const { randomBytes } = require('node:crypto');
const { types } = require('node:util');
const { framesOf } = require('./failures.js');
const { Snapshot, messageOf, nameOf } = require('./values.js');

/** Calls of one root that are recorded, and items of one generator. */
const MOST_CALLS = 100_000;
const MOST_ITEMS = 1000;
const storage = new AsyncLocalStorage();
const now = performance.now.bind(performance);
const { timeOrigin } = performance;
const suffix = randomBytes(12).toString('hex');
const first = randomBytes(4).readUInt32LE();
let number = 0;
/** Recordings that are open: none, and a traced function only looks here. */
let open = 0;
/** What begins a recording for each root of a program, where that is recorded as a whole. */
let standing = null;
/** In the place of a recording: nothing below is recorded. */
const MUTED = Symbol('nothing is recorded');

/** Return an id that no other call has; those of one process begin differently. */
function newId() {
  number += 1;
  return ((Math.imul(number, 0x9e3779b1) ^ first) >>> 0).toString(16).padStart(8, '0') + suffix;
}

/** What takes roots for as long as it is open. */
class Recording {
  /**
   * @param {any} options limits
   * @param {import('./mocks.js').Mocks} mocks
   * @param {(root: Call) => void} [ended] is told of a root that has ended
   */
  constructor(options, mocks, ended = () => {}) {
    this.options = options;
    this.mocks = mocks;
    this.ended = ended;
    this.roots = [];
    this.left = options.calls ?? MOST_CALLS;
    this.over = false;
  }

  /** Run a body, which may be asynchronous, and record what it calls; what goes on later is cut off. */
  async record(body) {
    open += 1;
    try {
      return await storage.run(this, body);
    } finally {
      open -= 1;
      this.over = true;
    }
  }
}

/** One call. */
class Call {
  constructor(subject, args, parent) {
    const recording = parent instanceof Recording ? parent : parent.recording;
    this.recording = recording;
    this.parent = parent instanceof Call ? parent : null;
    this.depth = this.parent === null ? 0 : this.parent.depth + 1;
    this.kept = recording.left > 0 && this.depth <= recording.options.callDepth && (this.parent?.kept ?? true);
    this.subject = subject;
    this.children = [];
    this.childrenCut = 0;
    this.items = null;
    this.failure = null;
    this.output = null;
    this.outputShot = { reasons: [], cut: false };
    this.mocked = false;
    this.ended = null;
    this.started = 0;
    if (this.kept) this._begin(args);
    else if (this.parent !== null) this.parent.childrenCut += 1;
  }

  _begin(args) {
    this.recording.left -= 1;
    this.id = newId();
    (this.parent?.children ?? this.recording.roots).push(this);
    this.inputShot = new Snapshot(this.recording.options);
    this.input = this.subject.options.copy_input === false ? null : this.inputShot.take([...args, {}]);
    this.started = now();
  }

  finish(result) {
    if (!this.kept || this.ended !== null) return;
    this.ended = now();
    if (!this.recording.over && this.subject.options.copy_output !== false) {
      this.outputShot = new Snapshot(this.recording.options);
      this.output = this.outputShot.take(result);
    }
    this._over();
  }

  /** Tell of the end of a root. */
  _over() {
    if (this.parent === null && !this.recording.over) this.recording.ended(this);
  }

  fail(error) {
    if (!this.kept || this.ended !== null) return;
    this.ended = now();
    const stack = framesOf(error).map(({ file, line, function: name }) => ({ file, line, function: name }));
    this.failure = { text: messageOf(error), kind: nameOf(error), stack };
    this._over();
  }

  /** Note what a generator gives. */
  gives(value) {
    if (this.kept && this.items.length < MOST_ITEMS) this.items.push(new Snapshot(this.recording.options).take(value));
  }

  /** End a generator. */
  close(tag, returned) {
    if (!this.kept || this.ended !== null) return;
    this.ended = now();
    this.output = { $type: tag, items: this.items, returned: new Snapshot(this.recording.options).take(returned) };
    this._over();
  }

  /** Yield this call and all inside of it as executed functions without their children: callers first. */
  *flat() {
    const { children, ...executed } = this._alone();
    yield executed;
    for (const child of this.children) yield* child.flat();
  }

  /** Return the executed function, its children included. Times are milliseconds since the epoch. */
  document() {
    const made = this._alone();
    const pending = [[this, made]];
    while (pending.length) {
      const [call, executed] = pending.pop();
      for (const child of call.children) {
        const inner = child._alone();
        executed.children.push(inner);
        pending.push([child, inner]);
      }
    }
    return made;
  }

  _alone() {
    const { subject, failure, ended } = this;
    const start = timeOrigin + this.started;
    const end = ended === null ? null : timeOrigin + ended;
    return {
      name: subject.name,
      id: this.id,
      parent_id: this.parent?.id ?? null,
      input: this.input,
      output: this.output,
      thrown_error: failure?.text ?? null,
      error_type: failure?.kind ?? null,
      stack: failure?.stack ?? null,
      executed_successfully: failure === null && ended !== null,
      children: [],
      execution_context: this._context(),
      description: subject.options.description ?? null,
      module: subject.module,
      file: subject.file,
      line: subject.line,
      start_time: start,
      end_time: end,
      total_time: end === null ? null : end - start,
    };
  }

  _context() {
    const { copy_input: input = true, copy_output: output = true } = this.subject.options;
    const context = { copy_input: input, deep_copy_input: input, copy_output: output, deep_copy_output: output };
    const said = {
      copy_input_error: this.inputShot.reasons.join('; '),
      copy_output_error: this.outputShot.reasons.join('; '),
      input_cut: this.inputShot.cut,
      output_cut: this.outputShot.cut,
      children_cut: this.childrenCut,
      is_mocked: this.mocked,
      unfinished: this.ended === null,
    };
    for (const [key, value] of Object.entries(said)) if (value) context[key] = value;
    return context;
  }
}

/** Return what the current call or recording is, undefined where nothing records. */
function current() {
  if (!open && standing === null) return undefined;
  const found = storage.getStore();
  if (found === MUTED) return undefined;
  const recording = found instanceof Call ? found.recording : found;
  return recording === undefined || recording.over ? standing?.() : found;
}

/** Record each root of this program from now on: `begin` gives a recording for one, or `MUTED`. */
function recordAll(begin) {
  standing = begin;
}

/** Call a body as a call of the subject's; `parent` is what `current` gave. */
function called(parent, subject, args, body) {
  if (parent === MUTED) return storage.run(MUTED, body);
  const call = new Call(subject, args, parent);
  const answer = call.recording.mocks.answer(subject.key);
  if (answer !== undefined) return mocked(call, subject, answer);
  try {
    return ended(call, subject, storage.run(call, body));
  } catch (error) {
    call.fail(error);
    throw error;
  }
}

function mocked(call, subject, answer) {
  call.mocked = true;
  try {
    const output = answer.give();
    call.finish(output);
    return subject.kind === 'async' ? Promise.resolve(output) : output;
  } catch (error) {
    call.fail(error);
    if (subject.kind === 'async') return Promise.reject(error);
    throw error;
  }
}

/** Follow what a body has given to its end. */
function ended(call, subject, result) {
  if (subject.kind === 'generator' || subject.kind === 'async generator') return watched(call, subject, result);
  if (!types.isPromise(result)) {
    call.finish(result);
    return result;
  }
  const done = (value) => {
    call.finish(value);
    return value;
  };
  const failed = (error) => {
    call.fail(error);
    throw error;
  };
  // nobody else has the promise of an async function: who waits for another one waits for this
  if (subject.kind === 'async') return result.then(done, failed);
  result.then(done, (error) => call.fail(error));
  return result;
}

/** Let each step of a generator run as part of its call. It stays the same object. */
function watched(call, subject, generator) {
  const tag = subject.kind === 'generator' ? 'generator' : 'async_generator';
  call.items = [];
  const took = ({ value, done }) => (done ? call.close(tag, value) : call.gives(value));
  const failed = (error) => {
    call.fail(error);
    throw error;
  };
  const step = (name) =>
    function (...args) {
      const advance = () => Object.getPrototypeOf(Object.getPrototypeOf(generator))[name].apply(generator, args);
      if (tag === 'async_generator') {
        return storage.run(call, advance).then((result) => {
          took(result);
          return result;
        }, failed);
      }
      try {
        const result = storage.run(call, advance);
        took(result);
        return result;
      } catch (error) {
        return failed(error);
      }
    };
  for (const name of ['next', 'return', 'throw'])
    Object.defineProperty(generator, name, { value: step(name), configurable: true, writable: true });
  return generator;
}

module.exports = { MUTED, Recording, called, current, recordAll };
