'use strict';
/*
 * The entry point of a host: a process whose worker threads run tests. Its own thread never runs user code, so it
 * always answers: it starts and ends threads, says where a busy one is, and ends everything when the supervisor is gone.
 */

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { MessageChannel, receiveMessageOnPort, Worker } = require('node:worker_threads');
const { FrameBuffer, frame, payloadOf } = require('./framing.js');
const { CONTROL, FIRST_SEAT, SLOTS } = require('./layout.js');
const { pack, unpack } = require('./msgpack.js');
const { stackOf } = require('./stacks.js');

const THREAD = path.join(__dirname, 'thread.js');
/** Milliseconds that a thread gets to answer by itself before it is held to be busy. */
const AWAKE = 100;

/** The threads by seat. */
const threads = new Map();

/** One thread, from its start to the `Exited` that is written behind everything it said. */
class Thread {
  constructor(seat, settings) {
    this.seat = seat;
    this.children = new Set();
    this.awake = false;
    this.problem = null;
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    port1.on('message', (message) => this._hear(message));
    port1.unref();
    this.worker = new Worker(THREAD, {
      workerData: { ...settings, fd: FIRST_SEAT + seat, slots: SLOTS, number: seat, port: port2 },
      transferList: [port2],
      argv: [],
      stdin: false,
      resourceLimits: settings.heap ? { maxOldGenerationSizeMb: settings.heap } : undefined,
    });
    this.worker.on('error', (error) => {
      this.problem = error;
    });
    this.worker.on('exit', (status) => this._exited(status));
  }

  _hear(message) {
    if (message.child) this.children.add(message.child);
    if (message.awake) this.awake = true;
  }

  /** Say where it is: by itself where it can, else by interrupting it. */
  describe() {
    this.awake = false;
    this.port.postMessage({ type: 'Describe' });
    setTimeout(() => {
      if (!this.awake && threads.get(this.seat) === this)
        stackOf(this.worker.threadId, (text) => this._say({ type: 'Stacks', text }));
    }, AWAKE);
  }

  _exited(status) {
    threads.delete(this.seat);
    // its end may be heard before what it said last, of a child that it started
    let said;
    while ((said = receiveMessageOnPort(this.port)) !== undefined) this._hear(said.message);
    this.port.close();
    for (const pid of this.children) killOwn(pid);
    // what its children started is in this group too; it can be told apart only while no other thread has children
    if (this.children.size && [...threads.values()].every((thread) => !thread.children.size)) killGroupButSelf();
    const memory = Math.round(process.memoryUsage.rss() / 1024);
    const outOfMemory = this.problem?.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const text = this.problem ? String(this.problem.stack ?? this.problem) : '';
    this._say({ type: 'Exited', status, memory, outOfMemory, text });
  }

  /** Write a frame behind those of the thread, which writes none now. */
  _say(message) {
    const bytes = frame(pack(message));
    for (let at = 0; at < bytes.length;) at += fs.writeSync(FIRST_SEAT + this.seat, bytes, at);
  }
}

const handlers = {
  Start: ({ seat, settings }) => threads.set(seat, new Thread(seat, settings)),
  Tell: ({ seat, message }) => threads.get(seat)?.port.postMessage(message),
  Describe: ({ seat }) => threads.get(seat)?.describe(),
  End: ({ seat }) => threads.get(seat)?.worker.terminate(),
};

/** Kill a child of a thread that has ended, if it is still ours: a number may have been given to another process. */
function killOwn(pid) {
  try {
    const status = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    if (Number(status.slice(status.lastIndexOf(')') + 4).split(' ', 1)[0]) !== process.pid) return;
  } catch {
    if (fs.existsSync('/proc/self/stat')) return; // it is gone
  }
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it is gone
  }
}

/** Kill what children of threads have left in this process's group. */
function killGroupButSelf() {
  let names;
  try {
    names = fs.readdirSync('/proc');
  } catch {
    return; // without /proc they end with the host
  }
  for (const name of names) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const status = fs.readFileSync(`/proc/${name}/stat`, 'latin1');
      const [, , group] = status.slice(status.lastIndexOf(')') + 2).split(' ');
      if (Number(group) === process.pid) process.kill(Number(name), 'SIGKILL');
    } catch {
      // it ended meanwhile
    }
  }
}

const incoming = new FrameBuffer();
const control = new net.Socket({ fd: CONTROL, readable: true, writable: true });
const gone = () => process.kill(-process.pid, 'SIGKILL'); // the supervisor is: so is everything that was started here
control.on('data', (data) => {
  for (const whole of incoming.feed(data)) {
    const message = unpack(payloadOf(whole));
    handlers[message.type](message);
  }
});
control.on('end', gone);
control.on('error', gone);
