'use strict';
/*
 * Tracing by configuration, and the package `testd`: what user code gets without a change and without an installation.
 * Runs where functions are recorded, before any of the user's modules is loaded.
 *
 * The source of a module that is chosen hands its functions over (definitions.js): a CommonJS module's here, on its way
 * to the compiler, an ES module's in the loader.
 */

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { handingOver } = require('./definitions.js');
const loader = require('./loader.js');
const { chosen, matcher, matches, moduleOf } = require('./patterns.js');
const { Subject, subjectOf, tracedClass, wrapped } = require('./traced.js');
const { isClass } = require('./values.js');

const SETTINGS = ['name', 'description', 'copy_input', 'copy_output'];
/** What a source imports by the name of the package. */
const IMPORTS = /\bfrom\s*['"]testd['"]|\bimport\s*\(?\s*['"]testd['"]/;
const RELATIVE = /(?:\bfrom|\bimport|\bimport\s*\()\s*(['"])(\.[^'"\n]+)\1/g;
const MOST_FILES = 500;

/** What `[tool.testd.trace]` says of modules of JavaScript. */
class Configured {
  /** @param {any} table @param {string} root */
  constructor(table, root) {
    this._modules = table.modules;
    this._root = root;
    this._wanted = matcher(table.modules, root);
    this._include = table.include ?? [];
    this._exclude = table.exclude ?? [];
    this._seen = new Map(); // file → names that it has handed over
    this._asked = false;
  }

  /** Whether any module of JavaScript is chosen. */
  get any() {
    return chosen(this._modules).length > 0;
  }

  /** Begin: CommonJS modules are met here, and ES modules where that costs nothing, or is needed in any case. */
  begin() {
    globalThis[Symbol.for(loader.SYMBOL)] = (file) => this._taker(file);
    offerPackage();
    if (this.any) compileAs((source, file) => (this._wanted(file) ? handingOver(source, file, loader.SYMBOL) : source));
    if (this.any || Module.registerHooks) this.ask();
  }

  /** Have ES modules met too, if one of these files, or what they import, asks for the package. */
  prepare(files) {
    if (!this._asked && importsPackage(files)) this.ask();
  }

  /** Have ES modules met too. An older Node.js has a thread for that, which takes a moment. */
  ask() {
    if (this._asked) return;
    this._asked = true;
    const data = { modules: this._modules, root: this._root };
    if (Module.registerHooks) {
      loader.initialize(data);
      Module.registerHooks(loader.synchronous);
    } else Module.register?.(pathToFileURL(path.join(__dirname, 'loader.js')).href, { data });
  }

  /** Return what is wrong with what is named: modules that are not there, functions that they do not have. */
  problems() {
    return chosen(this._modules).flatMap(([name, which]) => {
      if (which === false || /[*?[]/.test(name)) return [];
      const file = path.resolve(this._root, name);
      if (!fs.existsSync(file)) return [`Could not import module ${name}: there is no such file in ${this._root}`];
      const seen = this._seen.get(fs.realpathSync(file));
      if (seen === undefined || !Array.isArray(which)) return [];
      return which
        .map((entry) => entry.name ?? entry)
        .filter((entry) => !seen.includes(entry.split('.')[0]))
        .map((entry) => `Invalid callable (${entry}) specified inside module (${name}) in config file: it defines ${seen.join(', ')}`);
    });
  }

  /** Return what takes the functions of a module, and gives back what is to be there. */
  _taker(file) {
    const which = this._wanted(file);
    if (!which) return undefined;
    const module = moduleOf(file, this._root);
    const seen = this._seen.get(file) ?? [];
    this._seen.set(file, seen);
    return (body, name, line) => {
      seen.push(name);
      const entries = Array.isArray(which) ? which : [name];
      const at = entries.map((entry) => entry.name ?? entry);
      const methods = at.filter((entry) => entry.startsWith(`${name}.`));
      if (typeof body !== 'function' || subjectOf(body) !== undefined || !(at.includes(name) || methods.length)) return body;
      const options = settingsOf(entries[at.indexOf(name)]);
      if (isClass(body)) {
        return tracedClass(body, { file, line }, options, (dotted) => {
          const takes = this._includes(module, dotted) && (at.includes(name) || methods.includes(dotted));
          return takes ? settingsOf(entries[at.indexOf(dotted)]) : undefined;
        });
      }
      return this._includes(module, name) ? wrapped(body, new Subject(body, name, { file, line }, options)) : body;
    };
  }

  _includes(module, name) {
    const hit = (pattern) => matches(pattern, pattern.includes(':') ? `${module}:${name}` : name);
    return (!this._include.length || this._include.some(hit)) && !this._exclude.some(hit);
  }
}

function settingsOf(entry) {
  if (entry === undefined || typeof entry === 'string') return {};
  const all = { ...entry.config, description: entry.description };
  return Object.fromEntries(Object.entries(all).filter(([key, value]) => SETTINGS.includes(key) && value !== undefined));
}

/** Let `require('testd')` find the package, unless the project has one of that name. */
function offerPackage() {
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    if (request !== 'testd') return resolve.call(this, request, ...rest);
    try {
      return resolve.call(this, request, ...rest);
    } catch {
      return path.join(__dirname, 'package.js');
    }
  };
}

/** Have the source of each CommonJS module changed before it is compiled. */
function compileAs(change) {
  const compile = Module.prototype._compile;
  Module.prototype._compile = function (source, file, ...rest) {
    return compile.call(this, change(source, file), file, ...rest);
  };
}

/** Whether one of these files, or what they import by path, names the package. */
function importsPackage(files) {
  const seen = new Set(files);
  for (const file of seen) {
    if (seen.size > MOST_FILES) return true; // too many to look
    let source;
    try {
      source = fs.readFileSync(file, 'utf8');
    } catch {
      continue; // its import will say so
    }
    if (IMPORTS.test(source)) return true;
    for (const [, , specifier] of source.matchAll(RELATIVE)) seen.add(path.resolve(path.dirname(file), specifier));
  }
  return false;
}

module.exports = { Configured };
