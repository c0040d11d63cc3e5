'use strict';
/* Answers in place of calls: which call of which function gets which. Runs where functions are recorded. */

const { RestoreError, restore } = require('./restoring.js');

const ALL = '*';
const KEYS = ['output', 'error_to_throw', 'error_type'];

/** Mocks that cannot be used: which function, which call, and what would be right. */
class MockError extends Error {}

/**
 * The answers of one case: `{"module:function": {"1": {output: 5}, "*": {error_to_throw: "no"}}}`.
 * Calls are counted from 1, over all that the root calls.
 */
class Mocks {
  /**
   * @param {any} answers
   * @param {(module: string) => string} moduleOf a name for a module, the same for all names that it has
   * @param {(name: string) => Function | undefined} [classNamed] finds a class, `module:Class`
   * @throws {MockError}
   */
  constructor(answers, moduleOf, classNamed = () => undefined) {
    this._classNamed = classNamed;
    this._answers = new Map();
    this._names = new Map();
    this._called = new Map();
    this._used = new Set();
    for (const [name, calls] of Object.entries(answers ?? {})) this._read(name, calls, moduleOf);
  }

  /** The functions that have answers, as `[module, function, key]`. */
  get functions() {
    return [...this._names].map(([key, name]) => [...partsOf(name), key]);
  }

  /** Count a call of a function; return its answer, undefined if it is to run. */
  answer(key) {
    const answers = this._answers.get(key);
    if (answers === undefined) return undefined;
    const called = (this._called.get(key) ?? 0) + 1;
    this._called.set(key, called);
    const number = answers.has(String(called)) ? String(called) : ALL;
    if (answers.has(number)) this._used.add(`${key} ${number}`);
    return answers.get(number);
  }

  /** What no call has got, for people. */
  unused() {
    const left = [];
    for (const [key, answers] of this._answers) {
      for (const number of answers.keys()) {
        const calls = number === ALL ? 'all calls' : `call ${number}`;
        if (!this._used.has(`${key} ${number}`)) left.push(`${this._names.get(key)}, ${calls}`);
      }
    }
    return left;
  }

  _read(name, calls, moduleOf) {
    const [module, path] = partsOf(name);
    if (!module || !path) throw new MockError(`mocks: '${name}' names no function: it is 'module:function'`);
    const answers = new Map();
    for (const [number, answer] of Object.entries(calls)) {
      const place = `mocks: ${name}: call ${number}`;
      if (number !== ALL && !/^[1-9]\d*$/.test(number))
        throw new MockError(`${place}: calls are '1', '2' … or '*' for all`);
      if (Object.keys(answer).length) answers.set(number, new Answer(place, answer, this._classNamed));
    }
    const key = `${moduleOf(module)}:${path}`;
    this._answers.set(key, answers);
    this._names.set(key, name);
  }
}

/** One answer: an output, or an error. */
class Answer {
  constructor(place, answer, classNamed) {
    const unknown = Object.keys(answer).find((key) => !KEYS.includes(key));
    if (unknown) throw new MockError(`${place}: a mock has no '${unknown}'; it has ${KEYS.join(', ')}`);
    this._text = answer.error_to_throw || '';
    this._type = answer.error_type || (this._text ? 'Error' : '');
    this._output = answer.output;
    this._class = classNamed(this._type) ?? globalThis[this._type];
    if (this._type && typeof this._class !== 'function') {
      throw new MockError(
        `${place}: error_type: there is no ${this._type}; there are Error, TypeError and the like, and 'module:Class'`,
      );
    }
    try {
      this.output();
    } catch (error) {
      if (!(error instanceof RestoreError)) throw error;
      throw new MockError(`${place}: output: ${error.message}`);
    }
  }

  /** Return the error: of a class of the user's with its text, and without what its constructor does. */
  _error() {
    if (this._class === globalThis[this._type]) return new this._class(this._text);
    const error = new Error(this._text);
    Object.setPrototypeOf(error, this._class.prototype);
    return error;
  }

  output() {
    return restore(this._output === undefined ? { $type: 'undefined' } : this._output);
  }

  /** Return the output, made anew, or throw the error. */
  give() {
    if (this._type) throw this._error();
    return this.output();
  }
}

/** Return the names of classes, `module:Class`, of which answers throw instances. */
function errorTypes(answers) {
  const all = Object.values(answers ?? {}).flatMap((calls) => Object.values(calls ?? {}));
  return all.map((answer) => answer?.error_type).filter((name) => typeof name === 'string' && name.includes(':'));
}

/** Return module and function of `module:function`; a module may have colons (`node:fs`). */
function partsOf(name) {
  const at = name.lastIndexOf(':');
  return [name.slice(0, Math.max(at, 0)), name.slice(at + 1)];
}

module.exports = { MockError, Mocks, errorTypes, partsOf };
