'use strict';
/*
 * What Node.js asks about each ES module: which file `testd` is, and the source of modules that are traced by
 * configuration. Runs in the thread that loads modules, or, on Node.js that has no such place, in one of its own.
 *
 * What the project itself has under the name goes first.
 */

const path = require('node:path');
const { fileURLToPath, pathToFileURL } = require('node:url');
const { handingOver } = require('./definitions.js');
const { matcher } = require('./patterns.js');

const PACKAGE = { url: pathToFileURL(path.join(__dirname, 'package.js')).href, format: 'commonjs', shortCircuit: true };
/** Under what a module finds what takes its functions. */
const SYMBOL = 'testd.configured';
let wanted = () => false;

/** Take the modules that are traced: `{modules, root}`. */
exports.initialize = ({ modules, root }) => {
  wanted = matcher(modules, root);
};

exports.resolve = async (specifier, context, next) => {
  if (specifier !== 'testd') return next(specifier, context);
  try {
    return await next(specifier, context);
  } catch {
    return PACKAGE;
  }
};

exports.load = async (url, context, next) => given(url, await next(url, context));

/** The same for `registerHooks`, which does not wait. */
exports.synchronous = {
  resolve(specifier, context, next) {
    if (specifier !== 'testd') return next(specifier, context);
    try {
      return next(specifier, context);
    } catch {
      return PACKAGE;
    }
  },
  load: (url, context, next) => given(url, next(url, context)),
};

function given(url, loaded) {
  if (!String(loaded.format).startsWith('module') || !url.startsWith('file:')) return loaded;
  const file = fileURLToPath(url);
  if (!wanted(file)) return loaded;
  const { source } = loaded;
  const text = typeof source === 'string' ? source : Buffer.from(source).toString();
  return { ...loaded, source: handingOver(text, file, SYMBOL) };
}

exports.SYMBOL = SYMBOL;
