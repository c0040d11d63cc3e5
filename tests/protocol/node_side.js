'use strict';
/*
 * The vectors against the JavaScript codec. Runs on every Node.js.
 *
 *     node node_side.js FOLDER-OF-THE-RUNNER vectors.jsonl
 *
 * Prints `COUNT` and ends with 0, or a line for each vector that fails and 1.
 */

const fs = require('node:fs');
const path = require('node:path');

const [folder, file] = process.argv.slice(2);
const { FrameBuffer, FrameError, frame, payloadOf, typeOf } = require(path.join(folder, 'framing.js'));
const { Float, UnpackError, pack, unpack } = require(path.join(folder, 'msgpack.js'));

const FLOATS = { inf: Infinity, '-inf': -Infinity, nan: NaN };

/** Undo what `testd_protocol.vectors.to_json` did. `reading` gives what is read: there a float is a plain number. */
function fromJson(value, reading) {
  if (Array.isArray(value)) return value.map((item) => fromJson(item, reading));
  if (typeof value === 'number' && reading && Number.isInteger(value) && !Number.isSafeInteger(value))
    return BigInt(value);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value);
  if (entries.length === 1) {
    const [[key, item]] = entries;
    if (key === '$float') return reading ? (FLOATS[item] ?? Number(item)) : new Float(FLOATS[item] ?? Number(item));
    if (key === '$int') return BigInt(item);
    if (key === '$hex') return Buffer.from(item, 'hex');
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, fromJson(item, reading)]));
}

/** Equal, with entries in the same order; -0 is not 0, NaN is NaN. */
function same(left, right) {
  if (Buffer.isBuffer(left)) return Buffer.isBuffer(right) && left.equals(right);
  if (Array.isArray(left))
    return Array.isArray(right) && left.length === right.length && left.every((item, n) => same(item, right[n]));
  if (left === null || typeof left !== 'object') return Object.is(left, right);
  const [ours, theirs] = [Object.entries(left), Object.entries(right)];
  return (
    ours.length === theirs.length && ours.every(([key, item], n) => theirs[n][0] === key && same(item, theirs[n][1]))
  );
}

/** Return the payloads of a stream that comes byte by byte. */
function streamed(data) {
  const buffer = new FrameBuffer();
  const payloads = [];
  for (const byte of data)
    for (const whole of buffer.feed(Buffer.from([byte]))) payloads.push(Buffer.from(payloadOf(whole)));
  return payloads;
}

function refusal(action, data, kind) {
  try {
    return `was taken for ${JSON.stringify(action(data))}`;
  } catch (error) {
    return error instanceof kind && error.message ? null : `was refused with ${error}`;
  }
}

/** Return what is wrong, or null. */
function check({ name, value, hex }) {
  const data = Buffer.from(hex, 'hex');
  if (name.startsWith('malformed/frame')) return refusal(streamed, data, FrameError);
  if (name.startsWith('malformed/')) return refusal(unpack, data, UnpackError);
  const expected = fromJson(value, true);
  if (name.startsWith('frames/')) {
    return same(streamed(data), expected) && Buffer.concat(expected.map(frame)).equals(data)
      ? null
      : 'the frames differ';
  }
  const packed = pack(fromJson(value, false));
  if (!packed.equals(data)) return `packs as ${packed.toString('hex')}`;
  if (!same(unpack(data), expected)) return `unpacks as ${String(unpack(data))}`;
  const { type } = Object(expected);
  return typeof type === 'string' && typeOf(frame(data)) !== type ? `its type is read as ${typeOf(frame(data))}` : null;
}

const vectors = fs
  .readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));
const wrong = vectors.map((vector) => [vector.name, check(vector)]).filter(([, problem]) => problem !== null);
for (const [name, problem] of wrong) console.log(`${name}: ${problem.slice(0, 300)}`);
console.log(vectors.length);
process.exitCode = wrong.length ? 1 : 0;
