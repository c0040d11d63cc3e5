'use strict';
/*
 * Packages that a test could pick up by accident: a `node_modules` above the project, and what was loaded from one.
 * Runs where tests are collected; a cheap check of isolation, that loads nothing.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const missing = 'elsewhere it may be missing';

/**
 * Return a notice for each folder of packages that is outside the project and within reach of its files. The root of a
 * workspace (npm's, yarn's, pnpm's) shares its packages on purpose.
 * @param {Iterable<string>} loaded files that were loaded
 * @param {string} root
 */
function strangers(loaded, root) {
  const notices = [];
  for (const folder of withinReach(root)) {
    const names = packagesIn(folder);
    if (!names.length) continue;
    const used = new Set();
    for (const file of loaded)
      if (file.startsWith(folder + path.sep)) used.add(packageOf(file.slice(folder.length + 1)));
    notices.push(
      used.size
        ? `${[...used].sort().join(', ')} loaded from ${folder}, which is outside the project: ${missing}`
        : `${folder} is outside the project, and its packages (${shown(names)}) are found by the tests: ${missing}`,
    );
  }
  return notices;
}

function* withinReach(root) {
  for (let at = path.dirname(root); at !== path.dirname(at); at = path.dirname(at)) {
    if (path.basename(at) !== 'node_modules' && !isWorkspace(at)) yield path.join(at, 'node_modules');
  }
  yield path.join(path.parse(root).root, 'node_modules');
  const home = process.env.HOME || os.homedir();
  yield path.join(home, '.node_modules');
  yield path.join(home, '.node_libraries');
  for (const folder of (process.env.NODE_PATH ?? '').split(path.delimiter)) if (folder) yield path.resolve(folder);
}

function isWorkspace(folder) {
  if (fs.existsSync(path.join(folder, 'pnpm-workspace.yaml'))) return true;
  try {
    return Boolean(JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).workspaces);
  } catch {
    // there is none, or it is none of our business
    return false;
  }
}

function packagesIn(folder) {
  try {
    return fs
      .readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch {
    return [];
  }
}

function packageOf(inside) {
  const [first, second] = inside.split(path.sep);
  return first.startsWith('@') ? `${first}/${second}` : first;
}

const shown = (names) => names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');

module.exports = { strangers };
