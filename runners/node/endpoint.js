'use strict';
/*
 * What a thread or a process that runs tests says to the supervisor: whole frames, written at once to a descriptor of
 * its own. What was written is not lost, whatever becomes of the writer. Runs where tests run.
 */

const fs = require('node:fs');
const { frame } = require('./framing.js');
const { pack } = require('./msgpack.js');

/** The exit status of a worker that cannot reach its supervisor any more. */
const CUT_OFF = 74;
const { writeSync } = fs; // user code may replace what the module has
const exit = process.exit.bind(process);

class Endpoint {
  /** @param {number} fd a blocking descriptor */
  constructor(fd) {
    this._fd = fd;
  }

  /** Send a message. */
  send(message) {
    this.write(frame(pack(message)));
  }

  write(bytes) {
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this._fd, bytes, at, bytes.length - at);
    } catch {
      exit(CUT_OFF);
    }
  }
}

module.exports = { CUT_OFF, Endpoint };
