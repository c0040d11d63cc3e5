'use strict';
/* A recorded root as what is sent of it: lines of JSON, compressed, in pieces. Runs in the user's process. */

const { once } = require('node:events');
const zlib = require('node:zlib');

/** Bytes of one piece, and calls that are written before others get a turn. */
const PIECE = 128 * 1024;
const TURN = 100;
const MOST_ERROR = 300;
const nextTurn = setImmediate;
const { timeOrigin } = performance;

/** Return a root as it is sent: `{id, calls, lines, entry}`. Its lines, `{text, failed, cut}`, are made when taken. */
function sendable(call) {
  const lines = function* () {
    for (const executed of call.flat()) {
      const { thrown_error: error, execution_context: context } = executed;
      yield { text: `${JSON.stringify(executed)}\n`, failed: error !== null, cut: context.children_cut ?? 0 };
    }
  };
  return { id: call.id, calls: call.recording.options.calls - call.recording.left, lines, entry: entryOf(call) };
}

function entryOf({ id, subject, failure, started, ended, recording }) {
  return {
    trace: id,
    name: subject.name,
    module: subject.module ?? '',
    file: subject.file ?? '',
    line: subject.line ?? 0,
    at: (timeOrigin + started) / 1e3,
    duration: (ended - started) / 1e3,
    successful: failure === null,
    error: failure === null ? '' : `${failure.kind}: ${failure.text}`.split('\n', 1)[0].slice(0, MOST_ERROR),
    pid: process.pid,
  };
}

/** Return the pages of a root: `[trace, page, data, entry]`, the last one with its entry. */
async function pagesOf({ id, lines, entry }) {
  const packer = zlib.createDeflate({ level: 1 });
  const packed = [];
  packer.on('data', (piece) => packed.push(piece));
  const told = { calls: 0, failures: 0, cut: 0 };
  let waiting = '';
  for (const { text, failed, cut } of lines()) {
    told.calls += 1;
    told.failures += failed;
    told.cut += cut;
    waiting += text;
    if (told.calls % TURN === 0) {
      packer.write(waiting);
      waiting = '';
      await new Promise((resolve) => nextTurn(resolve));
    }
  }
  packer.end(waiting);
  await once(packer, 'end');
  const data = Buffer.concat(packed);
  const pages = [];
  for (let at = 0; at < data.length; at += PIECE) pages.push([id, pages.length, data.subarray(at, at + PIECE), null]);
  pages[pages.length - 1][3] = { ...entry, ...told };
  return pages;
}

module.exports = { pagesOf, sendable };
