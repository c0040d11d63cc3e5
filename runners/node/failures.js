'use strict';
/*
 * What a test threw as a `Detail`: its kind, its frames, and the text that a reader needs.
 *
 * Runs where tests run, when one has failed. Frames of Node.js itself and of this runner are left out.
 */

const fs = require('node:fs');
const path = require('node:path');
const util = require('node:util');
const { pathOf, relative, shorten } = require('./text.js');

const TEXT_LIMIT = 64 * 1024;
const MESSAGE_LIMIT = 500;
const MOST_FRAMES = 100;
const MOST_CAUSES = 8;
const OWN = __dirname + path.sep;
const FRAME = /^\s+at (?:async )?(?:(.*?) \()?((?:file:\/\/|node:|\/|[A-Za-z]:\\)[^()]*?):(\d+):\d+\)?$/;
/** How Node.js begins the stack of code that does not compile: its place on a line of its own. */
const PLACE = /^((?:file:\/\/|\/)[^\n]*?):(\d+)$/;
const { readFileSync } = fs;
const { inspect } = util;

/** Return a `Detail` as the protocol has it: every key, in its order. */
function detail(overrides) {
  return {
    phase: '',
    kind: null,
    message: '',
    text: '',
    frames: [],
    sections: [],
    leaks: [],
    stacks: '',
    ...overrides,
  };
}

/**
 * Return the `Detail` of what ended a test or the loading of a file.
 * @param {unknown} thrown
 * @param {{root: string, file: string, phase?: string}} where `file` is the test file, absolute
 */
function describe(thrown, { root, file, phase = 'call' }) {
  try {
    const frames = framesOf(thrown);
    return detail({
      phase,
      kind: classify(thrown, frames, root, file),
      message: summarize(thrown),
      text: shorten(textOf(thrown, root, 0), TEXT_LIMIT),
      frames: frames.map((frame) => ({ ...frame, file: relative(frame.file, root) })),
    });
  } catch (problem) {
    // the error's own properties are user code
    const text = `the test threw something that cannot be described: ${problem}`;
    return detail({ phase, kind: 'test', message: text, text });
  }
}

const isAssertion = (error) => error?.code === 'ERR_ASSERTION' || error?.name === 'AssertionError';
const isError = (thrown) => util.types.isNativeError(thrown) || thrown instanceof Error;

/** Return the `FailureKind`: what the error is, or else whose code threw it. */
function classify(thrown, frames, root, file) {
  if (isAssertion(thrown)) return 'assertion';
  const name = thrown?.name;
  if (name === 'SyntaxError' && (placeOf(thrown) !== null || !frames.length)) return 'syntax';
  if (['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'].includes(thrown?.code))
    return 'import';
  const innermost = frames[frames.length - 1];
  return innermost ? ownerOf(innermost.file, root, file) : 'test';
}

function ownerOf(place, root, file) {
  if (place === file || /\.test\.[cm]?[jt]s$/.test(place)) return 'test';
  const inside = relative(place, root);
  if (inside === place || inside.split('/').includes('node_modules')) return 'library';
  return /(^|\/)(?:tests?|__tests__)\//.test(inside) ? 'test' : 'project';
}

/** Return one line: the error's name and what it says. */
function summarize(thrown) {
  if (!isError(thrown)) return shorten(`threw ${short(thrown)}, which is no Error`, MESSAGE_LIMIT);
  const lines = String(thrown.message)
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  let said = lines[0] ?? '';
  if (isAssertion(thrown) && thrown.generatedMessage !== false && 'actual' in thrown && lines.length > 1) {
    said =
      lines.length === 2 || thrown.operator === '==' || said.startsWith('The expression')
        ? lines.join(' ')
        : `${said} expected ${short(thrown.expected)}, got ${short(thrown.actual)}`;
  }
  const name = thrown.name || 'Error';
  return shorten(said ? `${name}: ${said}` : name, MESSAGE_LIMIT).replace(/\n/g, ' ');
}

