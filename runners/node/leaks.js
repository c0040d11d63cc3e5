'use strict';
/*
 * What a test left behind, as far as Node.js tells: timers, servers, sockets, watchers, child processes, workers.
 *
 * Runs where tests run.
 */

const childProcess = require('node:child_process');
const workerThreads = require('node:worker_threads');

const NAMES = {
  Timeout: ['timer', 'timers'],
  Interval: ['timer', 'timers'],
  TCPServerWrap: ['TCP server', 'TCP servers'],
  TCPSERVERWRAP: ['TCP server', 'TCP servers'],
  PipeServerWrap: ['server on a socket file', 'servers on socket files'],
  TCPSocketWrap: ['TCP connection', 'TCP connections'],
  TCPWRAP: ['TCP connection', 'TCP connections'],
  PipeWrap: ['pipe', 'pipes'],
  UDPWrap: ['UDP socket', 'UDP sockets'],
  UDPWRAP: ['UDP socket', 'UDP sockets'],
  FSEventWrap: ['file watcher', 'file watchers'],
  StatWatcher: ['file watcher', 'file watchers'],
  SignalWrap: ['signal listener', 'signal listeners'],
};
const active = process.getActiveResourcesInfo?.bind(process) ?? (() => []);
const kill = process.kill.bind(process);

class Leaks {
  /** @param {(pid: number) => void} started is told of each child process */
  constructor(started) {
    this.started = false; // a child process or a worker, ever
    this._started = started;
    this._children = new Map();
    this._workers = new Map();
    this._before = new Map();
    this._watchChildren();
    this._watchWorkers();
  }

  /** A test begins. */
  begin() {
    this._before = counts();
    this._oldChildren = new Set(this._children.keys());
    this._oldWorkers = new Set(this._workers.keys());
  }

  /** Whether anything is there now that was not there before the test. */
  any() {
    if (this._children.size || this._workers.size) return true;
    for (const [name, number] of counts()) if (number > (this._before.get(name) ?? 0)) return true;
    return false;
  }

  /** Return what the test left, one line each. */
  list() {
    const found = [];
    for (const [name, number] of counts()) {
      const more = number - (this._before.get(name) ?? 0);
      if (more > 0) found.push(more === 1 ? `a ${NAMES[name][0]}` : `${more} ${NAMES[name][1]}`);
    }
    for (const [pid, command] of this._children)
      if (!this._oldChildren.has(pid)) found.push(`child process ${pid} (${command})`);
    for (const [worker, name] of this._workers)
      if (!this._oldWorkers.has(worker)) found.push(`worker thread (${name})`);
    return found;
  }

  /** Kill the child processes that are left. */
  killChildren() {
    for (const pid of this._children.keys()) {
      try {
        kill(pid, 'SIGKILL');
      } catch {
        // it ended meanwhile
      }
    }
  }

  _watchChildren() {
    const leaks = this;
    const { ChildProcess } = childProcess;
    const original = ChildProcess.prototype.spawn;
    ChildProcess.prototype.spawn = function spawn(...args) {
      const result = Reflect.apply(original, this, args);
      if (this.pid) {
        const { pid } = this;
        leaks._children.set(pid, (this.spawnargs ?? []).join(' ').slice(0, 80));
        leaks.started = true;
        leaks._started(pid);
        this.once('exit', () => leaks._children.delete(pid));
      }
      return result;
    };
  }

  _watchWorkers() {
    const leaks = this;
    const original = workerThreads.Worker;
    workerThreads.Worker = class Worker extends original {
      constructor(...args) {
        super(...args);
        leaks.started = true;
        leaks._workers.set(this, String(args[0]).slice(0, 80));
        this.once('exit', () => leaks._workers.delete(this));
      }
    };
    require('node:module').syncBuiltinESMExports();
  }
}

function counts() {
  const found = new Map();
  for (const name of active()) if (name in NAMES) found.set(name, (found.get(name) ?? 0) + 1);
  return found;
}

module.exports = { Leaks };
