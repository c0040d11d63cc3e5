'use strict';
/*
 * `traced`: what makes the calls of functions, methods and classes executed functions while something records. It is
 * what user code finds under a symbol (docs/node.md). A traced function is a proxy of the function: it has the same
 * name, length, prototype and properties. A class stays the class, its methods are replaced.
 */

const path = require('node:path');
const { types } = require('node:util');
const { called, current } = require('./recording.js');
const { isClass } = require('./values.js');
const { pathOf } = require('./text.js');

/** What a function is called that has no name, until a module is imported that exports it. */
const ANONYMOUS = 'anonymous';
const OWN = __dirname + path.sep;
/** Traced functions → what they are recorded as. */
const subjects = new WeakMap();

/** What is recorded of a function beside its calls. */
class Subject {
  /**
   * @param {Function} body
   * @param {string} name dotted, of a method
   * @param {{file: string | null, line: number | null}} place
   * @param {any} options
   */
  constructor(body, name, { file, line }, options = {}) {
    this.name = options.name || name;
    this.file = file;
    this.line = line;
    this.options = options;
    this.kind = kindOf(body);
    this.module = file === null ? null : nameOfModule(file);
  }

  /** What mocks know it by. */
  get key() {
    return `${this.file}:${this.name}`;
  }
}

let root = process.cwd();

/** Say where modules are, whose names are paths from there. */
function setRoot(folder) {
  root = folder;
}

/** Return the name of a file's module: its path from the root. */
function nameOfModule(file) {
  const inside = path.relative(root, file);
  return inside.startsWith('..') ? file : inside.split(path.sep).join('/');
}

function kindOf(body) {
  if (types.isGeneratorFunction(body)) return types.isAsyncFunction(body) ? 'async generator' : 'generator';
  return types.isAsyncFunction(body) ? 'async' : 'plain';
}

/**
 * Return a function whose calls are recorded while something records; of a class, those of its methods are.
 *
 * `traced(f)`, `traced(f, {name, description, copy_input, copy_output})`, `traced({…})(f)`, and `@traced` where
 * decorators are: of a class or a method.
 */
function traced(body, options = {}) {
  if (typeof body !== 'function') return (later) => traced(later, body ?? {});
  const decorates = typeof options.kind === 'string' && 'addInitializer' in options;
  const place = caller();
  const own = decorates ? {} : options;
  if (isClass(body)) return tracedClass(body, place, own);
  return wrapped(body, new Subject(body, decorates ? String(options.name) : body.name || ANONYMOUS, place, own));
}

function wrapped(body, subject) {
  const proxy = new Proxy(body, {
    apply(target, self, args) {
      const here = current();
      if (here === undefined) return Reflect.apply(target, self, args);
      return called(here, subject, args, () => Reflect.apply(target, self, args));
    },
    construct(target, args, newTarget) {
      const here = current();
      const made = newTarget === proxy ? target : newTarget; // what `new.target` is without us
      if (here === undefined) return Reflect.construct(target, args, made);
      return called(here, subject, args, () => Reflect.construct(target, args, made));
    },
  });
  subjects.set(proxy, subject);
  return proxy;
}

/**
 * Trace the methods that a class itself has, in place. Its construction is not recorded: that would take another object
 * in the place of the class, and one whose static methods could not get at their private fields. `settingsOf`
 * gives what a method has beside these options, by its dotted name; none, and it is left out.
 */
function tracedClass(body, place, options, settingsOf = () => ({})) {
  const name = options.name || body.name;
  for (const [home, skipped] of [
    [body.prototype, ['constructor']],
    [body, ['prototype', 'length', 'name']],
  ]) {
    for (const key of Object.getOwnPropertyNames(home)) {
      const found = Object.getOwnPropertyDescriptor(home, key);
      if (skipped.includes(key) || typeof found.value !== 'function' || !found.configurable) continue;
      const own = settingsOf(`${name}.${key}`);
      if (own === undefined || subjects.has(found.value)) continue;
      const subject = new Subject(found.value, `${name}.${key}`, place, { ...options, ...own, name: undefined });
      Object.defineProperty(home, key, { ...found, value: wrapped(found.value, subject) });
    }
  }
  return body;
}

/** Return the file and line from which user code called. */
function caller() {
  const before = Error.prepareStackTrace;
  try {
    Error.prepareStackTrace = (_, sites) => sites;
    for (const site of new Error('where').stack) {
      const file = site.getFileName();
      if (file && !file.startsWith('node:') && !pathOf(file).startsWith(OWN))
        return { file: pathOf(file), line: site.getLineNumber() };
    }
  } finally {
    Error.prepareStackTrace = before;
  }
  return { file: null, line: null };
}

/** Call traced functions without a name what a module exports them as. */
function nameAnonymous(exported) {
  for (const [name, value] of Object.entries(exported)) {
    const subject = subjects.get(value);
    if (subject?.name === ANONYMOUS) subject.name = name;
  }
}

/** Return what a function is recorded as, undefined if it is not traced. */
const subjectOf = (body) => subjects.get(body);

module.exports = { Subject, nameAnonymous, nameOfModule, setRoot, subjectOf, traced, tracedClass, wrapped };
