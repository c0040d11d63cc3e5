'use strict';
/*
 * From a document to what is called. Runs where functions are recorded.
 *
 * A module's name is a path from the root (`shop/cart.mjs`, `./cart.js`), or a package that the project has.
 */

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { exportsAt } = require('./loading.js');
const { nameAnonymous, nameOfModule } = require('./traced.js');
const { isClass, remember } = require('./values.js');

const load = (url) => import(url);
/** Modules that were imported, by the names that documents have → what reads what they export now. */
const loaded = new Map();

/** A function or code cannot be run at all: says why. `cause` is the error behind it, if there is one. */
class CannotRun extends Error {
  constructor(text, cause) {
    super(text);
    this.cause = cause;
  }
}

/** Return the file that a module's name means; what comes with Node.js, and what is not found, is its own name. */
function placeOf(name, root) {
  const place = path.resolve(root, name);
  if (fs.statSync(place, { throwIfNoEntry: false })?.isFile()) return fs.realpathSync(place);
  try {
    return Module.createRequire(path.join(root, 'package.json')).resolve(name);
  } catch (error) {
    return (error.code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' && imported(name, root)) || name;
  }
}

/** Return the file that a package has for `import` alone, nothing where that is not to be found. */
function imported(name, root) {
  const [, scope, inside] = /^((?:@[^/]+\/)?[^/]+)(.*)$/.exec(name);
  for (let at = root; ; at = path.dirname(at)) {
    const folder = path.join(at, 'node_modules', scope);
    if (fs.existsSync(path.join(folder, 'package.json'))) {
      const { exports: map } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
      const found = exportedFile(map, `.${inside}`);
      return found && fs.realpathSync(path.join(folder, found));
    }
    if (at === path.dirname(at)) return undefined;
  }
}

/** Return what `exports` of a package has for a name, under the conditions of an import: a path from its folder. */
function exportedFile(map, name) {
  const conditional = (target) => {
    if (Array.isArray(target)) return target.map(conditional).find(Boolean);
    if (target === null || typeof target !== 'object') return target ?? undefined;
    const key = Object.keys(target).find((word) => ['import', 'node', 'default', 'module-sync'].includes(word));
    return key && conditional(target[key]);
  };
  const named = map !== null && typeof map === 'object' && Object.keys(map).some((key) => key.startsWith('.'));
  const table = named ? map : { '.': map };
  if (name in table) return conditional(table[name]);
  const fits = ([before, after]) => after !== undefined && name.startsWith(before) && name.endsWith(after);
  const key = Object.keys(table).find((pattern) => fits(pattern.split('*')));
  if (key === undefined) return undefined;
  const [before, after] = key.split('*');
  return conditional(table[key])?.replaceAll('*', name.slice(before.length, name.length - after.length));
}

/**
 * Import the module of a `function_meta`; return what it exports by name.
 * @throws {CannotRun}
 */
async function moduleOf({ module_name: name, file_name: file = '' }, root) {
  const wanted = name === '__main__' ? file : name;
  const read = loaded.get(wanted);
  if (read !== undefined) return read();
  const place = placeOf(wanted, root);
  try {
    const namespace = await load(path.isAbsolute(place) ? pathToFileURL(place).href : place);
    loaded.set(wanted, () => Object.fromEntries(exportsAt(namespace, place)));
    const exported = loaded.get(wanted)();
    nameAnonymous(exported);
    if (path.isAbsolute(place)) remember(nameOfModule(place), exported);
    return exported;
  } catch (error) {
    const said = `${error?.name ?? 'Error'}: ${String(error?.message ?? error).split('\n', 1)[0]}`;
    throw new CannotRun(
      `Could not import module ${wanted}.\nOriginal Module: ${name}\nFile Name: ${file}\nError: ${said}`,
      error,
    );
  }
}

/**
 * Return how to call the function of a `function_meta`: `{body, self}`, where `self` says that the first argument is
 * the object of a method.
 * @throws {CannotRun}
 */
async function functionOf(meta, root) {
  const exported = await moduleOf(meta, root);
  const steps = meta.function_name.split('.');
  let found = exported;
  let self = false;
  for (const step of steps) {
    const own = found === null || found === undefined ? undefined : found[step];
    self = own === undefined && typeof found === 'function' && found.prototype?.[step] !== undefined;
    found = self ? found.prototype[step] : own;
  }
  if (found === undefined) {
    throw new CannotRun(
      `Could not get function (${meta.function_name}) by name: ${meta.module_name} does not export it; it exports ` +
        `${Object.keys(exported).join(', ') || 'nothing'}. ` +
        `Make sure that it exists in ${meta.file_name || meta.module_name}.`,
    );
  }
  if (typeof found !== 'function')
    throw new CannotRun(`${meta.function_name} in ${meta.module_name} is no function: it is ${typeof found}`);
  return { body: found, self };
}

/** Return what finds the class that `module:Class` names, of a module that is imported. `place` is where they stand. */
async function classes(names, root, place = 'input_to_pass') {
  const found = new Map();
  for (const name of names) {
    const at = name.lastIndexOf(':');
    if (at <= 0 || name.startsWith('node:')) continue;
    const { body } = await functionOf({ module_name: name.slice(0, at), function_name: name.slice(at + 1) }, root);
    if (!isClass(body)) throw new CannotRun(`${place}: ${name} is no class`);
    found.set(name, body);
  }
  return (name) => found.get(name);
}

/**
 * Return the arguments that `input_to_pass` means: `[...positional, {…}]`, where a last map that is not empty is an
 * argument too; a map alone is one.
 * @throws {CannotRun}
 */
function argumentsOf(given) {
  const isMap = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
  if (isMap(given)) return Object.keys(given).length ? [given] : [];
  const last = Array.isArray(given) ? given[given.length - 1] : undefined;
  if (!isMap(last)) {
    throw new CannotRun(
      `input_to_pass: ${given === undefined ? 'missing' : JSON.stringify(given)}: it ends with a map of options; ` +
        'write [1, 2, {}] for f(1, 2), [{}] for f(), [1, {"some": 2}] for f(1, {some: 2})',
    );
  }
  return Object.keys(last).length ? [...given] : given.slice(0, -1);
}

module.exports = { CannotRun, argumentsOf, classes, functionOf, moduleOf, placeOf };
