'use strict';
/*
 * What `testd record` has every Node.js process of a program begin with (`node --require`): its traced functions are
 * recorded, and sent to the daemon. Runs in the user's process, whose output and end stay what they are.
 *
 * `TESTD_TRACE` in the environment turns it on: `1`, or what `testd record` sets, a map as JSON.
 */

const OFF = ['', '0', 'false', 'no', 'off'];
const ON = ['1', 'true', 'yes', 'on'];
/** Milliseconds that the end of the process may wait for what is on its way. */
const WAIT = 2000;
const OLDEST = 18;

/** Return what `TESTD_TRACE` says, nothing where it is off. */
function settingsOf(said) {
  if (OFF.indexOf(said.toLowerCase()) >= 0) return null;
  if (ON.indexOf(said.toLowerCase()) >= 0) return {};
  const settings = JSON.parse(said);
  if (settings === null || typeof settings !== 'object' || Array.isArray(settings)) throw new Error(`${said} is no map`);
  return settings;
}

function begin({ trace = {}, workspace, recording = '', wait }) {
  const path = require('node:path');
  const { Configured } = require('./configured.js');
  const { findWorkspace } = require('./workspace.js');
  const { MUTED, Recording, recordAll } = require('./recording.js');
  const { sendable } = require('./pages.js');
  const { Sender, socketPath } = require('./sending.js');
  const { setRoot, traced } = require('./traced.js');

  if (path.dirname(process.argv[1] ?? '') === __dirname) return; // a process of the daemon
  const root = workspace ?? findWorkspace(process.cwd());
  setRoot(root);
  globalThis[Symbol.for('testd.traced')] = traced;
  const configured = new Configured(trace, root);
  configured.begin();
  configured.ask();

  const options = optionsOf(trace);
  const where = { socket: socketPath(), workspace: root, recording };
  const sender = new Sender(where);
  const none = { answer: () => undefined };
  const every = 1 / options.sample;
  let roots = 0;
  recordAll(() => {
    roots += 1;
    if (Math.floor(roots / every) === Math.floor((roots - 1) / every)) return MUTED;
    return new Recording(options, none, function ended(call) {
      this.over = true;
      sender.put(sendable(call));
    });
  });
  atEnd(sender, where, wait === undefined ? WAIT : wait * 1e3, () => recording && configured.problems());
}

/** Return the limits of a record, by the names that recordings have. */
function optionsOf(trace) {
  const { USUAL } = require('./values.js');
  const known = ['depth', 'length', 'text', 'size', 'calls', 'items', 'sample'];
  const own = Object.fromEntries(known.filter((key) => key in trace).map((key) => [key, trace[key]]));
  const options = { ...USUAL, calls: 100_000, sample: 1, ...own };
  if ('call_depth' in trace) options.callDepth = trace.call_depth;
  if ('redact' in trace) options.redact = trace.redact ? new RegExp(trace.redact, 'i') : null;
  return options;
}

/** Take part in the end of the process: what is left is sent then, for so long as may be waited for. */
function atEnd(sender, where, wait, problems) {
  let ended = false;
  process.on('beforeExit', () => {
    if (ended) return;
    ended = true;
    const hold = setTimeout(() => {}, wait);
    sender.finish().finally(() => clearTimeout(hold));
  });
  process.on('exit', () => {
    for (const problem of problems() || []) process.stderr.write(`testd: ${problem}\n`);
    const roots = sender.pending;
    if (!roots.length || ended || !require('node:fs').existsSync(where.socket)) return;
    const input = JSON.stringify({ ...where, roots: roots.map((root) => ({ ...root, lines: [...root.lines()] })) });
    const { NODE_OPTIONS, TESTD_TRACE, ...env } = process.env;
    const flush = require('node:path').join(__dirname, 'flush.js');
    require('node:child_process').spawnSync(process.execPath, [flush], { input, env, timeout: wait, stdio: ['pipe', 'ignore', 'ignore'] });
  });
}

try {
  const settings = settingsOf((process.env.TESTD_TRACE || '').trim());
  if (settings !== null && Number(process.versions.node.split('.')[0]) >= OLDEST) begin(settings);
} catch (error) {
  process.stderr.write(`testd: TESTD_TRACE: ${error.message}; nothing is traced. Right is 1, or what testd record sets\n`);
}
