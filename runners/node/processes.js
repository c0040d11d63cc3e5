'use strict';
/*
 * The supervisor's side of the processes that it starts: hosts, which hold threads, and processes of mode bin. Each
 * seat is one channel: a thread of a host, or the whole of a bin process.
 */

const { spawn } = require('node:child_process');
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { FrameBuffer, frame, payloadOf, typeOf } = require('./framing.js');
const { stackOfBusy } = require('./inspected.js');
const { FIRST_SEAT, SEATS } = require('./layout.js');
const { pack, unpack } = require('./msgpack.js');
const { makeFile, readSlot, resetSlot } = require('./slots.js');

const TAIL = 16 * 1024;
/**
 * Milliseconds to hear where a worker is before it is ended without: a thread that is busy is asked through the
 * inspector, a process of its own answers by itself, or is asked in the same way when it does not.
 */
const THREAD_STACKS = 2000;
const PROCESS_ANSWER = 400;
const PROCESS_STACKS = 3000;
/** Milliseconds for the pipes of a dead process to end, after its group was killed. */
const PIPES_DEADLINE = 1000;
/** Milliseconds for a thread that has said that no code runs in it any more to be gone; its host is killed then. */
const LEFT_DEADLINE = 5000;

/** Kill a process and the group that it heads. */
function killGroup(pid) {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL');
    } catch {
      // it is gone
    }
  }
}

/** Node's own options for user code: those that were configured, and TypeScript where this Node.js can have it. */
function options(settings) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const strips = (major === 22 && minor >= 6 && minor < 18) || (major === 23 && minor < 6);
  return [...(strips ? ['--experimental-strip-types'] : []), ...(settings.arguments ?? [])];
}

/** Start Node.js with descriptors for these many seats. What cannot even be tried ends like what cannot be started. */
function start(argv, settings, slots, seats) {
  try {
    return spawn(process.execPath, argv, {
      cwd: settings.cwd || settings.root,
      env: settings.extend ? { ...process.env, ...settings.environment } : { ...settings.environment },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', slots, ...Array(seats).fill('pipe')],
    });
  } catch (error) {
    const none = new EventEmitter();
    setImmediate(() => none.emit('error', error));
    return none;
  }
}

/** A process with a control channel, a slot file and seats. */
class Started {
  /**
   * @param {{main: string, argument: string[], seats: number, settings: any, guardian: any}} how
   * @param {(how: {status: number|null, signal: string|null, problem: string}) => void} ended is called once, when all
   *     that its seats wrote has been heard
   */
  constructor({ main, argument, seats, settings, guardian }, ended) {
    this._guardian = guardian;
    this._ended = ended;
    this._over = false;
    this._tails = ['', ''];
    this._slots = makeFile();
    this.printed = null; // is told what it prints, where somebody wants to know
    this.overhear = null; // gets what it writes to its error output first, and returns what of that is its own
    for (let seat = 0; seat < seats; seat++) resetSlot(this._slots, seat);
    const failed = (error) => this._end(null, null, `${process.execPath} cannot be started again: ${error.message}`);
    this._child = start([...options(settings), path.join(__dirname, main), ...argument], settings, this._slots, seats);
    this._stdio = this._child.stdio ?? []; // none where there are too many processes or descriptors
    this.pid = this._child.pid ?? 0;
    if (this.pid) guardian.add(this.pid);
    this._child.on('error', failed);
    this._child.on('exit', () => this._exited());
    this._child.on('close', (status, signal) => this._end(status, signal, ''));
    this._listen();
  }

  _listen() {
    ['stdout', 'stderr'].forEach((name, n) => {
      this._stdio[n + 1]?.on('data', (data) => {
        const text = n === 1 && this.overhear !== null ? this.overhear(data.toString('utf8')) : data.toString('utf8');
        if (!text) return;
        this._tails[n] = (this._tails[n] + text).slice(-TAIL);
        this.printed?.(name, text);
      });
    });
    for (const stream of this._stdio) stream?.on('error', () => {}); // its end tells
  }

  /** Let `heard(whole frame, type)` have what a seat writes. */
  attach(seat, heard) {
    let incoming = new FrameBuffer();
    const stream = this._stdio[FIRST_SEAT + seat];
    stream?.removeAllListeners('data');
    stream?.on('data', (data) => {
      try {
        for (const whole of incoming.feed(data)) heard(whole, typeOf(whole));
      } catch {
        // user code wrote to a descriptor that is not its own
        incoming = new FrameBuffer();
        this.kill();
      }
    });
    if (this._paused) stream?.pause();
  }

  /** Read no more from its seats, or go on. */
  pause(yes) {
    this._paused = yes;
    for (const stream of this._stdio.slice(FIRST_SEAT)) yes ? stream?.pause() : stream?.resume();
  }

  send(message) {
    const control = this._stdio[3];
    if (control?.writable) control.write(frame(pack(message)));
  }

  slot(seat) {
    return readSlot(this._slots, seat);
  }

