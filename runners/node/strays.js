'use strict';
/*
 * Errors that no caller gets: rejections that nobody handles, exceptions thrown in callbacks. Runs where tests run.
 *
 * Each is put down to the test whose asynchronous work it came from, as `node --test` does: it fails that test while
 * it runs. One that comes after its test has its verdict is kept, and told with the next outcome.
 */

const { AsyncLocalStorage } = require('node:async_hooks');
const { summarize } = require('./failures.js');

class Strays {
  constructor() {
    this._storage = new AsyncLocalStorage();
    this._current = null;
    this._last = null;
    this._late = [];
    process.on('unhandledRejection', (reason) => this._take(reason));
    process.on('uncaughtException', (error) => this._take(error));
  }

  /**
   * Call a test's function. `stray.failed` resolves once something stray came of it; `stray.errors` has what came.
   * @returns {{result: unknown, stray: {id: string, errors: unknown[], failed: Promise<void>}}}
   */
  call(id, body) {
    const stray = { id, errors: [], failed: null, fail: null };
    stray.failed = new Promise((resolve) => {
      stray.fail = resolve;
    });
    this._current = stray;
    return { stray, invoke: () => this._storage.run(stray, body) };
  }

  /** The test has its verdict. */
  end() {
    this._last = this._current;
    this._current = null;
  }

  /** Return what came too late since the last call, one line each. */
  late() {
    return this._late.splice(0);
  }

  _take(error) {
    const origin = this._storage.getStore();
    const current = this._current;
    if (current !== null && (origin === undefined || origin === current)) {
      current.errors.push(error);
      current.fail();
      return;
    }
    const id = (origin ?? this._last)?.id;
    const text = summarize(error);
    this._late.push(
      id === undefined
        ? `an error that nobody handled: ${text}`
        : `${id} left behind an error that nobody handled: ${text}`,
    );
  }
}

module.exports = { Strays };
