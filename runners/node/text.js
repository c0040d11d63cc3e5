'use strict';
/* Text that is cut to a limit, and paths as a user reads them. Pure; runs in threads and processes that run tests. */

const path = require('node:path');
const { fileURLToPath } = require('node:url');

/** Return text of at most `limit` characters, both its ends kept, with a line that says what is missing. */
function shorten(text, limit) {
  if (text.length <= limit) return text;
  const half = Math.floor(limit / 2);
  return `${text.slice(0, half)}\n[… ${text.length - 2 * half} characters left out …]\n${text.slice(-half)}`;
}

/** Return a file's path from what a stack or a loader calls it: a path or a `file:` URL. */
function pathOf(place) {
  if (!place.startsWith('file:')) return place;
  try {
    return fileURLToPath(place);
  } catch {
    return place;
  }
}

/** Return a path relative to the root where it is inside. */
function relative(file, root) {
  const prefix = root.endsWith(path.sep) ? root : root + path.sep;
  return file.startsWith(prefix) ? file.slice(prefix.length).split(path.sep).join('/') : file;
}

module.exports = { pathOf, relative, shorten };
