'use strict';
/*
 * Compiled code that is kept on disk, in the runner's own folder (the one above it is on Python's path, where a new name
 * is a change): a thread that starts anew loads a large library in a third of the time. Node.js compares the source
 * before it takes what was kept (22.1 and later have this).
 *
 * Runs where tests run, before anything of the user's is loaded.
 */

const Module = require('node:module');
const path = require('node:path');

/** Keep compiled code, unless the user's environment decides otherwise. */
function keepCompiled() {
  const { NODE_COMPILE_CACHE: own, NODE_DISABLE_COMPILE_CACHE: off } = process.env;
  if (own === undefined && off === undefined) Module.enableCompileCache?.(path.join(__dirname, 'compiled'));
}

/** Write what was compiled since: a thread that is ended from outside writes nothing. */
function writeCompiled() {
  Module.flushCompileCache?.();
}

module.exports = { keepCompiled, writeCompiled };
