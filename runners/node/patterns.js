'use strict';
/* Names by pattern, as `[tool.testd.trace]` has them. Pure. */

const path = require('node:path');

/** What is no module of JavaScript: the rest of the table is Python's. */
const JAVASCRIPT = /^\.{1,2}\/(?!.*\.py$)|\.[cm]?[jt]s$/;

/** Return whether a name matches a pattern, in which `*` is anything, `?` one character and `[ab]` one of these. */
function matches(pattern, name) {
  const expression = pattern.replace(/[.+^${}()|\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.');
  return new RegExp(`^${expression.replaceAll('[!', '[^')}$`, 's').test(name);
}

/** Return the path of a module from the root, as patterns name it. */
const moduleOf = (file, root) => path.relative(root, file).split(path.sep).join('/');

/** Return what is chosen of modules of JavaScript: `[pattern, true | entries]`, patterns without `./`. */
function chosen(modules) {
  const table = Array.isArray(modules) ? Object.fromEntries(modules.map((name) => [name, true])) : (modules ?? {});
  return Object.entries(table)
    .filter(([name]) => JAVASCRIPT.test(name))
    .map(([name, which]) => [name.replace(/^\.\//, ''), which]);
}

/** Return what tells what is chosen of a file: `true`, entries, or nothing. Its own name goes before patterns. */
function matcher(modules, root) {
  const all = chosen(modules);
  return (file) => {
    const name = moduleOf(file, root);
    const own = all.find(([pattern]) => pattern === name) ?? all.findLast(([pattern]) => matches(pattern, name));
    return own?.[1];
  };
}

module.exports = { chosen, matcher, matches, moduleOf };
