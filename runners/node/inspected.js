'use strict';
/*
 * Where a busy process is. Its own thread does not answer any more, so it is asked from outside: SIGUSR1 makes Node.js
 * open its inspector on a free port of this machine, under a path that only its error output names. There the
 * JavaScript is paused, and its frames are read. Runs in the supervisor; the process is about to be killed, and a test
 * that handles SIGUSR1 itself, or is inside of a call into the system, is killed without.
 */

const crypto = require('node:crypto');
const net = require('node:net');
const { shown } = require('./stacks.js');

/** What Node.js writes to its error output for it: not the test's own. */
const LINES = [
  'Debugger listening on (ws:\\S+)',
  'For help, see: https://nodejs\\.org.*',
  'Debugger attached\\.',
  'Debugger ending on .*',
  'Waiting for the debugger to disconnect\\.\\.\\.',
];
const ANNOUNCED = new RegExp(`^(?:${LINES.join('|')})\\r?\\n?`, 'gm');
const TEXT = 1;

/**
 * Call `done` with the stack of a process of mode bin as text, once; with an empty one after `patience` milliseconds.
 * @param {any} started a `Started` of `processes.js`
 * @param {number} patience
 * @param {(text: string) => void} done
 */
function stackOfBusy(started, patience, done) {
  let socket = null;
  const finish = (text) => {
    clearTimeout(deadline);
    if (socket !== null) socket.destroy();
    socket = null;
    done(text);
    done = () => {};
  };
  const deadline = setTimeout(() => finish(''), patience);
  started.overhear = (text) => {
    const url = [...text.matchAll(ANNOUNCED)].find(([, found]) => found)?.[1];
    if (url && socket === null) socket = ask(new URL(url), finish);
    return text.replace(ANNOUNCED, '');
  };
  try {
    process.kill(started.pid, 'SIGUSR1');
  } catch {
    finish(''); // it is gone
  }
}

/** Pause what runs and read where it is; speaks as much of the WebSocket protocol as it takes. */
function ask(url, finish) {
  const scripts = new Map();
  const socket = net.connect(Number(url.port), url.hostname);
  let buffered = Buffer.alloc(0);
  let open = false;
  socket.on('error', () => finish(''));
  socket.on('close', () => finish(''));
  socket.on('connect', () => {
    const key = crypto.randomBytes(16).toString('base64');
    const lines = [
      `GET ${url.pathname} HTTP/1.1`,
      `Host: ${url.host}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  });
  socket.on('data', (data) => {
    buffered = Buffer.concat([buffered, data]);
    if (!open) {
      const end = buffered.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!buffered.toString('latin1', 0, end).startsWith('HTTP/1.1 101')) return finish('');
      buffered = buffered.subarray(end + 4);
      open = true;
      socket.write(framed({ id: 1, method: 'Debugger.enable' }));
      socket.write(framed({ id: 2, method: 'Debugger.pause' }));
    }
    for (let message = take(); message !== null; message = take()) hear(message);
  });

  const take = () => {
    const found = unframed(buffered);
    if (found === null) return null;
    buffered = buffered.subarray(found.end);
    return found;
  };
  const hear = ({ kind, payload }) => {
    if (kind !== TEXT) return;
    const { method, params } = JSON.parse(payload.toString('utf8'));
    if (method === 'Debugger.scriptParsed') scripts.set(params.scriptId, params.url);
    if (method === 'Debugger.paused') finish(shown(params.callFrames, scripts));
  };
  return socket;
}

/** Return a message as one frame; a client's are masked, and a mask of zeros leaves them as they are. */
function framed(message) {
  const payload = Buffer.from(JSON.stringify(message), 'utf8');
  return Buffer.concat([Buffer.from([0x80 | TEXT, 0x80 | payload.length, 0, 0, 0, 0]), payload]); // all are short
}

/** Return the first frame of these bytes, null where it is not complete. */
function unframed(bytes) {
  if (bytes.length < 2) return null;
  const short = bytes[1] & 0x7f;
  const head = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < head) return null;
  const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  const end = head + length;
  return bytes.length < end ? null : { kind: bytes[0] & 0x0f, payload: bytes.subarray(head, end), end };
}

module.exports = { stackOfBusy };
