'use strict';
/*
 * Where a module does not compile: Node.js does not say it of an ES module that is imported, so it is asked to check
 * the file, and what the file imports. Runs where tests run, after such an error.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** How many files are checked at most, and how long one check may take, in milliseconds. */
const MOST_FILES = 20;
const CHECK_DEADLINE = 5000;
const IMPORT = /(?:\bfrom|\bimport|\bimport\s*\()\s*(['"])(\.[^'"\n]+)\1/g;
const PLACE = /^(?:file:\/\/|\/)[^\n]*:\d+$/;
const execPath = process.execPath;

/**
 * Put the place in front of a syntax error's stack, as Node.js does for other code.
 * @param {any} error what loading `file` threw
 * @param {string} file
 */
function locate(error, file) {
  if (error?.name !== 'SyntaxError' || PLACE.test(String(error.stack).split('\n', 1)[0])) return;
  if (isThrown(String(error.stack))) return;
  for (const candidate of reached(file)) {
    const { stderr } = spawnSync(execPath, ['--check', candidate], {
      encoding: 'utf8',
      timeout: CHECK_DEADLINE,
      env: {},
    });
    const head = (stderr ?? '').slice(0, (stderr ?? '').indexOf('SyntaxError'));
    if (PLACE.test(head.split('\n', 1)[0])) {
      error.stack = head + error.stack;
      return;
    }
  }
}

/** Whether the stack of an error has a frame of user code: then it was thrown by code that runs. */
function isThrown(stack) {
  const frames = stack.split('\n').filter((line) => /^\s+at (?:async )?(?:.*\()?(?:file:\/\/|\/)/.test(line));
  return frames.some((line) => !line.includes(__dirname));
}

/** Yield a file and the modules that it reaches by relative imports. */
function* reached(file) {
  const seen = new Set([file]);
  for (const place of seen) {
    // grows while it is gone through
    if (seen.size > MOST_FILES || !fs.existsSync(place)) continue;
    yield place;
    for (const [, , specifier] of fs.readFileSync(place, 'utf8').matchAll(IMPORT))
      seen.add(path.resolve(path.dirname(place), specifier));
  }
}

module.exports = { locate };