  reset(seat) {
    resetSlot(this._slots, seat);
  }

  /** Return the end of what the process itself printed, stderr before stdout. */
  tail() {
    return [this._tails[1].trim(), this._tails[0].trim()].filter(Boolean).join('\n');
  }

  /** Return what it holds, in KiB; 0 where the system does not tell. */
  memory() {
    try {
      return Number(fs.readFileSync(`/proc/${this.pid}/statm`, 'latin1').split(' ')[1]) * 4;
    } catch {
      return 0;
    }
  }

  /** Call back when the process itself has ended. */
  whenGone(callback) {
    this._child.once('exit', callback);
  }

  kill() {
    if (this.pid && !this._over) killGroup(this.pid);
  }

  _exited() {
    killGroup(this.pid); // what user code left in this group
    this.pause(false);
    this._deadline = setTimeout(() => {
      for (const stream of this._stdio) stream?.destroy();
    }, PIPES_DEADLINE);
  }

  _end(status, signal, problem) {
    if (this._over) return;
    this._over = true;
    clearTimeout(this._deadline);
    if (this.pid) this._guardian.remove(this.pid);
    this._ended({ status, signal, problem });
    fs.closeSync(this._slots);
  }
}

/** A host and its seats. */
class Host {
  constructor(settings, guardian, gone) {
    this.retired = false;
    this.memory = 0; // KiB, when the last of its threads ended
    this.started = 0; // threads
    this.seats = Array.from({ length: SEATS }, (_, number) => new Seat(this, number));
    this.over = false;
    this.process = new Started({ main: 'host.js', argument: [], seats: SEATS, settings, guardian }, (how) => {
      this.over = true;
      gone(this, how);
    });
    this.seats.forEach((seat) => this.process.attach(seat.number, (whole, type) => seat.heard(whole, type)));
  }

  get free() {
    return this.retired || this.over ? undefined : this.seats.find((seat) => !seat.taken);
  }

  get idle() {
    return this.seats.every((seat) => !seat.taken);
  }
}

/** One thread's place in a host. */
class Seat {
  constructor(host, number) {
    this.host = host;
    this.number = number;
    this.stacksDeadline = THREAD_STACKS;
    this.taken = false;
    this.owner = null; // hears what its thread says, and how it ends
    this._gone = null; // the time that a thread has to be gone
  }

  get process() {
    return this.host.process;
  }

  start(settings) {
    this.taken = true;
    this.process.reset(this.number);
    this.process.send({ type: 'Start', seat: this.number, settings });
  }

  tell(message) {
    this.process.send({ type: 'Tell', seat: this.number, message });
  }

  describe() {
    this.process.send({ type: 'Describe', seat: this.number });
  }

  end() {
    this.process.send({ type: 'End', seat: this.number });
  }

  heard(whole, type) {
    const { owner } = this;
    if (type === 'Left') {
      const { memory } = unpack(payloadOf(whole));
      this.owner = null;
      this._gone = setTimeout(() => this.process.kill(), LEFT_DEADLINE);
      const slot = this.process.slot(this.number);
      owner?.ended({ status: 0, signal: null, text: '', outOfMemory: false, memory, slot });
    } else if (type === 'Exited') {
      const end = unpack(payloadOf(whole));
      clearTimeout(this._gone);
      owner?.ended({ ...end, signal: null, slot: this.process.slot(this.number) });
      this.owner = null;
      this.taken = false;
      this.host.released?.(end.memory);
    } else owner?.heard(type, whole);
  }
}

/** The only seat of a process of mode bin. */
class BinSeat {
  constructor(settings, guardian, owner) {
    this.owner = owner;
    this.stacksDeadline = PROCESS_ANSWER + PROCESS_STACKS;
    this._answer = null; // the time that it has to say where it is
    const argument = [
      JSON.stringify({
        root: settings.root,
        kind: settings.kind,
        settings: settings.settings,
        capture_limit: settings.capture_limit,
        output_limit: settings.output_limit,
      }),
    ];
    this.process = new Started(
      { main: 'bin.js', argument, seats: 1, settings, guardian },
      ({ status, signal, problem }) => {
        clearTimeout(this._answer);
        this.owner.ended({ status, signal, text: problem, outOfMemory: false, memory: 0, slot: this.process.slot(0) });
      },
    );
    this.process.attach(0, (whole, type) => {
      if (type === 'Stacks') clearTimeout(this._answer);
      this.owner.heard(type, whole);
    });
  }

  tell(message) {
    this.process.send({ type: 'Tell', message });
  }

  describe() {
    this.tell({ type: 'Describe' });
    this._answer = setTimeout(() => {
      stackOfBusy(this.process, PROCESS_STACKS, (text) => {
        if (text) this.owner.heard('Stacks', frame(pack({ type: 'Stacks', text })));
      });
    }, PROCESS_ANSWER);
  }

  end() {
    clearTimeout(this._answer);
    this.process.kill();
  }
}

module.exports = { BinSeat, Host, killGroup };
