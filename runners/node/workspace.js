'use strict';
/* Which folder is the workspace: the rules of `testd.workspace`. Looks at files, never at their meaning. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const MARKS = [
  [['testd.toml'], ['pyproject.toml', /^\s*\[tool\.testd[.\]]/m]],
  [
    ['pytest.toml'],
    ['.pytest.toml'],
    ['pytest.ini'],
    ['.pytest.ini'],
    ['pyproject.toml', /^\s*\[tool\.pytest(?:\.ini_options|\])/m],
    ['tox.ini', /^\s*\[pytest\]/m],
    ['setup.cfg', /^\s*\[tool:pytest\]/m],
  ],
  [['pyproject.toml'], ['setup.cfg'], ['setup.py']],
];
const REPOSITORIES = ['.git', '.hg', '.jj'];

/** Return the workspace of a folder: the best mark wins, and of equal marks the nearest. */
function findWorkspace(start) {
  const found = new Map();
  for (const folder of upwards(fs.realpathSync(start))) {
    const repository = REPOSITORIES.some((name) => fs.existsSync(path.join(folder, name)));
    const rank = MARKS.findIndex((marks) => marks.some((mark) => has(folder, ...mark)));
    const own = rank >= 0 ? rank : repository ? MARKS.length : -1;
    if (own >= 0 && !found.has(own)) found.set(own, folder);
    if (own === 0 || repository) break;
  }
  return found.size ? found.get(Math.min(...found.keys())) : fs.realpathSync(start);
}

function has(folder, name, line) {
  const file = path.join(folder, name);
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
  return line === undefined || line.test(fs.readFileSync(file, 'utf8'));
}

/** Yield a folder and those above it that may be workspaces: neither the root nor the home folder nor above it. */
function* upwards(start) {
  const home = fs.realpathSync(os.homedir());
  for (let at = start; at !== path.dirname(at); at = path.dirname(at)) {
    if (at !== start && (at === home || home.startsWith(at + path.sep))) return;
    yield at;
  }
}

module.exports = { findWorkspace };
