'use strict';
// Facts about what is recorded, on whatever Node.js runs this: `node recording.js FOLDER-OF-THE-RUNNER`.

const assert = require('node:assert');
const { EventEmitter } = require('node:events');
const path = require('node:path');

const runner = process.argv[2];
const { Mocks } = require(path.join(runner, 'mocks.js'));
const { Recording } = require(path.join(runner, 'recording.js'));
const { traced } = require(path.join(runner, 'traced.js'));
const { EXACT, USUAL } = require(path.join(runner, 'values.js'));

/** Return the roots that a body makes. */
async function roots(body, options = EXACT, mocks = {}) {
  const recording = new Recording(options, new Mocks(mocks, (name) => path.resolve(__dirname, name)));
  try {
    await recording.record(body);
  } catch {
    // it is in the record
  }
  return recording.roots.map((root) => root.document());
}

/** Return the names of calls as a tree. */
const tree = (call) => [call.name, ...call.children.map(tree)];
const pause = () => new Promise((resolve) => setTimeout(resolve, 1));

const leaf = traced(function leaf(x) {
  return x;
});

const facts = {
  async 'who called whom goes through promises, timers, callbacks and events'() {
    const events = new EventEmitter();
    events.on('it', (x) => leaf(x));
    const middle = traced(async function middle(x) {
      await pause();
      return leaf(x);
    });
    const all = traced(async function all() {
      await Promise.all([middle(1), middle(2)]);
      await new Promise((resolve) => setImmediate(() => resolve(leaf(3))));
      await new Promise((resolve) => process.nextTick(() => resolve(leaf(4))));
      queueMicrotask(() => leaf(5));
      events.emit('it', 6);
      await pause();
    });
    const [root] = await roots(() => all());
    assert.deepStrictEqual(tree(root), ['all', ['middle', ['leaf']], ['middle', ['leaf']], ['leaf'], ['leaf'], ['leaf'], ['leaf']]);
    assert.deepStrictEqual(root.children.map((call) => call.parent_id), root.children.map(() => root.id));
    assert.strictEqual(new Set(root.children.map((call) => call.id)).size, 6);
  },

  async 'several roots are several'() {
    const found = await roots(async () => [leaf(1), await leaf(2)]);
    assert.deepStrictEqual(found.map(({ input, parent_id }) => [input, parent_id]), [[[1, {}], null], [[2, {}], null]]);
  },

  async 'times, place and context'() {
    const before = Date.now();
    const [root] = await roots(() => leaf(1));
    assert.ok(Math.abs(root.start_time - before) < 60e3);
    assert.strictEqual(root.total_time, root.end_time - root.start_time);
    assert.strictEqual(root.file, __filename);
    assert.ok(root.line > 0);
    assert.deepStrictEqual(root.execution_context, {
      copy_input: true,
      deep_copy_input: true,
      copy_output: true,
      deep_copy_output: true,
    });
  },

  async 'an error is recorded by message, type and place, and goes on as it is'() {
    const error = new RangeError('bad value 42');
    const boom = traced(function boom() {
      throw error;
    });
    const catches = traced(function catches() {
      try {
        boom();
      } catch (caught) {
        return caught === error;
      }
      return false;
    });
    const [root] = await roots(() => catches());
    const [child] = root.children;
    assert.strictEqual(root.output, true);
    assert.deepStrictEqual([child.thrown_error, child.error_type, child.executed_successfully], ['bad value 42', 'RangeError', false]);
    assert.ok(child.stack.length > 0);
    const [empty] = await roots(() => traced(() => { throw new Error(); })());
    assert.deepStrictEqual([empty.thrown_error, empty.executed_successfully], ['', false]);
    const [odd] = await roots(() => traced(() => { throw 'text'; })());
    assert.deepStrictEqual([odd.thrown_error, odd.error_type], ['text', 'string']);
    const [rejected] = await roots(() => traced(async () => { throw new TypeError('later'); })());
    assert.deepStrictEqual([rejected.thrown_error, rejected.error_type], ['later', 'TypeError']);
  },

  async 'input is as it was before the call'() {
    const [root] = await roots(() => traced((xs) => { xs.push(1); return xs; })([]));
    assert.deepStrictEqual([root.input, root.output], [[[], {}], [1]]);
  },

  async 'what a generator gives is its output'() {
    const count = traced(function* count(n) {
      for (let i = 0; i < n; i++) yield leaf(i);
      return 'end';
    });
    const [root] = await roots(() => [...count(2)]);
    assert.deepStrictEqual(root.output, { $type: 'generator', items: [0, 1], returned: 'end' });
    assert.deepStrictEqual(tree(root), ['count', ['leaf'], ['leaf']]);
    const later = traced(async function* later() { yield 1; throw new Error('no more'); });
    const [failed] = await roots(async () => { for await (const _ of later()); });
    assert.deepStrictEqual([failed.thrown_error, failed.executed_successfully], ['no more', false]);
  },

  async 'a call that has not ended says so'() {
    const [root] = await roots(() => { traced(function never() { return new Promise(() => {}); })(); });
    assert.deepStrictEqual([root.execution_context.unfinished, root.end_time, root.executed_successfully], [true, null, false]);
  },

  async 'options say what is taken down'() {
    const plain = { name: 'renamed', description: 'about it', copy_input: false, copy_output: false };
    const [root] = await roots(() => traced((x) => x, plain)(5));
    assert.deepStrictEqual([root.name, root.description, root.input, root.output], ['renamed', 'about it', null, null]);
    const [later] = await roots(() => traced({ name: 'later' })((x) => x)(5));
    assert.deepStrictEqual([later.name, later.output], ['later', 5]);
  },

  async 'limits cut, and say so; secrets are left out'() {
    const [root] = await roots(() => leaf({ list: Array(5000).fill(0), password: 'x', text: 'y'.repeat(20000) }), USUAL);
    const [value] = root.input;
    assert.strictEqual(value.list.cut, 4000);
    assert.deepStrictEqual(value.password, { $type: 'redacted' });
    assert.deepStrictEqual([value.text.$type, value.text.cut], ['str', 10000]);
    assert.ok(root.execution_context.input_cut);
    let deep = null;
    for (let n = 0; n < 1e5; n++) deep = { deep };
    const [cut] = await roots(() => leaf(deep), USUAL);
    assert.ok(cut.execution_context.input_cut);
  },

  async 'nothing of the user is called'() {
    const hostile = new Proxy({}, { get() { throw new Error('a trap'); }, ownKeys() { throw new Error('a trap'); } });
    const value = { get it() { throw new Error('a getter'); }, toJSON() { throw new Error('toJSON'); }, hostile };
    const [root] = await roots(() => leaf(value));
    assert.deepStrictEqual(root.input[0].it, null);
    assert.deepStrictEqual(root.input[0].hostile, { $type: 'opaque', class: 'node:Proxy' });
    assert.strictEqual(root.execution_context.copy_input_error, '/0/it: a getter, which is not called');
    assert.ok(root.executed_successfully);
  },

  async 'mocks count the calls of all that the root calls'() {
    const fact = traced(function fact(n) { return n < 2 ? 1 : n * again(n - 1); });
    const again = fact;
    const mocks = { './recording.js:fact': { 2: { output: 100 } }, './recording.js:leaf': { '*': { error_to_throw: 'no' } } };
    const [root] = await roots(() => fact(4), EXACT, mocks);
    assert.strictEqual(root.output, 400);
    assert.deepStrictEqual(root.children.map((call) => [call.execution_context.is_mocked, call.children]), [[true, []]]);
    const [failed] = await roots(() => leaf(1), EXACT, mocks);
    assert.deepStrictEqual([failed.thrown_error, failed.execution_context.is_mocked], ['no', true]);
  },
};

(async () => {
  for (const [name, fact] of Object.entries(facts)) {
    try {
      await fact();
    } catch (error) {
      console.error(`${name}: ${error.stack}`);
      process.exitCode = 1;
    }
  }
})();
