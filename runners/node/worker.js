'use strict';
/*
 * The supervisor's side of one worker: its deadlines, its memory, and how it ended. A worker is a thread of a host, or
 * a process of its own. Runs in the supervisor; nothing here blocks.
 */

const os = require('node:os');
const { CUT_OFF } = require('./endpoint.js');
const { payloadOf } = require('./framing.js');
const { unpack } = require('./msgpack.js');
const { State, now } = require('./slots.js');

/** A test that runs longer is told once, in milliseconds. */
const LONG = 250;
/** Milliseconds to the first test: a process of its own starts Node.js and loads a file. */
const START_DEADLINE = 120e3;
/** Milliseconds for a thread to end: one in native code does not, and its host is killed. */
const END_DEADLINE = 1000;
/** Milliseconds after the last test, for functions that user code registered for the exit. */
const EXIT_GRACE = 5000;

class Worker {
  /**
   * @param {any} order the `StartWorker` message
   * @param {any} settings the `ConfigureRunner` message
   * @param {any} owner the workers: `tell`, `forward`, `preloaded`, `gone`
   */
  constructor(order, settings, owner) {
    this.order = order;
    this.number = order.worker;
    this.seat = null;
    this.stream = order.stream ?? false;
    this._outputLimit = settings.output_limit ?? 8 * 1024 * 1024;
    this._owner = owner;
    this._cause = '';
    this._note = '';
    this._stacks = '';
    this._endAt = 0;
    this._killAt = 0;
    this._told = -1;
    this._printed = 0;
    this._peak = 0;
    this._doneAt = 0;
    this._askedAt = now();
    this._last = null;
  }

  /** Use this seat: tell its thread what it is for. */
  sit(seat) {
    this.seat = seat;
    seat.owner = this;
    seat.tell({ ...this.order, type: 'Begin' });
  }

  // ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────

  heard(type, whole) {
    if (type === 'Stacks') {
      this._stacks = unpack(payloadOf(whole)).text;
      if (this._endAt && this._cause !== 'stopped') this._endNow();
    } else if (type === 'Preloaded') this._owner.preloaded(whole);
    else this._owner.forward(whole);
  }

  /** The process itself printed this, past the streams of JavaScript. */
  printed(name, text) {
    if (!this.stream || this._printed > this._outputLimit) return;
    this._printed += text.length;
    this._owner.tell({
      type: 'Output',
      worker: this.number,
      stream: name,
      text,
      test: this.slot?.test ?? -1,
      target: '',
    });
  }

  get running() {
    return this.slot?.state === State.RUNNING;
  }

  /** What it does now, null while that is being written or before it has a seat. */
  get slot() {
    return this.seat?.process.slot(this.seat.number ?? 0) ?? null;
  }

  // ── deadlines ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ask it to stop behind the test that runs; end it when the grace (seconds) is over, unless there is patience. */
  stop(grace, patient) {
    if (this._endAt) return;
    this.seat.tell({ type: 'Stop' });
    if (patient) return;
    this._cause = 'stopped';
    this._endAt = now() + grace * 1e3;
  }

  /** Look at its deadlines. */
  watch() {
    const at = now();
    if (this._killAt) return at > this._killAt ? this.seat.process.kill() : undefined;
    if (this._endAt) return at > this._endAt ? this._endNow() : undefined;
    const slot = this.slot;
    if (slot === null) return undefined;
    const same = this._last !== null && this._last.state === slot.state && this._last.testStarted === slot.testStarted;
    this._last = slot;
    if (slot.state === State.STARTING && at - this._askedAt > START_DEADLINE) return this.finish('timeout');
    if (slot.state === State.DONE) {
      this._doneAt = this._doneAt || at;
      return at - this._doneAt > EXIT_GRACE ? this._endNow() : undefined;
    }
    return same && slot.state === State.RUNNING ? this._watchTest(slot, at) : undefined;
  }

  _watchTest(slot, at) {
    const elapsed = at - slot.testStarted;
    const { timeout = 0, job_timeout: jobTimeout = 0 } = this.order;
    if (timeout && elapsed > timeout * 1e3) this.finish('timeout');
    else if (jobTimeout && at - slot.jobStarted > jobTimeout * 1e3) this.finish('job timeout');
    else if (elapsed > LONG && this._told !== slot.test) {
      this._told = slot.test;
      this._owner.tell({ type: 'Started', test: slot.test, worker: this.number, seconds: elapsed / 1e3, target: '' });
    }
  }

  /** End it for a cause, once it is known where it was. */
  finish(cause) {
    if (this._endAt || this._killAt) return;
    this._cause = cause;
    if (cause === 'memory') {
      this._endNow();
      return;
    }
    this._endAt = now() + this.seat.stacksDeadline;
    this.seat.describe();
  }

  _endNow() {
    this._killAt = now() + END_DEADLINE;
    this.seat.end();
  }

  /** Whether its end has a cause of its own already. */
  get doomed() {
    return this._cause !== '';
  }

  /** Take note of what it holds, in KiB. */
  weigh(memory) {
    this._peak = Math.max(this._peak, memory);
  }

  // ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** It cannot be started, or its process is gone for a reason that is not its own. */
  lose(why) {
    this._cause = 'lost';
    this._note = why;
  }

  /** It is gone: a thread with its exit status, or the process. */
  ended({ status, signal, text, outOfMemory, memory, slot }) {
    if (outOfMemory) this._cause = 'memory';
    this.weigh(memory);
    const running = slot?.state === State.RUNNING;
    const completed = slot?.state === State.DONE;
    const number = signal ? (os.constants.signals[signal] ?? 0) : 0;
    const ours = this._cause !== '' && !completed;
    const notes = [this.seat?.process.tail() ?? '', text, this._note, explained(slot, status, completed)];
    this._owner.gone(this, {
      type: 'WorkerExited',
      worker: this.number,
      completed,
      status: ours && this._cause !== 'lost' ? null : completed ? 0 : status,
      signal: ours ? 0 : number,
      cause: this._cause || (number ? 'signal' : 'exit'),
      test: running ? slot.test : -1,
      seconds: running ? (now() - slot.testStarted) / 1e3 : 0,
      stderr: completed ? '' : notes.filter(Boolean).join('\n'),
      stacks: this._stacks,
      memory: this._peak,
    });
  }
}

function explained(slot, status, completed) {
  if (completed) return '';
  if (slot === null || slot === undefined || slot.state === State.STARTING)
    return 'the worker ended before its first test';
  return status === CUT_OFF
    ? 'the worker could not reach testd any more: a test closed descriptors that it had not opened'
    : '';
}

module.exports = { Worker };
