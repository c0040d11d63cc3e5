'use strict';
/* Carries out an item or a case: calls what it names, under observation. Runs where functions are recorded. */

const Module = require('node:module');
const path = require('node:path');
const { MockError, Mocks, errorTypes } = require('./mocks.js');
const { Recording } = require('./recording.js');
const { CannotRun, argumentsOf, classes, functionOf, moduleOf, placeOf } = require('./resolving.js');
const { RestoreError, restore } = require('./restoring.js');
const { Subject, setRoot, subjectOf, traced, wrapped } = require('./traced.js');
const { isClass, messageOf, nameOf, namesOf } = require('./values.js');

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
/** Items that are taken from a generator. */
const MOST_ITEMS = 1000;

/**
 * Call what an item or a case names. Whatever it throws is part of what came of it.
 * @param {any} part the item or the case
 * @param {any} mocks as in documents
 * @param {any} options limits of the record
 * @param {string} root
 * @returns {Promise<{roots: any[], executed: any, error: string, thrown: {error: unknown} | null, raised: string[],
 *     unused: string[]}>} `thrown` is what the function threw, or what is behind the error
 */
async function execute(part, mocks, options, root) {
  setRoot(root);
  const asked = part.function_to_execute ?? part;
  try {
    const errors = await classes(new Set(errorTypes(mocks)), root, 'mocks: error_type');
    const answers = new Mocks(mocks, (name) => placeOf(name, root), errors);
    if (asked.function_meta) return await call(asked.function_meta, part, answers, options, root);
    if (typeof asked.code === 'string') return await run(asked.code, part, answers, options, root);
    throw new CannotRun(`Invalid function config ${JSON.stringify(asked)}: it needs function_meta or code`);
  } catch (error) {
    if (error instanceof MockError) return unable(error.message);
    if (error instanceof CannotRun) return unable(error.message, error.cause);
    throw error;
  }
}

/** Return what came of what cannot be run. */
function unable(error, cause) {
  const thrown = cause === undefined ? null : { error: cause };
  return { roots: [], executed: null, error, thrown, raised: [], unused: [] };
}

async function call(meta, part, mocks, options, root) {
  const found = await functionOf(meta, root);
  const args = argumentsOf(await given(part, root));
  const self = found.self ? args.shift() : undefined;
  const subject = subjectOf(found.body);
  const body = subject === undefined ? wrapped(found.body, subjectFor(found, meta, root)) : found.body;
  const recording = new Recording(options, mocks);
  const thrown = await observed(recording, mocks, root, async () => {
    const result = isClass(found.body) ? Reflect.construct(body, args) : Reflect.apply(body, self, args);
    await drain(result, (subject ?? subjectOf(body)).kind);
  });
  const [first] = recording.roots;
  const roots = first === undefined ? [] : [first.document()];
  return came(roots, roots[0] ?? null, '', thrown, mocks);
}

/** Return what a function that nobody traces is recorded as. */
function subjectFor({ body }, meta, root) {
  const file = placeOf(meta.module_name === '__main__' ? meta.file_name : meta.module_name, root);
  return new Subject(body, meta.function_name, { file, line: null });
}

/** Run source as the body of an asynchronous function, in which `input_to_pass`, `require` and `traced` are there. */
async function run(code, part, mocks, options, root) {
  const input = await given(part, root);
  const recording = new Recording(options, mocks);
  const require = Module.createRequire(path.join(root, 'package.json'));
  const thrown = await observed(recording, mocks, root, () =>
    new AsyncFunction('require', 'input_to_pass', 'traced', code)(require, input, traced),
  );
  const roots = recording.roots.map((found) => found.document());
  let error = '';
  if (thrown !== null) error = `The code threw ${nameOf(thrown.error)}: ${messageOf(thrown.error)}`;
  else if (!roots.length)
    error = 'No trace recorded for the execution of code. This happens if it calls no function that is traced';
  return came(roots, roots[roots.length - 1] ?? null, error, thrown, mocks);
}

/** Run a body to its end, and return `{error}` if it threw. */
async function observed(recording, mocks, root, body) {
  const undo = await patch(mocks, root);
  try {
    await recording.record(body);
    return null;
  } catch (error) {
    return { error };
  } finally {
    undo();
  }
}

function came(roots, executed, error, thrown, mocks) {
  const raised = thrown === null ? [] : namesOf(thrown.error);
  return { roots, executed, error, thrown, raised, unused: mocks.unused() };
}

/** Wait for a promise, and run a generator to its end, or to a limit. */
async function drain(result, kind) {
  if (!kind.endsWith('generator')) return await result;
  for (let n = 0; n < MOST_ITEMS; n++) if ((await result.next()).done) return undefined;
  return await result.return();
}

/** Return the values of `input_to_pass`; objects are instances of their classes. */
async function given(part, root) {
  const names = new Set();
  const look = (value) => {
    if (value === null || typeof value !== 'object') return;
    if (typeof value.class === 'string' && '$type' in value) names.add(value.class);
    Object.values(value).forEach(look);
  };
  look(part.input_to_pass);
  try {
    return restore(part.input_to_pass, await classes(names, root));
  } catch (error) {
    if (error instanceof RestoreError) throw new CannotRun(`input_to_pass: ${error.message}`, error);
    throw error;
  }
}

/**
 * Put proxies in the place of functions that have answers and that nobody traces; return what undoes that. What an ES
 * module exports cannot be replaced; what a CommonJS module or Node.js itself exports can.
 */
async function patch(mocks, root) {
  const undone = [];
  const undo = () => {
    for (const back of undone.reverse()) back();
    Module.syncBuiltinESMExports();
  };
  try {
    for (const [name, dotted, key] of mocks.functions) {
      const exported = await moduleOf({ module_name: name }, root);
      const steps = dotted.split('.');
      const last = steps.pop();
      const home = steps.reduce(within, steps.length ? exported : (exportsFor(name, root) ?? exported));
      const body = home?.[last] ?? home?.prototype?.[last];
      if (typeof body !== 'function') throw new MockError(`mocks: ${name}:${dotted}: there is no such function`);
      if (subjectOf(body) === undefined) undone.push(replace(home, last, body, key, `${name}:${dotted}`));
    }
  } catch (error) {
    undo();
    throw error;
  }
  Module.syncBuiltinESMExports();
  return undo;
}

const within = (home, step) => home?.[step];

/** Return what a CommonJS module, or one of Node.js, exports: the object itself, which others look into. */
function exportsFor(name, root) {
  if (Module.builtinModules.includes(name.replace(/^node:/, ''))) return require(name);
  return Module._cache[placeOf(name, root)]?.exports;
}

function replace(home, last, body, key, shown) {
  const owner = Object.hasOwn(home, last) ? home : home.prototype;
  const held = Object.getOwnPropertyDescriptor(owner, last);
  const at = key.lastIndexOf(':');
  const subject = new Subject(body, key.slice(at + 1), { file: key.slice(0, at), line: null });
  const proxy = wrapped(body, subject);
  try {
    Object.defineProperty(owner, last, { ...held, value: proxy });
  } catch {
    throw new MockError(
      `mocks: ${shown} is not traced, and what an ES module exports cannot be replaced: make it traced`,
    );
  }
  return () => Object.defineProperty(owner, last, held);
}

module.exports = { execute, unable };
