'use strict';
/*
 * Test files as modules: loading them, and the tests that they export. Runs where tests run.
 */

const fs = require('node:fs');
const path = require('node:path');
const Module = require('node:module');
const { pathToFileURL } = require('node:url');

const { readFileSync, realpathSync } = fs;
const IDENTIFIER = '[\\p{ID_Start}$_][\\p{ID_Continue}$]*';
const DEFINITION = new RegExp(
  `(?:\\bfunction\\s*\\*?\\s*|\\b(?:const|let|var|class)\\s+|\\bexports\\.)(${IDENTIFIER})|\\bexport\\s+(default)\\b`,
  'gu',
);
const PROPERTY = new RegExp(`^\\s*(?:async\\s+)?\\*?\\s*(${IDENTIFIER})\\s*[(:,]`, 'gmu');
const load = (url) => import(url);

/**
 * Load a test file and return its tests in the order of the source, and the classes that it exports.
 * @param {string} file an absolute path
 * @returns {Promise<{tests: {name: string, line: number, call: Function, problem: string}[], classes: string[]}>}
 * @throws whatever the file throws
 */
async function loadFile(file) {
  const namespace = await load(pathToFileURL(file).href);
  const lines = linesOf(file);
  const tests = [];
  const classes = [];
  for (const [name, value] of exportsOf(namespace, file)) {
    if (typeof value !== 'function') continue;
    if (isClass(value)) classes.push(name);
    else tests.push({ name, line: lines.get(name) ?? 0, call: value, problem: problemOf(value) });
  }
  return { tests: tests.sort((a, b) => a.line - b.line), classes };
}

/** Return the named exports. Those of a CommonJS module are what it really exports, not what a scan could foresee. */
function exportsOf(namespace, file) {
  let real = file;
  try {
    real = realpathSync(file);
  } catch {
    // it was removed meanwhile
  }
  return exportsAt(namespace, real);
}

/** The same for a file by the path that has no links in it. */
function exportsAt(namespace, real) {
  const exported = commonJs(namespace, real);
  if (exported === undefined) return Object.entries(namespace);
  if (typeof exported === 'function') return [['default', exported], ...Object.entries(exported)];
  return exported !== null && typeof exported === 'object' ? Object.entries(exported) : [];
}

function commonJs(namespace, real) {
  if ('module.exports' in namespace) return namespace['module.exports'];
  const found = Module._cache[real];
  return found !== undefined && !('__esModule' in namespace && !namespace.default) ? found.exports : undefined;
}

const isClass = (value) => /^class\b/.test(Function.prototype.toString.call(value));

/** Return why a function cannot be run as a test, empty if it can. */
function problemOf(call) {
  const kind = Object.prototype.toString.call(call);
  if (kind.includes('Generator'))
    return 'a generator function does nothing when it is called: make it a function or an async function';
  if (call.length === 0) return '';
  const many = call.length === 1 ? 'a parameter' : `${call.length} parameters`;
  return `it takes ${many}, and a test is called with none: give defaults, or do not export what is no test`;
}

/** Return name → line for what a file seems to define. TypeScript keeps its lines when its types are stripped. */
function linesOf(file) {
  const found = new Map();
  let source;
  try {
    source = readFileSync(file, 'utf8');
  } catch {
    return found;
  }
  for (const pattern of [DEFINITION, PROPERTY]) {
    let line = 1;
    let at = 0;
    for (const match of source.matchAll(pattern)) {
      const end = match.index + match[0].length;
      for (; at < end; at++) if (source.charCodeAt(at) === 10) line += 1;
      const name = match[1] ?? match[2];
      if (!found.has(name)) found.set(name, line);
    }
  }
  return found;
}

module.exports = { exportsAt, loadFile };
