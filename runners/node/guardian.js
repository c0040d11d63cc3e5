'use strict';
/*
 * Sees to it that nothing survives this runner, even if it is killed: a shell that is told of each process group and
 * kills those that are left when its input ends. A host ends by itself then; a process of mode bin that is busy cannot.
 */

const { spawn } = require('node:child_process');

const SCRIPT = `
left=
while read -r what group; do
  if [ "$what" = + ]; then left="$left $group"; continue; fi
  kept=
  for one in $left; do [ "$one" = "$group" ] || kept="$kept $one"; done
  left=$kept
done
for one in $left; do kill -9 "-$one" "$one"; done 2>/dev/null
`;

class Guardian {
  constructor() {
    this._shell = spawn('/bin/sh', ['-c', SCRIPT], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {},
      cwd: '/',
    });
    this._shell.on('error', () => {}); // a system without a shell: hosts end by themselves
    this._shell.stdin.on('error', () => {});
    this._shell.unref();
  }

  /** A group is there. */
  add(group) {
    this._tell('+', group);
  }

  /** A group is gone. */
  remove(group) {
    this._tell('-', group);
  }

  _tell(what, group) {
    if (this._shell.stdin?.writable) this._shell.stdin.write(`${what} ${group}\n`);
  }
}

module.exports = { Guardian };
