'use strict';
/*
 * Frames: a length of four bytes, big-endian, then that many bytes of one message. No input or output here.
 *
 * Runs in every process of the runner.
 */

const HEADER = 4;
const MAX_FRAME = 16 * 1024 * 1024;

/** A length that no frame has: the two sides are out of step. The link is lost. */
class FrameError extends Error {}

/**
 * Return a payload with its length in front.
 * @param {Buffer} payload
 * @returns {Buffer}
 * @throws {FrameError} no bytes at all, or too many
 */
function frame(payload) {
  check(payload.length);
  const whole = Buffer.allocUnsafe(HEADER + payload.length);
  whole.writeUInt32BE(payload.length, 0);
  payload.copy(whole, HEADER);
  return whole;
}

function check(length) {
  if (!length) throw new FrameError('a frame of 0 bytes: every frame carries a message');
  if (length > MAX_FRAME) throw new FrameError(`a frame of ${length} bytes: the most is ${MAX_FRAME}`);
}

/** Bytes as they arrived, and the frames that are complete in them. */
class FrameBuffer {
  constructor() {
    this._pieces = [];
    this._size = 0;
    this._need = HEADER;
  }

  /**
   * Add what was read and take out all frames that are complete.
   * @param {Buffer} data
   * @returns {Buffer[]} whole frames, their headers included
   * @throws {FrameError} the next frame's length is impossible
   */
  feed(data) {
    this._pieces.push(data);
    this._size += data.length;
    const found = [];
    if (this._size < this._need) return found;
    const joined = this._pieces.length === 1 ? this._pieces[0] : Buffer.concat(this._pieces, this._size);
    let at = 0;
    this._need = HEADER;
    while (joined.length - at >= HEADER) {
      const length = joined.readUInt32BE(at);
      check(length);
      if (joined.length - at < HEADER + length) {
        this._need = HEADER + length;
        break;
      }
      found.push(joined.subarray(at, at + HEADER + length));
      at += HEADER + length;
    }
    const rest = joined.subarray(at);
    this._pieces = rest.length ? [rest] : [];
    this._size = rest.length;
    return found;
  }
}

/** Return a frame's payload. */
const payloadOf = (whole) => whole.subarray(HEADER);

/** Return a message's type without decoding the rest: it is the first key of the map. */
function typeOf(whole) {
  let start = HEADER;
  start += whole[start] < 0xde ? 1 : whole[start] === 0xde ? 3 : 5;
  start += 5; // the key: a head and "type"
  const size = whole[start] & 0x1f;
  return whole.toString('latin1', start + 1, start + 1 + size);
}

module.exports = { FrameBuffer, FrameError, HEADER, MAX_FRAME, frame, payloadOf, typeOf };
