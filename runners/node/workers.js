'use strict';
/* The workers of a runner by number: how each is started, watched, and told of at its end. Runs in the supervisor. */

const { BinSeat } = require('./processes.js');
const { Worker } = require('./worker.js');

/** Milliseconds between two looks at deadlines, and how many of these go by between two looks at memory. */
const WATCH_INTERVAL = 50;
const MEMORY_TURNS = 5;
/** Milliseconds after a run until threads are prepared for the next: what has to be told comes first, on any machine. */
const LEISURE = 20;

class Workers {
  constructor(agent, threads, collections, guardian) {
    this._agent = agent;
    this._threads = threads;
    this._collections = collections;
    this._guardian = guardian;
    this._workers = new Map();
    this._most = 0;
    this._last = null;
    this._timer = null;
    this._turn = 0;
    this.settings = null;
  }

  get processes() {
    return [...this._workers.values()]
      .filter((worker) => worker.seat instanceof BinSeat)
      .map((worker) => worker.seat.process);
  }

  // ── the agent's instructions ─────────────────────────────────────────────────────────────────────────────────────

  start(order) {
    const worker = new Worker(order, this.settings, this);
    this._workers.set(order.worker, worker);
    this._most = Math.max(this._most, this._workers.size);
    this._timer = this._timer ?? setInterval(() => this._watch(), WATCH_INTERVAL);
    if (order.paths?.length) return this._startAlone(worker);
    const collection = this._collections.get(order.collection);
    if (collection === undefined) return this._lost(worker, `there is no collection ${order.collection}`);
    if (this._last !== collection) this._most = this._workers.size;
    this._last = collection;
    worker.sit(this._threads.takeLoaded(collection.number) ?? this._threads.take());
    return this._listen(worker);
  }

  _startAlone(worker) {
    const seat = new BinSeat(this.settings, this._guardian, worker);
    seat.process.pause(this._threads.paused);
    worker.sit(seat);
    this._listen(worker);
  }

  /** Pass on what the process prints, while it can only be this worker's. */
  _listen(worker) {
    const { process: started } = worker.seat;
    started.printed = (name, text) => {
      const here = [...this._workers.values()].filter((found) => found.seat?.process === started);
      if (here.length === 1) here[0].printed(name, text);
    };
  }

  run({ worker: number, job, tests, ids }) {
    const worker = this._workers.get(number);
    if (worker === undefined) return; // it ended meanwhile, and `WorkerExited` is on its way
    const collection = this._collections.get(worker.order.collection);
    const named = tests.map((test, n) => {
      const id = ids?.[n] ?? collection?.ids[test] ?? '';
      return collection?.tests.length ? [test, id, collection.tests[test]] : [test, id];
    });
    collection?.use(named);
    worker.seat.tell({ type: 'Run', job, tests: named });
  }

  /** Pass an answer on to the worker that asked. */
  judged(message) {
    this._workers.get(message.worker)?.seat.tell(message);
  }

  finish({ worker }) {
    this._workers.get(worker)?.seat.tell({ type: 'Finish' });
  }

  stop({ worker, grace = 1, patient = false }) {
    this._workers.get(worker)?.stop(grace, patient);
  }

  // ── what becomes of them ─────────────────────────────────────────────────────────────────────────────────────────

  forward(whole) {
    this._agent.forward(whole);
  }

  tell(message) {
    this._agent.tell(message);
  }

  preloaded(whole) {
    this._collections.preloaded(whole);
  }

  /** A worker is gone. */
  gone(worker, exited) {
    if (this._workers.get(worker.number) !== worker) return;
    this._workers.delete(worker.number);
    this._agent.tell(exited);
    if (this._workers.size) return;
    clearInterval(this._timer);
    this._timer = null;
    setTimeout(() => this._prepare(), LEISURE);
  }

  /** A host is gone: the only one of its workers that ran a test has done it, of several none can be blamed. */
  hostLost(host, { status, signal, problem }) {
    const here = [...this._workers.values()].filter((worker) => worker.seat?.host === host);
    const running = here.filter((worker) => worker.running);
    for (const worker of here) {
      const known = worker.doomed || (running.length === 1 && running[0] === worker) || here.length === 1;
      if (!known)
        worker.lose(`the process that it was a thread of ended: ${problem || signal || `exit status ${status}`}`);
      worker.ended({ status, signal, text: problem, outOfMemory: false, memory: host.memory, slot: worker.slot });
    }
  }

  _lost(worker, why) {
    worker.lose(why);
    worker.ended({ status: null, signal: null, text: '', outOfMemory: false, memory: 0, slot: null });
  }

  /** Between runs: have threads ready that have loaded what the last run used. */
  _prepare() {
    if (this._workers.size || this._last === null) return;
    const alive = this._collections.get(this._last.number) === this._last;
    this._threads.prepare(alive ? this._last : null, this._most);
    this._most = 0;
  }

  _watch() {
    for (const worker of this._workers.values()) worker.watch();
    this._turn += 1;
    if (this._turn % MEMORY_TURNS === 0 && this.settings.memory_limit) this._weigh();
  }

  /** Compare what processes hold with the limit. Of several threads that may be meant, none can be blamed. */
  _weigh() {
    const processes = new Map();
    for (const worker of this._workers.values()) {
      if (worker.seat !== null)
        processes.set(worker.seat.process, [...(processes.get(worker.seat.process) ?? []), worker]);
    }
    for (const [started, workers] of processes) {
      const memory = started.memory();
      for (const worker of workers) worker.weigh(memory);
      if (memory <= this.settings.memory_limit * workers.length) continue;
      if (workers.length === 1) workers[0].finish('memory');
      else started.kill();
    }
  }
}

module.exports = { Workers };
