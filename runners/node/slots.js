'use strict';
/*
 * Which test runs where: a small file in memory that worker threads write and the supervisor reads.
 *
 * A worker that dies cannot say what it was doing, and a message for each test that starts would cost more than a
 * write.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const crypto = require('node:crypto');

const State = Object.freeze({ STARTING: 0, LOADING: 1, IDLE: 2, RUNNING: 3, DONE: 4 });
const SIZE = 64;
const { openSync, readSync, unlinkSync, writeSync } = fs; // user code may replace what the module has
const hrtime = process.hrtime;

/** Return milliseconds on the machine's steady clock, which all its processes share. */
function now() {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** Make a file that has no name; returns its descriptor. */
function makeFile() {
  const folder = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
  for (const place of new Set([folder, os.tmpdir()])) {
    const name = path.join(place, `testd-slots-${process.pid}-${crypto.randomBytes(8).toString('hex')}`);
    try {
      const fd = openSync(name, 'wx+', 0o600);
      unlinkSync(name);
      return fd;
    } catch (error) {
      if (place === os.tmpdir()) throw error;
    }
  }
  throw new Error('unreachable');
}

/** Read a slot: `{state, job, test, testStarted, jobStarted}`, or null while it is being written. */
function readSlot(fd, number) {
  const bytes = Buffer.alloc(SIZE);
  readSync(fd, bytes, 0, SIZE, number * SIZE);
  const value = (index) => bytes.readDoubleLE(index * 8);
  if (value(0) !== value(6)) return null;
  return { state: value(1), job: value(2), test: value(3), testStarted: value(4), jobStarted: value(5) };
}

/** The writing side of one slot. */
class SlotWriter {
  constructor(fd, number) {
    this._fd = fd;
    this._place = number * SIZE;
    this._values = new Float64Array(SIZE / 8);
    this._bytes = new Uint8Array(this._values.buffer);
  }

  /** Say what the worker is doing from now on. */
  set(state, job = -1, test = -1, jobStarted = 0) {
    const values = this._values;
    values[0] = values[6] = values[0] + 1;
    values[1] = state;
    values[2] = job;
    values[3] = test;
    values[4] = now();
    values[5] = jobStarted;
    writeSync(this._fd, this._bytes, 0, SIZE, this._place);
  }
}

/** Make a slot look unused. */
function resetSlot(fd, number) {
  writeSync(fd, Buffer.alloc(SIZE), 0, SIZE, number * SIZE);
}

module.exports = { SlotWriter, State, makeFile, now, readSlot, resetSlot };