function short(value) {
  const text = inspect(value, { depth: 2, breakLength: Infinity, compact: true, maxStringLength: 100 });
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

/** Return where code does not compile, `{file, line}`, or null. */
function placeOf(thrown) {
  const match = PLACE.exec(String(thrown?.stack ?? '').split('\n', 1)[0]);
  return match ? { file: pathOf(match[1]), line: Number(match[2]) } : null;
}

/** Return the frames that a reader should see, outermost first. */
function framesOf(thrown) {
  const frames = [];
  for (const line of stackLines(thrown)) {
    const frame = readFrame(line);
    if (frame && isShown(frame.file)) frames.unshift({ ...frame, source: sourceOf(frame.file, frame.line) });
  }
  const place = thrown?.name === 'SyntaxError' ? placeOf(thrown) : null;
  if (place) frames.push({ ...place, function: '<module>', source: sourceOf(place.file, place.line) });
  return frames.length <= MOST_FRAMES
    ? frames
    : [...frames.slice(0, MOST_FRAMES / 2), ...frames.slice(-MOST_FRAMES / 2)];
}

function stackLines(thrown) {
  const stack = isError(thrown) ? thrown.stack : undefined;
  return typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : [];
}

function readFrame(line) {
  const match = FRAME.exec(line);
  return match && { file: pathOf(match[2]), line: Number(match[3]), function: match[1] || '<anonymous>' };
}

const isShown = (file) => !file.startsWith('node:') && !file.startsWith(OWN);

function sourceOf(file, line) {
  try {
    return shorten((readFileSync(file, 'utf8').split('\n')[line - 1] ?? '').trim(), 400);
  } catch {
    return '';
  }
}

/** Return what Node.js would print, without the frames that are left out, and with the causes. */
function textOf(thrown, root, depth) {
  if (!isError(thrown)) return `threw ${inspect(thrown, { depth: 4 })}`;
  const lines = [headOf(thrown)];
  for (const line of stackLines(thrown)) {
    const frame = readFrame(line);
    if (!frame || isShown(frame.file))
      lines.push(frame ? line.replace(/(?:file:\/\/)?(\/[^():]*)/, (_, at) => relative(pathOf(at), root)) : line);
  }
  lines.push(...comparison(thrown));
  if (depth < MOST_CAUSES) {
    if (thrown.cause !== undefined) lines.push(indented('caused by: ', textOf(thrown.cause, root, depth + 1)));
    if (Array.isArray(thrown.errors)) {
      thrown.errors
        .slice(0, MOST_CAUSES)
        .forEach((inner, n) => lines.push(indented(`error ${n + 1}: `, textOf(inner, root, depth + 1))));
    }
  }
  return lines.join('\n');
}

/** Return the stack's part in front of its frames; where there is none, the name and the message. */
function headOf(thrown) {
  const stack = String(thrown.stack ?? '');
  const end = stack.search(/^\s+at /m);
  const head = (end < 0 ? stack : stack.slice(0, end)).trimEnd();
  return head.includes(String(thrown.message)) ? head : `${thrown.name}: ${thrown.message}`;
}

/** Return expected and actual of an assertion whose message does not show them. */
function comparison(thrown) {
  if (!isAssertion(thrown) || !('actual' in thrown && 'expected' in thrown)) return [];
  if (thrown.generatedMessage && /^[+-] |!==|falsy/m.test(thrown.message)) return [];
  if (thrown.actual === undefined && thrown.expected === undefined) return [];
  return [
    `  expected: ${inspect(thrown.expected, { depth: 4 })}`,
    `  actual:   ${inspect(thrown.actual, { depth: 4 })}`,
  ];
}

const indented = (title, text) => `  ${title}${text.replace(/\n/g, '\n  ')}`;

module.exports = { describe, detail, framesOf, summarize };
