'use strict';
/*
 * Runs tests, one after the other, and reports each at once. Runs in a worker thread (mode worker) or in a process of
 * its own (mode bin); what it is told comes through `hear`, what it says goes to an endpoint.
 */

const { writeSync } = require('node:fs');
const path = require('node:path');
const { isMainThread } = require('node:worker_threads');
const { collect, preload } = require('./collecting.js');
const { Endpoint } = require('./endpoint.js');
const { describe, detail } = require('./failures.js');
const { Leaks } = require('./leaks.js');
const { loadFile } = require('./loading.js');
const { Output } = require('./output.js');
const { SlotWriter, State, now } = require('./slots.js');
const { Strays } = require('./strays.js');
const { locate } = require('./syntax.js');

// taken before user code can replace them
const nextTurn = setImmediate;
const exit = process.exit.bind(process);
const usage = process.resourceUsage.bind(process);
const { rss } = process.memoryUsage;
/** Milliseconds for which a look at the memory counts: one takes as long as a small test. */
const LOOK = 20;
let looked = -LOOK;
let most = 0;
/** Tests that have run and are not judged yet, above which no other one runs. */
const MOST_UNJUDGED = 64;
/** Characters of a question: a frame of the protocol has to hold it. */
const MOST_ASKED = 8 * 1024 * 1024;
/** The exit status of a worker that cannot go on. */
const BROKEN = 70;
/** Turns of the event loop that handles which a test has closed get to go away. */
const CLOSING_TURNS = 3;

/** Return the kinds of what the event loop waits for, as far as Node.js tells. */
const resources = () =>
  process.getActiveResourcesInfo?.().filter((kind) => kind !== 'MessagePort' && kind !== 'Immediate') ?? [];

const turn = () =>
  new Promise((resolve) => {
    nextTurn(resolve);
  });

