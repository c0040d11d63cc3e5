'use strict';
/*
 * What brings roots to the daemon. Runs in the user's process, between its own turns of the event loop: it never makes
 * the program wait, and nothing of it is thrown. What there is no room for is dropped, and counted.
 */

const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { FrameBuffer, frame, payloadOf } = require('./framing.js');
const { pack, unpack } = require('./msgpack.js');
const { pagesOf } = require('./pages.js');

/** The protocol that this speaks: that of the daemon. */
const PROTOCOL = 1;
/** What waits at most: roots, and calls in all of them. One root of any size always has room. */
const MOST_ROOTS = 2000;
const MOST_CALLS = 200_000;
/** Calls in what is sent at once. */
const LOAD = 500;
/** Bytes of one message, more or less. */
const MESSAGE = 256 * 1024;
/** Milliseconds between two looks for a daemon, at first and at last. */
const SOON = 100;
const LATE = 5000;
/** How often the daemon may refuse the same roots before they are dropped. */
const MOST_REFUSALS = 3;
const nextTurn = setImmediate;
const later = setTimeout;

/** The daemon is there, and does not do what it was asked for. */
class Refused extends Error {}

/** Return the path of the daemon's socket. */
function socketPath(env = process.env) {
  return path.join((env.TESTD_RUNTIME_DIR ?? '').replace(/\/+$/, '') || runtimeFolder(env), 'testd.sock');
}

function runtimeFolder(env) {
  if (env.XDG_RUNTIME_DIR?.startsWith('/')) return path.join(env.XDG_RUNTIME_DIR, 'testd');
  const mine = `/run/user/${process.getuid()}`;
  if (process.platform === 'linux' && fs.statSync(mine, { throwIfNoEntry: false })?.uid === process.getuid())
    return `${mine}/testd`;
  const base = process.platform === 'darwin' ? os.tmpdir() : '/tmp';
  return path.join(base, `testd-${process.getuid()}`);
}

/** One connection: a question, an answer. It keeps no program alive. */
class Wire {
  static async open(place) {
    if (fs.statSync(path.dirname(place)).uid !== process.geteuid()) throw new Error('the folder is somebody else\'s');
    const wire = new Wire(net.connect({ path: place }));
    await wire.ask({ type: 'Hello', pid: process.pid, protocol: PROTOCOL, version: '' }, 'Welcome');
    return wire;
  }

  constructor(socket) {
    this._socket = socket;
    this._buffer = new FrameBuffer();
    this._waiting = null;
    this.lost = false;
    const gone = () => {
      this.lost = true;
      this._waiting?.reject(new Error('the daemon is gone'));
    };
    socket.on('error', gone).on('close', gone).on('data', (data) => this._take(data));
    socket.unref();
  }

  /** Send a message and return the answer, which is of that type. Throws Refused. */
  ask(message, answer) {
    return new Promise((resolve, reject) => {
      if (this.lost) reject(new Error('the daemon is gone'));
      this._waiting = { answer, resolve, reject };
      this._socket.write(frame(pack(message)));
    });
  }

  _take(data) {
    for (const whole of this._buffer.feed(data)) {
      const message = unpack(payloadOf(whole));
      if (message.type === this._waiting?.answer) this._waiting.resolve(message);
      else if (['Fault', 'Unsupported'].includes(message.type)) this._waiting?.reject(new Refused(message.message));
    }
  }

  close() {
    this._socket.destroy();
  }
}

class Sender {
  /** Send roots for a workspace; `recording` is the id of the `testd record` that they are of, if any. */
  constructor({ socket, workspace, recording = '' }) {
    this._where = socket;
    this._workspace = workspace;
    this._recording = recording;
    this._queue = [];
    this._load = []; // the roots that are on their way
    this._calls = 0;
    this._dropped = 0;
    this._wire = null;
    this._working = null;
    this._refusals = 0;
    this._ending = false;
  }

  /** What has not arrived. */
  get pending() {
    return [...this._load, ...this._queue];
  }

  get dropped() {
    return this._dropped;
  }

  /** Take a root (`pages.js`), or drop it where there is no room. */
  put(root) {
    const waiting = this._load.length + this._queue.length;
    if (waiting >= MOST_ROOTS || (waiting && this._calls + root.calls > MOST_CALLS)) {
      this._dropped += 1;
      return;
    }
    this._queue.push(root);
    this._calls += root.calls;
    this._working ??= new Promise((resolve) => nextTurn(resolve))
      .then(() => this._work())
      .catch(() => {})
      .finally(() => {
        this._working = null;
      });
  }

  /** Send what there is; resolves when it has arrived, or when there is no daemon. */
  async finish() {
    this._ending = true;
    this._wake?.();
    await this._working;
    if (this._dropped) await this._keep([]).catch(() => {});
    this._wire?.close();
  }

  async _work() {
    let pause = SOON;
    while (this._load.length || this._queue.length) {
      if (!this._load.length) this._load = this._take();
      try {
        await this._send(this._load);
        pause = SOON;
      } catch (error) {
        if (error instanceof Refused && (this._refusals += 1) < MOST_REFUSALS) continue;
        if (!(error instanceof Refused)) {
          this._wire?.close();
          this._wire = null;
          if (this._ending) break;
          await this._rest(pause);
          pause = Math.min(LATE, 2 * pause);
          continue;
        }
        this._dropped += this._load.length;
      }
      this._refusals = 0;
      for (const { calls } of this._load) this._calls -= calls;
      this._load = [];
    }
  }

  /** Take roots out of the queue: as many as are sent at once, and one of any size. */
  _take() {
    let [calls, number] = [0, 0];
    while (number < this._queue.length && calls < LOAD) calls += this._queue[number++].calls;
    return this._queue.splice(0, number);
  }

  _rest(pause) {
    return new Promise((resolve) => {
      this._wake = resolve;
      later(resolve, pause).unref();
    });
  }

  async _send(load) {
    let [batch, size] = [[], 0];
    for (const root of load) {
      for (const page of await pagesOf(root)) {
        batch.push(page);
        size += page[2].length;
        if (size < MESSAGE) continue;
        await this._keep(batch);
        [batch, size] = [[], 0];
      }
    }
    if (batch.length) await this._keep(batch);
  }

  async _keep(pages) {
    if (this._wire === null || this._wire.lost) this._wire = await Wire.open(this._where);
    const dropped = this._dropped;
    this._dropped = 0;
    const message = { type: 'KeepTraces', workspace: this._workspace, pages, recording: this._recording, dropped, id: 0 };
    try {
      const { refused } = await this._wire.ask(message, 'TracesKept');
      this._dropped += Object.keys(refused).length;
    } catch (error) {
      this._dropped += dropped;
      throw error;
    }
  }
}

module.exports = { PROTOCOL, Sender, socketPath };
