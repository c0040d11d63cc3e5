'use strict';
/* The supervisor's side of the stream to the agent: one socket. Nothing here blocks. */

const net = require('node:net');
const { FrameBuffer, FrameError, frame, payloadOf } = require('./framing.js');
const { pack, unpack } = require('./msgpack.js');

/** Bytes waiting for the agent above which nothing is read from those that run tests: they wait, nothing grows. */
const MOST_WAITING = 8 * 1024 * 1024;

class AgentStream {
  /**
   * @param {number} fd a socket
   * @param {{hear: (message: any) => void, end: () => void, congested: (yes: boolean) => void}} owner
   */
  constructor(fd, owner) {
    this._owner = owner;
    this._incoming = new FrameBuffer();
    this._congested = false;
    this._pending = [];
    this._socket = new net.Socket({ fd, readable: true, writable: true });
    this._socket.on('data', (data) => this._read(data));
    this._socket.on('end', () => owner.end());
    this._socket.on('error', () => owner.end());
    this._socket.on('close', () => owner.end());
    this._socket.on('drain', () => this._relax());
  }

  /** Send a message. */
  tell(message) {
    this.forward(frame(pack(message)));
  }

  /** Tell what went wrong, with pytest's exit code for it. */
  fault(code, message, more = {}) {
    this.tell({ type: 'Fault', code, message, hint: '', detail: '', exit_code: 3, id: 0, ...more });
  }

  /** Send a whole frame as it is. Frames of one turn of the loop are written together. */
  forward(whole) {
    if (!this._pending.length) setImmediate(() => this._flush());
    this._pending.push(whole);
  }

  _flush() {
    const bytes = this._pending.length === 1 ? this._pending[0] : Buffer.concat(this._pending);
    this._pending = [];
    if (!bytes.length || this._socket.destroyed) return;
    this._socket.write(bytes);
    if (!this._congested && this._socket.writableLength > MOST_WAITING) {
      this._congested = true;
      this._owner.congested(true);
    }
  }

  _relax() {
    if (this._congested) {
      this._congested = false;
      this._owner.congested(false);
    }
  }

  /** Send what waits, close, and call back. */
  close(done) {
    this._flush();
    this._socket.destroyed ? done() : this._socket.end(done);
  }

  _read(data) {
    let frames;
    try {
      frames = this._incoming.feed(data);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this._refuse(error);
      this._owner.end();
      return;
    }
    for (const whole of frames) {
      try {
        this._take(whole);
      } catch (error) {
        this._refuse(error);
      }
    }
  }

  _refuse(error) {
    this.fault('internal', `the agent sent what is no message: ${error.message}`, { detail: String(error.stack) });
  }

  _take(whole) {
    const message = unpack(payloadOf(whole));
    const known = message !== null && typeof message === 'object' && typeof message.type === 'string';
    if (!known || !this._owner.hear(message)) this.tell({ type: 'Unsupported', of: String(message?.type) });
  }
}

module.exports = { AgentStream };