class Session {
  /**
   * @param {{fd: number, slots: number, number: number, root: string}} settings where it is heard, and what
   *     `ConfigureRunner` has: `capture_limit`, `output_limit`
   * @param {(pid: number) => void} started is told of each child process that user code starts
   */
  constructor(settings, started) {
    Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 50);
    this.settings = settings;
    this.endpoint = new Endpoint(settings.fd);
    this.slot = new SlotWriter(settings.slots, settings.number);
    this._strays = new Strays();
    this._leaks = new Leaks(started);
    this._files = new Map();
    this._order = null;
    this._questions = new Map();
    this._question = 0;
    this._unjudged = new Set(); // what is yet to be told of tests that have run
    this._collection = 0; // the one that is being collected
    /** What runs cases, where this session is for them. */
    this.cases = settings.kind === 'cases' ? new (require('./cases.js').Cases)(this) : null;
    this._queue = [];
    this._finished = false;
    this._stopping = false;
    this._failures = 0;
    this._running = null;
    this._busy = false;
    this._ours = null; // what kept this process alive before any user code did
    this._output = new Output((stream, text, test) => {
      this.endpoint.send({ type: 'Output', worker: this._order?.worker ?? 0, stream, text, test, target: '' });
    });
    this.slot.set(State.STARTING);
  }

  /** Take a message of the supervisor. */
  hear(message) {
    this._ours ??= resources();
    try {
      this._hear(message);
    } catch (error) {
      this._giveUp(error);
    }
  }

  _hear(message) {
    switch (message.type) {
      case 'Collect':
        this._collection = message.collection;
        return this._alone(() => collect(this, message));
      case 'Preload':
        return this._alone(() => preload(this, message));
      case 'Begin':
        return this._begin(message);
      case 'Run':
        return this._enqueue(message);
      case 'Judged':
        return this._answered(message);
      case 'Finish':
        this._finished = true;
        return this._wake();
      case 'Stop':
        this._stopping = true;
        return this._wake();
      case 'Describe':
        return this._describe();
      default:
        throw new Error(`the supervisor sent ${message.type}`);
    }
  }

  /** Return what a file exports, loaded once: `{tests}` or `{error}`. */
  load(file) {
    let loading = this._files.get(file);
    if (loading === undefined) {
      loading = loadFile(file).then(
        (found) => ({ ...found, error: null }),
        (error) => {
          locate(error, file);
          return { tests: [], classes: [], error: { thrown: error } };
        },
      );
      this._files.set(file, loading);
    }
    return loading;
  }

  /**
   * Have the daemon's judge answer a question that cannot be answered here.
   * @param {any} question as JSON
   * @returns {Promise<any>} the answer; `{mistake}` where there is none
   */
  ask(question) {
    const document = JSON.stringify(question);
    if (document.length > MOST_ASKED)
      return Promise.resolve({ mistake: `what is to be judged has ${document.length} bytes; the most is ${MOST_ASKED}` });
    const id = (this._question += 1);
    const worker = this._order?.worker ?? -this._collection;
    this.endpoint.send({ type: 'Judge', id, worker, document });
    return new Promise((resolve) => {
      this._questions.set(id, resolve);
    });
  }

  _answered({ id, document }) {
    this._questions.get(id)?.(JSON.parse(document));
    this._questions.delete(id);
  }

  /** What the worker is for: its `StartWorker`. */
  get order() {
    return this._order;
  }

  // ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Do something before anything else that was asked for since. */
  async _alone(work) {
    this._busy = true;
    try {
      await work();
    } catch (error) {
      this._giveUp(error);
    }
    this._busy = false;
    this.slot.set(State.IDLE);
    this._wake();
  }

  _begin(order) {
    this._order = order;
    this._output.configure({
      live: order.stream,
      limit: this.settings.capture_limit,
      mostLive: this.settings.output_limit,
    });
  }

  _enqueue({ job, tests }) {
    const jobStarted = now();
    tests.forEach(([index, id, test], n) => this._queue.push({ job, index, id, test, last: n === tests.length - 1, jobStarted }));
    if (!tests.length) this._completed(job);
    this._wake();
  }

  _completed(job) {
    const told = () => this.endpoint.send({ type: 'JobCompleted', job, worker: this._order.worker });
    if (this._unjudged.size) this._tellLater(this._judged().then(told));
    else told();
  }

  async _wake() {
    if (this._busy || this._order === null) return;
    this._busy = true;
    try {
      await this._work();
    } catch (error) {
      this._giveUp(error);
    }
  }

  async _work() {
    let jobStarted = now();
    let job = -1;
    while (this._queue.length && !this._ended()) {
      const next = this._queue.shift();
      if (next.job !== job) [job, jobStarted] = [next.job, now()];
      await this._run(next, jobStarted);
      if (next.last) this._completed(next.job);
    }
    this.slot.set(State.IDLE);
    this._busy = false;
    if (this._ended() || (this._finished && !this._queue.length)) {
      await this._judged();
      this._close();
    }
  }

  /** Keep track of what is being told. */
  _tellLater(telling) {
    const done = telling.catch((error) => this._giveUp(error)).finally(() => this._unjudged.delete(done));
    this._unjudged.add(done);
  }

  /** Wait until all is told of what has run so far. */
  async _judged() {
    await Promise.all(this._unjudged);
  }

  _ended() {
    return this._stopping || (this._order.maxfail > 0 && this._failures >= this._order.maxfail);
  }

  /** The runner itself cannot go on: a test has replaced or broken something that it needs. The worker's end tells. */
  _giveUp(error) {
    try {
      writeSync(
        2,
        `testd cannot go on in this worker, a test may have replaced what JavaScript itself has: ${error?.stack}\n`,
      );
    } finally {
      exit(BROKEN);
    }
  }

  /** Come to the end in order: whatever the event loop still waits for is left behind. */
  _close() {
    for (const line of this._strays.late()) process.stderr.write(`${line}\n`);
    this._leaks.killChildren();
    this.slot.set(State.DONE);
    // a thread's own end takes longer than a small test, and nobody needs to wait for it who has nothing to lose by it
    if (!isMainThread && !this._leaks.started && !this._order.stream)
      process.on('exit', () => this.endpoint.send({ type: 'Left', memory: Math.round(rss() / 1024) }));
    exit(0);
  }

  // ── one test ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async _run({ job, index, id, test }, jobStarted) {
    this._running = id;
    this.slot.set(State.RUNNING, job, index, jobStarted);
    this._output.begin(index);
    const came = await (test === undefined ? this._verdict(id) : this.cases.run(id, test));
    this._running = null;
    const memory = peak();
    const tell = ({ verdict, duration, what }) => {
      if (verdict === 'failed' || verdict === 'error') this._failures += 1;
      this.endpoint.send({ type: 'Outcome', job, test: index, verdict, duration, memory, detail: what });
    };
    if (came.later === undefined) return tell(came);
    this._tellLater(came.later.then(tell));
    if (this._order.maxfail) await this._judged();
    else if (this._unjudged.size > MOST_UNJUDGED) await Promise.race(this._unjudged);
    return undefined;
  }

  async _verdict(id) {
    const at = id.lastIndexOf('::');
    const file = path.resolve(this.settings.root, id.slice(0, at));
    const name = id.slice(at + 2);
    const { tests, error } = await this.load(file);
    const where = { root: this.settings.root, file };
    if (error !== null)
      return { verdict: 'error', duration: 0, what: describe(error.thrown, { ...where, phase: 'collect' }) };
    const test = tests.find((found) => found.name === name);
    if (test === undefined) return unfit(`${id} was not found when its file was loaded again`);
    if (test.problem) return unfit(`${id}: ${test.problem}`);
    return this._judge(id, test, where);
  }

  async _judge(id, test, where) {
    const { thrown, duration, leaks } = await this.observe(id, test.call);
    return this.outcome(thrown, duration, leaks, where);
  }

  /** Call a body, and return `{result, thrown, duration, leaks}`: all that came of it, errors that nobody handled too. */
  async observe(id, body) {
    this._leaks.begin();
    const { stray, invoke } = this._strays.call(id, body);
    const thrown = [];
    let result;
    const started = now();
    try {
      result = invoke();
      if (result !== null && typeof result === 'object' && typeof result.then === 'function') {
        result = await Promise.race([result, stray.failed]);
      }
    } catch (error) {
      thrown.push(error);
    }
    const duration = (now() - started) / 1e3;
    await turn(); // a rejection that nobody handles is known one turn later
    const leaks = await this._left();
    this._strays.end();
    thrown.push(...stray.errors);
    return { result, thrown, duration, leaks };
  }

  async _left() {
    for (let n = 0; n < CLOSING_TURNS && this._leaks.any(); n++) await turn();
    return [...(this._leaks.any() ? this._leaks.list() : []), ...this._strays.late()];
  }

  /** What was printed since the test began. */
  sections() {
    return this._output.sections();
  }

  outcome(thrown, duration, leaks, where) {
    if (!thrown.length)
      return { verdict: 'passed', duration, what: leaks.length ? detail({ phase: 'call', leaks }) : null };
    const [first, ...others] = thrown;
    if (first?.name === 'Skip') {
      return { verdict: 'skipped', duration, what: detail({ phase: 'call', message: String(first.message), leaks }) };
    }
    const what = describe(first, where);
    for (const other of others) what.text += `\n\nand, which nobody handled:\n${describe(other, where).text}`;
    return { verdict: 'failed', duration, what: { ...what, sections: this.sections(), leaks } };
  }

  // ── where it is ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Say what a test waits for; that this can answer means that no JavaScript is running. */
  async _describe() {
    const id = this._running ?? '';
    const at = id.lastIndexOf('::');
    const name = id.slice(at + 2);
    let line = 0;
    const loading = this._files.get(path.resolve(this.settings.root, id.slice(0, at)));
    if (loading !== undefined) line = (await loading).tests.find((test) => test.name === name)?.line ?? 0;
    const waiting = resources();
    for (const kind of this._ours) if (waiting.includes(kind)) waiting.splice(waiting.indexOf(kind), 1);
    const text =
      `Current thread (it waits: no code runs in it):\n  File "${id.slice(0, at)}", line ${line} in ${name}\n\n` +
      `what keeps it waiting: ${waiting.length ? waiting.join(', ') : 'a promise that nothing can settle any more'}\n`;
    this.endpoint.send({ type: 'Stacks', text });
  }
}

/** Return the most memory that the process has held, in KiB. */
function peak() {
  if (now() - looked >= LOOK) {
    looked = now();
    most = usage().maxRSS;
  }
  return most;
}

function unfit(message) {
  return { verdict: 'error', duration: 0, what: detail({ phase: 'setup', kind: 'usage', message, text: message }) };
}

module.exports = { Session };
