'use strict';
/*
 * The runner: the process that a launcher starts. It never loads user code, so it always answers.
 *
 * It owns the stream to the agent (`stream.js`), collections (`collections.js`), the threads that are ready
 * (`threads.js`) and workers (`workers.js`), passes on what they say, and kills all that it started when the agent is
 * gone.
 */

const { Collections } = require('./collections.js');
const { Guardian } = require('./guardian.js');
const { AgentStream } = require('./stream.js');
const { Threads } = require('./threads.js');
const { Workers } = require('./workers.js');

const PROTOCOL = 1;
/** Milliseconds for what was killed to be gone. */
const END_DEADLINE = 1500;

class Supervisor {
  /** @param {number} fd the socket to the agent */
  constructor(fd) {
    this._ending = false;
    this._agent = new AgentStream(fd, {
      hear: (message) => this._hear(message),
      end: () => this.end(),
      congested: (yes) => this._pause(yes),
    });
    this._guardian = new Guardian();
    this._threads = new Threads(this._guardian, {
      preloaded: (whole) => this._collections.preloaded(whole),
      lost: (host, how) => this._hostLost(host, how),
    });
    this._collections = new Collections(this._agent, this._threads);
    this._workers = new Workers(this._agent, this._threads, this._collections, this._guardian);
    this._handlers = {
      ConfigureRunner: (message) => this._configure(message),
      Collect: (message) => this._collections.collect(message),
      Select: (message) => this._collections.select(message),
      DropCollection: (message) => this._collections.drop(message),
      StartWorker: (message) => this._workers.start(message),
      RunJob: (message) => this._workers.run(message),
      Judged: (message) => (message.worker < 0 ? this._collections : this._workers).judged(message),
      FinishWorker: (message) => this._workers.finish(message),
      StopWorker: (message) => this._workers.stop(message),
      Shutdown: () => this.end(),
      Ping: ({ id }) => this._agent.tell({ type: 'Pong', id }),
      Pong: () => {},
      Unsupported: () => {},
    };
  }

  /** Do what a message says. Returns whether its type is known. */
  _hear(message) {
    const handler = Object.hasOwn(this._handlers, message.type) ? this._handlers[message.type] : undefined;
    if (handler !== undefined && !this._ending) handler(message);
    return handler !== undefined;
  }

  _configure(settings) {
    for (const part of [this._threads, this._collections, this._workers]) part.settings = settings;
    this._threads.warm();
    this._agent.tell({
      type: 'Ready',
      pid: process.pid,
      protocol: PROTOCOL,
      version: '',
      python: '',
      implementation: 'node',
      executable: process.execPath,
      runtime: `Node.js ${process.versions.node}`,
    });
  }

  _pause(yes) {
    this._threads.pause(yes);
    for (const started of this._workers.processes) started.pause(yes);
  }

  _hostLost(host, how) {
    if (this._ending) return;
    this._workers.hostLost(host, how);
    this._collections.hostLost(host, how);
  }

  /** Kill everything that was started, and end once it is gone. */
  end() {
    if (this._ending) return;
    this._ending = true;
    this._threads.cease();
    const left = new Set([...this._threads.processes, ...this._workers.processes]);
    const leave = () => this._agent.close(() => process.exit(0));
    for (const started of left) {
      started.whenGone(() => {
        left.delete(started);
        if (!left.size) leave();
      });
    }
    for (const started of left) started.kill();
    if (left.size) setTimeout(() => process.exit(0), END_DEADLINE);
    else leave();
  }
}

/** Be a runner on this socket until the agent is gone. */
function serve(fd) {
  const supervisor = new Supervisor(fd);
  process.on('SIGINT', () => {}); // a terminal's Ctrl-C is the client's to pass on
  process.on('SIGTERM', () => supervisor.end());
}

module.exports = { serve };
