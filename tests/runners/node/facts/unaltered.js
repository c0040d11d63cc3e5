'use strict';
// A program does not notice that it is traced, whether something records or not: `node unaltered.js FOLDER-OF-THE-RUNNER`.

const assert = require('node:assert');
const path = require('node:path');

const runner = process.argv[2];
const { Mocks } = require(path.join(runner, 'mocks.js'));
const { Recording } = require(path.join(runner, 'recording.js'));
const { traced } = require(path.join(runner, 'traced.js'));
const { EXACT } = require(path.join(runner, 'values.js'));

const facts = {
  'a function has its name, length, properties and prototype'() {
    function Old(a, b) { this.sum = a + b; }
    Old.kept = 1;
    const it = traced(Old);
    assert.deepStrictEqual([it.name, it.length, it.kept, it.prototype === Old.prototype], ['Old', 2, 1, true]);
    const made = new it(1, 2);
    assert.ok(made instanceof it && made instanceof Old);
    assert.strictEqual(made.sum, 3);
    assert.strictEqual(typeof it, 'function');
  },

  'new.target is the function itself, or who is derived from it'() {
    let seen;
    function Old() { seen = new.target; }
    const it = traced(Old);
    assert.ok(new it());
    assert.strictEqual(seen, Old);
    class Newer extends it {}
    assert.ok(new Newer() instanceof Old);
    assert.strictEqual(seen, Newer);
  },

  'this and arguments are what they were'() {
    const object = { it: traced(function (...args) { return [this === object, args]; }) };
    assert.deepStrictEqual(object.it(1, undefined), [true, [1, undefined]]);
    assert.deepStrictEqual(object.it.call(object), [true, []]);
    assert.deepStrictEqual(object.it.bind(object, 5)(), [true, [5]]);
  },

  'a class stays the class, with private and static members'() {
    class Cart {
      #total = 0;
      static #made = 0;
      static make() { Cart.#made = this.#made + 1; return new this(); }
      static get made() { return this.#made; }
      add(x) { this.#total += x; return this; }
      get total() { return this.#total; }
      *items() { yield this.#total; }
    }
    const it = traced(Cart);
    assert.strictEqual(it, Cart);
    class Big extends it { add(x) { return super.add(2 * x); } }
    assert.strictEqual(new Big().add(2).total, 4);
    assert.strictEqual(Cart.make().add(1).total, 1);
    assert.strictEqual(Cart.made, 1);
    assert.deepStrictEqual([...new Cart().add(3).items()], [3]);
    assert.deepStrictEqual(Object.keys(Cart.prototype), []);
    assert.throws(() => Cart(), TypeError);
  },

  async 'an async function gives a promise, which rejects with the error itself'() {
    const error = new Error('no');
    const fails = traced(async () => { throw error; });
    const promise = fails();
    assert.ok(promise instanceof Promise);
    await assert.rejects(promise, (caught) => caught === error);
    assert.strictEqual(await traced(async (x) => x)(1), 1);
    assert.strictEqual(Object.prototype.toString.call(fails), '[object AsyncFunction]');
  },

  'the promise that any other function gives is the same'() {
    const promise = Promise.resolve(1);
    assert.strictEqual(traced(() => promise)(), promise);
  },

  async 'a rejection that nobody handles is noticed'() {
    const seen = [];
    const listener = (reason) => seen.push(reason.message);
    process.on('unhandledRejection', listener);
    traced(async () => { throw new Error('nobody'); })();
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', listener);
    assert.deepStrictEqual(seen, ['nobody']);
  },

  'a generator is lazy, and can be sent to, thrown into and closed'() {
    const log = [];
    const it = traced(function* it() {
      log.push('begun');
      try {
        log.push(yield 1);
        try { yield 2; } catch (error) { log.push(error.message); }
        yield 3;
      } finally { log.push('closed'); }
    });
    const generator = it();
    assert.deepStrictEqual(log, []);
    assert.ok(generator instanceof it);
    assert.strictEqual(generator[Symbol.iterator](), generator);
    assert.deepStrictEqual(generator.next(), { value: 1, done: false });
    assert.deepStrictEqual(generator.next('sent'), { value: 2, done: false });
    assert.deepStrictEqual(generator.throw(new Error('thrown')), { value: 3, done: false });
    assert.deepStrictEqual(generator.return(9), { value: 9, done: true });
    assert.deepStrictEqual(log, ['begun', 'sent', 'thrown', 'closed']);
    assert.deepStrictEqual(Object.keys(generator), []);
  },

  async 'an async generator is one'() {
    const it = traced(async function* it() { yield 1; yield 2; });
    const found = [];
    for await (const value of it()) found.push(value);
    assert.deepStrictEqual(found, [1, 2]);
  },

  'recursion goes deep'() {
    const fact = traced(function fact(n) { return n ? 1 + again(n - 1) : 0; });
    const again = fact;
    assert.strictEqual(fact(900), 900);
  },

  'globals that user code replaces do not matter'() {
    const held = Object.getOwnPropertyDescriptor(globalThis, 'performance');
    Object.defineProperty(globalThis, 'performance', { value: null, configurable: true });
    try {
      assert.strictEqual(traced((x) => x)(1), 1);
    } finally {
      Object.defineProperty(globalThis, 'performance', held);
    }
  },
};

(async () => {
  for (const [name, fact] of Object.entries(facts)) {
    for (const records of [false, true]) {
      try {
        await (records ? new Recording(EXACT, new Mocks({}, String)).record(fact) : fact());
      } catch (error) {
        console.error(`${name}, ${records ? '' : 'not '}recording: ${error.stack}`);
        process.exitCode = 1;
      }
    }
  }
})();
