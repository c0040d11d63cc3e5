'use strict';
/*
 * What tests print: kept for the test that fails, or passed on at once.
 *
 * Runs where tests run. A thread's own stdout and stderr go through its host by messages, which do not say whose they
 * are; so `write` of both streams is replaced. What child processes and native code print to the descriptors themselves
 * goes to the host's pipes.
 */

const { shorten } = require('./text.js');

class Output {
  /**
   * @param {(stream: string, text: string, test: number) => void} tell passes live output on
   */
  constructor(tell) {
    this._tell = tell;
    this._live = false;
    this._limit = 64 * 1024;
    this._mostLive = 8 * 1024 * 1024;
    this._test = -1;
    this._told = 0;
    this._kept = { stdout: '', stderr: '' };
    this._replace(process.stdout, 'stdout');
    this._replace(process.stderr, 'stderr');
  }

  /** Pass output on as it comes (`live`), or keep up to `limit` bytes of each stream. */
  configure({ live, limit, mostLive }) {
    this._live = live;
    this._limit = limit || this._limit;
    this._mostLive = mostLive || this._mostLive;
  }

  /** Forget what was printed so far: a test begins. */
  begin(test) {
    this._test = test;
    this._told = 0;
    this._kept = { stdout: '', stderr: '' };
  }

  /** Return what was kept since `begin`, as sections of a detail. */
  sections() {
    return Object.entries(this._kept)
      .filter(([, text]) => text)
      .map(([name, text]) => ({ name: `Captured ${name} call`, text: shorten(text, this._limit) }));
  }

  _replace(stream, name) {
    const decoder = new TextDecoder();
    stream.write = (chunk, encoding, callback) => {
      const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
      this._take(name, text);
      const done = typeof encoding === 'function' ? encoding : callback;
      if (typeof done === 'function') process.nextTick(done);
      return true;
    };
  }

  _take(name, text) {
    if (this._live) return this._pass(name, text);
    const kept = this._kept[name] + text;
    // a flood is cut as it comes: both ends are what will be shown
    this._kept[name] = kept.length > 4 * this._limit ? kept.slice(0, this._limit) + kept.slice(-this._limit) : kept;
    return undefined;
  }

  _pass(name, text) {
    if (this._told >= this._mostLive) return;
    this._told += text.length;
    this._tell(name, text, this._test);
    if (this._told >= this._mostLive) {
      this._tell(
        name,
        `\n[testd: this test printed more than ${this._mostLive} bytes; the rest is not shown]\n`,
        this._test,
      );
    }
  }
}

module.exports = { Output };
