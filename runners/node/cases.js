'use strict';
/*
 * The suite of cases: each case of a `*.suite.json` file, and each item of a run file, whose function is of a module of
 * JavaScript, is a test. Runs in the thread that collects, and where tests run.
 *
 * What a document holds, what is wrong with it, and whether what a case expects holds, is told by the daemon's judge.
 */

const fs = require('node:fs');
const { Configured } = require('./configured.js');
const { describe, detail } = require('./failures.js');
const { execute, unable } = require('./executing.js');
const { CannotRun, functionOf, moduleOf, placeOf } = require('./resolving.js');
const { setRoot, traced } = require('./traced.js');
const { EXACT, USUAL, messageOf } = require('./values.js');

/** Characters of a document that goes with an outcome: a frame of the protocol has to hold it. */
const LIMIT = 8 * 1024 * 1024;

// how a module gets it without a package of that name; without testd it is undefined there
globalThis[Symbol.for('testd.traced')] = traced;

/**
 * Return the tests of a document: `{tests, error}`; a test is `{name, line, part, head, item, problems, module}`.
 * @param {import('./session.js').Session} session
 */
async function readDocument(session, file) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    return { tests: [], error: `cannot be read: ${error.code}` };
  }
  const told = await session.ask({ text });
  if (told.mistake) return { tests: [], error: told.mistake };
  const item = told.kind === 'run file';
  const tests = told.parts.map(({ name, line, value, problems }) => {
    const meta = (value?.function_to_execute ?? value)?.function_meta;
    const module = problems.length || !meta ? '' : placeOf(meta.module_name, session.settings.root);
    return { name, line, part: value, mocks: told.head.mocks ?? null, item, problems, module, head: headOf(told.head) };
  });
  return { tests, error: '' };
}

const headOf = ({ id = '', name = '' }) => ({ id, name });

/** Carries out one case or item after the other. */
class Cases {
  /** @param {import('./session.js').Session} session */
  constructor(session) {
    this._session = session;
    this._root = session.settings.root;
    const { actions = '{}', trace = '{}', trace_source: source = '' } = session.settings.settings ?? {};
    this._actions = JSON.parse(actions);
    this._source = source;
    setRoot(this._root);
    this._configured = new Configured(JSON.parse(trace), this._root);
    this._configured.begin();
  }

  /** Take the tests of a document, and import the modules that they name, unless that has ended a thread before. */
  async collect(collection, id, file, skipped) {
    const { tests, error } = await readDocument(this._session, file);
    if (error) {
      const text = `${id}: ${error}`;
      collection.broken(id, detail({ phase: 'collect', kind: 'usage', message: text, text }));
    }
    if (!skipped) await this.prepare(tests.map((test) => test.module));
    this._tellOfConfiguration(collection);
    for (const test of tests) {
      collection.items.push([`${id}::${test.name}`, test.line]);
      collection.tests.push(test);
    }
  }

  _tellOfConfiguration(collection) {
    const text = this._configured.problems().join('\n');
    if (!text || collection.errors.some(({ id }) => id === this._source)) return;
    collection.broken(this._source, detail({ phase: 'collect', kind: 'usage', message: text.split('\n', 1)[0], text }));
  }

  /** Import modules, so that the first case need not. What fails is told by the cases. */
  async prepare(modules) {
    const names = new Set(modules.filter(Boolean));
    this._configured.prepare(names);
    for (const name of names) {
      try {
        await moduleOf({ module_name: name }, this._root);
      } catch (error) {
        if (!(error instanceof CannotRun)) throw error;
      }
    }
  }

  /** Return `{verdict, duration, what}` of a test, or `{later}`, a promise of it, while it is judged. */
  async run(id, test) {
    const file = id.slice(0, id.lastIndexOf('::'));
    if (test.problems.length) return this._unfit(file, test);
    const observed = await this._session.observe(id, () => this._execute(test));
    const { result: ran, thrown, duration, leaks } = observed;
    const stray = () => this._session.outcome(thrown, duration, leaks, { root: this._root, file });
    if (ran === undefined) return stray();
    leaks.push(...ran.unused.map((mock) => `the mock of ${mock}, which was never used`));
    const sections = this._session.sections();
    const outcome = (told) => {
      if (thrown.length && told.verdict === 'passed') return stray();
      return { verdict: told.verdict, duration, what: this._detail(file, test, ran, told, { leaks, sections }) };
    };
    return test.item ? outcome(this._item(ran)) : { later: this._case(test, ran).then(outcome) };
  }

  async _execute(test) {
    if (!test.item) return execute(test.part, { ...test.mocks, ...test.part.mocks }, EXACT, this._root);
    const part = structuredClone(test.part);
    try {
      await this._act(part);
    } catch (error) {
      return unable(`The callback of the action '${part.action}' failed: ${messageOf(error)}`, error);
    }
    return execute(part, part.context?.mocks, USUAL, this._root);
  }

  /** Call what the project has registered for an item's action with the item, which it may change. */
  async _act(part) {
    const place = this._actions[part.action] ?? '';
    const at = place.lastIndexOf(':');
    if (at <= 0) return;
    const meta = { module_name: place.slice(0, at), function_name: place.slice(at + 1) };
    const { body } = await functionOf(meta, this._root);
    await body(part);
  }

  async _case(test, ran) {
    const { executed, error, raised } = ran;
    const told = await this._session.ask({ case: test.part, executed, error, raised, documents: this._session.order.documents });
    if (told.mistake === undefined) return told;
    const { mistake } = told;
    return { verdict: 'error', message: mistake, text: mistake, document: JSON.stringify({ error: mistake }) };
  }

  _item({ executed, roots, error, thrown }) {
    const several = roots.length > 1 || (error && roots.length) ? { executed_functions: roots } : {};
    const document = { ...(error ? { error } : { executed_function: executed }), ...several };
    const verdict = error ? 'error' : thrown === null ? 'passed' : 'failed';
    return { verdict, message: error, text: error, document: JSON.stringify(document) };
  }

  _detail(file, test, ran, told, { leaks, sections }) {
    const document = this._session.order.documents ? { document: limited(told.document) } : {};
    if (told.verdict === 'passed')
      return leaks.length || 'document' in document ? detail({ phase: 'call', leaks, ...document }) : null;
    const place = { file, line: test.line, function: test.name, source: '' };
    const raised = ran.thrown === null ? null : describe(ran.thrown.error, { root: this._root, file });
    const kind = raised?.kind ?? (told.verdict === 'error' ? 'usage' : 'assertion');
    const text = [told.text, raised?.text].filter(Boolean).join('\n\n');
    const frames = raised === null ? [place] : raised.frames;
    const message = told.message.split('\n', 1)[0] || raised?.message;
    return detail({ phase: 'call', kind, message, text, frames, sections, leaks, ...document });
  }

  _unfit(file, test) {
    const place = `${file}:${test.line}: `;
    const text = test.problems.map((problem) => place + problem).join('\n');
    const error = test.problems.join('\n');
    const document = this._session.order.documents ? { document: JSON.stringify({ error }) } : {};
    const frames = [{ file, line: test.line, function: test.name, source: '' }];
    const message = place + test.problems[0];
    const what = detail({ phase: 'call', kind: 'usage', message, text, frames, ...document });
    return { verdict: 'error', duration: 0, what };
  }
}

function limited(document) {
  if (document.length <= LIMIT) return document;
  return JSON.stringify({ error: `What was recorded is ${document.length} bytes; the most is ${LIMIT}` });
}

module.exports = { Cases };
